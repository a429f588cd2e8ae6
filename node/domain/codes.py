"""The table of every finding: its usual severity, its sentence, and what to do about it.

A code never changes its meaning and is never used again for another. ``{names}`` in a sentence are
the values its check must give.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table."""

    severity: str
    """Usual severity, a value of `node.domain.findings.Severity`; a check may change it."""
    sentence: str
    """What a person reads, with the values in braces."""
    remedy: str
    """What to do."""


_RESEND = "Send the whole series again from the PACS."
_EXPORT = "Export the series again from the scanner or the PACS, as the scanner made it."
_OTHER = "Send the original magnitude images of the planning sequence."

CODES: dict[str, Code] = {
    # -- the file itself ------------------------------------------------------------------------
    "FILE_EMPTY": Code("refuse", "File {file} is empty.", _RESEND),
    "FILE_NOT_DICOM": Code(
        "refuse",
        "File {file} is not a DICOM file: {reason}.",
        "Remove it from the folder, or export it again as a DICOM Part 10 file.",
    ),
    "FILE_TRUNCATED": Code(
        "refuse", "File {file} ends in the middle of its header: {reason}.", _RESEND
    ),
    "UID_MISSING": Code("refuse", "{attribute} is missing.", _EXPORT),
    "UID_INVALID": Code("refuse", "{attribute} is {value}, which is not a UID.", _EXPORT),
    "INSTANCE_CONFLICT": Code(
        "refuse",
        "SOP instance {uid} arrived twice with different bytes.",
        "Find out which of the two the PACS holds and send that one under its own UID.",
    ),
    # -- what kind of object --------------------------------------------------------------------
    "NOT_MR": Code(
        "drop",
        "The objects are {sop_class}, not MR images.",
        "Nothing, when they lie beside the MR images on purpose.",
    ),
    "LOCALIZER": Code("drop", "The images are localizers (ImageType {image_type}).", _OTHER),
    "NOT_MAGNITUDE": Code(
        "drop", "The images are not magnitude images: {attribute} is {value}.", _OTHER
    ),
    "DERIVED": Code(
        "drop",
        "The images are derived, not as acquired: ImageType is {image_type}.",
        "Send the original images, or declare allow_derived in the route when the derivation keeps "
        "geometry and contrast.",
    ),
    "DERIVED_ALLOWED": Code(
        "warning",
        "The images are derived (ImageType {image_type}); the route allows it and declares "
        "{declared}.",
        "Compare positions with the original images before planning.",
    ),
    "RECONSTRUCTION": Code(
        "drop",
        "The images are a reconstruction or a map (ImageType {image_type}).",
        _OTHER,
    ),
    "MOSAIC": Code(
        "refuse",
        "The images are mosaics: many slices tiled in one image (ImageType {image_type}).",
        "Switch mosaic off at the scanner or send the Enhanced MR object.",
    ),
    "MULTIPLE_VOLUMES": Code(
        "refuse",
        "{count} images share each position and nothing in the header tells them apart "
        "({tried} were compared).",
        "Send one volume per series.",
    ),
    "STACKS_AMBIGUOUS": Code(
        "refuse",
        "The series holds {count} volumes that could be meant: {labels}.",
        "Send the volume to plan on as a series of its own.",
    ),
    # -- pixels -----------------------------------------------------------------------------------
    "PIXELS_MISSING": Code("refuse", "{count} image(s) have no pixel data.", _RESEND),
    "PIXELS_LENGTH": Code(
        "refuse",
        "Pixel data has {actual} bytes where {rows} rows by {columns} columns by {frames} frame(s) "
        "need {expected}.",
        _RESEND,
    ),
    "PIXELS_UNDECODABLE": Code(
        "refuse", "Pixel data in {transfer_syntax} cannot be decoded: {reason}.", _RESEND
    ),
    "PIXELS_FORMAT": Code(
        "refuse",
        "{attribute} is {value}; the node reads single-channel MONOCHROME2 images of 8 to 16 bits.",
        _EXPORT,
    ),
    "PIXELS_CONSTANT": Code("refuse", "Every pixel of the series has the value {value}.", _EXPORT),
    "LOSSY_SOURCE": Code(
        "warning",
        "The images were compressed with loss ({method}).",
        "Send the images as the scanner made them.",
    ),
    # -- geometry ---------------------------------------------------------------------------------
    "POSITION_MISSING": Code(
        "refuse", "ImagePositionPatient is missing or unreadable in {count} image(s).", _EXPORT
    ),
    "ORIENTATION_MISSING": Code(
        "refuse", "ImageOrientationPatient is missing or unreadable in {count} image(s).", _EXPORT
    ),
    "SPACING_MISSING": Code(
        "refuse", "PixelSpacing is missing or unreadable in {count} image(s).", _EXPORT
    ),
    "SPACING_INVALID": Code("refuse", "PixelSpacing is {value} mm, which cannot be.", _EXPORT),
    "FRAME_OF_REFERENCE_MISSING": Code(
        "refuse", "FrameOfReferenceUID is missing in {count} image(s).", _EXPORT
    ),
    "FRAME_OF_REFERENCE_MIXED": Code(
        "refuse",
        "The images live in {count} frames of reference: {values}.",
        "Send each acquisition as its own series.",
    ),
    "ORIENTATION_MIXED": Code(
        "refuse",
        "The images are not parallel: {outliers} of {count} have another orientation, up to "
        "{angle_deg} degrees off.",
        "Send each orientation as its own series.",
    ),
    "ORIENTATION_NOT_ORTHONORMAL": Code(
        "refuse",
        "ImageOrientationPatient {value} is not two perpendicular unit vectors (off by {error}).",
        _EXPORT,
    ),
    "SPACING_MIXED": Code("refuse", "PixelSpacing differs between images: {values} mm.", _EXPORT),
    "MATRIX_MIXED": Code("refuse", "The image matrix differs between images: {values}.", _EXPORT),
    "POSITION_DUPLICATE": Code(
        "refuse", "{count} image(s) lie at a position that another image has: {positions}.", _RESEND
    ),
    "SLICE_GAP": Code(
        "refuse",
        "{missing} slice(s) are missing: {gaps} (regular distance {spacing_mm} mm).",
        _RESEND,
    ),
    "SLICE_SPACING_IRREGULAR": Code(
        "refuse",
        "Distances between slices vary from {lowest_mm} to {highest_mm} mm "
        "({percent} % about {spacing_mm} mm; at most {limit_percent} % can be used).",
        _EXPORT,
    ),
    "SLICE_SPACING_JITTER": Code(
        "warning",
        "Distances between slices vary from {lowest_mm} to {highest_mm} mm "
        "({percent} % about {spacing_mm} mm).",
        "Check positions at both ends of the stack.",
    ),
    "STACK_SKEWED": Code(
        "refuse",
        "Slices are shifted sideways along the stack: the step between them is {angle_deg} degrees "
        "off their normal.",
        _EXPORT,
    ),
    "TOO_FEW_SLICES": Code(
        "refuse",
        "{count} slice(s) cover {extent_mm} mm; at least {least} slices and {least_mm} mm are "
        "needed.",
        _RESEND,
    ),
    "SLICES_THICK": Code(
        "warning",
        "Slices lie {spacing_mm} mm apart; the model was made for at most {limit_mm} mm.",
        "Use a 3D sequence with thin slices where the protocol allows.",
    ),
    "SLICE_THICKNESS_DIFFERS": Code(
        "warning",
        "SliceThickness is {thickness_mm} mm but slices lie {spacing_mm} mm apart.",
        "Check the protocol for gaps or overlap; positions decide.",
    ),
    # -- patient and study ------------------------------------------------------------------------
    "PATIENT_ID_MISSING": Code(
        "refuse", "{attribute} is empty or missing.", "Complete the patient's data in the PACS."
    ),
    "PATIENT_MIXED": Code(
        "refuse",
        "The series mixes {count} patients or studies: {attribute} differs.",
        "Separate them in the PACS and send each again.",
    ),
    "PATIENT_POSITION_MISSING": Code(
        "refuse", "PatientPosition is missing.", "Export again, or declare it in the route."
    ),
    "PATIENT_POSITION": Code(
        "refuse",
        "The patient lies {words} (PatientPosition {value}); only supine is supported.",
        "Plan this patient on a CT.",
    ),
    # -- acquisition ------------------------------------------------------------------------------
    "DISTORTION_2D": Code(
        "warning",
        "Gradient distortion was corrected in-plane only (ImageType {image_type}).",
        "Send the 3D-corrected images (DIS3D).",
    ),
    "DISTORTION_NONE": Code(
        "warning",
        "Gradient distortion was not corrected (ImageType {image_type}).",
        "Send the 3D-corrected images (DIS3D).",
    ),
    "DISTORTION_UNKNOWN": Code(
        "warning",
        "The header does not say whether gradient distortion was corrected ({manufacturer}).",
        "Verify the protocol once, then declare distortion_corrected in the route.",
    ),
    "MODEL_BODY_PART": Code(
        "warning",
        "BodyPartExamined is {value}; model {model} was made for {expected}.",
        "Check the route, or choose another model.",
    ),
    # -- after synthesis --------------------------------------------------------------------------
    "BODY_NOT_FOUND": Code(
        "refuse", "No patient was found in the images.", "Look at the MR; send another series."
    ),
    "NOT_BODY_REGION": Code(
        "refuse",
        "The images do not look like the {region} model {model} was made for: {reason}.",
        "Check the route, or choose another model.",
    ),
    "BODY_AT_EDGE": Code(
        "warning",
        "The patient reaches the edge of the field of view at {sides}; the sCT ends there.",
        "Check that the beams do not pass what is cut off.",
    ),
    "BONE_SHARE": Code(
        "hold",
        "Bone is {share_percent} % of the body; {low_percent} to {high_percent} % is usual.",
        "Compare skull and MR on the page.",
    ),
    "AIR_SHARE": Code(
        "hold",
        "Air is {share_percent} % of the body; {low_percent} to {high_percent} % is usual.",
        "Compare air cavities and MR on the page.",
    ),
    "UNCERTAINTY_HIGH": Code(
        "warning",
        "The model is unsure of {share_percent} % of the body (more than {limit_hu} HU; at most "
        "{limit_percent} % is usual).",
        "Look at the uncertainty map.",
    ),
}
