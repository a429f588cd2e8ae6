"""What one peer or browser can make worker and page hold: a whole node, tried from outside."""

import http.client
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pydicom
import pytest

from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import run_storescu, start_storescp
from tests.peers.memory import MIB, forget_peak, peak_bytes, resident_bytes
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash]
_FACTOR = 1.3
_WEB = "/dicom-web/studies"
_MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that has made one sCT and shown it, as idle as it is then."""
    folder = tmp_path_factory.mktemp("budget")
    tps = start_storescp(folder / "tps")
    made = make_node(folder / "node", tps)
    text = made.config.read_text()
    made.config.write_text(text.replace("[web]", '[web]\nauth = "none"'))
    made.start()
    sent = mr_series((24, 40, 36), (4.0, 4.0, 4.0), name="budget").write(folder / "mr")
    assert run_storescu(made.dicom_port, sent).returncode == 0
    (item,) = made.wait_states(1, "delivered", timeout_s=120)
    wait_until(made.healthy, "the page", timeout_s=60)
    assert _ask(made, "GET", f"/series/{item['id']}")[0] == 200
    assert _ask(made, "GET", _frame_of(sent[0]))[0] == 200
    yield made
    made.stop()
    tps.stop()


def _ask(
    node: Node, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", node.web_port, timeout=60)) as connection:
        with suppress(ConnectionError):  # refused before all of it was sent; the answer is there
            connection.request(method, path, body=body, headers=named)  # type: ignore[arg-type]
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def _frame_of(path: Path) -> str:
    d = pydicom.dcmread(path, stop_before_pixels=True)
    series = f"{_WEB}/{d.StudyInstanceUID}/series/{d.SeriesInstanceUID}"
    return f"{series}/instances/{d.SOPInstanceUID}/rendered"


class Watch:
    """The peak of worker and page, from now on."""

    def __init__(self, node: Node) -> None:
        self._pids = {n: p for n, p in node.children().items() if n.startswith(("worker", "web"))}
        assert len(self._pids) == 2
        self._idle = {name: resident_bytes(pid) for name, pid in self._pids.items()}
        for pid in self._pids.values():
            forget_peak(pid)

    def within(self, budget: int) -> None:
        """Assert that neither has had more than 1.3 times what it had, and ``budget``."""
        for name, pid in self._pids.items():
            peak, allowed = peak_bytes(pid), _FACTOR * self._idle[name] + budget
            assert peak <= allowed, f"{name}: {peak >> 20} MiB, {int(allowed) >> 20} allowed"


def test_pixels_that_are_only_declared(node: Node, tmp_path: Path) -> None:
    """Kilobytes that declare 8 GiB for each image: refused with a code, by worker and page."""
    paths = mr_series((6, 8, 8), (4.0, 4.0, 4.0), name="declared").write(tmp_path)
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.Rows = dataset.Columns = 65535
        dataset.save_as(path)
    series = str(dataset.SeriesInstanceUID)
    watch = Watch(node)
    assert run_storescu(node.dicom_port, paths).returncode == 0

    def refused() -> bool:
        found = [i for i in node.series() if i["series_instance_uid"] == series]
        return [i["state"] for i in found] == ["refused"]

    wait_until(refused, "the refusal", timeout_s=120)
    assert _ask(node, "GET", _frame_of(paths[0]))[0] == 406
    watch.within(16 * MIB)


def test_a_part_that_is_too_long(node: Node) -> None:
    """STOW-RS with 320 MiB in one part: refused, and no more is held than a part may have."""
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    watch = Watch(node)

    def parts() -> Iterator[bytes]:
        yield head
        for _ in range(320):
            yield bytes(MIB)
        yield b"\r\n--b--\r\n"

    length = str(len(head) + 320 * MIB + len(b"\r\n--b--\r\n"))
    status, _ = _ask(node, "POST", _WEB, parts(), Content_Type=_MULTIPART, Content_Length=length)
    assert status in (400, 413)
    watch.within(256 * MIB)


def test_a_body_that_is_too_long(node: Node) -> None:
    """64 MiB to a form."""
    watch = Watch(node)
    status, _ = _ask(
        node, "POST", "/network/pull", bytes(64 * MIB),
        Content_Type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert status == 413
    watch.within(4 * MIB)


def test_a_query_of_wild_cards(node: Node) -> None:
    """Sixty of them, two hundred times in a row."""
    watch = Watch(node)
    for number in range(200):
        path = f"{_WEB}?PatientName={'*%3F' * 30}x{number}"
        assert _ask(node, "GET", path)[0] in (200, 204, 400)
    watch.within(16 * MIB)
