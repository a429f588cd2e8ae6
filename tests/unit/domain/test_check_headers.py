"""Checks of position, scale, patient and acquisition: each fault has its code, its limit passes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain.checks.acceptance import run
from node.domain.checks.rules import Rules
from node.domain.checks.scaling import scaling_varies
from node.domain.findings import Severity
from node.domain.instance import Instance
from node.domain.stack import split
from tests.unit.domain.headers import framed, series

Break = Callable[[int, Instance], Instance]


def codes_of(change: Break, rules: Rules | None = None) -> list[str]:
    """Change each instance by its number and give the codes of the largest stack."""
    stack = split([change(n, i) for n, i in enumerate(series())])[0]
    return [f.code for f in run(stack, rules or Rules())]


def every(**changes: Any) -> Break:
    """Change the header of each instance."""
    return lambda _n, i: replace(i, **changes)


def one(**changes: Any) -> Break:
    """Change the header of the fiftieth instance."""
    return lambda n, i: replace(i, **changes) if n == 50 else i


def frames(**changes: Any) -> Break:
    """Change the frame of each instance."""
    return lambda _n, i: framed(i, **changes)


def frame(**changes: Any) -> Break:
    """Change the frame of the fiftieth instance."""
    return lambda n, i: framed(i, **changes) if n == 50 else i


def typed(*later: str) -> Break:
    """Give each image this ImageType."""
    image_type = ("ORIGINAL", "PRIMARY", *later)
    return lambda _n, i: replace(framed(i, image_type=image_type), image_type=image_type)


def sideways(by_mm: float) -> Break:
    """Shift the fiftieth slice in its plane."""
    return frame(position_mm=(-120.0 + by_mm, -120.0, -30.0))


def located(wrong: int, place: float = 3.0) -> Break:
    """SliceLocation along the stack, and elsewhere in the first few."""
    return lambda n, i: framed(i, slice_location_mm=7.0 - n + (place if n < wrong else 0.0))


def swapped_numbers(_n: int, i: Instance) -> Instance:
    """Two instances far apart that changed their numbers."""
    number = {31: 81, 81: 31}.get(i.instance_number or 0, i.instance_number)
    return replace(i, instance_number=number)


GIVEN_3T = Rules(field_strengths_t=(3.0,), echo_time_ms=(1.0, 6.0), repetition_time_ms=(5, 2500))

FAULTS: dict[str, tuple[str, Break, Rules | None]] = {
    "sideways": ("POSITION_SIDEWAYS", sideways(0.3), None),
    "location": ("POSITION_CONTRADICTED", located(2), None),
    "number": ("POSITION_CONTRADICTED", swapped_numbers, None),
    "frame number": (
        "POSITION_CONTRADICTED",
        lambda n, i: replace(
            framed(i, in_stack_position={30: 80, 80: 30}.get(n, n)), number_of_frames=2
        ),
        None,
    ),
    "drift": (
        "SLICE_SPACING_JITTER",
        lambda n, i: framed(i, position_mm=(-120.0, -120.0, -80.0 + n + 0.009 * max(0, n - 60))),
        None,
    ),
    "letters": ("ORIENTATION_CONTRADICTED", every(patient_orientation=("R", "P")), None),
    "letters swapped": ("ORIENTATION_CONTRADICTED", one(patient_orientation=("P", "L")), None),
    "gaps": ("SLICE_THICKNESS_DIFFERS", frames(slice_thickness_mm=0.8), None),
    "distance": ("SPACING_CONTRADICTED", frames(spacing_between_slices_mm=1.1), None),
    "diameter": ("FOV_CONTRADICTED", every(reconstruction_diameter_mm=260.0), None),
    "small": ("FOV_SMALL", every(), Rules(least_fov_mm=250.0, region="head")),
    "oblong": ("PIXELS_NOT_SQUARE", frames(pixel_spacing_mm=(1.0, 1.2)), None),
    "oblique": ("STACK_OBLIQUE", frames(orientation=(1, 0, 0, 0, 0.995004, 0.099833)), None),
    "slope nan": ("SCALING_INVALID", frame(rescale_slope=float("nan")), None),
    "slope zero": ("SCALING_INVALID", frame(rescale_slope=0.0), None),
    "slope lost": (
        "SCALING_PARTLY",
        lambda n, i: framed(i, rescale_slope=1.0 if n == 5 else 2.4, rescale_stated=n != 5),
        None,
    ),
    "slopes": ("SCALING_PER_SLICE", lambda n, i: framed(i, rescale_slope=1 + n / 100), None),
    "philips": (
        "SCALING_PRIVATE",
        lambda n, i: framed(i, rescale_slope=2.0, philips_scale=(0.0, 0.01 + n / 1e4)),
        None,
    ),
    "signed": ("PIXELS_MIXED", one(pixel_representation=1), None),
    "frames": ("FRAMES_MISMATCH", every(declared_frames=2), None),
    "high bit": ("PIXELS_FORMAT", every(high_bit=15), None),
    "water": ("DIXON_PART", typed("DIXON", "WATER"), None),
    "text": ("BURNED_IN", one(burned_in=True), None),
    "animal": ("NOT_BIPED", one(anatomical_orientation="QUADRUPED"), None),
    "minor by date": (
        "PATIENT_MINOR",
        every(patient_birth_date="20080402", study_date="20260401"),
        None,
    ),
    "minor by age": ("PATIENT_MINOR", every(patient_age="017Y"), None),
    "months": ("PATIENT_MINOR", every(patient_age="200M"), None),
    "implant": ("IMPLANT", every(implants=(("MedicalAlerts", "pacemaker"),)), None),
    "mention": ("IMPLANT_MENTIONED", one(implant_mentions=(("PatientComments", "stent"),)), None),
    "characters": ("CHARACTER_SET_UNKNOWN", every(character_set=("ISO_IR 999",)), None),
    "birth dates": ("PATIENT_MIXED", one(patient_birth_date="19700101"), None),
    "positions": ("PATIENT_POSITION_MIXED", one(patient_position="FFS"), None),
    "position lost": ("PATIENT_POSITION_PARTLY", one(patient_position=""), None),
    "time lost": (
        "ATTRIBUTE_PARTLY",
        lambda n, i: framed(i, temporal_position=None if n == 5 else 1),
        None,
    ),
    "no times": ("TIMING_MISSING", lambda _n, i: framed(i, echo_time_ms=None), None),
    "scanners": ("SCANNER_MIXED", one(manufacturer="OTHER"), None),
    "flip": ("ACQUISITION_MIXED", lambda n, i: framed(i, flip_angle_deg=9 + (n == 50)), None),
    "untrue": ("IMAGE_DISTORTED", frames(volumetric="DISTORTED"), None),
    "agent": ("CONTRAST_AGENT", every(contrast_agent="Gd-DOTA"), None),
    "field": ("MODEL_FIELD_STRENGTH", every(field_strength_t=0.35), GIVEN_3T),
    "echo": ("MODEL_ECHO_TIME", frames(echo_time_ms=90.0), GIVEN_3T),
    "repetition": ("MODEL_REPETITION_TIME", every(repetition_time_ms=8000.0), GIVEN_3T),
    "count": ("SERIES_INCOMPLETE", every(images_in_acquisition=130), None),
    "philips count": ("SERIES_INCOMPLETE", every(philips_slices=170), None),
    "numbers": (
        "SERIES_INCOMPLETE",
        lambda _n, i: replace(i, instance_number=(i.instance_number or 0) + 5),
        None,
    ),
}

HARMLESS: dict[str, tuple[str, Break, Rules | None]] = {
    "sideways": ("POSITION_SIDEWAYS", sideways(0.15), None),
    "skewed but in line": (
        "POSITION_SIDEWAYS",
        lambda n, i: framed(i, position_mm=(-120 + 0.3 * n, -120.0, -80.0 + n)),
        None,
    ),
    "useless location": (
        "POSITION_CONTRADICTED",
        lambda n, i: framed(i, slice_location_mm=float(n * n % 17)),
        None,
    ),
    "constant location": ("POSITION_CONTRADICTED", frames(slice_location_mm=0.0), None),
    "interleaved numbers": (
        "POSITION_CONTRADICTED",
        lambda n, i: replace(i, instance_number=n // 2 + 1 + 60 * (n % 2)),
        None,
    ),
    "letters": ("ORIENTATION_CONTRADICTED", every(patient_orientation=("LA", "PH")), None),
    "nonsense letters": ("ORIENTATION_CONTRADICTED", every(patient_orientation=("L", "R")), None),
    "gap written": ("SPACING_CONTRADICTED", frames(
        spacing_between_slices_mm=0.2, slice_thickness_mm=0.8), None),
    "minus": ("SPACING_CONTRADICTED", frames(spacing_between_slices_mm=-1.0), None),
    "diameter": ("FOV_CONTRADICTED", every(reconstruction_diameter_mm=240.0), None),
    "slope of one everywhere": (
        "SCALING_PARTLY",
        lambda n, i: framed(i, rescale_stated=n % 2 == 0),
        None,
    ),
    "one slope": ("SCALING_PER_SLICE", frames(rescale_slope=2.3616), None),
    "biped": ("NOT_BIPED", every(anatomical_orientation="BIPED"), None),
    "adult": ("PATIENT_MINOR", every(patient_birth_date="20080401", study_date="20260401"), None),
    "no age": ("PATIENT_MINOR", every(patient_birth_date="unknown", patient_age=""), None),
    "mistyped": ("CHARACTER_SET_UNKNOWN", every(character_set=("", "ISO-2022-IR 87")), None),
    "no agent": ("CONTRAST_AGENT", every(contrast_agent="NONE"), None),
    "agent meant": ("CONTRAST_AGENT", every(contrast_agent="Gd"), Rules(contrast_agent=True)),
    "field": ("MODEL_FIELD_STRENGTH", every(field_strength_t=2.8936), GIVEN_3T),
    "echo": ("MODEL_ECHO_TIME", frames(echo_time_ms=6.0), GIVEN_3T),
    "count": ("SERIES_INCOMPLETE", every(images_in_acquisition=120), None),
    "inline": ("DIXON_PART", typed("DIXON", "IN_PHASE"), None),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_code(name: str) -> None:
    """Whatever else it causes."""
    code, change, rules = FAULTS[name]

    assert code in codes_of(change, rules)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_passes(name: str) -> None:
    """At the limit, or where a witness is worth nothing."""
    code, change, rules = HARMLESS[name]

    assert code not in codes_of(change, rules)


def test_scales_that_philips_confirms_are_only_told() -> None:
    """RescaleSlope and the private slope agree from slice to slice."""
    headers = [
        framed(i, rescale_slope=2.0 + n / 50, philips_scale=(0.0, 1 / (2.0 + n / 50)))
        for n, i in enumerate(series())
    ]

    (found,) = run(split(headers)[0], Rules())

    assert (found.code, found.severity) == ("SCALING_PER_SLICE", Severity.INFO)


def test_a_route_decides_how_grave_a_finding_is() -> None:
    """What it says replaces the table's severity, for that code alone."""
    rules = Rules(actions={"CONTRAST_AGENT": Severity.REFUSE})
    headers = [replace(i, contrast_agent="Gd", patient_age="012Y") for i in series()]

    found = {f.code: f.severity for f in run(split(headers)[0], rules)}

    assert found == {
        "CONTRAST_AGENT": Severity.REFUSE,
        "PATIENT_MINOR": Severity.REFUSE,
    }


@pytest.mark.parametrize(("constant", "severity"), [(True, "hold"), (False, "warning")])
def test_a_private_scale_that_does_not_follow_the_stated_one_is_held(
    constant: bool, severity: str
) -> None:
    """RescaleSlope differs from slice to slice, Philips' own scale is the same in all."""
    instances = [
        framed(
            i,
            rescale_slope=1.0 + n / 10,
            philips_scale=(0.0, 0.01 if constant else 0.01 + n / 1e4),
        )
        for n, i in enumerate(series())
    ]
    (stack,) = split(instances)

    found = scaling_varies(stack, Rules())

    assert found is not None
    assert (found.code, found.severity) == ("SCALING_PRIVATE", severity)
