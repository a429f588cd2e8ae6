"""The pattern of a series: UIDs and numbers of any length fit, what is not a CT image does not."""

import io

import pydicom
import pytest

from node.dicom.ct_series import part10
from node.dicom.slice_template import Pattern, Place
from node.domain.errors import Defect
from tests.unit.dicom.test_output_checks import encoded


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34", "2.25." + "9" * 38])
def test_lengths_follow_their_values(uid: str) -> None:
    """A shorter or longer UID and number is written as a library would write it."""
    instances, _ = encoded()
    place = Place(
        sop_instance_uid=uid, number=1234, position=("-0.5", "12", "7.125"), location="7.125"
    )

    data = Pattern(instances[0].data).filled(place, bytes(8))

    dataset = pydicom.dcmread(io.BytesIO(data))
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == uid
    assert [float(v) for v in dataset.ImagePositionPatient] == [-0.5, 12.0, 7.125]
    assert (dataset.InstanceNumber, dataset.PixelData) == (1234, bytes(8))
    assert part10(dataset) == data


def test_what_lacks_an_element_is_no_pattern() -> None:
    """An image without a place would give images without one."""
    instances, _ = encoded()
    dataset = pydicom.dcmread(io.BytesIO(instances[0].data))
    del dataset.SliceLocation

    with pytest.raises(Defect, match="every image has"):
        Pattern(part10(dataset))
