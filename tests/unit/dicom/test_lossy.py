"""Whether pixels lost detail on their way, also where the header keeps silent about it."""

import pytest
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from node.dicom.headers import read_instance
from tests.phantoms.mr import mr_series


@pytest.mark.parametrize(
    ("syntax", "said", "lossy"),
    [
        (ExplicitVRLittleEndian, None, ""),
        (ExplicitVRLittleEndian, "01", "method not stated"),
        (JPEGBaseline8Bit, None, "ISO_10918_1"),
        (JPEGExtended12Bit, "00", "ISO_10918_1"),
        (JPEGLSNearLossless, None, "ISO_14495_1"),
        (JPEGLSLossless, None, ""),
        (JPEG2000Lossless, None, ""),
        (JPEG2000, None, "ISO_15444_1"),
        (JPEG2000, "00", ""),
        (HTJ2K, None, "ISO_15444_15"),
        (HTJ2KLossless, None, ""),
    ],
)
def test_a_lossy_encoding_is_lossy_whatever_the_header_says(
    syntax: str, said: str | None, lossy: str
) -> None:
    """JPEG loses always, JPEG 2000 where its writer chose to: then the header must deny it."""
    (dataset, *_) = mr_series((10, 8, 8)).datasets
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    if said is not None:
        dataset.LossyImageCompression = said

    assert read_instance(dataset).lossy == lossy
