"""Every transfer syntax, full circle: sent to the node, kept as it came, decoded, sent on."""

import subprocess
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.uid import UID
from pynetdicom import AE, evt

from node.dicom import codecs
from node.dicom.transcode import LOSSLESS
from node.domain.names import AETitle
from node.domain.site import Peer
from node.scp.contexts import TRANSFER_SYNTAXES
from node.scu.store import Outgoing, SendOutcome, send
from tests.interop.receiving import Node, running_node
from tests.peers.dcmtk import run_storescu
from tests.peers.fixtures import StartStorescp
from tests.peers.tools import need_tool
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.realdata import unpack

pytestmark = pytest.mark.interop

SIDE = 64
Make = Callable[[Path, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """How a file of one syntax is made, sent with DCMTK and judged."""

    make: Make
    """From an uncompressed file to one in the syntax."""
    option: str = ""
    """Of storescu and storescp; empty where DCMTK does not know the syntax."""
    worst: int = 0
    """Largest difference from what is expected; 0: lossless, or equal to DCMTK's decoder."""


def with_tool(name: str, *options: str) -> Make:
    """Encode with a DCMTK tool."""

    def make(source: Path, target: Path) -> None:
        command = [need_tool(name), *options, str(source), str(target)]
        subprocess.run(command, check=True, capture_output=True)

    return make


def with_pydicom(syntax: UID, **options: Any) -> Make:
    """Encode with one of pydicom's encoders."""

    def make(source: Path, target: Path) -> None:
        dataset = pydicom.dcmread(source)
        dataset.compress(syntax, generate_instance_uid=False, **options)
        dataset.save_as(target)

    return make


def with_htj2k(syntax: UID, *, reversible: bool) -> Make:
    """Encode with OpenJPH, whose progression order is RPCL."""

    def make(source: Path, target: Path) -> None:
        dataset = pydicom.dcmread(source)
        stream = imagecodecs.htj2k_encode(dataset.pixel_array, reversible=reversible)
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(target)

    return make


SYNTAXES: dict[UID, Syntax] = {
    uid.ImplicitVRLittleEndian: Syntax(make=with_tool("dcmconv", "+ti"), option="-xi"),
    uid.ExplicitVRLittleEndian: Syntax(make=with_tool("dcmconv", "+te"), option="-xe"),
    uid.ExplicitVRBigEndian: Syntax(make=with_tool("dcmconv", "+tb"), option="-xb"),
    uid.DeflatedExplicitVRLittleEndian: Syntax(make=with_tool("dcmconv", "+td"), option="-xd"),
    uid.RLELossless: Syntax(make=with_tool("dcmcrle"), option="-xr"),
    uid.JPEGBaseline8Bit: Syntax(make=with_tool("dcmcjpeg", "+eb"), option="-xy"),
    uid.JPEGExtended12Bit: Syntax(make=with_tool("dcmcjpeg", "+ee"), option="-xx"),
    uid.JPEGLossless: Syntax(make=with_tool("dcmcjpeg", "+el")),
    uid.JPEGLosslessSV1: Syntax(make=with_tool("dcmcjpeg", "+e1"), option="-xs"),
    uid.JPEGLSLossless: Syntax(make=with_tool("dcmcjpls"), option="-xt"),
    uid.JPEGLSNearLossless: Syntax(make=with_tool("dcmcjpls", "+en"), option="-xu", worst=2),
    uid.JPEG2000Lossless: Syntax(make=with_pydicom(uid.JPEG2000Lossless), option="-xv"),
    uid.JPEG2000: Syntax(make=with_pydicom(uid.JPEG2000, j2k_cr=[10]), option="-xw", worst=120),
    uid.HTJ2KLossless: Syntax(make=with_htj2k(uid.HTJ2KLossless, reversible=True)),
    uid.HTJ2KLosslessRPCL: Syntax(make=with_htj2k(uid.HTJ2KLosslessRPCL, reversible=True)),
    uid.HTJ2K: Syntax(make=with_htj2k(uid.HTJ2K, reversible=False), worst=60),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """An SCP that lets anybody in."""
    yield from running_node(tmp_path_factory.mktemp("syntaxes") / "var", "--accept-unknown")


def signal(syntax: UID) -> NDArray[np.uint16]:
    """A smooth image with edges: 12 bits, or 8 where the syntax holds no more."""
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = 2000 + 1500 * np.sin(x / 9) * np.cos(y / 7)
    wave[16:32, 16:32] = 3900
    scale = 16 if syntax == uid.JPEGBaseline8Bit else 1
    return np.asarray(wave // scale, "<u2")


def encoded(folder: Path, syntax: UID) -> Path:
    """An MR image in ``syntax``, of its own UIDs."""
    number = list(SYNTAXES).index(syntax) + 1
    image = mr_image(1, series=f"1.2.99.{number}", side=SIDE)
    values = signal(syntax)
    bits = 8 if syntax == uid.JPEGBaseline8Bit else 12
    if bits == 8:
        image.BitsAllocated = 8
        image.PixelData = values.astype("u1").tobytes()
    else:
        image.PixelData = values.tobytes()
    image.BitsStored, image.HighBit = bits, bits - 1
    plain = write_image(folder / "plain.dcm", image)
    target = folder / "encoded" / "1.dcm"
    target.parent.mkdir()
    SYNTAXES[syntax].make(plain, target)
    assert pydicom.dcmread(target, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax
    return target


def outgoing(path: Path) -> Outgoing:
    """What the archive knows of a file."""
    read = pydicom.dcmread(path, stop_before_pixels=True)
    return Outgoing(
        sop_class_uid=str(read.SOPClassUID),
        sop_instance_uid=str(read.SOPInstanceUID),
        transfer_syntax_uid=str(read.file_meta.TransferSyntaxUID),
        path=path,
    )


def pixels(path: Path) -> NDArray[np.int64]:
    """Pixels as the node decodes them."""
    codecs.register()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path).pixel_array.astype(np.int64)


def deliver(port: int, paths: Sequence[Path], called: str = "PCTNODE") -> SendOutcome:
    """Send with the node's own SCU, which is pynetdicom's."""
    peer = Peer(
        name="there",
        ae_title=AETitle(called),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )
    files = [outgoing(path) for path in paths]
    return send(peer, files, calling_ae="PACS", on_status=lambda _status: None)


def stored_at(node: Node, path: Path) -> Path:
    """The archived file of the instance in ``path``."""
    wanted = outgoing(path).sop_instance_uid
    query = f"select path from instances where sop_instance_uid = '{wanted}'"  # noqa: S608
    ((found,),) = node.rows(query)
    return node.data_dir / str(found)


def test_the_table_is_whole() -> None:
    """What the node negotiates is what is proved here."""
    assert set(SYNTAXES) == set(TRANSFER_SYNTAXES)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.keyword)
def test_full_circle(
    node: Node, tmp_path: Path, start_storescp: StartStorescp, syntax: UID
) -> None:
    """Kept byte for byte, decoded right, passed on as it is or turned into what the peer takes."""
    how = SYNTAXES[syntax]
    sent = encoded(tmp_path, syntax)
    if how.option:
        done = run_storescu(node.port, [sent.parent], options=["-R", how.option])
        assert done.returncode == 0, done.stderr
    else:
        assert deliver(node.port, [sent]).transcoded == 0

    kept = stored_at(node, sent)

    assert outgoing(kept).transfer_syntax_uid == syntax
    if not syntax.is_deflated:  # storescu deflates anew
        assert data_set_of(kept) == data_set_of(sent)
    got = pixels(kept)
    assert np.abs(got - _expected(sent, syntax)).max() <= how.worst

    plain = start_storescp(name="plain", ae_title="TPS", options=["+xi"])
    outcome = deliver(plain.port, [kept], "TPS")
    (arrived,) = plain.files()
    assert outcome.transcoded == (syntax != uid.ImplicitVRLittleEndian)
    assert (pixels(arrived) == got).all()
    assert outgoing(arrived).sop_instance_uid == outgoing(sent).sop_instance_uid

    if how.option:
        same = start_storescp(name="same", ae_title="TPS", options=[f"+x{how.option[2]}"])
        assert deliver(same.port, [kept], "TPS").transcoded == 0
        assert data_set_of(same.files()[0]) == data_set_of(kept)


def _expected(sent: Path, syntax: UID) -> NDArray[np.int64]:
    """The signal, or for lossy JPEG, whose encoder windows it, what DCMTK's own decoder gives."""
    if syntax not in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit):
        return signal(syntax).astype(np.int64)
    target = sent.with_suffix(".plain")
    with_tool("dcmdjpeg")(sent, target)
    return pydicom.dcmread(target).pixel_array.astype(np.int64)


@pytest.mark.parametrize(
    "syntax",
    [*LOSSLESS, uid.DeflatedExplicitVRLittleEndian],
    ids=lambda s: s.keyword,
)
def test_a_peer_with_one_syntax_gets_it_in_that(tmp_path: Path, syntax: UID) -> None:
    """An archive that takes nothing native is sent equal pixels, compressed without loss."""
    path = encoded(tmp_path, uid.ExplicitVRLittleEndian)
    received: list[bytes] = []

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset())
        return 0

    entity = AE(ae_title="TPS")
    entity.add_supported_context(uid.MRImageStorage, syntax)
    handlers = [(evt.EVT_C_STORE, keep)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        outcome = deliver(server.server_address[1], [path], "TPS")
    finally:
        server.shutdown()

    arrived = tmp_path / "arrived.dcm"
    arrived.write_bytes(received[0])
    assert outcome.transcoded == 1
    assert outgoing(arrived).transfer_syntax_uid == syntax
    assert (pixels(arrived) == pixels(path)).all()


SINGLE = {
    "MR1_J2KI", "MR1_J2KR", "MR1_JLSL", "MR1_JLSN", "MR1_JPLL", "MR1_JPLY", "MR1_RLE",
    "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "CT_small.dcm",
    "emri_small.dcm", "emri_small_RLE.dcm", "emri_small_big_endian.dcm",
    "emri_small_jpeg_2k_lossless.dcm", "emri_small_jpeg_ls_lossless.dcm",
}  # fmt: skip


@pytest.mark.realdata
def test_real_single_files_go_round(
    node: Node, real_data: Path, tmp_path: Path, start_storescp: StartStorescp
) -> None:
    """Each real file of a class the node stores: kept as it came, equal pixels, turned to plain."""
    folder = real_data / "mr-compressed" / "single-files"
    plain = start_storescp(ae_title="TPS", options=["+xi"])
    by_uid: dict[str, Path] = {}
    for name in sorted(SINGLE):
        # The files share UIDs where they are one image in several syntaxes; each gets its own.
        path = _with_own_uid(folder / name, tmp_path / f"{name}.dcm", len(by_uid))
        by_uid[outgoing(path).sop_instance_uid] = path
    assert deliver(node.port, list(by_uid.values())).transcoded == 0
    kept = {u: stored_at(node, path) for u, path in by_uid.items()}

    deliver(plain.port, list(kept.values()), "TPS")

    for arrived in plain.files():
        found = outgoing(arrived).sop_instance_uid
        assert data_set_of(kept[found]) == data_set_of(by_uid[found])
        assert (pixels(arrived) == pixels(by_uid[found])).all(), by_uid[found].name
    assert len(plain.files()) == len(SINGLE)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("emri_small_RLE.dcm", "emri_small.dcm"),
        ("emri_small_big_endian.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
        ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
        ("MR1_J2KR", "MR1_RLE"),
        ("MR1_JLSL", "MR1_RLE"),
        ("MR1_JPLL", "MR1_RLE"),
    ],
)
def test_lossless_real_files_decode_to_the_same(real_data: Path, name: str, reference: str) -> None:
    """One image in several lossless syntaxes has one set of pixels."""
    folder = real_data / "mr-compressed" / "single-files"

    assert (pixels(folder / name) == pixels(folder / reference)).all()


@pytest.mark.realdata
def test_a_real_htj2k_file_is_decoded(real_data: Path) -> None:
    """DCMTK 3.6.7 does not know the syntax; two decoders agree on it."""
    path = real_data / "mr-compressed" / "single-files" / "HTJ2KLossless_08_RGB.dcm"
    stream = pydicom.encaps.get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)

    assert (pixels(path) == imagecodecs.htj2k_decode(stream)).all()


