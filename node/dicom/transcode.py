"""One object in another transfer syntax: the same values, the same UID."""

from io import BytesIO

import numpy as np
from pydicom import dcmread, dcmwrite, uid
from pydicom.dataset import Dataset

from node.dicom import codecs

# PS3.5 6.2: bytes of each unit that a change of byte order turns round.
_UNIT_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
LOSSLESS = (uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.RLELossless)
"""Compressed syntaxes the node can write, preferred ones first."""


def transcode(dataset: Dataset, syntax: str) -> Dataset:
    """``dataset`` with its pixels as ``syntax`` wants them; the one given may be changed.

    For a native ``syntax`` the writer chooses VR and deflation; only what it would pass as it is
    must be right here. Raises what the codecs raise.
    """
    codecs.register()
    source = uid.UID(dataset.file_meta.TransferSyntaxUID)
    if source == syntax:
        return dataset
    if source.is_encapsulated:
        dataset.decompress(generate_instance_uid=False)
    elif not source.is_little_endian:
        dataset = _little_endian(dataset)
    if syntax in LOSSLESS:
        dataset.compress(syntax, generate_instance_uid=False)
    return dataset


def _little_endian(dataset: Dataset) -> Dataset:
    """Write a big endian data set the other way round.

    pydicom turns numbers, and passes bytes through: it knows no unit for them. Unturned, a signal
    of 1 would become 256.
    """
    for element in dataset.iterall():
        size = _UNIT_BYTES.get(element.VR)
        if size is not None and isinstance(element.value, bytes):
            words = np.frombuffer(element.value, f">u{size}")
            element.value = words.astype(f"<u{size}").tobytes()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    written = BytesIO()
    dcmwrite(written, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    written.seek(0)
    return dcmread(written)
