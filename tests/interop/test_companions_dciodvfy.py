"""dicom3tools' dciodvfy on every kind of companion."""

from pathlib import Path

import pytest

from node.dicom.companion import Companion, written_ct
from node.dicom.rtstruct import encode_rtstruct
from node.dicom.uncertainty_map import encode_uncertainty
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms.sct import WrittenSct, written_sct

pytestmark = pytest.mark.interop


def rtstruct(made: WrittenSct) -> Companion:
    """Structures."""
    return encode_rtstruct(written_ct(made.encoded), made.result.sct, made.result.body)


def uncertainty(made: WrittenSct) -> Companion:
    """The map."""
    assert made.result.uncertainty is not None
    return encode_uncertainty(written_ct(made.encoded), made.result.uncertainty)


KINDS = {"RTStructureSet": rtstruct, "ParametricMap": uncertainty}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patient", ["usual", "bare"])
def test_every_companion_is_valid(kind: str, patient: str, tmp_path: Path) -> None:
    """No error, whatever type 2 and 3 attributes the MR had."""
    bare = {"StudyDate": "", "StudyTime": "", "StudyDescription": None, "AccessionNumber": "",
            "ReferringPhysicianName": "", "PatientBirthDate": "", "PatientSex": "",
            "BodyPartExamined": None, "SpecificCharacterSet": None}  # fmt: skip
    made = written_sct(tags=bare if patient == "bare" else None)
    companion = KINDS[kind](made)
    assert companion.instance is not None
    (tmp_path / "companion.dcm").write_bytes(companion.instance.data)

    verdict = run_dciodvfy(tmp_path / "companion.dcm")

    assert (verdict.iod, verdict.errors) == (kind, ())
