"""The site while the node runs: what the file says, and what people changed since.

Peers and routes of the file are read-only. Everything else is checked as a whole before it is
written, in one transaction with who did it; every process sees it at its next look.
"""

import threading
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from node.archive.site.site_entries import KINDS, SiteEntries
from node.domain.errors import Misconfigured
from node.domain.reading import BadSetting, Reader
from node.domain.site import Peer, Route, Site, peer_mapping, read_site, route_mapping
from node.domain.toml import write_tables
from node.log import get_logger

log = get_logger(__name__)

_Mappings = dict[str, list[dict[str, Any]]]


class Notice(Protocol):
    """Told of each change, after it is kept."""

    def __call__(self, *, who: str, sentence: str) -> None:
        """``sentence`` says what was changed."""


@dataclass(slots=True)
class _Seen:
    change: int = -1
    """Number of the last change that was read."""
    site: Site = field(default_factory=lambda: Site(peers=(), routes=()))
    problems: tuple[str, ...] = ()


class SiteBook:
    """Reads and changes peers and routes; safe to use from several threads."""

    def __init__(
        self,
        engine: sa.Engine,
        fixed: Site,
        *,
        models: Callable[[], Collection[str]],
        notice: Notice | None = None,
    ) -> None:
        self._entries = SiteEntries(engine)
        self._fixed = fixed
        self._models = models
        self._notice = notice
        self._seen = _Seen()
        self._lock = threading.Lock()

    def current(self) -> Site:
        """Peers and routes as they are now; an entry that the file contradicts is left out."""
        return self._look().site

    def problems(self) -> tuple[str, ...]:
        """Why entries are left out, a sentence each."""
        return self._look().problems

    def add(self, kind: str, mapping: Mapping[str, Any], *, who: str) -> None:
        """Add a peer or route; `Misconfigured` says what is wrong with it."""
        wanted = dict(mapping)
        with self._entries.changing() as change:
            self._require(change.mapping(), kind, [wanted])
            change.add(kind, str(wanted["name"]), wanted, who=who)
        self._tell(who, f"{kind.capitalize()} {wanted['name']} was added.")

    def change(self, kind: str, name: str, changes: Mapping[str, Any], *, who: str) -> None:
        """Change keys of a peer or route; one set to None goes back to its default."""
        if changes.get("name", name) != name:
            raise Misconfigured(
                f"The {kind} {name!r} cannot be renamed.", remedy="Add another, remove this one."
            )
        self._require_ours(kind, name)
        with self._entries.changing() as change:
            before = change.of(kind, name)
            after = {k: v for k, v in {**before, **changes}.items() if v is not None}
            others = _without(change.mapping(), kind, name)
            self._require(others, kind, [after])
            change.put(kind, name, after, who=who)
        self._tell(who, f"{kind.capitalize()} {name} was changed: {', '.join(sorted(changes))}.")

    def remove(self, kind: str, name: str, *, who: str) -> None:
        """Remove a peer or route that nothing refers to."""
        self._require_ours(kind, name)
        with self._entries.changing() as change:
            change.of(kind, name)
            try:
                read_site(Reader(_without(change.mapping(), kind, name)), known=self._fixed)
            except BadSetting as fault:
                raise Misconfigured(
                    f"The {kind} {name!r} is still in use: {fault.detail}",
                    remedy="Change or remove first what refers to it.",
                ) from None
            change.remove(kind, name, who=who)
        self._tell(who, f"{kind.capitalize()} {name} was removed.")

    def export(self) -> str:
        """All peers and routes as TOML, those of the file too."""
        site = self.current()
        peers = write_tables("peers", [peer_mapping(p) for p in site.peers])
        routes = write_tables("routes", [route_mapping(r) for r in site.routes])
        return "\n".join(part for part in (peers, routes) if part)

    def import_toml(self, text: str, *, who: str) -> list[str]:
        """Add and change what ``text`` has and the node has otherwise: all of it, or nothing.

        Returns a sentence for each. What equals the node's is passed over; what contradicts the
        node's file is an error.
        """
        wanted = _parsed(text)
        said: list[str] = []
        with self._entries.changing() as change:
            mapping = change.mapping()
            for kind in KINDS:
                for item in self._new(kind, wanted[f"{kind}s"]):
                    name = str(item.get("name", ""))
                    known = any(e["name"] == name for e in mapping[f"{kind}s"])
                    mapping = _without(mapping, kind, name)
                    mapping[f"{kind}s"].append(item)
                    change.put(kind, name, item, who=who)
                    said.append(f"{kind.capitalize()} {name} {'changed' if known else 'added'}.")
            self._require(mapping, "peer", [])
        for sentence in said:
            self._tell(who, sentence)
        return said

    def _new(self, kind: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The items that differ from what the node has."""
        site = self.current()
        have: dict[str, tuple[str, dict[str, Any]]] = (
            {p.name: (p.source, peer_mapping(p)) for p in site.peers}
            if kind == "peer"
            else {r.name: (r.source, route_mapping(r)) for r in site.routes}
        )
        found = []
        for item in items:
            source, known = have.get(str(item.get("name", "")), ("", {}))
            if {**known, **item} == known:
                continue
            if source == "file":
                raise Misconfigured(
                    f"The {kind} {item['name']!r} stands otherwise in the settings file.",
                    remedy="Edit that file, or leave it out of the import.",
                )
            found.append(item)
        return found

    def _require(self, before: _Mappings, kind: str, wanted: list[dict[str, Any]]) -> None:
        """Raise `Misconfigured` unless the site is whole with ``wanted`` added to ``before``."""
        whole = {**before, f"{kind}s": [*before[f"{kind}s"], *wanted]}
        site = read_site(Reader(whole), source="database", known=self._fixed)
        names = set(self._models()) if site.routes else set()
        for route in site.routes:
            if route.source == "database" and route.model not in names:
                raise Misconfigured(
                    f"Route {route.name!r} asks for model {route.model!r}, which is not there.",
                    remedy=f"Models: {', '.join(sorted(names)) or 'none'}.",
                )

    def _require_ours(self, kind: str, name: str) -> None:
        fixed: tuple[Peer, ...] | tuple[Route, ...] = (
            self._fixed.peers if kind == "peer" else self._fixed.routes
        )
        if any(one.name == name for one in fixed):
            raise Misconfigured(
                f"The {kind} {name!r} comes from the settings file.", remedy="Edit that file."
            )

    def _look(self) -> _Seen:
        newest = self._entries.newest_change()
        with self._lock:
            if self._seen.change != newest:
                self._seen = self._read(newest)
            return self._seen

    def _read(self, newest: int) -> _Seen:
        mapping = self._entries.mapping()
        try:
            site = read_site(Reader(mapping), source="database", known=self._fixed)
        except BadSetting:
            return self._read_what_fits(newest, mapping)
        return _Seen(newest, site)

    def _read_what_fits(self, newest: int, mapping: _Mappings) -> _Seen:
        """One entry after the other: the file may have got a peer of the same name meanwhile."""
        site, problems = self._fixed, []
        for kind in KINDS:
            for item in mapping[f"{kind}s"]:
                try:
                    site = read_site(Reader({f"{kind}s": [item]}), source="database", known=site)
                except BadSetting as fault:
                    sentence = f"{kind.capitalize()} {item.get('name')} is left out: {fault.detail}"
                    log.warning("site_entry_left_out", sentence=sentence)
                    problems.append(sentence)
        return _Seen(newest, site, tuple(problems))

    def _tell(self, who: str, sentence: str) -> None:
        log.info("site_changed", who=who, sentence=sentence)
        if self._notice is not None:
            self._notice(who=who, sentence=sentence)


def _without(mapping: _Mappings, kind: str, name: str) -> _Mappings:
    key = f"{kind}s"
    return {**mapping, key: [item for item in mapping[key] if item["name"] != name]}


def _parsed(text: str) -> _Mappings:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"What is imported is not TOML: {error}.") from None
    for key in raw:
        if key not in ("peers", "routes"):
            raise Misconfigured(
                f"{key!r} cannot be imported.", remedy="Give [[peers]] and [[routes]] only."
            )
    found: _Mappings = {}
    for key in ("peers", "routes"):
        items = raw.get(key, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Misconfigured(f"{key} is not an array of tables.", remedy=f"Begin with [[{key}]]")
        found[key] = items
    return found
