"""WADO-RS (PS3.18 10.4): what an archived file is sent as. Paths in, bytes out."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.dicom import codecs
from node.dicom.declared import require_decodable
from node.dicom.transcode import transcode
from node.domain.errors import Rejected
from node.web.dicomweb.qido import UTF_8

NATIVE = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
# PS3.18 table 8.7.3-2: media type of a compressed frame.
FRAME_MEDIA = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
# Values longer than this are bulk data; none but pixels are that long in what we keep.
_INLINE_BYTES = 4096


def whole(path: Path, archived: str, syntax: str) -> bytes:
    """The Part 10 file in ``syntax`` (``*``: as it lies); `Rejected` (SYNTAX) when it cannot be."""
    if syntax in ("*", archived):
        return path.read_bytes()
    if syntax not in NATIVE:
        raise _not_in(syntax)
    with _careless():
        dataset = _native(_read(path), syntax)
        buffer = io.BytesIO()
        # The encoding follows the meta information; the values stay.
        pydicom.dcmwrite(
            buffer,
            dataset,
            implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=True,
            force_encoding=True,
        )
    return buffer.getvalue()


def metadata(path: Path, url: str) -> dict[str, Any]:
    """All attributes as DICOM JSON; pixels are named by where they are."""
    with _careless():
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        dataset.SpecificCharacterSet = UTF_8
        found = dict(
            dataset.to_json_dict(
                bulk_data_threshold=_INLINE_BYTES,
                bulk_data_element_handler=lambda e: f"{url}/bulkdata/{int(e.tag):08X}",
                suppress_invalid_tags=True,
            )
        )
    if "Rows" in dataset:
        vr = "OB" if dataset.get("BitsAllocated") == 8 else "OW"
        found["7FE00010"] = {"vr": vr, "BulkDataURI": f"{url}/bulkdata/7FE00010"}
    return found


def bulk_data(path: Path, tag: str) -> bytes:
    """The value of one element: little endian, pixels decompressed."""
    with _careless():
        dataset = _read(path)
        wanted = int(tag, 16)
        if wanted not in dataset:
            raise Rejected(f"There is no element {tag}.", code="MISSING")
        if wanted == 0x7FE00010:
            return b"".join(frames(path, None))
        if not UID(dataset.file_meta.TransferSyntaxUID).is_little_endian:
            dataset = _native(dataset, str(ExplicitVRLittleEndian))
        value = dataset[wanted].value
    return value if isinstance(value, bytes) else str(value).encode()


def frames(path: Path, numbers: list[int] | None) -> Iterator[bytes]:
    """Frames by number from 1 (None: all), decompressed, little endian."""
    with _careless():
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
    for number in _numbers(dataset, numbers):
        values = _frame(path, number)
        # Of a big endian file they come in its order (PS3.18 8.7.3.3: little endian).
        yield values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def compressed_frames(path: Path, numbers: list[int]) -> Iterator[bytes]:
    """Frames as they lie compressed in the file."""
    with _careless():
        dataset = _read(path)
        count = int(dataset.get("NumberOfFrames") or 1)
        wanted = _numbers(dataset, numbers)
        for number, frame in enumerate(
            generate_frames(dataset.PixelData, number_of_frames=count), start=1
        ):
            if number in wanted:
                yield frame


def rendered(path: Path, number: int, *, media: str, window: str, size: int = 0) -> bytes:
    """A frame as PNG or JPEG, windowed as asked, as the header says, or from its own range."""
    with _careless():
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        _numbers(dataset, [number])
        values = _frame(path, number)
    if values.ndim == 2:
        grey = _windowed(values.astype(np.float64), dataset, window)
        image = Image.fromarray(grey)
    else:
        image = Image.fromarray(values.astype(np.uint8))
    if size:
        image.thumbnail((size, size))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG" if media == "image/jpeg" else "PNG")
    return buffer.getvalue()


def _windowed(values: Any, dataset: Dataset, window: str) -> Any:
    """PS3.3 C.11.2.1.2.1, the linear function, on rescaled values."""
    values = values * float(dataset.get("RescaleSlope") or 1) + float(
        dataset.get("RescaleIntercept") or 0
    )
    centre, width = _window(dataset, window, values)
    grey = ((values - (centre - 0.5)) / max(width - 1, 1) + 0.5) * 255
    grey = np.clip(grey, 0, 255).astype(np.uint8)
    return 255 - grey if dataset.get("PhotometricInterpretation") == "MONOCHROME1" else grey


def _window(dataset: Dataset, window: str, values: Any) -> tuple[float, float]:
    if window:
        parts = window.split(",")
        try:
            centre, width = float(parts[0]), float(parts[1])
        except (ValueError, IndexError):
            raise Rejected(f"Window {window[:40]!r} is none.", code="PARAMETER") from None
        return centre, width
    try:
        first = [dataset[name][0] if dataset[name].VM > 1 else dataset[name].value
                 for name in ("WindowCenter", "WindowWidth")]  # fmt: skip
        return float(first[0]), float(first[1])
    except (KeyError, TypeError, ValueError):
        low, high = float(values.min()), float(values.max())
        return (low + high) / 2 + 0.5, high - low + 1


def _frame(path: Path, number: int) -> Any:
    codecs.register()
    require_decodable(pydicom.dcmread(path, stop_before_pixels=True))
    try:
        return pixel_array(path, index=number - 1, raw=True)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError) as error:
        raise Rejected(f"The pixels cannot be decoded: {error}", code="SYNTAX") from None


def _numbers(dataset: Dataset, numbers: list[int] | None) -> list[int]:
    if "Rows" not in dataset:
        raise Rejected("The object has no frames.", code="MISSING")
    count = int(dataset.get("NumberOfFrames") or 1)
    wanted = numbers or list(range(1, count + 1))
    if not all(1 <= number <= count for number in wanted):
        raise Rejected(f"The object has frames 1 to {count}.", code="MISSING")
    return wanted


def _read(path: Path) -> Dataset:
    return pydicom.dcmread(path)


def _native(dataset: Dataset, syntax: str) -> Dataset:
    require_decodable(dataset, whole=True)
    try:
        native = transcode(dataset, syntax)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError) as error:
        raise Rejected(f"The pixels cannot be decoded: {error}", code="SYNTAX") from None
    native.file_meta.TransferSyntaxUID = UID(syntax)
    return native


def _not_in(syntax: str) -> Rejected:
    return Rejected(
        f"The instance cannot be sent in transfer syntax {syntax[:64]}.",
        code="SYNTAX",
        remedy="Accept transfer-syntax=* for the archived one, or an uncompressed one.",
    )


@contextmanager
def _careless() -> Iterator[None]:
    """Deviations of the source are judged when a series is checked, not when it is read here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
