"""Attributes of an MR series that say nothing about voxels; dciodvfy accepts the classic one."""

from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4.1"
_DAY, _TIME = "20260401", "101500"


def common_header(dataset: Dataset, uid: Callable[..., str]) -> None:
    """Set patient, study, series, frame of reference and equipment."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "Phantom^Smooth"
    dataset.PatientID = "PHANTOM-1"
    dataset.PatientBirthDate = "19700101"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = uid("study")
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = dataset.AcquisitionDate = _DAY
    dataset.StudyTime = dataset.SeriesTime = dataset.ContentTime = dataset.AcquisitionTime = _TIME
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = "A1"
    dataset.Modality = "MR"
    dataset.SeriesInstanceUID = uid("series")
    dataset.SeriesNumber = 3
    dataset.SeriesDescription = "T1 phantom"
    dataset.ProtocolName = "T1 phantom"
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "Phantom"
    dataset.ManufacturerModelName = "Code"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.StationName = "PHANTOM"
    dataset.MagneticFieldStrength = "3"
    dataset.AcquisitionNumber = 1


def classic_header(dataset: Dataset, number: int, spacing_mm: tuple[float, float, float]) -> None:
    """Set what an MR Image says of its acquisition; ``number`` counts from 0."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS3D"]
    dataset.InstanceNumber = number + 1
    dataset.ScanningSequence = "GR"
    dataset.SequenceVariant = "SP"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "3D"
    dataset.RepetitionTime = "7.1"
    dataset.EchoTime = "2.9"
    dataset.EchoTrainLength = 1
    dataset.FlipAngle = "9"
    dataset.PixelSpacing = [f"{spacing_mm[1]:g}", f"{spacing_mm[2]:g}"]
    dataset.SliceThickness = f"{spacing_mm[0]:g}"
    dataset.SpacingBetweenSlices = f"{spacing_mm[0]:g}"


def enhanced_header(dataset: Dataset, frames: int, uid: Callable[..., str]) -> None:
    """Set what an Enhanced MR Image says beside its functional groups."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.InstanceNumber = 1
    dataset.NumberOfFrames = frames
    dataset.AcquisitionDateTime = _DAY + _TIME
    dataset.AcquisitionDuration = 60.0
    dataset.ContentQualification = "RESEARCH"
    dataset.PixelPresentation = "MONOCHROME"
    dataset.ComplexImageComponent = "MAGNITUDE"
    dataset.AcquisitionContrast = "T1"
    dataset.VolumetricProperties = "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "NONE"
    dataset.ResonantNucleus = "1H"
    dataset.KSpaceFiltering = "NONE"
    dataset.ApplicableSafetyStandardAgency = "IEC"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.AcquisitionContextSequence = []
    dataset.DimensionOrganizationSequence = [_dimension_organization(uid)]
    dataset.DimensionIndexSequence = [_dimension(uid, 0x00209056), _dimension(uid, 0x00209057)]


def shared_groups(cosines: Sequence[str], spacing_mm: tuple[float, float, float]) -> Dataset:
    """Functional groups that every frame shares: spacing, orientation, anatomy, timing."""
    shared = Dataset()
    measures = Dataset()
    measures.PixelSpacing = [f"{spacing_mm[1]:g}", f"{spacing_mm[2]:g}"]
    measures.SliceThickness = f"{spacing_mm[0]:g}"
    measures.SpacingBetweenSlices = f"{spacing_mm[0]:g}"
    shared.PixelMeasuresSequence = [measures]
    plane = Dataset()
    plane.ImageOrientationPatient = list(cosines)
    shared.PlaneOrientationSequence = [plane]
    shared.FrameAnatomySequence = [_anatomy()]
    shared.MRImageFrameTypeSequence = [_frame_type()]
    shared.MRTimingAndRelatedParametersSequence = [_timing()]
    echo = Dataset()
    echo.EffectiveEchoTime = 2.9
    shared.MREchoSequence = [echo]
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope = "0", "1"
    transformation.RescaleType = "US"
    shared.PixelValueTransformationSequence = [transformation]
    return shared


def frame_groups(number: int, position: Sequence[str]) -> Dataset:
    """Functional groups of one frame: place and stack; ``number`` counts from 0."""
    frame = Dataset()
    content = Dataset()
    content.StackID = "1"
    content.InStackPositionNumber = number + 1
    content.DimensionIndexValues = [1, number + 1]
    content.FrameAcquisitionNumber = 1
    content.FrameReferenceDateTime = content.FrameAcquisitionDateTime = _DAY + _TIME
    content.FrameAcquisitionDuration = 60.0
    frame.FrameContentSequence = [content]
    plane = Dataset()
    plane.ImagePositionPatient = list(position)
    frame.PlanePositionSequence = [plane]
    return frame


def _dimension_organization(uid: Callable[..., str]) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = uid("dimensions")
    return item


def _dimension(uid: Callable[..., str], pointer: int) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = uid("dimensions")
    item.DimensionIndexPointer = pointer
    item.FunctionalGroupPointer = 0x00209111
    return item


def _anatomy() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "69536005", "SCT", "Head"
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [code]
    return anatomy


def _frame_type() -> Dataset:
    item = Dataset()
    item.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    item.PixelPresentation = "MONOCHROME"
    item.VolumetricProperties = "VOLUME"
    item.VolumeBasedCalculationTechnique = "NONE"
    item.ComplexImageComponent = "MAGNITUDE"
    item.AcquisitionContrast = "T1"
    return item


def _timing() -> Dataset:
    item = Dataset()
    item.RepetitionTime = "7.1"
    item.FlipAngle = "9"
    item.EchoTrainLength = 1
    item.RFEchoTrainLength = 0
    item.GradientEchoTrainLength = 1
    return item
