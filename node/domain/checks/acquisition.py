"""Acceptance checks of how the images were acquired, and whether the model was made for that."""

from collections import Counter
from collections.abc import Callable

from node.domain.checks.rules import Rules, place, typed, uids_of
from node.domain.findings import Finding, finding
from node.domain.instance import Slice
from node.domain.stack import Stack, partly_stated

# Settings of one acquisition that may not differ between its slices; 1 % is how they are written.
_SETTINGS: tuple[tuple[str, Callable[[Slice], float | None]], ...] = (
    ("RepetitionTime", lambda s: s.frame.repetition_time_ms),
    ("FlipAngle", lambda s: s.frame.flip_angle_deg),
    ("InversionTime", lambda s: s.frame.inversion_time_ms),
    ("MagneticFieldStrength", lambda s: s.instance.field_strength_t),
)
_SAME_SETTING = 0.01
# Scanners write 1.494 T and 2.894 T for what is sold as 1.5 T and 3 T.
_SAME_FIELD = 0.1
_NAMED = 5
_NO_AGENT = {"NONE", "NO", "N", "0", "-", "WITHOUT", "SANS", "KEINE"}


def distortion(stack: Stack, rules: Rules) -> Finding | None:
    """Gradient non-linearity moves edges by millimetres; ImageType tells how it was corrected."""
    if rules.distortion_corrected:
        return None
    kinds = set(stack.first.frame.image_type) | set(stack.header.image_type)
    if "DIS3D" in kinds:
        return None
    words = typed(stack.first.frame.image_type)
    if "DIS2D" in kinds:
        return finding("DISTORTION_2D", image_type=words)
    if "ND" in kinds:
        return finding("DISTORTION_NONE", image_type=words)
    return finding("DISTORTION_UNKNOWN", manufacturer=stack.header.manufacturer or "unknown")


def image_distorted(stack: Stack, _rules: Rules) -> Finding | None:
    """VolumetricProperties DISTORTED: distances are not true (PS3.3 C.8.16.2.1.2)."""
    odd = [s for s in stack.slices if s.frame.volumetric == "DISTORTED"]
    return finding("IMAGE_DISTORTED", value="DISTORTED", uids=uids_of(odd)) if odd else None


def contrast_agent(stack: Stack, rules: Rules) -> Finding | None:
    """A contrast agent brightens vessels and tumour, which look like other tissue then."""
    agent = stack.header.contrast_agent
    if rules.contrast_agent or not agent or agent.upper() in _NO_AGENT:
        return None
    return finding("CONTRAST_AGENT", agent=agent, model=rules.model or "unknown")


def timing_missing(stack: Stack, rules: Rules) -> Finding | None:
    """Without echo and repetition time nothing says what the contrast is."""
    if rules.allow_derived and stack.first.frame.image_type[:1] == ("DERIVED",):
        return None
    missing = missing_timing(stack)
    if not missing:
        return None
    return finding("TIMING_MISSING", attribute=missing, uids=uids_of(stack.slices))


def missing_timing(stack: Stack) -> list[str]:
    """Which of EchoTime and RepetitionTime no slice states."""
    return [
        attribute
        for attribute, value in (
            ("EchoTime", lambda s: s.frame.echo_time_ms),
            ("RepetitionTime", _repetition_time_ms),
        )
        if all(value(s) is None for s in stack.slices)
    ]


def acquisition_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """Slices of one volume are acquired alike."""
    for attribute, value in _SETTINGS:
        known = [v for v in map(value, stack.slices) if v is not None]
        if known and max(known) - min(known) > _SAME_SETTING * abs(max(known)):
            values = sorted(set(known))[:5]
            return finding("ACQUISITION_MIXED", attribute=attribute, values=values)
    return None


def attribute_partly(stack: Stack, _rules: Rules) -> Finding | None:
    """Slices that lack what tells volumes apart were taken for this one: their places are free."""
    found = partly_stated(stack.slices)
    if found is None:
        return None
    attribute, bare = found
    return finding(
        "ATTRIBUTE_PARTLY",
        attribute=attribute,
        count=len(bare),
        total=len(stack.slices),
        slices=[place(s) for s in bare[:_NAMED]],
        uids=uids_of(bare),
    )


def scanner_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """One series comes from one scanner."""
    for attribute, name in (
        ("Manufacturer", "manufacturer"),
        ("DeviceSerialNumber", "device_serial_number"),
    ):
        values = Counter(getattr(s.instance, name) for s in stack.slices)
        values.pop("", None)
        if len(values) > 1:
            common = values.most_common(1)[0][0]
            odd = [s for s in stack.slices if getattr(s.instance, name) != common]
            return finding(
                "SCANNER_MIXED",
                count=len(values),
                attribute=attribute,
                values=sorted(values),
                uids=uids_of(odd),
            )
    return None


def body_part(stack: Stack, rules: Rules) -> Finding | None:
    """The header's BodyPartExamined against the model's; an empty one says nothing."""
    value = stack.header.body_part
    if not value or not rules.body_parts or value.upper() in rules.body_parts:
        return None
    return finding(
        "MODEL_BODY_PART", value=value, model=rules.model, expected=" or ".join(rules.body_parts)
    )


def field_strength(stack: Stack, rules: Rules) -> Finding | None:
    """Contrast changes with the field; a header without it says nothing."""
    value, made_for = stack.header.field_strength_t, rules.field_strengths_t
    if not value or not made_for or any(abs(value - t) <= _SAME_FIELD * t for t in made_for):
        return None
    return finding(
        "MODEL_FIELD_STRENGTH", value_t=value, model=rules.model, expected=list(made_for)
    )


def echo_time(stack: Stack, rules: Rules) -> Finding | None:
    """The echo time against what the model was made for."""
    value = stack.first.frame.echo_time_ms
    return _outside("MODEL_ECHO_TIME", value, rules.echo_time_ms, rules.model)


def repetition_time(stack: Stack, rules: Rules) -> Finding | None:
    """The repetition time against what the model was made for."""
    value = _repetition_time_ms(stack.first)
    return _outside("MODEL_REPETITION_TIME", value, rules.repetition_time_ms, rules.model)


def series_incomplete(stack: Stack, _rules: Rules) -> Finding | None:
    """The header counts more images than arrived: end slices may be missing without a gap.

    Only where the series is one volume: nobody says whether such a count spans several.
    """
    if stack.label:
        return None
    count, header = len(stack.slices), stack.header
    numbers = [s.instance.instance_number for s in stack.slices]
    known = [n for n in numbers if n is not None]
    single = header.number_of_frames == 1 and len(set(known)) == count
    for source, expected in (
        ("ImagesInAcquisition", header.images_in_acquisition if single else None),
        ("(2001,1018)", header.philips_slices),
        ("InstanceNumber", max(known) if single and _counts_up(known) else None),
    ):
        if expected is not None and expected > count:
            return finding("SERIES_INCOMPLETE", count=count, source=source, expected=expected)
    return None


def _counts_up(numbers: list[int]) -> bool:
    """Whether they run without holes from a start that a missing beginning explains."""
    return max(numbers) - min(numbers) + 1 == len(numbers) and 1 < min(numbers) <= len(numbers)


def _repetition_time_ms(s: Slice) -> float | None:
    value = s.frame.repetition_time_ms
    return s.instance.repetition_time_ms if value is None else value


def _outside(
    code: str, value: float | None, limits: tuple[float, float] | None, model: str
) -> Finding | None:
    if value is None or limits is None or limits[0] <= value <= limits[1]:
        return None
    return finding(code, value_ms=value, model=model, low_ms=limits[0], high_ms=limits[1])
