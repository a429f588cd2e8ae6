"""``pctnode series release``: a route that asks for a signature gets one from a shell as well."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from node.archive.people.accounts import Accounts
from node.archive.people.audit import Audit
from node.archive.schema import tables as t
from node.archive.schema.migrate import upgrade
from node.archive.schema.tables import open_engine, sqlite_url
from node.cli import main
from node.domain.access import Role
from node.domain.findings import finding
from node.domain.plan import ReleasePolicy
from node.run import series_actions
from tests.phantoms.mr import mr_series
from tests.web.guarded import PASSWORD
from tests.web.shelf import Shelf


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a node's database, as the node makes it, with an account of each role."""
    file = tmp_path_factory.mktemp("accounts") / "node.sqlite"
    engine = open_engine(sqlite_url(file))
    upgrade(engine, lock_file=file.with_suffix(".lock"))
    for role in Role:
        Accounts(engine).add(role.value, role, PASSWORD, who="test")
    engine.dispose()
    return file


@pytest.fixture
def shelf(tmp_path: Path, accounts: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A node's data folder with accounts; the commands find it."""
    made = tmp_path / "var"
    made.mkdir()
    (made / "node.sqlite").write_bytes(accounts.read_bytes())
    monkeypatch.setenv("PCTNODE_NODE__DATA_DIR", str(made))
    monkeypatch.chdir(tmp_path)
    return Shelf(root=made)


def in_review(shelf: Shelf, release: ReleasePolicy) -> None:
    """One sCT with one warning waits for review."""
    files = mr_series((6, 16, 16), (4.0, 4.0, 4.0)).datasets
    series = shelf.receive(files)
    shelf.synthesise(
        series,
        files,
        lambda _mr, grid: np.full(grid.shape, 40, np.int16),
        findings=[finding("BODY_AT_EDGE", sides="front")],
        release=release,
    )


def release(monkeypatch: pytest.MonkeyPatch, password: str, *more: str) -> int:
    """Run the command with a password on its standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    return main(["series", "release", "1", *more])


WHOLE = ("--as", "physicist", "--accept", "0:BODY_AT_EDGE", "--reason", "seen")


@pytest.mark.parametrize(
    ("password", "more", "told"),
    [
        ("wrong", WHOLE, "do not match"),
        ("", WHOLE, "do not match"),
        (PASSWORD, WHOLE[:2], "not ticked"),
        (PASSWORD, ("--as", "viewer", *WHOLE[2:]), "needs the role physicist"),
        (PASSWORD, WHOLE[2:], "do not match"),
    ],
)
def test_a_shell_signs_as_the_page_does(
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    password: str,
    more: tuple[str, ...],
    told: str,
) -> None:
    """Password, role and every warning each stop it, and nothing has left."""
    in_review(shelf, ReleasePolicy.SIGNATURE)

    assert release(monkeypatch, password, *more) != 0
    assert told in capsys.readouterr().err
    detail = shelf.queries.series_detail(1)
    assert detail is not None
    assert detail["state"] == "review"


def test_a_signature_from_a_shell_stands_in_the_audit_trail(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What leaves is shown before, and the line names account, destination, number and comment."""
    in_review(shelf, ReleasePolicy.SIGNATURE)

    assert release(monkeypatch, PASSWORD, *WHOLE) == 0
    said = capsys.readouterr().out
    assert "objects to ECLIPSE_RT" in said
    assert "0:BODY_AT_EDGE" in said
    detail = shelf.queries.series_detail(1)
    assert detail is not None
    assert detail["state"] == "delivering"
    (act,) = [r for r in Audit(shelf.engine).rows() if r["action"] == "sign"]
    assert (act["who"], act["role"], act["address"]) == ("physicist", "physicist", "command")
    assert act["details"]["comment"] == "seen"
    assert Audit(shelf.engine).verify().broken_at is None


@pytest.mark.parametrize("policy", [ReleasePolicy.CHECKS_PASSED, ReleasePolicy.SIGNATURE])
def test_only_the_attempt_that_was_looked_at_leaves(
    shelf: Shelf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    policy: ReleasePolicy,
) -> None:
    """A series run again meanwhile has another sCT: it stays, until somebody names it."""
    in_review(shelf, policy)

    assert release(monkeypatch, PASSWORD, *WHOLE, "--attempt", "1.2") == 3
    assert "attempt 1.2" in capsys.readouterr().err
    detail = shelf.queries.series_detail(1)
    assert detail is not None
    assert detail["state"] == "review"
    assert release(monkeypatch, PASSWORD, *WHOLE, "--attempt", "1.1") == 0


def test_a_new_attempt_between_reading_and_releasing_stays(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy that was read is that of what leaves, so no new attempt leaves by an old one."""
    in_review(shelf, ReleasePolicy.CHECKS_PASSED)
    act = series_actions.act_on_series

    def run_again_first(*given: Any, **more: Any) -> str:
        with shelf.engine.begin() as connection:
            connection.execute(sa.update(t.series).values(attempt=2))
            connection.execute(sa.update(t.runs).values(attempt=2))
        return act(*given, **more)

    monkeypatch.setattr(series_actions, "act_on_series", run_again_first)
    assert release(monkeypatch, "", "--reason", "read") == 3
    assert "attempt 1.2 is there now" in capsys.readouterr().err
    assert not [r for r in Audit(shelf.engine).rows() if r["action"] == "release"]


def test_other_policies_are_released_without_a_password_and_written_down(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the shell may, and his name stands in the trail."""
    in_review(shelf, ReleasePolicy.CHECKS_PASSED)

    assert release(monkeypatch, "", "--reason", "read") == 0
    (act,) = [r for r in Audit(shelf.engine).rows() if r["action"] == "release"]
    assert act["who"].endswith("(command)")
    assert act["details"] == {"reason": "read"}
