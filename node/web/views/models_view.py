"""Models as page and interface show them: card, checks, population, drift, sign-offs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fastapi import HTTPException, Request

from node.archive.site.model_repository import ModelBook
from node.domain.figures import HISTOGRAM_HU
from node.domain.plan import ModelRef
from node.domain.sign_off import Source
from node.web.views.page_services import Desk, desk

Item = dict[str, Any]
FIGURES: Mapping[str, str | None] = {
    "body_ml": "body_ml",
    "brain_share": "brain_share",
    "bone_share": "bone_share",
    "air_share": "air_share",
    "uncertain_p95_hu": None,
}
"""What is measured of each sCT, and the manifest's limits for it."""
LEAST_FOR_BAND = 10
"""So many sCTs make a population to compare with."""


def model_item(at: Desk, card: Item) -> Item:
    """One line of the list: the model, its last check, its sign-offs in force."""
    checks = at.model_book.checks(card["sha256"])
    signed = [s for s in at.model_book.sign_offs(card["sha256"]) if s["ended_at"] is None]
    keys = ("name", "version", "sha256", "description", "body_part", "region", "spacing_mm")
    return {key: card[key] for key in keys} | {
        "last_check": checks[0] if checks else None,
        "signed_off_for": [scope_of(s) for s in signed],
    }


def scope_of(sign_off: Mapping[str, Any]) -> Item:
    """The part of a sign-off that says what it is for."""
    return {key: sign_off[key] for key in ("id", "manufacturer", "scanner", "protocol")}


def whole_item(at: Desk, card: Item) -> Item:
    """Everything about one model but what was measured of each sCT."""
    book, sha256 = at.model_book, card["sha256"]
    return card | {
        "checks": book.checks(sha256)[:20],
        "sign_offs": sorted(book.sign_offs(sha256), key=lambda s: s["ended_at"] is not None),
        "seen": [s | {"covered": _covered(book, sha256, s)} for s in book.seen(sha256)],
        "population": population(book.figures(sha256), card["limits"]),
    }


def _covered(book: ModelBook, sha256: str, seen: Item) -> bool:
    source = Source(
        manufacturer=seen["manufacturer"], scanner=seen["scanner"], protocol=seen["protocol"]
    )
    return book.covering(sha256, source) is not None


def population(figures: Sequence[Item], limits: Mapping[str, Any] | None) -> Item:
    """For each figure the model's limits, and the middle and range of what was made here."""
    rows = []
    for name, key in FIGURES.items():
        values = [f[name] for f in figures if f.get(name) is not None]
        limit = (limits or {}).get(key) if key else None
        low, middle, high = (
            (float(v) for v in np.percentile(values, (5, 50, 95))) if values else (None,) * 3
        )
        outside = [v for v in values if limit and not limit[0] <= v <= limit[1]]
        rows.append(
            {
                "figure": name,
                "limits": list(limit) if limit else None,
                "median": middle,
                "p5": low,
                "p95": high,
                "outside": len(outside),
            }
        )
    return {"series": len(figures), "figures": rows}


def band(figures: Sequence[Item]) -> Item | None:
    """The 5th to 95th percentile of the HU histograms of released sCTs; None for too few."""
    spreads = [f["hu"] for f in figures if f["released"] and f.get("hu")]
    if len(spreads) < LEAST_FOR_BAND:
        return None
    low, high = np.percentile(np.array(spreads, np.float64), (5, 95), axis=0)
    first, last, width = HISTOGRAM_HU
    return {
        "hu": [h + width / 2 for h in range(first, last, width)],
        "low": [round(float(v), 5) for v in low],
        "high": [round(float(v), 5) for v in high],
        "series": len(spreads),
    }


def band_for(request: Request, item: Item) -> Item | None:
    """The population an sCT is compared with; None where there is no sCT or no population."""
    at: Desk | None = request.app.state.desk
    run = item["runs"][-1] if item["runs"] else None
    if at is None or run is None or not run["plan"]:
        return None
    return band(at.model_book.figures(run["plan"]["model"]["sha256"]))


def card_of(request: Request, name: str, version: str) -> Item:
    """The card of a model's version; 404 where there is none."""
    for card in desk(request).models():
        if (card["name"], card["version"]) == (name, version):
            return dict(card)
    raise HTTPException(404, f"There is no model {name} {version}.")


def ref_of(card: Mapping[str, Any]) -> ModelRef:
    """The identity of a model that has this card."""
    keys = ("name", "version", "sha256", "body_part", "spacing_mm")
    return ModelRef(**{key: card[key] for key in keys})
