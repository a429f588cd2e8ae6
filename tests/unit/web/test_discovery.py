"""A page is one file and its template: to be there is to be registered."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Match

from node.archive.query.queries import Queries
from node.archive.schema import tables
from node.web import api, pages
from node.web.app import create_app
from node.web.discovery import modules_of, places_of

PAGE = """
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from node.web.auth.security import VIEWER
from node.web.layout import Place, layout

router = APIRouter(include_in_schema=False)
PLACES = (Place(name="models", href="/greeting", order=1),)


@router.get("/greeting", dependencies=[VIEWER])
def greeting(request: Request) -> HTMLResponse:
    return layout(request).page("greeting.html", place="models", whom="the ward")
"""
TEMPLATE = '{% extends "base.html" %}{% block main %}<h1>Hello, {{ whom }}</h1>{% endblock %}'


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Write a package of pages with one page in it, and its template."""
    folder = tmp_path / "site_pages"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "greeting.py").write_text(PAGE)
    (folder / "templates" / "greeting.html").write_text(TEMPLATE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("site_pages")
    for name in [name for name in sys.modules if name.partition(".")[0] == "site_pages"]:
        del sys.modules[name]


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    """Give an empty database."""
    engine: sa.Engine = tables.open_engine(tables.sqlite_url(tmp_path / "node.db"))
    tables.metadata.create_all(engine)
    return Queries(engine)


def test_a_page_and_its_template_are_found(package: ModuleType, queries: Queries) -> None:
    """It answers in the frame, and stands in the navigation; nothing else was written."""
    app = create_app(queries=queries, page_package=package)
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        answer = client.get("/greeting")

    assert answer.status_code == 200
    assert "<h1>Hello, the ward</h1>" in answer.text
    assert 'href="/greeting"' in answer.text
    assert 'href="/network"' not in answer.text


def test_the_navigation_is_in_the_order_of_the_design() -> None:
    """What people see first comes first."""
    places = sorted(places_of(pages), key=lambda place: place.order)
    names = [place.name for place in places]
    assert names == ["queue", "network", "models", "system", "audit", "accounts"]


def test_no_module_answers_for_another() -> None:
    """The order of the modules must not decide who answers: no path is two modules'."""
    found = [
        (module.__name__, route)
        for package in (api, pages)
        for module in modules_of(package)
        for router in vars(module).values()
        if isinstance(router, APIRouter)
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    assert len(found) > 60
    for _, route in found:
        for word in ("7", "x"):
            path = route.path
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", word)
            for method in route.methods or ():
                asked = {"type": "http", "path": path, "method": method, "root_path": ""}
                hits = {m for m, r in found if r.matches(asked)[0] is Match.FULL}
                assert len(hits) == 1, (path, hits)
