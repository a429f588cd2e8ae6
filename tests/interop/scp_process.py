"""An SCP in a process of its own, as a test drives it: ``python -m tests.interop.scp_process``."""

import argparse
import json
import signal
import sys
import threading
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from types import FrameType

from node import log
from node.archive.evidence.holders import Holder
from node.archive.evidence.ledger import Ledger
from node.archive.evidence.offering import Offerings
from node.archive.files import Folder
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Receiver
from node.archive.ingest.recovery import recover
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import Commitments
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.domain.reading import Reader
from node.domain.site import read_site
from node.net.tls import Tls, TlsFiles
from node.scp.admission import Policy
from node.scp.server import ScpLimits, Secure, listen, serve_scp

PACS = {
    "name": "pacs",
    "ae_title": "PACS",
    "host": "127.0.0.1",
    "port": 104,
    "may": ["send", "query"],
}


def main() -> None:
    """Serve until SIGTERM; write the port into ``data_dir/port.json`` once ready."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--accept-unknown", action="store_true")
    parser.add_argument("--min-free-bytes", type=int, default=0)
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--no-journal", action="store_true")
    parser.add_argument("--limits", type=json.loads, default={})
    parser.add_argument("--peers", type=json.loads, default=[PACS], help="as in node.toml")
    parser.add_argument("--tls", type=json.loads, help="certificate, key and ca")
    parser.add_argument("--titles", nargs="*", default=["PCTNODE"])
    asked = parser.parse_args()
    log.configure("INFO", role="scp")
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    folder = Folder(asked.data_dir)
    engine = tables.open_engine(tables.sqlite_url(asked.data_dir / "node.db"))
    tables.metadata.create_all(engine)
    index = Index(engine)
    listener = listen("127.0.0.1", 0)
    secure = None
    if asked.tls:
        certificate, key, ca = (Path(asked.tls[name]) for name in ("certificate", "key", "ca"))
        crl = Path(asked.tls["crl"]) if "crl" in asked.tls else None
        tls = Tls(TlsFiles(certificate=certificate, key=key, ca=ca, crl=crl))
        secure = Secure(listener=listen("127.0.0.1", 0), tls=tls)
    ports = {"port": listener.getsockname()[1]}
    if secure:
        ports["tls_port"] = secure.listener.getsockname()[1]
    peers = read_site(Reader({"peers": asked.peers})).peers
    policy = Policy(ae_titles=tuple(asked.titles), peers=peers, accept_unknown=asked.accept_unknown)
    recover(folder, index)
    filer = None if asked.stock or asked.no_journal else Filer(folder, index, segment_bytes=8 << 20)
    offerings = Offerings(Ledger(engine), Holder(folder))
    with offerings, filer or nullcontext():
        serve_scp(
            listener,
            stop,
            ae_title="PCTNODE",
            policy=lambda: policy,
            receiver=Receiver(folder, index, min_free_bytes=asked.min_free_bytes, filer=filer),
            records=index,
            offerings=offerings,
            folder=folder,
            catalogue=Catalogue(engine),
            commitments=Commitments(engine),
            secure=secure,
            limits=ScpLimits(**asked.limits),
            own_loop=not asked.stock,
            ready=lambda: _say(folder, ports),
        )
    sys.stderr.write("ended\n")


def _say(folder: Folder, ports: dict[str, int]) -> None:
    folder.write_json(PurePosixPath("port.json"), ports)


if __name__ == "__main__":
    main()
