"""Acceptance checks: each refuses its fault and accepts what lies at its limit."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from node.domain.checks.acceptance import CHECKS, Rules, run
from node.domain.codes.table import CODES
from node.domain.findings import Severity
from node.domain.instance import Instance
from node.domain.stack import split
from tests.unit.domain.headers import framed, header, moved, series

Break = Callable[[list[Instance]], list[Instance]]


def codes_of(instances: list[Instance], rules: Rules | None = None) -> list[str]:
    """Run all checks on the largest stack and give the codes."""
    return [f.code for f in run(split(instances)[0], rules or Rules())]


def each(change: Callable[[Instance], Instance]) -> Break:
    """Break every instance alike."""
    return lambda s: [change(i) for i in s]


def one(change: Callable[[Instance], Instance], n: int = 50) -> Break:
    """Break one instance."""
    return lambda s: [change(i) if k == n else i for k, i in enumerate(s)]


def typed(*image_type: str) -> Break:
    """Give every image this ImageType."""
    return each(lambda i: replace(framed(i, image_type=image_type), image_type=image_type))


TILTED = (0.999, 0.0447, 0.0, -0.0447, 0.999, 0.0)
FAULTS: list[tuple[str, Break]] = [
    ("NOT_MR", each(lambda i: replace(i, modality="CT"))),
    ("NOT_MR", each(lambda i: replace(i, sop_class_uid="1.2.840.10008.5.1.4.1.1.2"))),
    ("LOCALIZER", typed("ORIGINAL", "PRIMARY", "LOCALIZER")),
    ("RECONSTRUCTION", typed("DERIVED", "PRIMARY", "MPR")),
    ("RECONSTRUCTION", typed("DERIVED", "PRIMARY", "DIFFUSION", "ADC")),
    ("MOSAIC", typed("ORIGINAL", "PRIMARY", "M", "MOSAIC")),
    ("NOT_MAGNITUDE", each(lambda i: framed(i, complex_component="PHASE"))),
    ("NOT_MAGNITUDE", typed("ORIGINAL", "PRIMARY", "R")),
    ("DERIVED", typed("DERIVED", "SECONDARY")),
    ("UID_INVALID", one(lambda i: replace(i, sop_instance_uid="1.2/../3"))),
    ("PATIENT_ID_MISSING", each(lambda i: replace(i, patient_id=""))),
    ("PATIENT_ID_MISSING", each(lambda i: replace(i, patient_name="^^"))),
    ("PATIENT_MIXED", one(lambda i: replace(i, patient_id="P2"))),
    ("PATIENT_MIXED", one(lambda i: replace(i, study_instance_uid="1.7"))),
    ("PATIENT_POSITION", each(lambda i: replace(i, patient_position="HFP"))),
    ("PATIENT_POSITION_MIXED", one(lambda i: replace(i, patient_position="FFDL"))),
    ("PATIENT_POSITION_MISSING", each(lambda i: replace(i, patient_position=""))),
    ("PIXELS_MISSING", one(lambda i: replace(i, has_pixels=False))),
    ("PIXELS_LENGTH", one(lambda i: replace(i, pixel_bytes=240 * 240 * 2 - 2))),
    ("PIXELS_FORMAT", each(lambda i: replace(i, photometric="RGB"))),
    ("PIXELS_FORMAT", each(lambda i: replace(i, bits_allocated=32, pixel_bytes=None))),
    ("LOSSY_SOURCE", one(lambda i: replace(i, lossy="ISO_10918_1"))),
    ("POSITION_MISSING", one(lambda i: framed(i, position_mm=None))),
    ("ORIENTATION_MISSING", one(lambda i: framed(i, orientation=None))),
    ("SPACING_MISSING", one(lambda i: framed(i, pixel_spacing_mm=None))),
    ("SPACING_INVALID", each(lambda i: framed(i, pixel_spacing_mm=(0.0, 0.0)))),
    ("FRAME_OF_REFERENCE_MISSING", one(lambda i: replace(i, frame_of_reference_uid=""))),
    ("FRAME_OF_REFERENCE_MIXED", one(lambda i: replace(i, frame_of_reference_uid="1.8"))),
    ("ORIENTATION_NOT_ORTHONORMAL", each(lambda i: framed(i, orientation=(1, 0, 0, 0.1, 1, 0)))),
    ("ORIENTATION_MIXED", one(lambda i: framed(i, orientation=TILTED))),
    ("SPACING_MIXED", one(lambda i: framed(i, pixel_spacing_mm=(2.0, 2.0)))),
    ("MATRIX_MIXED", one(lambda i: replace(i, rows=120, pixel_bytes=None))),
    ("MULTIPLE_VOLUMES", lambda s: s + [replace(i, sop_instance_uid=f"9.{k}") for k, i in
                                        enumerate(s)]),
    ("POSITION_DUPLICATE", lambda s: [*s, replace(s[7], sop_instance_uid="9.9")]),
    ("SLICE_GAP", lambda s: s[:40] + s[42:]),
    ("SLICE_SPACING_IRREGULAR", one(lambda i: moved(i, by_mm=0.2))),
    ("SLICE_SPACING_JITTER", one(lambda i: moved(i, by_mm=0.03))),
    ("STACK_SKEWED", lambda s: [
        framed(i, position_mm=(-120.0 + 0.05 * k, -120.0, -80.0 + k)) for k, i in enumerate(s)]),
    ("TOO_FEW_SLICES", lambda s: s[:60]),
    ("TOO_FEW_SLICES", lambda _s: [header(k, step_mm=12.0) for k in range(8)]),
    ("SLICES_THICK", lambda _s: [header(k, step_mm=8.0) for k in range(20)]),
    ("DISTORTION_2D", typed("ORIGINAL", "PRIMARY", "M", "DIS2D")),
    ("DISTORTION_NONE", typed("ORIGINAL", "PRIMARY", "M", "ND")),
    ("DISTORTION_UNKNOWN", typed("ORIGINAL", "PRIMARY", "M")),
]  # fmt: skip


def test_a_faultless_series_has_no_finding() -> None:
    """The one that everything below breaks."""
    assert codes_of(series()) == []


@pytest.mark.parametrize(("code", "fault"), FAULTS)
def test_each_fault_has_its_code(code: str, fault: Break) -> None:
    """And its sentence is complete, with a remedy."""
    found = [f for f in run(split(fault(series()))[0], Rules()) if f.code == code]

    assert found, codes_of(fault(series()))
    assert "{" not in found[0].sentence
    assert found[0].remedy == CODES[code].remedy


AT_THE_LIMIT: list[tuple[str, Break]] = [
    ("ORIENTATION_NOT_ORTHONORMAL", each(lambda i: framed(i, orientation=(1, 0, 0, 4e-4, 1, 0)))),
    ("ORIENTATION_MIXED", one(lambda i: framed(i, orientation=(1, 5e-4, 0, -5e-4, 1, 0)))),
    ("SPACING_MIXED", one(lambda i: framed(i, pixel_spacing_mm=(1.0005, 1.0)))),
    ("SLICE_SPACING_JITTER", one(lambda i: moved(i, by_mm=0.009))),
    ("SLICE_SPACING_IRREGULAR", one(lambda i: moved(i, by_mm=0.049))),
    ("STACK_SKEWED", lambda s: [
        framed(i, position_mm=(-120.0 + 0.001 * k, -120.0, -80.0 + k)) for k, i in enumerate(s)]),
    ("TOO_FEW_SLICES", lambda s: s[:80]),
    ("SLICES_THICK", lambda _s: [header(k, step_mm=7.0) for k in range(20)]),
    ("PIXELS_LENGTH", one(lambda i: replace(i, pixel_bytes=240 * 240 * 2 + 1))),
    ("PATIENT_POSITION", each(lambda i: replace(i, patient_position="FFS"))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "harmless"), AT_THE_LIMIT)
def test_what_lies_at_the_limit_is_accepted(code: str, harmless: Break) -> None:
    """Rounding and known deviations of real scanners pass."""
    assert code not in codes_of(harmless(series()))


def test_every_finding_is_reported_not_the_first() -> None:
    """A sender sees all faults at once."""
    broken = [replace(i, patient_position="HFP", patient_id="") for i in series()]

    assert {"PATIENT_POSITION", "PATIENT_ID_MISSING", "SLICE_GAP"} <= set(
        codes_of(broken[:40] + broken[42:])
    )


def test_a_gap_names_how_many_slices_and_where() -> None:
    """Two are missing after the fortieth."""
    stack = split(series()[:40] + series()[42:])[0]

    gap = next(f for f in run(stack, Rules()) if f.code == "SLICE_GAP")

    assert gap.values["missing"] == "2"
    assert set(gap.uids) == {"1.2.3.40", "1.2.3.43"}


def test_route_may_allow_derived_and_declares_the_position() -> None:
    """What is missing is taken from the declaration and said in the finding."""
    image_type = ("DERIVED", "SECONDARY")
    derived = [
        replace(framed(i, image_type=image_type), patient_position="", image_type=image_type)
        for i in series()
    ]

    found = run(split(derived)[0], Rules(allow_derived=True, assume_patient_position="FFS"))

    assert found[0].code == "DERIVED_ALLOWED"
    assert "PatientPosition FFS" in found[0].sentence
    assert not any(f.severity is Severity.REFUSE for f in found)


def test_route_may_allow_prone() -> None:
    """Only the position it names."""
    prone = [replace(i, patient_position="HFP") for i in series()]

    assert "PATIENT_POSITION" not in codes_of(prone, Rules(allow_patient_positions=("HFP",)))
    assert "PATIENT_POSITION" in codes_of(prone, Rules(allow_patient_positions=("FFP",)))


def test_every_check_is_listed_once() -> None:
    """A check that is not in the table never runs."""
    assert len(set(CHECKS)) == len(CHECKS)
