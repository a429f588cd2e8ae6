"""What a new node says when it is started for the first time."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.peers import processes
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.web.guarded import PASSWORD

_LINK = re.compile(r"http://127\.0\.0\.1:\d+/set-up\?ticket=\S+")


@contextmanager
def started(folder: Path, said: Path) -> Iterator[str]:
    """Run the web process of a node; gives its address."""
    port = free_port()
    ours = {"PCTNODE_NODE__DATA_DIR": str(folder / "var"), "PCTNODE_WEB__PORT": str(port)}
    command = [sys.executable, "-m", "node", "serve", "--role", "web"]
    process = processes.start(command, said, env=dict(os.environ) | ours)
    try:
        wait_until(lambda: is_listening(port), "the page", timeout_s=120)
        yield f"http://127.0.0.1:{port}"
    finally:
        processes.stop(process)


def test_a_link_made_for_whoever_started_it_makes_the_first_administrator(tmp_path: Path) -> None:
    """It is printed, works once, and is neither logged nor printed again."""
    with started(tmp_path, tmp_path / "first.log") as address:
        (link,) = _LINK.findall((tmp_path / "first.log").read_text())
        ticket = link.partition("ticket=")[2]
        with httpx.Client(headers={"Origin": address}, timeout=60) as client:
            assert client.get(f"{address}/who").status_code == 401
            assert client.get(link).status_code == 200
            form = {"ticket": ticket, "name": "first", "password": PASSWORD}
            assert client.post(f"{address}/set-up", data=form).status_code == 303
            assert client.get(f"{address}/who").json()["role"] == "admin"
            assert client.get(link).status_code == 404
    assert not any(ticket in log.read_text() for log in (tmp_path / "var/log").glob("*"))

    with started(tmp_path, tmp_path / "second.log"):
        assert not _LINK.findall((tmp_path / "second.log").read_text())
