"""Receiving: the node beside storescp, Orthanc and dcmqrscp, and beside the disk itself.

Every figure is the median of alternated rounds with the same client and new series each time. The
node and Orthanc have everything on the disk when they answer; storescp and dcmqrscp have not.
"""

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.bench.client import send_series
from tests.bench.table import Row
from tests.crash.harness import make_node
from tests.peers.dcmqrscp import start_dcmqrscp
from tests.peers.dcmtk import AS_INSTALLED, run_storescu, start_storescp
from tests.peers.orthanc import start_orthanc
from tests.peers.waiting import wait_until
from tests.phantoms.sent_series import CT, MR, SMALL, Kind, new_series, write_files

_LASTING_BYTES = 1 << 30
_JOURNAL_MB = 256
_PDU = ["--max-pdu", "131072"]
_STOCK = "storescp, 16 KiB PDU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Something that receives."""

    name: str
    port: int
    title: str
    process_ids: tuple[int, ...]
    """Of the processes that receive; what one forks is counted once it has ended."""


def measure(folder: Path, *, rounds: int, kinds: Sequence[Kind] = (MR, CT)) -> list[Row]:
    """Rows for 1 and 4 associations, the disk's own rate, and a stock sender."""
    rows = []
    with ExitStack() as stack:
        servers = _servers(folder, stack)
        for kind in kinds:
            for associations in (1, 4):
                rows += _rates(servers, kind, associations, rounds, folder)
        rows += [_lasting(servers[0], kind) for kind in kinds]
        rows += _stock_sender(servers[0], folder, rounds)
        rows += _memory(servers[0], rounds * 2)
    return rows


def _servers(folder: Path, stack: ExitStack) -> list[Server]:
    storescp = start_storescp(folder / "storescp", options=_PDU)
    stack.callback(storescp.stop)
    stock = start_storescp(folder / "stock")
    stack.callback(stock.stop)
    # The whole node as it is installed, its worker and page beside the acceptors; nothing settles.
    node = make_node(folder / "node", storescp, quiet_s=3600.0, acceptors=2, journal_mb=_JOURNAL_MB)
    node.start()
    stack.callback(node.stop)
    wait_until(lambda: _journal_bytes(node.data) == 4 * _JOURNAL_MB << 20, "journals", timeout_s=60)
    acceptors = tuple(pid for name, pid in node.children().items() if name.startswith("scp"))
    orthanc = start_orthanc(folder / "orthanc", {})
    stack.callback(orthanc.stop)
    qrscp = start_dcmqrscp(folder / "dcmqrscp")
    stack.callback(qrscp.stop)
    return [
        Server(name="node", port=node.dicom_port, title="PCTNODE", process_ids=acceptors),
        _single("storescp", storescp.port, "TPS", storescp.process.pid),
        _single(_STOCK, stock.port, "TPS", stock.process.pid),
        _single("Orthanc", orthanc.dicom_port, "ORTHANC", orthanc.process.pid),
        _single("dcmqrscp", qrscp.port, qrscp.ae_title, qrscp.process.pid),
    ]


def _journal_bytes(data: Path) -> int:
    return sum(path.stat().st_size for path in data.glob("journal/*.segment"))


def _single(name: str, port: int, title: str, process_id: int) -> Server:
    return Server(name=name, port=port, title=title, process_ids=(process_id,))


def _rates(
    servers: Sequence[Server], kind: Kind, associations: int, rounds: int, folder: Path
) -> list[Row]:
    rates: dict[str, list[float]] = {"disk": []}
    cpu_ms: dict[str, list[float]] = {}
    failed: set[str] = set()
    for _ in range(rounds):
        for server in servers:
            if server.name in failed:
                continue
            series = [new_series(kind) for _ in range(associations)]
            os.sync()  # what another has left to the kernel is not to be written in this one's turn
            before = sum(map(_cpu_s, server.process_ids))
            try:
                sent = send_series(server.port, series, called=server.title)
            except (OSError, ZeroDivisionError):
                failed.add(server.name)
                continue
            if sent.failures:
                failed.add(server.name)
                continue
            spent_ms = (sum(map(_cpu_s, server.process_ids)) - before) * 1e3
            rates.setdefault(server.name, []).append(sent.rate)
            cpu_ms.setdefault(server.name, []).append(spent_ms / sent.instances)
        os.sync()
        rates["disk"].append(_disk_rate(folder, kind))
    medians = {name: statistics.median(values) for name, values in rates.items() if values}
    costs = {name: statistics.median(values) for name, values in cpu_ms.items()}
    return [*_rate_rows(medians, costs, kind, associations, rounds)]


