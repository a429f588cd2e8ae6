"""Acceptance checks: each looks at one stack and says what is wrong, or nothing.

Checks never repair. All of them run on every stack of MR images, so that a sender sees every fault
at once. Those of geometry, of the patient and of the acquisition stand in modules beside this one;
a check in a file of its own is found there, and runs after them.
"""

from node.domain.checks import acquisition as acquisition
from node.domain.checks import geometry as geometry
from node.domain.checks import modules
from node.domain.checks import patient as patient
from node.domain.checks import positions as positions
from node.domain.checks import scaling as scaling
from node.domain.checks import values as values
from node.domain.checks.rules import MAX_UIDS, Check, Rules, typed, uids_of
from node.domain.findings import Finding, finding, with_actions
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
    return with_actions((f for f in found if f is not None), rules.actions)


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
    "FF", "FAT_FRACTION", "SWI", "RMS", "T2 STAR MAP", "B1 MAP", "MIN IP", "CURVED",
}  # fmt: skip


def reconstruction(stack: Stack, _rules: Rules) -> Finding | None:
    """Projections, reformats and parameter maps are not the anatomy as acquired."""
    image_type = stack.first.frame.image_type
    if not _MAPS & set(image_type):
        return None
    return finding("RECONSTRUCTION", image_type=typed(image_type), uids=uids_of(stack.slices))


_DIXON = {
    "W": "water", "WATER": "water", "F": "fat", "FAT": "fat", "OP": "opposed phase",
    "OPP_PHASE": "opposed phase", "OPPOSED_PHASE": "opposed phase",
    "OUT_PHASE": "opposed phase", "OUT_OF_PHASE": "opposed phase",
}  # fmt: skip


def dixon_part(stack: Stack, _rules: Rules) -> Finding | None:
    """Water, fat and opposed-phase images show one part of the tissue, or cancel it."""
    image_type = stack.first.frame.image_type
    part = next((_DIXON[word] for word in image_type[2:] if word in _DIXON), None)
    if part is None:
        return None
    return finding(
        "DIXON_PART", part=part, image_type=typed(image_type), uids=uids_of(stack.slices)
    )


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
    declared = [f"without {name}" for name in acquisition.missing_timing(stack)]
    if not stack.patient_position:
        declared.insert(0, f"PatientPosition {rules.assume_patient_position}")
    return finding(
        "DERIVED_ALLOWED",
        image_type=words,
        declared=declared or "nothing more",
        uids=uids_of(stack.slices),
    )


def burned_in(stack: Stack, _rules: Rules) -> Finding | None:
    """BurnedInAnnotation YES: text in the pixels is taken for anatomy."""
    odd = [s for s in stack.slices if s.instance.burned_in]
    return finding("BURNED_IN", count=len(odd), uids=uids_of(odd)) if odd else None


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
            ("BitsStored", i.bits_stored, 0 < i.bits_stored <= i.bits_allocated),
            ("HighBit", i.high_bit, i.high_bit in (None, i.bits_stored - 1)),
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


CHECKS: tuple[Check, ...] = (
    not_mr,
    localizer,
    reconstruction,
    dixon_part,
    mosaic,
    not_magnitude,
    derived,
    burned_in,
    patient.uid_invalid,
    patient.patient_missing,
    patient.patient_mixed,
    patient.patient_position,
    patient.patient_position_mixed,
    patient.patient_position_partly,
    patient.not_biped,
    patient.patient_minor,
    patient.implant,
    patient.implant_mentioned,
    patient.character_set_unknown,
    values.character_set_read,
    values.value_invalid,
    values.value_emptied,
    values.value_left_out,
    values.value_read,
    pixels_missing,
    pixels_length,
    pixels_format,
    scaling.frames_mismatch,
    scaling.pixels_mixed,
    scaling.scaling_invalid,
    scaling.scaling_partly,
    scaling.scaling_varies,
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
    positions.position_sideways,
    positions.position_contradicted,
    positions.number_contradicted,
    positions.orientation_contradicted,
    positions.thickness_differs,
    positions.spacing_contradicted,
    positions.fov_contradicted,
    positions.fov_small,
    positions.oblique,
    positions.not_square,
    geometry.too_few_slices,
    geometry.slices_thick,
    acquisition.series_incomplete,
    acquisition.attribute_partly,
    acquisition.scanner_mixed,
    acquisition.acquisition_mixed,
    acquisition.image_distorted,
    acquisition.timing_missing,
    acquisition.distortion,
    acquisition.contrast_agent,
    acquisition.body_part,
    acquisition.field_strength,
    acquisition.echo_time,
    acquisition.repetition_time,
    *(check for module in modules() for check in getattr(module, "ACCEPTANCE", ())),
)
