"""The pixel decoders the node adds to pydicom's: JPEG Extended with 12 bits, by GDCM.

pydicom refuses that pair in general; for one sample a pixel GDCM decodes it as DCMTK does, which
`tests/interop/test_syntaxes.py` compares.
"""

from functools import cache

import gdcm
from pydicom.pixels.decoders.base import DecodeRunner, JPEGExtended12BitDecoder
from pydicom.uid import JPEGExtended12Bit

_NAME = "gdcm-12-bit"
DECODER_DEPENDENCIES = {JPEGExtended12Bit: ("gdcm>=3.0.10",)}


def is_available(uid: str) -> bool:
    """Whether ``uid`` is the one syntax this decodes; asked by pydicom."""
    return uid in DECODER_DEPENDENCIES


def _decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """Decode one frame with one sample a pixel; raise for what others decode."""
    if runner.samples_per_pixel != 1 or runner.bits_stored > 12:
        raise NotImplementedError("only one sample of up to 12 bits")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(source)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((runner.columns, runner.rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(str(runner.photometric_interpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    syntax = gdcm.TransferSyntax.GetTSType(str(runner.transfer_syntax))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits, signed = runner.bits_stored, runner.pixel_representation
    image.SetPixelFormat(gdcm.PixelFormat(1, runner.bits_allocated, bits, bits - 1, signed))
    return bytes(image.GetBuffer().encode("utf-8", "surrogateescape"))  # it gives bytes as text


@cache
def register() -> None:
    """Add it; called before anything is decoded."""
    # It tries each bit depth it was built for; only the last word is of interest.
    gdcm.Trace.ErrorOff()
    gdcm.Trace.WarningOff()
    # First in line: pydicom logs a traceback for each frame that a decoder turns down.
    for name in JPEGExtended12BitDecoder.available_plugins:
        JPEGExtended12BitDecoder.remove_plugin(name)
    JPEGExtended12BitDecoder.add_plugin(_NAME, (__name__, "_decode_frame"))
    for name in ("gdcm", "pillow"):
        JPEGExtended12BitDecoder.add_plugin(
            name, (f"pydicom.pixels.decoders.{name}", "_decode_frame")
        )