SERIES = (
    "philips-mprage-24slices-deflated",
    "philips-mprage-24slices-jpeg-ls-lossless",
    "philips-mprage-24slices-jpeg2000-lossless",
    "philips-mprage-24slices-rle",
)


@pytest.mark.realdata
def test_one_real_series_in_five_syntaxes_has_one_set_of_pixels(
    real_data: Path, tmp_path: Path, start_storescp: StartStorescp
) -> None:
    """Passed on without compression, a slice is the one of the JPEG Lossless series."""
    packed = real_data / "mr-compressed"
    whole = unpack(
        packed / "philips-mprage-jpeg-lossless-sv1-full-series.tar.xz", tmp_path / "whole"
    )
    wanted = {outgoing(path).sop_instance_uid: path for path in whole}
    compared = 0
    for name in SERIES:
        files = unpack(packed / f"{name}.tar.xz", tmp_path / name)[::4]
        plain = start_storescp(name=f"plain-{name}", ae_title="TPS", options=["+xi"])
        assert deliver(plain.port, files, "TPS").transcoded == len(files)
        for arrived in plain.files():
            reference = wanted[outgoing(arrived).sop_instance_uid]
            assert (pixels(arrived) == pixels(reference)).all()
            compared += 1

    assert compared == 4 * 6


def _with_own_uid(source: Path, target: Path, number: int) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(source)
        dataset.SOPInstanceUID = f"1.2.98.{number}"
        dataset.SeriesInstanceUID = f"1.2.97.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(target)
    return target
