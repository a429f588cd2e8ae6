"""Heads of another make: what they are painted with, and limits that two populations set."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from models.config import read_config
from models.limits import Figures, _read, _write, limits, widened
from models.pairs import Pair
from models.populations import KINDS, MAPS, RELABELLED, SOLIDS, Order, draw_head, is_cut, orders
from models.relabelled import refill, repose
from models.relaxation import MATTER, Scan, draw_scan, paint, signal, signals
from models.tissues import Tissue
from node.infer.quality import Shares

CONFIG = Path(__file__).parents[3] / "models/head-t1.toml"


def scan(kind: str, **changed: Any) -> Scan:
    """A sequence at 1.5 T."""
    plain = Scan(
        kind=kind,
        field=0,
        tr_ms=500.0,
        te_ms=10.0,
        ti_ms=900.0,
        flip_deg=90.0,
        slice_mm=1.0,
        axis=0,
        noise=0.0,
        shading=0.0,
    )
    return replace(plain, **changed)


def test_signals_follow_from_relaxation() -> None:
    """The textbook's equations; at 90 degrees a spoiled echo is a spin echo."""
    white = MATTER[Tissue.WHITE]
    echo = white.protons * (1 - np.exp(-500 / 640)) * np.exp(-10 / 60)

    assert signal(scan("spin"), white) == pytest.approx(echo)
    assert signal(scan("spoiled"), white) == pytest.approx(echo)
    nulled = scan("inversion", tr_ms=1e5, ti_ms=640 * np.log(2))
    assert signal(nulled, white) == pytest.approx(0, abs=1e-6)


def test_every_drawn_sequence_is_t1_weighted() -> None:
    """CSF below grey below white, fat above all, hardly any signal of compact bone."""
    for seed in range(40):
        told = signals(draw_scan(np.random.default_rng(seed)))

        assert told[Tissue.CSF] < told[Tissue.GREY] < told[Tissue.WHITE] == 1 < told[Tissue.FAT]
        assert told[Tissue.CORTICAL] < 0.15
        assert set(told) == set(Tissue)


@pytest.fixture(scope="module")
def solid() -> Pair:
    """One head of solids."""
    return draw_head(Order(kind=SOLIDS, subject="", seed=3), Path(), Path())


@pytest.mark.slow
def test_a_head_of_solids_is_whole(solid: Pair) -> None:
    """All tissues are there in a head's amounts, nothing is cut, bone is hard and air is empty."""
    share = {t: float((solid.tissues == t).sum() / (solid.tissues > 0).sum()) for t in Tissue}

    assert not is_cut(solid)
    for tissue in (Tissue.AIR, Tissue.EYE, Tissue.DIPLOE, Tissue.TOOTH, Tissue.VESSEL):
        assert 0 < share[tissue] < 0.2
    assert 0.25 < sum(share[t] for t in (Tissue.WHITE, Tissue.GREY, Tissue.CSF)) < 0.6
    assert 0.1 < float((solid.ct > 250).sum() / (solid.tissues > 0).sum()) < 0.3
    assert np.median(solid.ct[solid.tissues == Tissue.WHITE]) == pytest.approx(29, abs=8)
    assert np.median(solid.ct[solid.tissues == Tissue.OUTSIDE]) == -1000


@pytest.mark.slow
def test_a_seed_is_a_head(solid: Pair) -> None:
    """Drawn again it is the same to the last voxel; another seed is another head."""
    again = draw_head(Order(kind=SOLIDS, subject="", seed=3), Path(), Path())

    np.testing.assert_array_equal(again.mr, solid.mr)
    np.testing.assert_array_equal(again.ct, solid.ct)


