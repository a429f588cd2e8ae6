"""What an sCT takes over from its MR."""

import pytest
from pydicom.dataset import Dataset

from node.dicom.inheritance import inherit


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
