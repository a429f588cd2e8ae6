"""Messages to people, over a real SMTP server and a real webhook that run here."""

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.schema import tables as t
from node.flow.notifications import Expiry, Notices, Notifier

# Apprise loads every plugin it has, old modules of Python included.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
NAME, PATIENT, WORDS = "FANTOME^EMILE", "PX-004105", "T1 head of somebody"
EVENTS = ("failed", "refused", "review", "certificate", "disk")


class _Mail(socketserver.StreamRequestHandler):
    """As much SMTP (RFC 5321) as a client needs to hand over a mail."""

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline().decode(errors="replace").strip():
            word = line[:4].upper()
            if word == "DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.got.append(b"".join(lines).decode())  # type: ignore[attr-defined]
            self._say("221 bye" if word == "QUIT" else "250 fine")
            if word == "QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append(body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _run(server: socketserver.TCPServer) -> Iterator[socketserver.TCPServer]:
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def mail() -> Iterator[socketserver.TCPServer]:
    """Run a mail server."""
    yield from _run(socketserver.TCPServer(("127.0.0.1", 0), _Mail))


@pytest.fixture
def hook() -> Iterator[socketserver.TCPServer]:
    """Run a webhook."""
    yield from _run(ThreadingHTTPServer(("127.0.0.1", 0), _Hook))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """Make a database with a series of a named patient in each state that needs a person."""
    made = t.open_engine(t.sqlite_url(tmp_path / "node.db"))
    t.metadata.create_all(made)
    now = time.time()
    with made.begin() as connection:
        for n, (state, age) in enumerate(
            [("failed", 1), ("refused", 1), ("review", 1), ("running", 1), ("failed", 9e5)], start=1
        ):
            connection.execute(
                sa.insert(t.series).values(
                    id=n, series_instance_uid=f"1.{n}", study_instance_uid="1", state=state,
                    patient_name=NAME, patient_id=PATIENT, description=WORDS, findings=[],
                    sentence=f"{NAME} could not be delivered.", created_at=now,
                    last_received_at=now, state_at=now - age,
                )
            )  # fmt: skip
    yield made
    made.dispose()


def _port(server: socketserver.TCPServer) -> int:
    return int(server.server_address[1])


@pytest.mark.long
def test_each_matter_is_told_once_and_names_no_patient(
    engine: sa.Engine, tmp_path: Path, mail: socketserver.TCPServer, hook: socketserver.TCPServer
) -> None:
    """Failed, refused and waiting go out by mail and webhook, once, with a link and no name."""
    urls = (
        f"mailto://127.0.0.1:{_port(mail)}/?from=node@clinic.example&to=physics@clinic.example",
        f"json://127.0.0.1:{_port(hook)}/sct",
    )
    notices = Notices(urls=urls, events=EVENTS, page="https://sct.example", node="PCTNODE")
    notifier = Notifier(engine, tmp_path, notices)

    assert notifier.look() == 3
    assert notifier.look() == 0
    assert notifier.send() == 3
    assert notifier.send() == 0
    mails, hooks = mail.got, hook.got  # type: ignore[attr-defined]
    assert (len(mails), len(hooks)) == (3, 3)
    everything = "".join([*mails, *hooks])
    assert "https://sct.example/series/1" in "".join(hooks)
    assert "series 3 waits for review" in "".join(hooks)
    assert not any(secret in everything for secret in (NAME, "FANTOME", PATIENT, WORDS))


@pytest.mark.long
def test_a_silent_receiver_is_tried_again(
    engine: sa.Engine, tmp_path: Path, hook: socketserver.TCPServer
) -> None:
    """What could not be told is told later, not at once."""
    away = Notices(urls=("json://127.0.0.1:9/",), events=("review",), node="PCTNODE")
    assert Notifier(engine, tmp_path, away).look() == 1
    assert Notifier(engine, tmp_path, away).send() == 0
    here = Notices(urls=(f"json://127.0.0.1:{_port(hook)}/",), events=("review",), node="PCTNODE")
    assert Notifier(engine, tmp_path, here).send() == 0
    _later(engine)
    assert Notifier(engine, tmp_path, here).send() == 1


def _later(engine: sa.Engine) -> None:
    """Let the minute pass after which a message is tried again."""
    with engine.begin() as connection:
        connection.execute(sa.update(t.notices).values(at=t.notices.c.at - 61.0))


@pytest.mark.long
def test_a_kill_between_row_and_sending_loses_nothing(
    engine: sa.Engine, tmp_path: Path, hook: socketserver.TCPServer
) -> None:
    """Killed after the row, or in the middle of sending: the next worker sends it."""
    here = Notices(urls=(f"json://127.0.0.1:{_port(hook)}/",), events=("review",), node="PCTNODE")
    assert Notifier(engine, tmp_path, here).look() == 1  # and gone
    killed = Notifier(engine, tmp_path, here)._claim()  # and gone again
    assert killed is not None
    assert Notifier(engine, tmp_path, here).send() == 0  # its own minute
    _later(engine)
    assert Notifier(engine, tmp_path, here).send() == 1
    assert "series 3 waits for review" in hook.got[0]  # type: ignore[attr-defined]


@pytest.mark.long
def test_of_two_workers_one_sends(
    engine: sa.Engine, tmp_path: Path, hook: socketserver.TCPServer
) -> None:
    """What one process tries at is not tried by another meanwhile."""
    urls = (f"json://127.0.0.1:{_port(hook)}/",)
    notifiers = [Notifier(engine, tmp_path, Notices(urls=urls, events=EVENTS)) for _ in range(4)]
    assert sum(n.look() for n in notifiers) == 3
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda n: n.send(), notifiers)) == 3
    assert len(hook.got) == 3  # type: ignore[attr-defined]


@pytest.mark.long
def test_to_look_waits_for_no_server(engine: sa.Engine, tmp_path: Path) -> None:
    """A mail server that takes the connection and says nothing holds up no worker's loop."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        urls = (f"mailto://127.0.0.1:{port}/?from=a@clinic.example&to=b@clinic.example",)
        began = time.monotonic()
        assert Notifier(engine, tmp_path, Notices(urls=urls, events=EVENTS)).look() == 3
        assert time.monotonic() - began < 2


@pytest.mark.long
def test_disk_and_certificate_are_told_in_time(
    engine: sa.Engine, tmp_path: Path, hook: socketserver.TCPServer
) -> None:
    """A disk below its watermark and a certificate in its last month, each at its steps."""
    day = 86400.0

    def notifier(days: float) -> Notifier:
        return Notifier(
            engine,
            tmp_path,
            Notices(
                urls=(f"json://127.0.0.1:{_port(hook)}/",),
                events=("certificate", "disk"),
                node="PCTNODE",
                min_free_bytes=2**60,
                certificates=lambda: [Expiry(name="node.pem", ends_at=end - (40 - days) * day)],
            ),
        )

    end = time.time() + 40 * day
    assert notifier(40).look() == 1  # the disk alone
    assert [notifier(d).look() for d in (29, 29, 6, 0.5)] == [1, 0, 1, 1]
    assert notifier(40).send() == 4
    told = "".join(hook.got)  # type: ignore[attr-defined]
    assert "GB are free" in told
    assert "certificate node.pem ends in 5 days" in told


def test_nobody_is_told_where_nobody_is_named(engine: sa.Engine, tmp_path: Path) -> None:
    """Without an address nothing is sent and nothing is kept."""
    assert Notifier(engine, tmp_path, Notices(events=EVENTS)).look() == 0
    with engine.connect() as connection:
        assert connection.execute(sa.select(t.notices)).all() == []
