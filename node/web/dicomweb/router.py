"""DICOMweb (PS3.18): QIDO-RS, WADO-RS and STOW-RS over what DIMSE finds and stores.

Reading needs the role of a viewer, storing that of a physicist. What is not released is not there.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from anyio import CancelScope, to_thread
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydicom.uid import ExplicitVRLittleEndian

from node.archive.evidence.damage import Guard
from node.archive.evidence.offering import Offerings
from node.archive.files import Folder
from node.archive.headers.indexed_attributes import UNIQUE_KEY, Level
from node.archive.headers.matching import Key
from node.archive.query.catalogue import Catalogue, FoundInstance, Leaving
from node.archive.rows.whereabouts import How, Place
from node.dicom.intact import NotIntact
from node.domain.door import Ending
from node.domain.errors import Rejected
from node.domain.names import is_uid
from node.log import get_logger
from node.web.auth.security import PHYSICIST, VIEWER, me, note
from node.web.dicomweb import qido, stow, wado
from node.web.dicomweb.media_types import JSON, Accepted, Multipart, Part, read_accept

log = get_logger(__name__)
BASE = "/dicom-web"
router = APIRouter(prefix=BASE, include_in_schema=False)

_STATUS = {
    "PARAMETER": 400,
    "BODY": 400,
    "MEDIA": 415,
    "MISSING": 404,
    "SYNTAX": 406,
    "PIXELS": 406,
}
_DICOM, _OCTETS = "application/dicom", "application/octet-stream"
_IMAGES = ("image/png", "image/jpeg")


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomWeb:
    """What the services work with; made by `node.run.app`."""

    catalogue: Catalogue
    folder: Folder
    receiver: stow.Receives
    offerings: Offerings
    """What requests to store offer, for the ledger of the door."""
    posting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(stow.AT_ONCE))
    """Who may have an instance in memory."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The UIDs of a URL."""

    study: str
    series: str = ""
    instance: str = ""

    def keys(self) -> dict[str, str]:
        named = zip(
            (Level.STUDY, Level.SERIES, Level.IMAGE),
            (self.study, self.series, self.instance),
            strict=True,
        )
        return {UNIQUE_KEY[level]: uid for level, uid in named if uid}


def _services(request: Request) -> DicomWeb:
    services: DicomWeb | None = getattr(request.app.state, "dicomweb", None)
    if services is None:
        raise HTTPException(503, "There is no archive here.")
    return services


def _error(error: Rejected) -> HTTPException:
    return HTTPException(_STATUS.get(error.code, 400), str(error))


@router.get("/studies", dependencies=[VIEWER])
def search_studies(request: Request) -> Response:
    """Find studies."""
    return _search(request, Level.STUDY, {})


@router.get("/series", dependencies=[VIEWER])
def search_series(request: Request) -> Response:
    """Find series of any study."""
    return _search(request, Level.SERIES, {})


@router.get("/instances", dependencies=[VIEWER])
def search_instances(request: Request) -> Response:
    """Find instances of any series."""
    return _search(request, Level.IMAGE, {})


@router.get("/studies/{study}/series", dependencies=[VIEWER])
def search_series_of(request: Request, study: str) -> Response:
    """Find series of a study."""
    return _search(request, Level.SERIES, _Target(study).keys())


@router.get("/studies/{study}/instances", dependencies=[VIEWER])
def search_instances_of_study(request: Request, study: str) -> Response:
    """Find instances of a study."""
    return _search(request, Level.IMAGE, _Target(study).keys())


@router.get("/studies/{study}/series/{series}/instances", dependencies=[VIEWER])
def search_instances_of_series(request: Request, study: str, series: str) -> Response:
    """Find instances of a series."""
    return _search(request, Level.IMAGE, _Target(study, series).keys())


@router.get("/studies/{study}", dependencies=[VIEWER])
@router.get("/studies/{study}/series/{series}", dependencies=[VIEWER])
@router.get("/studies/{study}/series/{series}/instances/{instance}", dependencies=[VIEWER])
def retrieve(request: Request, study: str, series: str = "", instance: str = "") -> Response:
    """Give the instances themselves."""
    found = _instances(request, _Target(study, series, instance))
    services = _services(request)
    accepted = _accepted(request, _DICOM)
    syntax = accepted.syntax or str(ExplicitVRLittleEndian)
    leaving = _leaving(request, found)

    def part(one: FoundInstance) -> Part:
        leaving.require(one.sop_instance_uid)
        media = f"{_DICOM};transfer-syntax={one.transfer_syntax_uid if syntax == '*' else syntax}"
        content = wado.whole(_path(services, one), one.transfer_syntax_uid, syntax)
        return Part(media=media, content=content)

    return _parts(_DICOM, map(part, found), single=len(found) == 1 and not accepted.multipart)


