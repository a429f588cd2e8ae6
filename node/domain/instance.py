"""What the header of one SOP instance says, as frozen values.

A classic MR image has one `Frame`; an Enhanced MR image has one for each of its frames, so that
stacks are built of frames and never ask which kind they came from.
"""

from dataclasses import dataclass

Vector3 = tuple[float, float, float]
Cosines = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One 2D image: where it lies and what distinguishes it from others at the same place."""

    number: int
    """Index among the frames of its instance, from 0."""
    position_mm: Vector3 | None
    """ImagePositionPatient; None when absent or not three finite numbers."""
    orientation: Cosines | None
    """ImageOrientationPatient; None when absent or not six finite numbers."""
    pixel_spacing_mm: tuple[float, float] | None
    """PixelSpacing (between rows, between columns); None when absent or not two numbers."""
    slice_thickness_mm: float | None
    image_type: tuple[str, ...]
    """FrameType of an Enhanced frame, else ImageType; upper case."""
    complex_component: str
    """MAGNITUDE, PHASE, REAL, IMAGINARY or MIXED; empty when nothing says."""
    echo_time_ms: float | None
    echo_number: int | None
    acquisition_number: int | None
    temporal_position: int | None
    """TemporalPositionIdentifier or TemporalPositionIndex."""
    b_value: float | None
    stack_id: str
    """StackID of an Enhanced frame; empty for classic images."""
    rescale_slope: float = 1.0
    rescale_intercept: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """The header of one SOP instance, as far as the line needs it."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    study_instance_uid: str
    frame_of_reference_uid: str
    """Empty when absent."""
    modality: str
    patient_id: str
    patient_name: str
    patient_position: str
    """Empty when absent."""
    body_part: str
    series_description: str
    protocol_name: str
    manufacturer: str
    model_name: str
    station_name: str
    series_number: int | None
    instance_number: int | None
    image_type: tuple[str, ...]
    """ImageType, upper case."""
    scanning_sequence: tuple[str, ...]
    repetition_time_ms: float | None
    field_strength_t: float | None
    contrast_agent: str
    lossy: str
    """Compression method when LossyImageCompression is 01, else empty."""
    rows: int
    columns: int
    samples_per_pixel: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    number_of_frames: int
    has_pixels: bool
    """Whether a pixel data element is there at all."""
    pixel_bytes: int | None
    """Length of native pixel data; None when encapsulated or unknown."""
    frames: tuple[Frame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One frame of one instance, as an element of a stack."""

    instance: Instance
    frame: Frame
