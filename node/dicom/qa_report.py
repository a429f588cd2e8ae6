"""The report on an sCT as objects: TID 1500 (PS3.16), a page to look at, and a PDF to print."""

from dataclasses import asdict

import highdicom.sr as sr
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.sr.coding import Code
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from node.dicom.companion import (
    Companion,
    WrittenCt,
    begin,
    evidence,
    finished,
    restamped,
    series_number,
    uids_of,
    worded,
)
from node.dicom.ct_series import MANUFACTURER
from node.dicom.uids import derived_uid
from node.domain.qa_report import QaCheck, QaReport

_SCHEME = "99PCTNODE"
_PROCEDURE = Code("SCTQA", _SCHEME, "Quality assurance of a synthetic CT")
_VERDICT = Code("VERDICT", _SCHEME, "Verdict of a check")
_LOWEST, _HIGHEST = Code("LOWEST", _SCHEME, "Lowest accepted"), Code("HIGHEST", _SCHEME, "Highest")
_UNITS = {
    "%": Code("%", "UCUM", "Percent"),
    "ml": Code("ml", "UCUM", "Milliliter"),
    "mm": Code("mm", "UCUM", "Millimeter"),
    "HU": Code("[hnsf'U]", "UCUM", "Hounsfield unit"),
    "": Code("1", "UCUM", "no units"),
}
_WORDS = 64  # CodeMeaning, LO


def encode_report(ct: WrittenCt, report: QaReport) -> Companion:
    """Write ``report`` as a Comprehensive SR: one group of measurements for each check."""
    series, instance = uids_of(ct, "report", asdict(report))
    images = evidence(ct)
    document = sr.ComprehensiveSR(
        evidence=images,
        content=_content(ct, report, instance),
        series_instance_uid=series,
        series_number=series_number(ct, "report"),
        sop_instance_uid=instance,
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    document.SeriesDescription = worded(ct, f"QA of {ct.header.SeriesDescription}")[:_WORDS]
    restamped(document, ct, is_image=False)
    return Companion(instance=finished(document))


def _content(ct: WrittenCt, report: QaReport, instance: str) -> sr.MeasurementReport:
    header = ct.header
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", str(header.DeviceSerialNumber)),
        name=str(header.StationName),
        manufacturer_name=MANUFACTURER,
        model_name=str(header.ManufacturerModelName),
        serial_number=str(header.DeviceSerialNumber),
    )
    observer = sr.ObserverContext(
        observer_type=standard.DCM.Device, observer_identifying_attributes=device
    )
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=_PROCEDURE,
        imaging_measurements=[
            _group(ct, report, check, derived_uid("check", instance, check.code, str(n)))
            for n, check in enumerate(report.checks)
        ],
    )


def _group(
    ct: WrittenCt, report: QaReport, check: QaCheck, uid: str
) -> sr.MeasurementsAndQualitativeEvaluations:
    algorithm = sr.AlgorithmIdentification(
        name=worded(ct, f"{MANUFACTURER} {check.code}"),
        version=worded(ct, report.algorithm),
        parameters=[f"settings sha256 {report.settings_sha256}", worded(ct, report.model)],
    )
    verdict = Code(check.verdict.name, _SCHEME, check.verdict.value)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=uid, identifier=check.code),
        algorithm_id=algorithm,
        measurements=[] if check.value is None else [_measurement(ct, check, check.value)],
        qualitative_evaluations=[sr.QualitativeEvaluation(name=_VERDICT, value=verdict)],
    )
    if check.sentence:
        comment = sr.TextContentItem(
            name=standard.DCM.Comment,
            value=worded(ct, check.sentence),
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
        group[0].ContentSequence.append(comment)
    return group


def _measurement(ct: WrittenCt, check: QaCheck, value: float) -> sr.Measurement:
    unit = _UNITS[check.unit]
    limits = [
        sr.NumContentItem(
            name=name,
            value=limit,
            unit=unit,
            relationship_type=sr.RelationshipTypeValues.HAS_PROPERTIES,
        )
        for name, limit in ((_LOWEST, check.low), (_HIGHEST, check.high))
        if limit is not None
    ]
    properties = None
    if limits:
        usual = sr.NormalRangeProperties(values=limits, authority=MANUFACTURER)
        properties = sr.MeasurementProperties(normal_range_properties=usual)
    return sr.Measurement(
        name=Code(check.code, _SCHEME, worded(ct, check.title)[:_WORDS]),
        value=value,
        unit=unit,
        properties=properties,
    )


def encode_page(ct: WrittenCt, page: NDArray[np.uint8], identity: str) -> Companion:
    """Write a page (rows, columns, 3) as a Secondary Capture; ``identity`` is its report's."""
    dataset = _document(ct, "page", str(SecondaryCaptureImageStorage), identity)
    dataset.Modality, dataset.ConversionType = "OT", "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = ""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
    dataset.Rows, dataset.Columns = page.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.BodyPartExamined = ct.header.BodyPartExamined
    data = np.ascontiguousarray(page).tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    dataset["PixelData"].VR = "OB"
    return Companion(instance=finished(dataset))


def encode_pdf(ct: WrittenCt, pdf: bytes, identity: str) -> Companion:
    """Write ``pdf`` as an Encapsulated PDF (PS3.3 A.45.1)."""
    dataset = _document(ct, "pdf", str(EncapsulatedPDFStorage), identity)
    dataset.Modality, dataset.ConversionType = "DOC", "WSD"
    dataset.AcquisitionDateTime = ""
    dataset.DocumentTitle = "Quality assurance of a synthetic CT"
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator = _PROCEDURE.value, _PROCEDURE.scheme_designator
    title.CodeMeaning = _PROCEDURE.meaning
    dataset.ConceptNameCodeSequence = [title]
    dataset.SourceInstanceSequence = [_source(ct, uid) for uid in ct.sop_instance_uids]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + bytes(len(pdf) % 2)
    return Companion(instance=finished(dataset))


def _document(ct: WrittenCt, role: str, sop_class_uid: str, identity: str) -> Dataset:
    dataset = begin(
        ct,
        role,
        sop_class_uid=sop_class_uid,
        description=f"QA of {ct.header.SeriesDescription}",
        identity={"report": identity},
    )
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator"):  # of positions in space
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.ContentDate = dataset.get("SeriesDate", "")
    dataset.ContentTime = dataset.get("SeriesTime", "")
    dataset.BurnedInAnnotation = "YES"
    return dataset


def _source(ct: WrittenCt, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = ct.header.SOPClassUID
    item.ReferencedSOPInstanceUID = uid
    return item
