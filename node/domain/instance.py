"""What the header of one SOP instance says, as frozen values.

A classic MR image has one `Frame`; an Enhanced MR image has one for each of its frames, so that
stacks are built of frames and never ask which kind they came from.
"""

from dataclasses import dataclass
from enum import StrEnum

Vector3 = tuple[float, float, float]
Cosines = tuple[float, float, float, float, float, float]


class Outcome(StrEnum):
    """What becomes of an attribute whose value is not as its value representation asks."""

    READ = "read"
    """It has one meaning, and is written in the form of today."""
    LEFT_OUT = "left out"
    """Nothing needs it (type 3)."""
    EMPTIED = "emptied"
    """It is there without a value (type 2)."""
    REFUSED = "refused"
    """A planning system files by it, or the standard demands it (type 1)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How an attribute that the sCT takes over was read, where its value is not as it should be."""

    attribute: str
    told: str
    """What stands there, in signs alone: the value of a code or date, the length of a text."""
    outcome: Outcome
    written: str = ""
    """What is written instead, where the outcome is `READ`."""


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
    """1 when absent, NaN when it is there and unreadable."""
    rescale_intercept: float = 0.0
    """0 when absent, NaN when it is there and unreadable."""
    rescale_stated: bool = True
    """Whether the header holds a RescaleSlope."""
    philips_scale: tuple[float, float] | None = None
    """Philips' scale intercept and slope, (2005,100D) and (2005,100E); None when not both."""
    spacing_between_slices_mm: float | None = None
    slice_location_mm: float | None = None
    in_stack_position: int | None = None
    """InStackPositionNumber of an Enhanced frame."""
    inversion_time_ms: float | None = None
    trigger_time_ms: float | None = None
    repetition_time_ms: float | None = None
    flip_angle_deg: float | None = None
    volumetric: str = ""
    """VolumetricProperties of an Enhanced frame; empty for classic images."""


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
    sequence_name: str = ""
    """SequenceName, else PulseSequenceName (Enhanced MR)."""
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
    declared_frames: int | None = None
    """NumberOfFrames as the header says it; None when absent."""
    high_bit: int | None = None
    pixel_representation: int | None = None
    character_set: tuple[str, ...] = ()
    """SpecificCharacterSet as it is stated."""
    readings: tuple[Reading, ...] = ()
    """Attributes to be taken over whose values are not as they should be."""
    patient_birth_date: str = ""
    patient_age: str = ""
    """PatientAge as written, such as 041Y."""
    anatomical_orientation: str = ""
    """AnatomicalOrientationType: BIPED or QUADRUPED, mostly empty."""
    study_date: str = ""
    patient_orientation: tuple[str, ...] = ()
    """PatientOrientation: letters along a row, then along a column."""
    images_in_acquisition: int | None = None
    philips_slices: int | None = None
    """Number of slices Philips writes in (2001,1018)."""
    reconstruction_diameter_mm: float | None = None
    burned_in: bool = False
    device_serial_number: str = ""
    implants: tuple[tuple[str, str], ...] = ()
    """Attribute and word of each coded or flagged implant; never a patient's text."""
    implant_mentions: tuple[tuple[str, str], ...] = ()
    """Attribute and word where free text mentions one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One frame of one instance, as an element of a stack."""

    instance: Instance
    frame: Frame
