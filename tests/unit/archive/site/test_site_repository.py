"""Peers and routes at run time."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from node.archive.query.queries import Queries
from node.archive.schema import tables
from node.archive.site.site_repository import SiteBook
from node.domain.errors import Misconfigured
from node.domain.reading import Reader
from node.domain.site import Site, read_site

PACS = {"name": "pacs", "ae_title": "PACS", "host": "10.0.0.5", "port": 104, "may": ["send"]}
TPS: dict[str, Any] = {"name": "tps", "ae_title": "TPS", "host": "10.0.0.9", "port": 104}
HEAD: dict[str, Any] = {
    "name": "head",
    "when": {"from": ["pacs"], "sequence": "*tfl*", "called_ae": ["MRSCT"]},
    "model": "head-t1",
    "deliver_to": ["tps"],
}
BARE = Site(peers=(), routes=())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    made = tables.open_engine(tables.sqlite_url(tmp_path / "node.sqlite"))
    tables.metadata.create_all(made)
    yield made
    made.dispose()


def book_of(engine: sa.Engine, *fixed: dict[str, Any]) -> SiteBook:
    """A book over ``engine`` with the peers of a file and one model."""
    site = read_site(Reader({"peers": list(fixed)}))
    return SiteBook(engine, site, models=lambda: {"head-t1"})


def test_another_process_sees_each_change_at_its_next_look(engine: sa.Engine) -> None:
    """Added, changed, removed: no restart."""
    book, other = book_of(engine, PACS), book_of(engine, PACS)
    assert [p.name for p in other.current().peers] == ["pacs"]

    book.add("peer", TPS, who="anna")
    book.add("route", HEAD, who="anna")
    added = other.current()
    book.change("peer", "tps", {"port": 11112, "proof": "find"}, who="ben")
    changed = other.current()
    book.change("peer", "tps", {"proof": None}, who="ben")
    book.remove("route", "head", who="ben")

    assert [p.source for p in added.peers] == ["file", "database"]
    assert [r.name for r in added.routes] == ["head"]
    tps = changed.peer("tps")
    assert tps is not None
    assert (tps.port, tps.proof) == (11112, "find")
    again = other.current().peer("tps")
    assert again is not None
    assert (again.port, again.proof) == (11112, "none")
    assert other.current().routes == ()


def test_who_and_when_are_kept(engine: sa.Engine) -> None:
    """Each change with its author; the newest first."""
    book = book_of(engine, PACS)
    book.add("peer", TPS, who="anna")
    book.change("peer", "tps", {"port": 4242}, who="ben")
    book.remove("peer", "tps", who="carl")

    history = Queries(engine).site_changes()

    assert [(h["action"], h["who"], h["name"]) for h in history] == [
        ("remove", "carl", "tps"),
        ("change", "ben", "tps"),
        ("add", "anna", "tps"),
    ]
    assert history[1]["mapping"]["port"] == 4242
    assert all(h["at"] for h in history)


@pytest.mark.parametrize(
    ("kind", "mapping", "words"),
    [
        ("peer", {**TPS, "ae_title": "PACS"}, "AE title of peer 'pacs' already"),
        ("peer", {**TPS, "name": "pacs"}, "used twice"),
        ("peer", {**TPS, "prot": 1}, "Did you mean 'port'"),
        ("peer", {"ae_title": "X"}, "name: is missing"),
        ("route", {**HEAD, "deliver_to": ["nobody"]}, "there is no peer 'nobody'"),
        ("route", {**HEAD, "deliver_to": [], "model": "pelvis"}, "model 'pelvis', which is not"),
    ],
)
def test_what_does_not_fit_is_not_added(
    engine: sa.Engine, kind: str, mapping: dict[str, Any], words: str
) -> None:
    """The sentence says what is wrong, and nothing is kept."""
    book = book_of(engine, PACS)

    with pytest.raises(Misconfigured, match=words):
        book.add(kind, mapping, who="anna")

    assert len(book.current().peers) == 1
    assert book.current().routes == ()
    assert Queries(engine).site_changes() == []


def test_what_stands_in_the_file_is_read_only(engine: sa.Engine) -> None:
    """It is changed where it stands."""
    book = book_of(engine, PACS)

    with pytest.raises(Misconfigured, match="comes from the settings file"):
        book.change("peer", "pacs", {"port": 1}, who="anna")
    with pytest.raises(Misconfigured, match="comes from the settings file"):
        book.remove("peer", "pacs", who="anna")


def test_a_peer_in_use_is_not_removed_or_renamed(engine: sa.Engine) -> None:
    """The route that names it is told."""
    book = book_of(engine, PACS)
    book.add("peer", TPS, who="anna")
    book.add("route", HEAD, who="anna")

    with pytest.raises(Misconfigured, match="'tps' is still in use"):
        book.remove("peer", "tps", who="anna")
    with pytest.raises(Misconfigured, match="cannot be renamed"):
        book.change("peer", "tps", {"name": "planning"}, who="anna")
    with pytest.raises(Misconfigured, match="no peer 'nobody'"):
        book.remove("peer", "nobody", who="anna")


def test_an_export_makes_the_same_site_elsewhere(engine: sa.Engine, tmp_path: Path) -> None:
    """All peers and routes, in their order; importing twice changes nothing."""
    book = book_of(engine, PACS)
    book.add("peer", {**TPS, "tls": True, "tls_name": "tps.example"}, who="anna")
    book.add("route", HEAD, who="anna")
    book.add("route", {**HEAD, "name": "a-second"}, who="anna")
    text = book.export()
    there = tables.open_engine(tables.sqlite_url(tmp_path / "there.sqlite"))
    tables.metadata.create_all(there)
    other = book_of(there)

    said = other.import_toml(text, who="ben")
    again = other.import_toml(text, who="ben")

    assert said == [
        "Peer pacs added.",
        "Peer tps added.",
        "Route head added.",
        "Route a-second added.",
    ]
    assert again == []
    assert tomllib.loads(other.export()) == tomllib.loads(text)
    assert [r.name for r in other.current().routes] == ["head", "a-second"]
    there.dispose()


def test_routes_keep_their_order_however_fast_they_come(engine: sa.Engine) -> None:
    """The first that matches is taken, so their order is what the site decided."""
    book = book_of(engine, PACS)
    book.add("peer", TPS, who="anna")
    names = [f"r{n:02}" for n in reversed(range(20))]

    for name in names:
        book.add("route", {**HEAD, "name": name}, who="anna")

    assert [r.name for r in book.current().routes] == names


def test_an_import_is_whole_or_nothing(engine: sa.Engine) -> None:
    """A fault in the last entry leaves the first one out, too."""
    book = book_of(engine, PACS)
    text = book.export().replace("10.0.0.5", "10.0.0.6")

    with pytest.raises(Misconfigured, match="stands otherwise in the settings file"):
        book.import_toml(text, who="anna")
    with pytest.raises(Misconfigured, match="there is no peer 'x'"):
        book.import_toml(
            '[[peers]]\nname = "tps"\nae_title = "TPS"\nhost = "h"\nport = 1\n'
            '[[routes]]\nname = "r"\nmodel = "head-t1"\ndeliver_to = ["x"]\n',
            who="anna",
        )
    with pytest.raises(Misconfigured, match="'node' cannot be imported"):
        book.import_toml("[node]\n", who="anna")

    assert [p.name for p in book.current().peers] == ["pacs"]


def test_an_entry_the_file_now_contradicts_is_left_out_and_told(engine: sa.Engine) -> None:
    """The node goes on with the rest: one entry must not keep everybody out."""
    book_of(engine).add("peer", {**TPS, "ae_title": "PACS"}, who="anna")
    book_of(engine).add("peer", {**TPS, "name": "other", "ae_title": "OTHER"}, who="anna")

    book = book_of(engine, PACS)

    assert [p.name for p in book.current().peers] == ["pacs", "other"]
    assert "Peer tps is left out: 'PACS' is the AE title" in book.problems()[0]
