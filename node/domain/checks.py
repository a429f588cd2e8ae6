"""Acceptance checks: each looks at one stack and says what is wrong, or nothing.

Checks never repair. All of them run on every stack of MR images, so that a sender sees every fault
at once. Those of geometry are in `node.domain.check_geometry`.
"""

from collections import Counter

from node.domain import check_geometry as geometry
from node.domain.check_rules import MAX_UIDS, Check, Rules, typed, uids_of
from node.domain.findings import Finding, finding
from node.domain.names import is_uid
from node.domain.stack import Stack

__all__ = ["CHECKS", "ENHANCED_MR_IMAGE", "MAX_UIDS", "MR_IMAGE", "Rules", "run"]

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"


def run(stack: Stack, rules: Rules) -> tuple[Finding, ...]:
    """Every finding of every check in `CHECKS`, in its order.

    For objects that are no MR images only that is said: the other checks ask for MR attributes.
    """
    other = not_mr(stack, rules)
    if other is not None:
        return (other,)
    found = (check(stack, rules) for check in CHECKS)
    return tuple(f for f in found if f is not None)


def not_mr(stack: Stack, _rules: Rules) -> Finding | None:
    """Only MR Image and Enhanced MR Image are turned into CT."""
    header = stack.header
    if header.sop_class_uid in (MR_IMAGE, ENHANCED_MR_IMAGE) and header.modality == "MR":
        return None
    words = f"{header.modality or 'no modality'}, SOP class {header.sop_class_uid}"
    return finding("NOT_MR", sop_class=words, uids=uids_of(stack.slices))


def localizer(stack: Stack, _rules: Rules) -> Finding | None:
    """PS3.3 C.8.3.1.1.1: value 3 LOCALIZER; some scanners put it later."""
    image_type = stack.first.frame.image_type
    if not {"LOCALIZER", "SCOUT"} & set(image_type):
        return None
    return finding("LOCALIZER", image_type=typed(image_type), uids=uids_of(stack.slices))


_MAPS = {
    "ADC", "FA", "TRACEW", "TENSOR", "MIP", "MINIP", "MPR", "PROJECTION IMAGE", "SCREEN SAVE",
    "PERFUSION", "ASL", "SUBTRACTION", "CSA MIP", "CSA MPR", "T1 MAP", "T2 MAP", "R2 MAP",
    "VELOCITY MAP", "FIELD_MAP", "B0 MAP", "SPECTROSCOPY", "CBF", "RCBF", "RCBV", "MTT", "TTP",
}  # fmt: skip


def reconstruction(stack: Stack, _rules: Rules) -> Finding | None:
    """Projections, reformats and parameter maps are not the anatomy as acquired."""
    image_type = stack.first.frame.image_type
    if not _MAPS & set(image_type):
        return None
    return finding("RECONSTRUCTION", image_type=typed(image_type), uids=uids_of(stack.slices))


def mosaic(stack: Stack, _rules: Rules) -> Finding | None:
    """Siemens mosaics tile a volume in one image; their position is that of the tiling."""
    image_type = stack.first.frame.image_type
    if "MOSAIC" not in image_type:
        return None
    return finding("MOSAIC", image_type=typed(image_type), uids=uids_of(stack.slices))


_PHASE = {"P": "phase", "PHASE": "phase", "PHASE MAP": "phase"}
_REAL = {"R": "real", "REAL": "real", "I": "imaginary", "IMAGINARY": "imaginary"}


def not_magnitude(stack: Stack, _rules: Rules) -> Finding | None:
    """Phase, real and imaginary images are no anatomy (ComplexImageComponent, ImageType)."""
    frame = stack.first.frame
    if frame.complex_component and frame.complex_component != "MAGNITUDE":
        attribute, value = "ComplexImageComponent", frame.complex_component
    elif {*_PHASE, *_REAL} & set(frame.image_type[2:]):
        attribute, value = "ImageType", typed(frame.image_type)
    else:
        return None
    return finding("NOT_MAGNITUDE", attribute=attribute, value=value, uids=uids_of(stack.slices))


def derived(stack: Stack, rules: Rules) -> Finding | None:
    """ImageType value 1 DERIVED, unless the route declares that it may be."""
    image_type = stack.first.frame.image_type
    if image_type[:1] != ("DERIVED",) or _MAPS & set(image_type):
        return None
    words = typed(image_type)
    if not rules.allow_derived:
        return finding("DERIVED", image_type=words, uids=uids_of(stack.slices))
    position = stack.header.patient_position
    declared = "nothing more" if position else f"PatientPosition {rules.assume_patient_position}"
    return finding(
        "DERIVED_ALLOWED", image_type=words, declared=declared, uids=uids_of(stack.slices)
    )


def pixels_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """An image without pixel data is none."""
    bare = [s for s in stack.slices if not s.instance.has_pixels]
    return finding("PIXELS_MISSING", count=len(bare), uids=uids_of(bare)) if bare else None


def pixels_length(stack: Stack, _rules: Rules) -> Finding | None:
    """Native pixel data must be as long as the matrix says (PS3.5 8.1.1), one pad byte let pass."""
    for s in stack.slices:
        i = s.instance
        if i.pixel_bytes is None or not i.has_pixels:
            continue
        expected = i.rows * i.columns * i.samples_per_pixel * i.number_of_frames
        expected *= i.bits_allocated // 8
        if not 0 <= i.pixel_bytes - expected <= 1:
            return finding(
                "PIXELS_LENGTH",
                actual=i.pixel_bytes,
                expected=expected,
                rows=i.rows,
                columns=i.columns,
                frames=i.number_of_frames,
                uids=[i.sop_instance_uid],
            )
    return None