@router.get("/studies/{study}/metadata", dependencies=[VIEWER])
@router.get("/studies/{study}/series/{series}/metadata", dependencies=[VIEWER])
@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata", dependencies=[VIEWER])
def metadata(request: Request, study: str, series: str = "", instance: str = "") -> Response:
    """Give all attributes but the pixels."""
    _accepted(request, JSON, "application/json")
    services, base = _services(request), _base(request)
    found = _instances(request, _Target(study, series, instance))
    items = [
        wado.metadata(_path(services, one), qido.url_of(one.attributes, Level.IMAGE, base))
        for one in found
    ]
    return JSONResponse(items, media_type=JSON)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{numbers}", dependencies=[VIEWER]
)
def frames(request: Request, study: str, series: str, instance: str, numbers: str) -> Response:
    """Give frames: decompressed, or as they are compressed in the archive."""
    (one,) = _instances(request, _Target(study, series, instance))
    _leaving(request, [one])
    path = _path(_services(request), one)
    lies_as = wado.FRAME_MEDIA.get(one.transfer_syntax_uid)
    accepted = _accepted(request, _OCTETS, *([lies_as] if lies_as else []))
    wanted = _numbers(numbers)
    raw = accepted.media == lies_as or (accepted.syntax == one.transfer_syntax_uid and lies_as)
    media = str(lies_as) if raw else _OCTETS
    content = wado.compressed_frames(path, wanted) if raw else wado.frames(path, wanted)
    return _parts(media, (Part(media=media, content=frame) for frame in content))


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{tag}", dependencies=[VIEWER]
)
def bulk_data(request: Request, study: str, series: str, instance: str, tag: str) -> Response:
    """Give the value that metadata named by this URL."""
    (one,) = _instances(request, _Target(study, series, instance))
    _leaving(request, [one])
    _accepted(request, _OCTETS)
    try:
        int(tag, 16)
        content = wado.bulk_data(_path(_services(request), one), tag)
    except ValueError:
        raise HTTPException(404, f"There is no element {tag[:16]!r}.") from None
    except Rejected as error:
        raise _error(error) from None
    return _parts(_OCTETS, [Part(media=_OCTETS, content=content)])


