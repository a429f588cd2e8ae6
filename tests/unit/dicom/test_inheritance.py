"""What an sCT takes over from its MR."""

import io
import warnings

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dicom.headers import read_file, read_instance
from node.dicom.inheritance import inherit, read_inherited
from node.domain.character_set import character_sets
from node.domain.errors import Rejected
from node.domain.instance import Outcome
from tests.phantoms.mr import mr_series


def source(**values: object) -> Dataset:
    """Make a header with ``values``, as a careless sender would."""
    dataset = Dataset()
    dataset.PatientName = "Jane_Doe"
    dataset.PatientID = "0042"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_an_invalid_age_is_left_out() -> None:
    """PS3.5 6.2: an AS is nnnD, nnnW, nnnM or nnnY; ours must be valid whatever came."""
    target = Dataset()

    inherit(source(PatientAge="42", PatientWeight="75"), target)

    assert "PatientAge" not in target
    assert str(target.PatientWeight) == "75"


def test_a_valid_age_is_kept() -> None:
    """What is right is copied as it stands."""
    target = Dataset()

    inherit(source(PatientAge="042Y"), target)

    assert target.PatientAge == "042Y"


def test_type_2_attributes_are_there_even_when_nothing_is_known() -> None:
    """Empty, never missing."""
    target = Dataset()

    inherit(source(), target)

    assert target.AccessionNumber == ""
    assert target.PatientName == "Jane_Doe"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("keyword", "value", "written"),
    [
        ("StudyDate", "2022.04.07", "20220407"),
        ("StudyTime", "15:01:38.25", "150138.25"),
        ("PatientAge", "42Y", "042Y"),
        ("PatientSex", "m", "M"),
        ("StudyDate", "***", ""),
        ("AccessionNumber", "A" * 17, ""),
        ("AccessionNumber", "A  ", "A"),
        ("PatientBirthDate", "20220231", ""),
    ],
)
def test_a_value_is_read_where_it_has_one_meaning_and_emptied_where_it_has_none(
    keyword: str, value: str, written: str
) -> None:
    """Told either way, by the reading that the writer itself uses."""
    target = Dataset()

    found = inherit(source(**{keyword: value}), target)

    assert (target[keyword].value or "") == written
    told = {reading.attribute: reading.outcome for reading in found.readings}
    assert told == ({} if value.strip() == written else {keyword: told.get(keyword)})
    assert told.get(keyword) == (
        None if value.strip() == written else Outcome.READ if written else Outcome.EMPTIED
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("FrameOfReferenceUID", "1.2.840.ANON"),
        ("FrameOfReferenceUID", "1." + "2" * 74),
        ("StudyInstanceUID", "1.2.03"),
        ("PatientID", "X" * 65),
        ("PatientName", "A^B^C^D^E^F"),
        ("PatientName", "Müller"),  # no character set is stated
        ("SpecificCharacterSet", "ISO_IR 999"),
    ],
)
def test_what_a_planning_system_files_by_is_refused(keyword: str, value: str) -> None:
    """A rejection with its reason, should it ever come so far; no invalid object is written."""
    with pytest.raises(Rejected, match=keyword):
        inherit(source(**{keyword: value}), Dataset())


@pytest.mark.filterwarnings("ignore")
def test_other_ids_that_are_not_valid_leave_the_others() -> None:
    """PS3.3 C.7.1.1: ID and type of each are type 1."""
    items = [Dataset() for _ in range(3)]
    for item, number in zip(items, ("7", "8", "9" * 70), strict=True):
        item.PatientID = number
        item.TypeOfPatientID = "TEXT"
    del items[1].TypeOfPatientID
    target = Dataset()

    found = inherit(source(OtherPatientIDsSequence=items), target)

    assert [item.PatientID for item in target.OtherPatientIDsSequence] == ["7"]
    assert [r.told for r in found.readings] == ["SQ 2"]


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        (("ISO-IR 100",), ("ISO_IR 100",)),
        (("ISO IR 192",), ("ISO_IR 192",)),
        (("iso_ir_144",), ("ISO_IR 144",)),
        (("ISO_2022_IR_6",), ()),
        (("ISO_IR 6",), ()),
        (("", "ISO-2022-IR 87"), ("", "ISO 2022 IR 87")),
        (("ISO_IR 192", "ISO 2022 IR 87"), ("ISO_IR 192",)),
        (("GB18030", "ISO IR 192"), None),
        (("ISO 2022 IR 6, IS",), None),
        (("***",), None),
        ((), ()),
    ],
)
def test_a_misspelt_character_set_is_the_one_it_means(
    stated: tuple[str, ...], meant: tuple[str, ...] | None
) -> None:
    """Slips met in the field; where two sets could be meant, none is."""
    assert character_sets(stated) == meant


def test_a_value_of_a_length_its_representation_has_not_is_told() -> None:
    """Two bytes under SL, as a damaged header has them: pydicom raises an error of its own kind."""
    file = mr_series((1, 8, 8)).files()[0]
    damaged = file.replace(b"\x20\x00\x10\x00SH", b"\x20\x00\x10\x00SL")
    assert damaged != file
    instance = read_instance(read_file(damaged, name="damaged"))
    assert any(reading.attribute == "StudyID" for reading in instance.readings)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {"PatientName": "Dupond^Zoé"},
        {"PatientName": "Dupond^Zoé", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientID": "43"},
        {"PatientAge": "42"},
        {"PatientSize": "1.80"},
        {"OtherPatientIDsSequence": [source(TypeOfPatientID="TEXT")]},
    ],
)
def test_images_as_they_are_read_are_judged_by_their_own_bytes(
    changed: dict[str, object], implicit: bool
) -> None:
    """What is remembered of one image never answers for another that says something else."""
    first = {"PatientName": "Dupond^Zoé", "SpecificCharacterSet": "ISO_IR 100", "PatientID": "42"}
    made = [source(**first), source(**{**first, **changed}), source(**first)]

    judged = [read_inherited(_as_read(dataset, implicit)) for dataset in made]

    assert judged == [read_inherited(_decoded(dataset, implicit)) for dataset in made]
    assert (judged[0] == judged[1]) == (changed == {"PatientName": "Dupond^Zoé"})


def _as_read(dataset: Dataset, implicit: bool) -> Dataset:
    """The data set as a file of it is read: no element decoded yet."""
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(written, dataset, implicit_vr=implicit, little_endian=True)
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    written.seek(0)
    read = dcmread(written, force=True)
    assert read.original_encoding == (syntax.is_implicit_VR, True)
    return read


def _decoded(dataset: Dataset, implicit: bool) -> Dataset:
    """The same with every element decoded, of which nothing is remembered."""
    read = _as_read(dataset, implicit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in read:
            assert element.VR
    return read
