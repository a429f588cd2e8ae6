"""Readiness against a real socket, folder and disk."""

import socket
from pathlib import Path

from node.web.health.readiness import readiness, readiness_alone


def test_each_check_names_its_reason(tmp_path: Path) -> None:
    """A port in use, a readable folder and a free disk pass; the opposite of each is named."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ask = readiness(port=port, models=tmp_path, data=tmp_path, watermark_bytes=1)
        assert set(ask().values()) == {None}
    ask = readiness(port=port, models=tmp_path / "no", data=tmp_path, watermark_bytes=2**60)
    reasons = ask()
    assert str(port) in (reasons["dicom"] or "")
    assert "no" in (reasons["models"] or "")
    assert "bytes are free" in (reasons["disk"] or "")


def test_pages_alone_ask_for_a_living_worker(tmp_path: Path) -> None:
    """A host without acceptor and models is ready while somebody elsewhere works."""
    alive = [0]
    ask = readiness_alone(data=tmp_path, watermark_bytes=1, alive=lambda: alive[0])

    assert "sign of life" in (ask()["workers"] or "")
    alive[0] = 1
    assert set(ask().values()) == {None}
    full = readiness_alone(data=tmp_path, watermark_bytes=2**60, alive=lambda: 1)
    assert "bytes are free" in (full()["disk"] or "")
