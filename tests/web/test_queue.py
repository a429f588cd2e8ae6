"""The queue over HTTP: groups, stories, search, filters, paging, speed."""

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from node.archive.query.queue_queries import Wanted
from node.domain.states import State
from node.domain.wording import Language
from node.web.app import create_app
from node.web.messages.sentences import spoken
from node.web.messages.texts import Translator
from node.web.views.dicom_format import body, person
from node.web.views.timeline import tell
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series
from tests.web.many import fill_many
from tests.web.sample import fill
from tests.web.serving import served
from tests.web.shelf import Shelf, page_of


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty archive."""
    return Shelf(root=tmp_path)


@pytest.fixture
def site(shelf: Shelf) -> Iterator[str]:
    """The page of the shelf."""
    app = create_app(
        queries=shelf.queries, archive_root=shelf.root, ae_title="PCTNODE", dicom_port=11112
    )
    with served(app) as address:
        yield address


def read(address: str, language: str = "en") -> str:
    """The text of a page."""
    request = urllib.request.Request(address, headers={"Cookie": f"pctnode_language={language}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - http only
        return str(answer.read().decode())


def names(text: str) -> list[str]:
    """The patients of the rows, in order."""
    return re.findall(r'row-link cut" href="/series/\d+">([^<]*)</a>', text)


def test_what_needs_a_person_comes_first(shelf: Shelf, site: str) -> None:
    """Review, failed and refused stand above what runs, and that above what is done."""
    fill(shelf)
    text = read(site)
    order = [text.index(f">{title} <") for title in ("Needs you", "In progress", "Done today")]
    assert order == sorted(order)
    assert set(names(text[: order[1]])) == {
        "SPECIMEN Alix", "ÉCHANTILLON Benoît", "FANTÔME Émile", "PRUEBA Félix",
    }  # fmt: skip
    assert len(names(text)) == 11


def test_an_empty_node_says_where_to_send(site: str) -> None:
    """The first page a newcomer sees names the AE title and the port."""
    assert "Send one to PCTNODE, port 11112." in read(site)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("alix", ["SPECIMEN Alix"]),
        ("specimen alix", ["SPECIMEN Alix"]),
        ("px-0041", ["FANTÔME Émile", "MUSTER Clara", "PRUEBA Félix", "SAMPLE Dora",
                     "SPECIMEN Alix"]),
        ("%", []),
        ("nobody", []),
    ],
)  # fmt: skip
def test_search_finds_names_and_ids(shelf: Shelf, site: str, words: str, found: list[str]) -> None:
    """Every word must fit; the wildcards of SQL are ordinary characters."""
    fill(shelf)
    assert sorted(names(read(f"{site}/?q={urllib.parse.quote(words)}"))) == found


def test_accession_numbers_are_found(shelf: Shelf, site: str) -> None:
    """A series is found by its accession number."""
    shelf.row(1, patient_name="SPECIMEN^Alix", accession_number="ACC-77")
    assert names(read(f"{site}/?q=acc-77")) == ["SPECIMEN Alix"]


def test_filters_show_their_states_alone(shelf: Shelf, site: str) -> None:
    """A filter shows the series it counts."""
    fill(shelf)
    text = read(f"{site}/?show=failed")
    refused = read(f"{site}/?show=refused")
    assert sorted([*names(text), *names(refused)]) == ["FANTÔME Émile", "PRUEBA Félix"]
    assert len(names(text)) == len(names(refused)) == 1


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("state", State)
def test_every_state_has_a_story(shelf: Shelf, state: State, language: Language) -> None:
    """Each state says its step and one sentence in both languages, with or without a run."""
    series = shelf.row(1, state=state.value, sentence="Waiting for a free worker.")
    for run in (False, True):
        if run:
            shelf.run_row(series)
        (row,) = shelf.queries.queue_rows(_all())
        story = tell(row, Translator(language))
        assert story.sentence
        assert story.caption or state is State.KEPT
        assert len(story.segments) == (0 if state is State.KEPT else 5)


def test_sentences_of_the_node_are_spoken_in_french() -> None:
    """What the worker writes is read in French; what a peer said stays as it said it."""
    said = spoken("Making the synthetic CT: network, 62%.", "fr")
    assert said == "Calcul du scanner synthétique, 62\u00a0%."
    away = "TPS (TPS at 10.0.0.9:104) cannot be reached: refused. Attempt 2; the next one in 10 s."
    assert spoken(away, "fr") == (
        "TPS (TPS, 10.0.0.9:104) est injoignable\u00a0: refused. Tentative 2\u00a0; la suivante "
        "dans 10 s."
    )
    assert spoken("Out of paper.", "fr") == "Out of paper."
    assert spoken("Delivered to tps.", "en") == "Delivered to tps."


def test_names_are_written_as_people_write_them() -> None:
    """A person name loses its carets, a body part its capitals."""
    assert person("Müller^Anna^Maria^Dr.=^") == "MÜLLER Anna Maria"
    assert person("") == ""
    assert body("HEADNECK", "fr") == "Tête et cou"
    assert body("LOWER_LEG") == "Lower leg"


def test_queue_stays_fast_with_100_000_series(shelf: Shelf, site: str) -> None:
    """Every page of the queue is answered in about a tenth of a second, deep ones too."""
    fill_many(shelf)
    read(site)  # templates are compiled once
    for path in ("/", "/?show=delivered&start=50000", "/?q=px-0777"):
        took = min(_seconds(f"{site}{path}") for _ in range(3))
        assert took < 0.8, f"{path} took {took:.2f} s"
    assert shelf.queries.counts()["delivered"] > 90_000


@pytest.mark.parametrize("states", [tuple(State), (State.DELIVERED, State.KEPT)])
def test_a_search_reads_the_rows_as_they_lie(shelf: Shelf, states: tuple[State, ...]) -> None:
    """No index jumps about in the table for each of 100,000 rows; what is found stays in order."""
    fill_many(shelf, 2000)
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(shelf.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        asked.append((statement, values))

    wanted = Wanted(states=tuple(s.value for s in states), words="muster clara", limit=5)
    rows, total = shelf.queries.queue_search(wanted)
    sa.event.remove(shelf.engine, "before_cursor_execute", note)

    found = [row.state for row in rows]
    assert total > len(rows) == 5
    assert set(found) <= set(states)
    assert [r.state_at for r in rows] == sorted((r.state_at for r in rows), reverse=True)
    statement, values = next(a for a in asked if "LIKE" in a[0])
    with shelf.engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert [row[3] for row in plan if "series" in row[3]] == ["SCAN series"]


def _seconds(address: str) -> float:
    # Of this process, server and client: what other tests do beside it does not count.
    began = time.process_time()
    read(address)
    return time.process_time() - began


def _all() -> Wanted:
    return Wanted(states=tuple(s.value for s in State))


def test_what_will_be_opened_next_is_built_while_the_queue_is_looked_at(tmp_path: Path) -> None:
    """The volumes of a series that waits for review are there before anybody asks for them."""
    shelf = Shelf(root=tmp_path)
    files = mr_series((12, 24, 24), (4.0, 4.0, 4.0)).datasets
    series = shelf.receive(files)
    shelf.synthesise(series, files, lambda _mr, grid: np.full(grid.shape, 40, np.int16))
    with served(page_of(shelf)) as address, httpx.Client(base_url=address) as client:
        assert not list((tmp_path / "view").glob("*/about.json"))
        client.get("/")
        wait_until(
            lambda: list((tmp_path / "view").glob("*/statistics.json")), "the volumes", timeout_s=60
        )
        client.get("/")
        assert len(list((tmp_path / "view").glob("*/about.json"))) == 1
