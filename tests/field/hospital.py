"""A running node in a hospital: two called AE titles, two policies, several senders."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.crash.harness import Node
from tests.field.heads import write_model
from tests.field.recorder import Recorder
from tests.peers.waiting import free_port, wait_until

UNDER_WAY = ("receiving", "queued", "running", "delivering")
PEERS = {"pacs": "PACS", "scanner": "SCANNER", "stray": "STRAY"}
"""Who may send, name by AE title; no route asks for the stray one."""


def _toml(node: Node, tps: Recorder, acceptors: int, quiet_s: float, more: str) -> str:
    peers = "".join(
        f'[[peers]]\nname = "{name}"\nae_title = "{title}"\nhost = "127.0.0.1"\nport = 1\n'
        f'may = ["send", "query"]\n'
        for name, title in PEERS.items()
    )
    routes = "".join(
        f'[[routes]]\nname = "{name}"\nmodel = "tiny"\ndeliver_to = ["tps"]\n'
        f'when = {{ from = ["pacs", "scanner"], called_ae = ["{called}"] }}\n'
        f'release = "{policy}"\n'
        for name, called, policy in (
            ("direct", "AUTO", "auto"),
            ("checked", "CHECKED", "checks-passed"),
        )
    )
    return f"""
[node]
data_dir = "var"
[dicom]
port = {node.dicom_port}
acceptors = {acceptors}
journal_mb = 8
called_ae_titles = ["AUTO", "CHECKED"]
[web]
port = {node.web_port}
auth = "none"
[intake]
quiet_s = {quiet_s}
return_s = 3.0
open_s = {30 * quiet_s}
[inference]
models_dir = "models"
providers = ["cpu"]
[retention]
min_free_gb = 0
{more}
{peers}
[[peers]]
name = "tps"
ae_title = "{tps.ae_title}"
host = "127.0.0.1"
port = {tps.port}
{routes}
"""


def make_hospital(
    folder: Path, tps: Recorder, *, acceptors: int = 2, quiet_s: float = 1.0, more: str = ""
) -> Node:
    """Write a node's folder; ``tps`` gets every sCT."""
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / "models")
    node = Node(
        folder=folder,
        config=folder / "node.toml",
        dicom_port=free_port(),
        web_port=free_port(),
    )
    node.config.write_text(_toml(node, tps, acceptors, quiet_s, more))
    return node


@contextmanager
def hospital(
    folder: Path, tps: Recorder, *, acceptors: int = 2, quiet_s: float = 1.0, more: str = ""
) -> Iterator[Node]:
    """The node, running and answering, while the block runs."""
    node = make_hospital(folder, tps, acceptors=acceptors, quiet_s=quiet_s, more=more)
    node.start()
    try:
        ready(node, acceptors)
        yield node
    finally:
        if not node.ended():
            node.stop()


def ready(node: Node, acceptors: int) -> None:
    """Wait until every acceptor listens and the page answers."""

    def all_listen() -> bool:
        return node.log.read_text(errors="replace").count("scp_listening") >= acceptors

    wait_until(all_listen, "the acceptors", timeout_s=180)
    wait_answering(node)


def wait_answering(node: Node) -> None:
    """Wait until the page answers, after a process of it was killed."""
    wait_until(node.healthy, "the page", timeout_s=180)


def ask(node: Node, path: str) -> Any:
    """The answer of the JSON interface; None where it is empty."""
    url = f"http://127.0.0.1:{node.web_port}{path}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def page(node: Node, path: str) -> str:
    """A page as a person's browser gets it."""
    url = f"http://127.0.0.1:{node.web_port}{path}"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def item_of(node: Node, series_instance_uid: str) -> dict[str, Any] | None:
    """What the interface says of a series; None when it has none of that UID."""
    for item in ask(node, "/api/series?limit=1000"):
        if item["series_instance_uid"] == series_instance_uid:
            return dict(item)
    return None


def detail_of(node: Node, series_instance_uid: str) -> dict[str, Any]:
    """All that the interface says of a series."""
    item = item_of(node, series_instance_uid)
    assert item is not None, f"no series {series_instance_uid}"
    return dict(ask(node, f"/api/series/{item['id']}"))


def wait_at_rest(node: Node, series_instance_uid: str, *, timeout_s: float = 90) -> dict[str, Any]:
    """Wait until nothing of the series is under way; what the interface then says of it."""

    def rests() -> dict[str, Any] | None:
        item = item_of(node, series_instance_uid)
        return item if item and item["state"] not in UNDER_WAY else None

    try:
        item = wait_until(rests, "the series to rest", timeout_s=timeout_s, every_s=0.2)
    except AssertionError as error:
        item = item_of(node, series_instance_uid)
        told = item and (item["state"], item["sentence"])
        raise AssertionError(f"{error}: {told}\n{node.said()[-1500:]}") from None
    assert item is not None
    return dict(ask(node, f"/api/series/{item['id']}"))