@router.get("/studies/{study}/series/{series}/instances/{instance}/rendered", dependencies=[VIEWER])
@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/frames/{number}/rendered",
    dependencies=[VIEWER],
)
def rendered(
    request: Request,
    study: str,
    series: str,
    instance: str,
    number: int = 1,
    window: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Give one frame as a picture."""
    return _picture(request, _Target(study, series, instance), number, window, size=0)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/thumbnail", dependencies=[VIEWER]
)
def thumbnail(request: Request, study: str, series: str, instance: str) -> Response:
    """Give the first frame as a small picture."""
    return _picture(request, _Target(study, series, instance), 1, "", size=128)


@router.post("/studies", dependencies=[PHYSICIST])
@router.post("/studies/{study}", dependencies=[PHYSICIST])
async def store(request: Request, study: str = "") -> Response:
    """Store instances: durable before the answer, as by C-STORE."""
    services = _services(request)
    if not services.posting.acquire(blocking=False):
        told = "Others are storing; each takes memory."
        raise HTTPException(503, told, {"Retry-After": "5"})
    try:
        return await _posted(request, services, study)
    finally:
        services.posting.release()


async def _posted(request: Request, services: DicomWeb, study: str) -> Response:
    stored = stow.Stored()
    offering = services.offerings.open(
        calling_ae=f"{me(request).name}"[:16],
        address=request.client.host if request.client else "",
        kind="request",
    )
    ending, how = Ending.BROKEN, "The request was cut off."
    try:
        boundary = stow.boundary_of(request.headers.get("content-type", ""))
        async for part in stow.parts(request.stream(), boundary):
            await to_thread.run_sync(stow.store, services.receiver, part, offering, study, stored)
            del part  # before the next is gathered
        ending, how = Ending.RELEASED, "Released."
    except Rejected as error:
        if not stored.accepted:
            raise _error(error) from None
        stored.refused.append(("", "", 0xC000))  # what came before the break is kept and told
    finally:
        # Shielded: who goes away in the middle cancels us, and that is what is to be remembered.
        with CancelScope(shield=True):
            await to_thread.run_sync(offering.end, ending, how)
    note(request, "store instances", study, stored=len(stored.accepted))
    log.info("instances_posted", stored=len(stored.accepted), refused=len(stored.refused))
    return JSONResponse(stored.as_json(_base(request)), stored.status, media_type=JSON)


def _search(request: Request, level: Level, path: Mapping[str, str]) -> Response:
    _accepted(request, JSON, "application/json")
    try:
        search = qido.read_search(level, request.query_params.multi_items(), path)
    except Rejected as error:
        raise _error(error) from None
    found = list(_services(request).catalogue.find(level, search.keys))
    page = found[search.offset : search.offset + search.limit]
    headers = {}
    left = len(found) - search.offset - len(page)
    if left > 0:  # PS3.18 10.6.3.2
        headers["Warning"] = f"299 {BASE} There are {left} additional results that can be requested"
    elif search.fuzzy:
        headers["Warning"] = f"299 {BASE} The fuzzymatching parameter is not supported."
    if not page:
        return Response(status_code=204, headers=headers)
    base = _base(request)
    items = [qido.as_json(one, search, base) for one in page]
    return JSONResponse(items, media_type=JSON, headers=headers)


def _instances(request: Request, target: _Target) -> list[FoundInstance]:
    keys = target.keys()
    if not all(map(is_uid, keys.values())):
        raise HTTPException(400, "The URL has something that is no UID.")
    found = _services(request).catalogue.instances([Key(k, "UI", uid) for k, uid in keys.items()])
    if not found:
        raise HTTPException(404, "There is no such instance.")
    return found


def _leaving(request: Request, found: list[FoundInstance]) -> Leaving:
    """Write down that sCTs go to whoever asks; `Leaving` says whether they still may."""
    who, address = me(request).name, request.client.host if request.client else ""
    leaving = Leaving(_services(request).catalogue, found)
    leaving.begin(Place(name=f"{who} (DICOMweb)", how=How.WEB, address=address))
    return leaving


def _picture(request: Request, target: _Target, number: int, window: str, *, size: int) -> Response:
    (one,) = _instances(request, target)
    accepted = _accepted(request, *_IMAGES)
    media = accepted.media if accepted.media in _IMAGES else _IMAGES[0]
    path = _path(_services(request), one)
    try:
        content = wado.rendered(path, number, media=media, window=window, size=size)
    except Rejected as error:
        raise _error(error) from None
    return Response(content, media_type=media)


def _accepted(request: Request, *offered: str) -> Accepted:
    """The best entry of the Accept header that fits; 406 where none does."""
    for accepted in read_accept(request.headers.get("accept", "")):
        if accepted.media in ("*/*", *offered) or (
            accepted.media.endswith("/*") and offered[0].startswith(accepted.media[:-1])
        ):
            return accepted
    raise HTTPException(406, f"This resource is given as {' or '.join(offered)}.")


def _parts(media: str, parts: Iterable[Part], *, single: bool = False) -> Response:
    """A multipart answer; the first part is made before the answer begins, so it can still fail."""
    stream = iter(parts)
    try:
        first = next(stream)
    except Rejected as error:
        raise _error(error) from None
    if single:
        return Response(first.content, media_type=first.media)
    body = Multipart(media, _first_and(first, stream))
    return StreamingResponse(iter(body), headers={"Content-Type": body.content_type})


def _first_and(first: Part, rest: Iterator[Part]) -> Iterator[Part]:
    yield first
    yield from rest


def _numbers(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and len(part) < 9 for part in parts):
        raise HTTPException(400, "Frames are numbers from 1, divided by commas.")
    return [int(part) for part in parts]


def _path(services: DicomWeb, one: FoundInstance) -> Path:
    """Where an intact file lies; else 500, and its series is told."""
    try:
        return Guard(services.catalogue.engine, services.folder).path(one.held)
    except NotIntact as error:
        raise HTTPException(500, str(error)) from None


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{BASE}"
