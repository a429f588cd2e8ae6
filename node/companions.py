"""What travels beside an sCT: structure set, uncertainty map, report in three forms.

None of them holds the CT back: one that cannot be made is left out and told.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from json import dumps

from node.dicom.companion import Companion, WrittenCt, written_ct
from node.dicom.ct_series import EncodedInstance
from node.dicom.qa_report import encode_page, encode_pdf, encode_report
from node.dicom.rtstruct import encode_rtstruct
from node.dicom.uncertainty_map import encode_uncertainty
from node.domain.errors import reason_of
from node.domain.findings import Finding, finding
from node.domain.plan import Plan, SctResult
from node.domain.qa_report import QaReport, report_of
from node.domain.structures import STRUCTURES, Region, Structure, regions_of
from node.domain.volume import Volume
from node.infer.preprocess import resample
from node.log import get_logger
from node.rendering.page import draw_page
from node.rendering.pdf import draw_pdf
from node.rendering.planes import Planes
from node.rendering.texts import Heading

log = get_logger(__name__)

ROLES = {
    "rtstruct": "structure set",
    "uncertainty": "uncertainty map",
    "report": "QA report",
    "page": "QA page",
    "pdf": "QA report as a PDF",
}
"""Folder of each companion beside ``ct``, and its name in words."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Companions:
    """The objects beside one sCT, and what was said in making them."""

    instances: dict[str, EncodedInstance]
    """By role, a key of `ROLES`."""
    findings: tuple[Finding, ...]


def make_companions(
    mr: Volume,
    result: SctResult,
    plan: Plan,
    encoded: Sequence[EncodedInstance],
    findings: Sequence[Finding],
    structures: Sequence[Structure] = STRUCTURES,
) -> Companions:
    """Make every companion of the sCT ``encoded``; ``findings`` is all that was said of it."""
    ct = written_ct(encoded)

    @cache
    def report() -> QaReport:
        return report_of(result, findings, plan)

    @cache
    def identity() -> str:
        return dumps(asdict(report()), sort_keys=True)

    @cache
    def regions() -> tuple[Region, ...]:
        return regions_of(structures, result.sct, result.body)

    @cache
    def planes() -> Planes:
        on_grid = resample(mr, result.sct.grid)
        hu, body = result.sct.values, result.body
        return Planes(mr=on_grid, hu=hu, body=body, structures=regions())

    makers: dict[str, Callable[[], Companion]] = {
        "rtstruct": lambda: encode_rtstruct(ct, regions()),
        "report": lambda: encode_report(ct, report()),
        "page": lambda: encode_page(ct, draw_page(_heading(ct), report(), planes()), identity()),
        "pdf": lambda: encode_pdf(ct, draw_pdf(_heading(ct), report(), planes()), identity()),
    }
    if (unsure := result.uncertainty) is not None:  # a model without that output has none to give
        research = plan.sign_off is None
        makers["uncertainty"] = lambda: encode_uncertainty(ct, unsure, research=research)
    made = {role: _made(role, make) for role, make in makers.items()}
    return Companions(
        instances={r: c.instance for r, c in made.items() if c.instance is not None},
        findings=tuple(f for c in made.values() for f in c.findings),
    )


def _made(role: str, make: Callable[[], Companion]) -> Companion:
    try:
        return make()
    except Exception as error:  # its edge: a companion must not hold the CT back
        log.exception("companion_not_made", role=role)
        told = finding("COMPANION_NOT_MADE", companion=ROLES[role], reason=reason_of(error))
        return Companion(instance=None, findings=(told,))


def _heading(ct: WrittenCt) -> Heading:
    header = ct.header
    return Heading(
        patient_name=str(header.PatientName).split("=", maxsplit=1)[0],
        patient_id=str(header.PatientID),
        study_date=str(header.get("StudyDate") or ""),
        series_description=str(header.SeriesDescription),
        series_instance_uid=ct.series_instance_uid,
    )