def test_a_map_is_turned_bent_and_filled_anew() -> None:
    """Brain and bone move, no label appears from nowhere; soft tissue alone becomes another."""
    z, y, x = np.ogrid[:90, :100, :80]
    away = np.sqrt((z - 40) ** 2 + (y - 50) ** 2 + (x - 40) ** 2)
    kinds = [Tissue.WHITE, Tissue.CORTICAL, Tissue.SOFT, Tissue.SKIN]
    plain = np.select([away < 22, away < 28, away < 34, away < 37], kinds, 0).astype(np.uint8)

    moved = repose(plain, np.random.default_rng(1))
    filled = refill(moved, np.random.default_rng(1))

    assert set(np.unique(moved)) == set(np.unique(plain))
    assert 0.7 < (moved > 0).sum() / (plain > 0).sum() < 1.4
    np.testing.assert_array_equal(filled == Tissue.WHITE, moved == Tissue.WHITE)
    assert not (filled == Tissue.SOFT).any()
    assert (filled == Tissue.MUSCLE).any()
    pair = paint(filled, np.random.default_rng(1))
    assert pair.mr.shape == filled.shape
    assert pair.mr[filled == Tissue.CORTICAL].mean() < 0.5 * pair.mr[filled == Tissue.WHITE].mean()


def test_heads_that_set_limits_are_not_those_that_are_tried() -> None:
    """No order of one is an order of the other; subjects held out or unused stay so."""
    config = read_config(CONFIG)

    for kind in KINDS:
        first, tried = (
            {o.name for o in orders(config, kind, range(100), held_out=held)}
            for held in (False, True)
        )
        assert len(first) == len(tried) == 100
        assert not first & tried
    maps = {o.subject for o in orders(config, MAPS, range(100), held_out=False)}
    others = {o.subject for o in orders(config, RELABELLED, range(100), held_out=False)}
    assert not maps & others
    assert not others & set(config.validate)


def case(**changed: float) -> Figures:
    """One head's figures."""
    shares = {"body_ml": 4000.0, "solidity": 0.9, "brain": 0.5, "bone": 0.18, "air": 0.01}
    told = {"unsure": 0.05, "open_share": 0.0, "surface_bone": 0.02, "shift_mm": 0.0}
    told |= {"bright_skew": 1.0, "bone_hu": 900.0, "vault_bone_ml": 0.0, "error_hu": 60.0}
    row = shares | told | changed
    middle = row.pop("middle", 0.5)
    found = Shares(**{k: row.pop(k) for k in (*shares, "unsure")})
    return Figures(shares=found, histogram=np.array([middle, 1 - middle]), **row)


def test_another_population_only_widens() -> None:
    """What lies beyond comes within with a margin; what lay within stays so; no head: no change."""
    usual = limits([case(), case(bone=0.2)])
    theirs = [case(bone=0.25, bone_hu=1100.0, middle=0.6), case(bone=0.24, middle=0.6)]

    both = widened(usual, theirs)

    assert both["bone_share"][0] == usual["bone_share"][0]
    assert both["bone_share"][1] > 0.25 > usual["bone_share"][1]
    assert both["bone_hu"][1] == 1430
    assert both["histogram"] == usual["histogram"]
    assert both["histogram_distance"] > 0.1 > usual["histogram_distance"]
    assert {k for k in usual if usual[k] != both[k]} == {
        "bone_share",
        "bone_hu",
        "histogram_distance",
    }
    assert widened(usual, []) == usual
    assert widened(both, [case()]) == both


def test_a_head_answered_wrongly_widens_nothing() -> None:
    """Half as much error again as is usual of its kind: it may well be held."""
    usual = limits([case(), case(bone=0.2)])
    wrong = case(bone=0.4, error_hu=200.0)

    assert widened(usual, [case(), case(), wrong]) == widened(usual, [case(), case()])


def test_figures_are_kept(tmp_path: Path) -> None:
    """Read back they set the same limits."""
    for number, found in enumerate((case(), case(bone=0.2))):
        _write(tmp_path / "kept" / f"{number}.json", found)
    _write(tmp_path / "none.json", None)

    read = [_read(path) for path in sorted((tmp_path / "kept").iterdir())]

    assert limits([f for f in read if f]) == limits([case(), case(bone=0.2)])
    assert _read(tmp_path / "none.json") is None