def pixels_format(stack: Stack, _rules: Rules) -> Finding | None:
    """PS3.3 C.8.3.1.1: MR images have one sample, MONOCHROME1 or 2; we read MONOCHROME2."""
    for s in stack.slices:
        i = s.instance
        for attribute, value, good in (
            ("SamplesPerPixel", i.samples_per_pixel, i.samples_per_pixel == 1),
            ("PhotometricInterpretation", i.photometric, i.photometric == "MONOCHROME2"),
            ("BitsAllocated", i.bits_allocated, i.bits_allocated in (8, 16)),
        ):
            if not good:
                return finding(
                    "PIXELS_FORMAT",
                    attribute=attribute,
                    value=value or "missing",
                    uids=[i.sop_instance_uid],
                )
    return None


def lossy_source(stack: Stack, _rules: Rules) -> Finding | None:
    """Once lossy always lossy (PS3.3 C.7.6.1.1.5); the sCT says so too."""
    lossy = [s for s in stack.slices if s.instance.lossy]
    if not lossy:
        return None
    methods = sorted({s.instance.lossy for s in lossy})
    return finding("LOSSY_SOURCE", method=methods, uids=uids_of(lossy))


def uid_invalid(stack: Stack, _rules: Rules) -> Finding | None:
    """The UIDs that our output refers to must be UIDs."""
    for s in stack.slices:
        i = s.instance
        for attribute, value in (
            ("SOPInstanceUID", i.sop_instance_uid),
            ("SeriesInstanceUID", i.series_instance_uid),
            ("StudyInstanceUID", i.study_instance_uid),
        ):
            if not value:
                return finding("UID_MISSING", attribute=attribute, uids=[i.sop_instance_uid])
            if not is_uid(value):
                return finding("UID_INVALID", attribute=attribute, value=repr(value), uids=[value])
    return None


def patient_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """A planning system cannot file an image without patient."""
    for attribute, name in (("PatientID", "patient_id"), ("PatientName", "patient_name")):
        bare = [s for s in stack.slices if not getattr(s.instance, name).strip(" ^=")]
        if bare:
            return finding("PATIENT_ID_MISSING", attribute=attribute, uids=uids_of(bare))
    return None


def patient_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """One series, one patient, one study."""
    for attribute, name in (
        ("PatientID", "patient_id"),
        ("PatientName", "patient_name"),
        ("StudyInstanceUID", "study_instance_uid"),
    ):
        values = Counter(getattr(s.instance, name) for s in stack.slices)
        if len(values) > 1:
            common = values.most_common(1)[0][0]
            odd = [s for s in stack.slices if getattr(s.instance, name) != common]
            return finding(
                "PATIENT_MIXED", count=len(values), attribute=attribute, uids=uids_of(odd)
            )
    return None


_LYING = {
    "HFP": "prone, head first",
    "FFP": "prone, feet first",
    "HFDR": "on the right side, head first",
    "HFDL": "on the left side, head first",
    "FFDR": "on the right side, feet first",
    "FFDL": "on the left side, feet first",
}


def patient_position(stack: Stack, rules: Rules) -> Finding | None:
    """Supine only, unless the route enables more: other positions are untested in planning."""
    values = {s.instance.patient_position for s in stack.slices}
    if values == {""}:
        if rules.allow_derived and stack.first.frame.image_type[:1] == ("DERIVED",):
            return None
        return finding("PATIENT_POSITION_MISSING", uids=uids_of(stack.slices))
    odd = sorted(values - {"HFS", "FFS", *rules.allow_patient_positions})
    if not odd:
        return None
    words = _LYING.get(odd[0], "in an unknown position")
    return finding("PATIENT_POSITION", words=words, value=odd, uids=uids_of(stack.slices))


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


def body_part(stack: Stack, rules: Rules) -> Finding | None:
    """The header's BodyPartExamined against the model's; an empty one says nothing."""
    value = stack.header.body_part
    if not value or not rules.body_parts or value.upper() in rules.body_parts:
        return None
    return finding(
        "MODEL_BODY_PART", value=value, model=rules.model, expected=" or ".join(rules.body_parts)
    )


CHECKS: tuple[Check, ...] = (
    not_mr,
    localizer,
    reconstruction,
    mosaic,
    not_magnitude,
    derived,
    uid_invalid,
    patient_missing,
    patient_mixed,
    patient_position,
    pixels_missing,
    pixels_length,
    pixels_format,
    lossy_source,
    geometry.position_missing,
    geometry.orientation_missing,
    geometry.spacing_missing,
    geometry.spacing_invalid,
    geometry.frame_of_reference_missing,
    geometry.frame_of_reference_mixed,
    geometry.orientation_not_orthonormal,
    geometry.orientation_mixed,
    geometry.spacing_mixed,
    geometry.matrix_mixed,
    geometry.multiple_volumes,
    geometry.position_duplicate,
    geometry.slice_gap,
    geometry.slice_spacing,
    geometry.stack_skewed,
    geometry.too_few_slices,
    geometry.slices_thick,
    distortion,
    body_part,
)