def _lasting(node: Server, kind: Kind) -> Row:
    """One association that sends several times what the journal of its acceptor holds."""
    count = -(-_LASTING_BYTES // (kind.instances * kind.side * kind.side * 2))
    instances = [i for _ in range(count) for i in new_series(kind)]
    begun = perf_counter()
    sent = send_series(node.port, [instances], called=node.title)
    filed_s = perf_counter() - begun  # the release is answered when all of it has file and row
    assert not sent.failures
    return Row(
        part="ingest",
        what=f"{kind.name} x {len(instances)}, 1 association, until all is filed",
        ours=len(instances) / filed_s,
        unit="instances/s",
        peer="until all is acknowledged",
        theirs=sent.rate,
        rounds=1,
    )


def _rate_rows(
    medians: Mapping[str, float],
    costs: Mapping[str, float],
    kind: Kind,
    associations: int,
    rounds: int,
) -> list[Row]:
    what = f"{kind.name} x {kind.instances}, {associations} association(s)"
    rows = []
    for peer in ("storescp", _STOCK, "Orthanc", "dcmqrscp", "disk"):
        if peer == "disk" and associations > 1:
            continue
        theirs = medians.get(peer)
        rows.append(
            Row(
                part="ingest",
                what=what,
                ours=medians["node"],
                unit="instances/s",
                peer="disk: write + fdatasync" if peer == "disk" else peer,
                theirs=theirs,
                rounds=rounds,
            )
        )
    rows.append(
        Row(
            part="ingest",
            what=f"CPU an instance, {what}",
            ours=costs["node"],
            unit="ms",
            peer="Orthanc",
            theirs=costs.get("Orthanc"),
            rounds=rounds,
        )
    )
    return rows


def _disk_rate(folder: Path, kind: Kind) -> float:
    """Files a second the disk takes: create, write, fdatasync, close."""
    data = new_series(_one(kind))[0].data_set
    count = min(kind.instances, 100)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        begun = perf_counter()
        for number in range(count):
            descriptor = os.open(Path(name) / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(descriptor, data)
            os.fdatasync(descriptor)
            os.close(descriptor)
        return count / (perf_counter() - begun)


def _one(kind: Kind) -> Kind:
    return Kind(name=kind.name, sop_class_uid=kind.sop_class_uid, instances=1, side=kind.side)


def _stock_sender(node: Server, folder: Path, rounds: int) -> list[Row]:
    """Debian's storescu with Nagle's algorithm on, as it comes; the second time nothing is new."""
    series = new_series(MR)
    write_files(series, folder / "files")
    times: dict[str, list[float]] = {"first": [], "again": []}
    for number in range(rounds):
        if number:
            series = new_series(MR)
            write_files(series, folder / f"files{number}")
        source = folder / (f"files{number}" if number else "files")
        for when in ("first", "again"):
            begun = perf_counter()
            done = run_storescu(node.port, [source], environment=AS_INSTALLED)
            assert done.returncode == 0, done.stderr[-2000:]
            times[when].append(MR.instances / (perf_counter() - begun))
    return [
        Row(
            part="ingest",
            what=f"stock storescu with Nagle, {what}",
            ours=statistics.median(times[when]),
            unit="instances/s",
            rounds=rounds,
        )
        for when, what in (("first", "new series"), ("again", "the same again"))
    ]


def _memory(node: Server, batches: int) -> list[Row]:
    """Resident memory before and after many small instances."""
    send_series(node.port, [new_series(SMALL)], called=node.title)
    before = sum(map(_resident_mb, node.process_ids))
    for _ in range(batches):
        send_series(node.port, [new_series(SMALL)], called=node.title)
    return [
        Row(
            part="ingest",
            what=f"memory after {batches * SMALL.instances} instances",
            ours=sum(map(_resident_mb, node.process_ids)),
            unit="MB",
            peer="before",
            theirs=before,
            rounds=1,
        )
    ]


def _resident_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1e3


def _cpu_s(process_id: int) -> float:
    """Of the process and of the children it has waited for."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
