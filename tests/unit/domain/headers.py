"""Headers made by hand, for rules that need no pixels."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from node.domain.checks.acceptance import MR_IMAGE
from node.domain.instance import Frame, Instance

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
IMAGE_TYPE = ("ORIGINAL", "PRIMARY", "M", "NORM", "DIS3D")
Edit = Callable[[int, Instance], Instance]


def header(n: int, *, step_mm: float = 1.0) -> Instance:
    """Make the header of slice ``n`` of a faultless axial head."""
    frame = Frame(
        number=0,
        position_mm=(-120.0, -120.0, -80.0 + n * step_mm),
        orientation=AXIAL,
        pixel_spacing_mm=(1.0, 1.0),
        slice_thickness_mm=step_mm,
        image_type=IMAGE_TYPE,
        complex_component="MAGNITUDE",
        echo_time_ms=2.5,
        echo_number=1,
        acquisition_number=1,
        temporal_position=None,
        b_value=None,
        stack_id="",
    )
    return Instance(
        sop_instance_uid=f"1.2.3.{n + 1}",
        sop_class_uid=MR_IMAGE,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid="1.2.3",
        study_instance_uid="1.2",
        frame_of_reference_uid="1.2.9",
        modality="MR",
        patient_id="P1",
        patient_name="Phantom^Head",
        patient_position="HFS",
        body_part="HEAD",
        series_description="T1",
        protocol_name="T1",
        manufacturer="MAKER",
        model_name="MODEL",
        station_name="MR1",
        series_number=4,
        instance_number=n + 1,
        image_type=IMAGE_TYPE,
        scanning_sequence=("GR",),
        repetition_time_ms=7.0,
        field_strength_t=3.0,
        contrast_agent="",
        lossy="",
        rows=240,
        columns=240,
        samples_per_pixel=1,
        photometric="MONOCHROME2",
        bits_allocated=16,
        bits_stored=12,
        number_of_frames=1,
        has_pixels=True,
        pixel_bytes=240 * 240 * 2,
        frames=(frame,),
    )


def series(count: int = 120, *, step_mm: float = 1.0) -> list[Instance]:
    """Make a faultless series."""
    return [header(n, step_mm=step_mm) for n in range(count)]


def framed(instance: Instance, **changes: Any) -> Instance:
    """Change the only frame of an instance."""
    return replace(instance, frames=(replace(instance.frames[0], **changes),))


def moved(instance: Instance, *, by_mm: float) -> Instance:
    """Move an instance along z."""
    x, y, z = instance.frames[0].position_mm or (0.0, 0.0, 0.0)
    return framed(instance, position_mm=(x, y, z + by_mm))
