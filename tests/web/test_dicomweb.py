"""DICOMweb: dicomweb-client and Orthanc's own client against a filled archive."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
import sqlalchemy as sa
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.uid import ExplicitVRBigEndian, JPEGLSLossless

from node.archive.evidence.holders import Holder
from node.archive.evidence.ledger import Ledger, read_evidence
from node.archive.evidence.offering import Offerings
from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.query.catalogue import Catalogue
from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.domain.door import Ending
from node.web.app import create_app
from node.web.dicomweb.router import DicomWeb
from tests.peers.fixtures import StartOrthanc
from tests.phantoms.archived import ROOT, receive_all, write_archive
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.web.serving import served

STUDY, SERIES = f"{ROOT}.3", f"{ROOT}.3.1"
COMPRESSED = f"{ROOT}.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A served archive and the files it was filled with."""

    url: str
    files: list[Path]
    engine: sa.Engine

    def client(self) -> Any:
        """A dicomweb-client."""
        client = DICOMwebClient(url=self.url)
        # It leaves the port out of the Host header, so that no URL we give would lead back.
        client.host = self.url.split("/")[2]
        return client


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Serve an archive of known content and one compressed series."""
    folder = tmp_path_factory.mktemp("dicomweb")
    files = write_archive(folder / "files")
    receive_all(folder / "node", files)
    engine = t.open_engine(t.sqlite_url(folder / "node" / "node.db"))
    store = Folder(folder / "node")
    receiver = Receiver(store, Index(engine))
    _add_compressed(folder, receiver)
    _add_big_endian(folder, receiver)
    services = DicomWeb(
        catalogue=Catalogue(engine),
        folder=store,
        receiver=receiver,
        offerings=Offerings(Ledger(engine), Holder(store)),
    )
    app = create_app(queries=Queries(engine), dicomweb=services)
    with served(app) as url:
        yield Archive(url=f"{url}/dicom-web", files=files, engine=engine)
    engine.dispose()


def _add_compressed(folder: Path, receiver: Receiver) -> None:
    image = mr_image(1, series=COMPRESSED)
    image.StudyInstanceUID = f"{ROOT}.7"
    image.PixelData = np.arange(32 * 32, dtype="<u2").tobytes()
    path = write_image(folder / "jls.dcm", image)
    compressed = pydicom.dcmread(path)
    compressed.compress(JPEGLSLossless, generate_instance_uid=False)
    compressed.save_as(path)
    receiver.receive(
        data_set_of(path),
        ReceiveContext(transfer_syntax_uid=JPEGLSLossless, calling_ae="PACS", called_ae=""),
    )


def _add_big_endian(folder: Path, receiver: Receiver) -> None:
    image = mr_image(2, series=COMPRESSED)
    image.StudyInstanceUID = f"{ROOT}.7"
    image.PixelData = np.arange(32 * 32, dtype=">u2").tobytes()
    image["PixelData"].VR = "OW"
    image.RedPaletteColorLookupTableData = np.arange(300, dtype=">u2").tobytes()
    path = folder / "big.dcm"
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, image, enforce_file_format=True)
    receiver.receive(
        data_set_of(path),
        ReceiveContext(transfer_syntax_uid=ExplicitVRBigEndian, calling_ae="PACS", called_ae=""),
    )


def test_big_endian_comes_little_endian(archive: Archive) -> None:
    """Frames, bulk data and the whole instance: a signal of 1 is 1, not 256."""
    client, pixels = archive.client(), np.arange(32 * 32, dtype="<u2").tobytes()
    place = (f"{ROOT}.7", COMPRESSED, f"{COMPRESSED}.2")
    url = f"{archive.url}/studies/{place[0]}/series/{place[1]}/instances/{place[2]}"

    (frame,) = client.retrieve_instance_frames(
        *place, [1], media_types=("application/octet-stream",)
    )
    (bulk,) = client.retrieve_bulkdata(f"{url}/bulkdata/7FE00010")
    (table,) = client.retrieve_bulkdata(f"{url}/bulkdata/00281201")
    whole = client.retrieve_instance(*place, media_types=("application/dicom",))

    assert frame == bulk == whole.PixelData == pixels
    assert table == np.arange(300, dtype="<u2").tobytes()
    assert whole.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def words(found: list[dict[str, Any]], tag: str) -> list[Any]:
    """The first value of an attribute in each match."""
    return sorted(item[tag]["Value"][0] for item in found)


def test_studies_are_found_as_by_c_find(archive: Archive) -> None:
    """Keys as keyword or tag, wild cards, ranges; the attributes the standard promises come."""
    client = archive.client()

    by_name = client.search_for_studies(search_filters={"PatientName": "smith^*"})
    by_date = client.search_for_studies(search_filters={"00080020": "20240101-20240131"})
    by_modality = client.search_for_studies(search_filters={"ModalitiesInStudy": "CT"})

    assert words(by_name, "0020000D") == [STUDY] == words(by_modality, "0020000D")
    assert words(by_date, "0020000D") == [f"{ROOT}.1"]
    (study,) = by_date
    assert study["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    assert study["00201208"]["Value"] == [5]
    assert study["00081190"]["Value"] == [f"{archive.url}/studies/{ROOT}.1"]


def test_series_and_instances_are_found_at_every_path(archive: Archive) -> None:
    """Below a study, below a series, and everywhere; more fields when asked for."""
    client = archive.client()

    series = client.search_for_series(STUDY, fields=["ProtocolName"])
    everywhere = client.search_for_series(search_filters={"Modality": "CT"})
    instances = client.search_for_instances(STUDY, SERIES)
    step = {"RequestAttributesSequence.ScheduledProcedureStepID": "SPS12"}
    requested = client.search_for_series(search_filters=step)

    assert words(series, "0020000E") == [SERIES, f"{ROOT}.3.2"]
    assert words(series, "00181030") == ["t1 mprage", "t1 mprage"]
    assert words(everywhere, "0020000E") == [f"{ROOT}.3.2"]
    assert words(instances, "00200013") == [1, 2, 3]
    assert words(requested, "0020000E") == [f"{ROOT}.1.2"]


def test_pages_and_what_is_left(archive: Archive) -> None:
    """Limit and offset cut; the warning says how many are left; nothing found is 204."""
    first = requests.get(f"{archive.url}/series?limit=4", timeout=20)
    rest = requests.get(f"{archive.url}/series?limit=50&offset=4", timeout=20)
    none = requests.get(f"{archive.url}/studies?PatientID=nobody", timeout=20)

    assert len(first.json()) == 4
    assert "3 additional results" in first.headers["Warning"]
    assert len(rest.json()) == 3
    assert none.status_code == 204


@pytest.mark.parametrize(
    ("path", "status", "accept"),
    [
        ("/studies?NoSuchAttribute=1", 400, "*/*"),
        ("/studies?limit=many", 400, "*/*"),
        ("/studies", 406, "text/html"),
        ("/studies/1.2.3", 404, "*/*"),
        ("/studies/..%2Fevil/metadata", 404, "*/*"),
        ("/studies/abc/metadata", 400, "*/*"),
        (f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames/2", 404, "*/*"),
        (f"/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames/x", 400, "*/*"),
        (f"/studies/{STUDY}", 406, 'multipart/related; type="application/dicom"; '
         "transfer-syntax=1.2.840.10008.1.2.4.90"),
    ],
)  # fmt: skip
def test_refusals(archive: Archive, path: str, status: int, accept: str) -> None:
    """What cannot be answered says so with the right status."""
    answer = requests.get(f"{archive.url}{path}", headers={"Accept": accept}, timeout=20)

    assert answer.status_code == status, answer.text


def test_instances_come_as_archived(archive: Archive) -> None:
    """A series by WADO-RS has the values and pixels that were received."""
    client = archive.client()

    got = client.retrieve_series(STUDY, SERIES)

    expected = [d for d in map(pydicom.dcmread, archive.files) if d.SeriesInstanceUID == SERIES]
    assert sorted(d.SOPInstanceUID for d in got) == sorted(d.SOPInstanceUID for d in expected)
    assert all(d.PixelData == expected[0].PixelData for d in got)
    metadata = client.retrieve_series_metadata(STUDY, SERIES)
    assert words(metadata, "00080018") == sorted(d.SOPInstanceUID for d in expected)
    assert "BulkDataURI" in metadata[0]["7FE00010"]
    (pixels,) = client.retrieve_bulkdata(metadata[0]["7FE00010"]["BulkDataURI"])
    assert pixels == expected[0].PixelData


def test_compressed_comes_decompressed_or_as_it_lies(archive: Archive) -> None:
    """Unasked in Explicit VR Little Endian, with ``*`` as archived; frames both ways."""
    client, pixels = archive.client(), np.arange(32 * 32, dtype="<u2").tobytes()
    place = (f"{ROOT}.7", COMPRESSED, f"{COMPRESSED}.1")

    plain = client.retrieve_instance(*place, media_types=("application/dicom",))
    lies = client.retrieve_instance(*place, media_types=(("application/dicom", "*"),))
    (frame,) = client.retrieve_instance_frames(
        *place, [1], media_types=("application/octet-stream",)
    )
    (jls,) = client.retrieve_instance_frames(*place, [1], media_types=("image/jls",))

    assert plain.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert plain.PixelData == pixels == frame
    assert lies.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert np.array_equal(lies.pixel_array, plain.pixel_array)
    assert jls[:2] == b"\xff\xd8"
    assert bytes(jls) in lies.PixelData


def test_pictures(archive: Archive) -> None:
    """Rendered as PNG or JPEG, windowed as asked."""
    url = f"{archive.url}/studies/{ROOT}.7/series/{COMPRESSED}/instances/{COMPRESSED}.1"

    png = requests.get(f"{url}/rendered", timeout=20)
    jpeg = requests.get(f"{url}/frames/1/rendered", headers={"Accept": "image/jpeg"}, timeout=20)
    dark = requests.get(f"{url}/rendered?window=100000,10", timeout=20)
    small = requests.get(f"{url}/thumbnail", timeout=20)

    grey = np.asarray(Image.open(io.BytesIO(png.content)))
    assert grey.shape == (32, 32)
    assert grey[0, 0] == 0
    assert grey[-1, -1] == 255
    assert Image.open(io.BytesIO(jpeg.content)).format == "JPEG"
    assert not np.asarray(Image.open(io.BytesIO(dark.content))).any()
    assert small.status_code == 200


def test_stow_stores_durably_and_says_what_it_did_not(archive: Archive, tmp_path: Path) -> None:
    """New instances are kept; a class we do not keep and a torn file are named; twice is once."""
    client = archive.client()
    image = mr_image(1, series=f"{ROOT}.6.1")
    image.StudyInstanceUID = f"{ROOT}.6"
    good = pydicom.dcmread(write_image(tmp_path / "good.dcm", image))
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", f"{ROOT}.6.2"
    other = pydicom.dcmread(write_image(tmp_path / "other.dcm", image))

    first = client.store_instances([good], study_instance_uid=f"{ROOT}.6")
    again = client.store_instances([good])

    assert first.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == good.SOPInstanceUID
    assert again.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == good.SOPInstanceUID
    with t.reading(archive.engine).begin() as connection:
        count = sa.select(sa.func.count()).where(
            t.instances.c.sop_instance_uid == good.SOPInstanceUID
        )
        assert connection.execute(count).scalar_one() == 1
    answer = _post(archive, [(tmp_path / "other.dcm").read_bytes(), b"no DICOM at all"])
    assert answer.status_code == 409
    failed = answer.json()["00081198"]["Value"]
    assert [item["00081197"]["Value"][0] for item in failed] == [0x0122, 0xC000]
    assert failed[0]["00081155"]["Value"] == [other.SOPInstanceUID]
    wrong = _post(archive, [(tmp_path / "good.dcm").read_bytes()], study="1.2.3")
    assert wrong.status_code == 409


def _post(
    archive: Archive, parts: list[bytes], *, study: str = "", end: bytes = b"--"
) -> requests.Response:
    head = b"--XX\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + part + b"\r\n" for part in parts) + b"--XX" + end
    kind = 'multipart/related; type="application/dicom"; boundary=XX'
    url = f"{archive.url}/studies" + (f"/{study}" if study else "")
    return requests.post(url, data=body, headers={"Content-Type": kind}, timeout=20)


def test_requests_to_store_are_in_the_ledger(archive: Archive, tmp_path: Path) -> None:
    """Who posted what, that one part was refused, and that the body broke off."""
    image = mr_image(1, series=f"{ROOT}.8.1")
    image.StudyInstanceUID = f"{ROOT}.8"
    good = write_image(tmp_path / "good.dcm", image).read_bytes()
    bad = write_image(tmp_path / "bad.dcm", mr_image(2, series=f"{ROOT}.8.1")).read_bytes()

    assert _post(archive, [good, bad], study=f"{ROOT}.8").status_code == 202
    _post(archive, [good], end=b"", study=f"{ROOT}.8")

    with t.reading(archive.engine).begin() as connection:
        series = sa.select(t.series.c.id).where(t.series.c.series_instance_uid == f"{ROOT}.8.1")
        number = connection.execute(series).scalar_one()
        evidence = read_evidence(connection, number, f"{ROOT}.8.1")
    assert [(o.ending, o.held) for o in evidence.offers] == [
        (Ending.RELEASED, 1),
        (Ending.BROKEN, 0),
    ]
    assert [(m.sop_instance_uid, m.code) for m in evidence.missing] == [(f"{ROOT}.8.1.2", "STUDY")]


def test_a_torn_body_is_refused(archive: Archive) -> None:
    """A body that ends in the middle, and one of another type."""
    assert _post(archive, [b"x"], end=b"").status_code == 400
    answer = requests.post(f"{archive.url}/studies", data=b"x", timeout=20)
    assert answer.status_code == 415


@pytest.mark.interop
@pytest.mark.orthanc
def test_orthanc_pulls_and_pushes_by_dicomweb(
    archive: Archive, start_orthanc: StartOrthanc, tmp_path: Path
) -> None:
    """Orthanc's DICOMweb client finds and retrieves a study here and stores one here."""
    web = {"Enable": True, "Servers": {"node": {"Url": f"{archive.url}/"}}}
    orthanc = start_orthanc({}, settings={"DicomWeb": web})

    found = orthanc.post(
        "/dicom-web/servers/node/qido", {"Uri": "/studies", "Arguments": {"PatientID": "P2"}}
    )
    orthanc.post("/dicom-web/servers/node/retrieve", {"Resources": [{"Study": STUDY}]})
    image = mr_image(1, series=f"{ROOT}.66.1")
    image.StudyInstanceUID = f"{ROOT}.66"
    uploaded = orthanc.upload([write_image(tmp_path / "new.dcm", image)])
    orthanc.post("/dicom-web/servers/node/stow", {"Resources": uploaded})

    assert len(found) == 1
    assert len(orthanc.find("Instance", {"StudyInstanceUID": STUDY})) == 5
    stored = archive.client().search_for_instances(f"{ROOT}.66")
    assert words(stored, "00080018") == [f"{ROOT}.66.1.1"]


def test_not_served_without_an_archive(archive: Archive) -> None:
    """An application without an archive says 503, not 404."""
    with served(create_app(queries=Queries(archive.engine))) as url:
        answer = requests.get(f"{url}/dicom-web/studies", timeout=20)

    assert answer.status_code == 503
    assert "archive" in answer.json()["detail"]
