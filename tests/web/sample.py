"""Eleven series in every state, as a day at the clinic would leave them. Nobody's names."""

from datetime import UTC, datetime
from typing import Any

from node.domain.findings import finding, finding_json
from tests.web.shelf import Shelf

_MINUTE = 60.0


def _plan(name: str, version: str, destination: str) -> dict[str, Any]:
    return {
        "model": {"name": name, "version": version, "sha256": "5a" * 32, "spacing_mm": 1.0},
        "grid": {"shape": [224, 256, 256]},
        "route": "brain",
        "software_version": "0.1.0",
        "predecessor_series_uid": None,
        "settings": {},
        "destinations": [destination],
        "release": "signature",
    }


BRAIN, PELVIS, NECK = ("brain-t1", "1.3.0"), ("pelvis-t2", "1.1.2"), ("hn-t1", "0.9.4")
_WARNINGS = [
    finding_json(finding("BODY_AT_EDGE", sides="front"), stage="quality"),
    finding_json(
        finding("UNCERTAINTY_HIGH", share_percent=14.2, limit_hu=80.0, limit_percent=10.0),
        stage="quality",
    ),
]
_GAP = [
    finding_json(
        finding(
            "SLICE_GAP",
            missing=3,
            gaps=["image 88 (-87.5 -112 40.2) – image 92 (-83.5 -112 40.2): 4 mm"],
            spacing_mm=1.0,
        ),
        stage="check",
    )
]


Steps = tuple[tuple[str, float, str], ...]
_STEPS: Steps = (
    ("collect", 0.4, "224 instances, 1 stack."),
    ("check", 0.1, "Route head-and-neck; 0 findings."),
    ("plan", 0.1, "hn-t1 0.9.4, 224 slices of 256 x 256 at 1.0 mm."),
    ("synthesise", 11.8, "CPUExecutionProvider"),
    ("encode", 0.7, "224 CT images, 29.6 MB, read back and compared."),
)


def _steps(shelf: Shelf, run: int, end: float, steps: Steps = _STEPS) -> None:
    """Steps of a run, one after the other, over by ``end``."""
    begun = end - 30.0
    for name, took_s, said in steps:
        ended = begun + took_s
        shelf.step_row(run, name, started_at=begun, finished_at=ended, sentence=said)
        begun = ended


def fill(shelf: Shelf) -> None:
    """Put the eleven series on the shelf."""
    now = datetime.now(UTC).timestamp()
    number = iter(range(1, 100))

    def add(
        name: str, pid: str, what: str, part: str, model: tuple[str, str], minutes: float, **v: Any
    ) -> int:
        return shelf.row(
            next(number),
            patient_name=name,
            patient_id=pid,
            description=what,
            body_part=part,
            model=model[0],
            state_at=now - minutes * _MINUTE,
            instances=v.pop("instances", 224),
            **v,
        )

    def run(series: int, model: tuple[str, str], to: str, **values: Any) -> int:
        return shelf.run_row(series, plan=_plan(*model, to), **values)

    run(
        add("SPECIMEN^Alix", "PX-004182", "T1 MPRAGE 3D sag, post-Gd", "BRAIN", BRAIN, 11,
            state="review", sentence="2 findings to read: BODY_AT_EDGE, UNCERTAINTY_HIGH.",
            findings=_WARNINGS),
        BRAIN, "ECLIPSE_RT",
    )  # fmt: skip
    run(
        add("ÉCHANTILLON^Benoît", "PX-003977", "T2 SPACE + Dixon, pelvis", "PELVIS", PELVIS, 28,
            state="review", sentence="The route asks for a signature."),
        PELVIS, "RAYSTATION",
    )  # fmt: skip
    refused = (
        "RAYSTATION (RAYSTATION at 10.20.4.20:104) refused the association for good: it does not "
        "answer to the AE title RAYSTATION (PS3.8 source 1, reason 7)."
    )
    failed = run(
        add("FANTÔME^Émile", "PX-004105", "T1 VIBE Dixon, head & neck", "HEADNECK", NECK, 63,
            state="failed", sentence=refused),
        NECK, "RAYSTATION",
    )  # fmt: skip
    _steps(shelf, failed, now - 63 * _MINUTE)
    shelf.delivery_row(failed, "RAYSTATION", "failed", refused)
    gap = add("PRUEBA^Félix", "PX-004171", "T1 MPRAGE 3D", "BRAIN", BRAIN, 79, state="refused",
              sentence="Refused: no stack can be used.", findings=_GAP)  # fmt: skip
    _steps(shelf, shelf.run_row(gap), now - 79 * _MINUTE,
           (_STEPS[0], ("check", 0.1, "Refused: no stack can be used.")))  # fmt: skip
    busy = run(
        add("MUSTER^Clara", "PX-004190", "T1 MPRAGE 3D, post-Gd", "BRAIN", BRAIN, 2,
            state="running", sentence="Making the synthetic CT: network, 62%."),
        BRAIN, "ECLIPSE_RT",
    )  # fmt: skip
    shelf.step_row(busy, "synthesise")
    add("SAMPLE^Dora", "PX-004191", "T2 SPACE, pelvis", "PELVIS", PELVIS, 1, state="receiving",
        sentence="Instances are arriving.", instances=138)  # fmt: skip
    run(
        add("CAMPIONE^Gino", "PX-002610", "T1 MPRAGE 3D", "BRAIN", BRAIN, 1, state="queued",
            sentence="Waiting for a free worker."),
        BRAIN, "ECLIPSE_RT",
    )  # fmt: skip
    for name, pid, what, part, model, minutes in (
        ("MODEL^Hanna", "PX-003544", "T1 MPRAGE 3D, post-Gd", "BRAIN", BRAIN, 140),
        ("VOORBEELD^Jan", "PX-003310", "T1 VIBE Dixon, head & neck", "HEADNECK", NECK, 240),
        ("PRZYKŁAD^Kasia", "PX-002954", "T1 MPRAGE 3D", "BRAIN", BRAIN, 300),
    ):
        series = add(name, pid, what, part, model, minutes, state="delivered",
                     sentence="Delivered to ECLIPSE_RT.")  # fmt: skip
        done = run(series, model, "ECLIPSE_RT", released_by="L. Martin", released_at=now)
        shelf.delivery_row(done, "ECLIPSE_RT", "confirmed", "224 objects stored at ECLIPSE_RT.")
    run(
        add("ESEMPIO^Ivo", "PX-001188", "T2 SPACE + Dixon, pelvis", "PELVIS", PELVIS, 200,
            state="rejected", sentence="Rejected by L. Martin: hip implant void."),
        PELVIS, "ECLIPSE_RT",
    )  # fmt: skip
