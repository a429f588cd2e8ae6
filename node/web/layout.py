"""The frame every page stands in: templates, language, theme, navigation.

A page is a module in ``pages`` with a ``router``, and ``PLACES`` where it stands in the navigation;
to be there is to be registered (`node.web.discovery`). It answers with `Layout.page`:

    return layout(request).page("queue.html", place="queue", groups=groups)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates

from node.domain.access import Identity, Role
from node.domain.wording import Language
from node.web.assets import asset
from node.web.messages.faults import to_do, why
from node.web.messages.sentences import spoken
from node.web.messages.texts import Translator
from node.web.views.dicom_format import body, decimal, gigabytes, person, thousands
from node.web.views.state_labels import LOOKS
from node.web.views.time_format import ago, clock_time, day_clock, day_time, iso, lasted
from node.web.views.timeline import finding_sentence

_TEMPLATES = Path(__file__).parent / "templates"
LANGUAGE_COOKIE, THEME_COOKIE = "pctnode_language", "pctnode_theme"
THEMES = ("dark", "light")
Load = Callable[[], Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One entry of the navigation."""

    name: str
    """Text is ``nav.<name>``; a page says it as its ``place``."""
    href: str
    order: int
    """From left to right."""
    role: Role = Role.VIEWER
    """Who sees it."""


def language(request: Request) -> Language:
    """The language chosen before, or the first of the browser's that is spoken here."""
    wanted = request.cookies.get(LANGUAGE_COOKIE, "")
    if wanted in tuple(Language):
        return Language(wanted)
    for part in request.headers.get("accept-language", "").split(","):
        code = part.split(";")[0].strip()[:2].lower()
        if code in tuple(Language):
            return Language(code)
    return Language.EN


def theme(request: Request) -> str:
    """The theme chosen before; dark otherwise, for reading rooms."""
    wanted = request.cookies.get(THEME_COOKIE, "")
    return wanted if wanted in THEMES else THEMES[0]


class Frame:
    """Renders pages; one for the application."""

    def __init__(
        self,
        *,
        ae_title: str,
        port: int,
        counts: Load,
        navigation: Iterable[Place] = (),
        templates: Sequence[Path] = (),
    ) -> None:
        self._navigation = sorted(navigation, key=lambda place: place.order)
        self._templates = Jinja2Templates([_TEMPLATES, *templates])
        self._counts = counts
        env = self._templates.env
        env.trim_blocks = env.lstrip_blocks = True
        env.globals.update(
            asset=asset,
            looks=LOOKS,
            ae_title=ae_title,
            dicom_port=port,
            person=person,
            body=body,
            iso=iso,
            spoken=spoken,
            told=finding_sentence,
        )
        env.filters["thousands"] = thousands

    def page(
        self, request: Request, template: str, *, place: str = "", status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Render ``template`` in the reader's language and theme."""
        said, user = language(request), _user(request)
        t = Translator(said)
        counts = self._counts()
        running = counts.get("running", 0) + counts.get("delivering", 0)
        frame = {
            "t": t,
            "lang": said.value,
            "theme": theme(request),
            "place": place,
            "here": _here(request),
            "user": user,
            "navigation": _seen_by(user, self._navigation),
            "load": {"running": running, "waiting": counts.get("queued", 0)},
            "now": datetime.now(UTC),
            "clock": clock_time,
            "day_time": day_time,
            "day_clock": day_clock,
            "ago": ago,
            "lasted": lasted,
            "decimal": partial(decimal, language=said),
            "gigabytes": partial(gigabytes, language=said),
            "why": partial(why, t),
            "to_do": partial(to_do, t),
        }
        return self._templates.TemplateResponse(
            request, template, {**frame, **values}, status_code=status
        )


class Layout:
    """`Frame` for one request."""

    def __init__(self, request: Request, *, live: bool = False) -> None:
        self._request = request
        self._marks = dict(request.app.state.queries.marks()) if live else {}
        self.say = Translator(language(request))

    def page(
        self, template: str, *, place: str = "", status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Render ``template``; ``place`` marks the navigation."""
        frame: Frame = self._request.app.state.frame
        values = {"marks": self._marks, **values}
        return frame.page(self._request, template, place=place, status=status, **values)


def layout(request: Request, *, live: bool = False) -> Layout:
    """The frame for one request.

    A page that keeps itself up to date asks for a ``live`` one before it reads what it shows: it
    then carries the marks of what it was made of (`node.web.events`).
    """
    return Layout(request, live=live)


def _user(request: Request) -> Identity | None:
    user: Identity | None = getattr(request.state, "user", None)
    return user


def _seen_by(user: Identity | None, places: Iterable[Place]) -> list[Place]:
    return [p for p in places if user is not None and user.role.covers(p.role)]


def _here(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
