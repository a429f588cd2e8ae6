"""Load and faults at the same time, then rest, then the judge: round after round.

``python -m tests.proving --faults 500`` prints its seed and a line of JSON a round. The same seed
gives the same series, faults and pauses, not the same moments inside the processes. Time is
pressed: a series is quiet after 3 s instead of 20, a sender is waited for 20 s instead of 300.
"""

import argparse
import hashlib
import json
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

from node.archive.files import Folder
from node.archive.people.audit import By
from node.archive.work.decisions import Decisions
from node.domain.errors import NodeError
from node.flow.withdrawals import withdraw
from tests.crash import checks
from tests.crash.harness import Node, make_node
from tests.peers.dcmqrscp import run_getscu
from tests.peers.dcmtk import run_storescu, start_storescp
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series
from tests.proving.disk import failing_disk
from tests.proving.faults import KINDS, Ground, Kinds, Place
from tests.proving.judge import AT_REST, History, Made, counted, faults_of
from tests.proving.site import Site, make_site
from tests.proving.site_faults import SITE_KINDS

SHAPE, SPACING_MM = (24, 20, 18), (4.0, 4.0, 4.0)
SENDERS, QUIET_S, RETURN_S = 3, 3.0, 20
_PAUSES_S = (0.2, 2.0)
# What a sender takes before it gives up; it tries the whole series again then, as a PACS does.
_SILENT_S, _AGAIN_S, _TRIES = 120.0, 1.0, 40
_WITHDRAWN = 0.25
"""Share of delivered series that somebody withdraws."""
SETTLED_WITHIN_S = 600.0


@dataclass(slots=True, kw_only=True)
class Proof:
    """One node under fire, and its history."""

    ground: Ground[Any]
    kinds: Kinds[Any]
    folder: Path
    history: History = field(default_factory=History)
    faults: Counter[str] = field(default_factory=Counter)
    unwithdrawn: set[str] = field(default_factory=set)
    """Series that were looked at for a withdrawal."""

    def round(self, number: int, *, series: int, faults: int) -> list[str]:
        """Push ``series`` series under ``faults`` faults, let it rest, and judge."""
        names = [f"proving-{number}-{n}" for n in range(series)]
        with ThreadPoolExecutor(SENDERS) as senders:
            work = [senders.submit(self._push, name) for name in names]
            self._harm(faults)
            for one in work:
                one.result()
        self._rest()
        self._withdraw()
        self._rest()
        self._look(number)
        return faults_of(self.history)

    def _push(self, name: str) -> None:
        """Send a series until all of it is acknowledged."""
        files = mr_series(SHAPE, SPACING_MM, name=name).write(self.folder / name)
        told = {str(d.SOPInstanceUID): d for d in map(pydicom.dcmread, files)}
        uids = [str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files]
        first = next(iter(told.values()))
        series = str(first.SeriesInstanceUID)
        self.history.frames[series] = str(first.FrameOfReferenceUID)
        doors = self.ground.node.doors
        for number in range(_TRIES):
            host, port = doors[(len(self.history.frames) + number) % len(doors)]
            with suppress(subprocess.TimeoutExpired):
                sent = run_storescu(port, files, host=host, timeout_s=_SILENT_S)
                count = checks.acknowledged(sent.stdout + sent.stderr)
                for uid, file in list(zip(uids, files, strict=True))[:count]:
                    self.history.acknowledged[uid] = (series, _digest(file))
                if sent.returncode == 0:
                    return
            threading.Event().wait(_AGAIN_S)

    def _harm(self, count: int) -> None:
        dice = self.ground.dice
        kinds, weights = list(self.kinds), [weight for _, weight in self.kinds.values()]
        for _ in range(count):
            threading.Event().wait(dice.uniform(*_PAUSES_S))
            (kind,) = dice.choices(kinds, weights)
            on = self.kinds[kind][0](self.ground)
            self.faults[f"{kind}: {on}"] += 1
            if self.ground.node.ended():
                self.ground.node.start()

    def _rest(self) -> None:
        node = self.ground.node

        def quiet() -> bool:
            items = node.series()
            open_ = any(d["state"] == "waiting" for i in items for d in i["deliveries"])
            return bool(items) and not open_ and all(i["state"] in AT_REST for i in items)

        with suppress(AssertionError):  # the judge says what is stuck
            wait_until(quiet, "rest", timeout_s=SETTLED_WITHIN_S, every_s=0.5)

    def _withdraw(self) -> None:
        node = self.ground.node
        for item in node.series():
            uid = item["series_instance_uid"]
            if item["state"] != "delivered" or uid in self.unwithdrawn:
                continue
            self.unwithdrawn.add(uid)
            if self.ground.dice.random() > _WITHDRAWN:
                continue
            # Where a file is damaged no notice can be made, and whoever asks hears it.
            with suppress(NodeError, OSError):
                withdraw(
                    Decisions(node.engine()), Folder(node.data), item["id"], By(who="proving"),
                    reason="proving", concept="quality",
                )  # fmt: skip
                self.history.withdrawn |= {o["series_instance_uid"] for o in item["outputs"]}

    def _look(self, number: int) -> None:
        """Fetch everything, and see what each place has."""
        h, node = self.history, self.ground.node
        host, port = node.doors[number % len(node.doors)]
        for series in {series for series, _ in h.acknowledged.values()}:
            into = self.folder / f"fetched-{number}"
            keys = ["QueryRetrieveLevel=SERIES", f"SeriesInstanceUID={series}"]
            run_getscu(port, keys, into, host=host, timeout_s=60.0)
            for file in into.iterdir():
                h.fetched[_uid(file)] = _digest(file)
                file.unlink()
        for item in node.series():
            uid = item["series_instance_uid"]
            h.states[uid] = item["state"]
            found = " ".join(f"finding {f['code']}" for f in item["findings"])
            h.told[uid] = f"{item['sentence']} {found}"
            if item["revision"] > 1 or item["attempts"] > 1:
                h.again.add(uid)
            for output in node.queries().output_files(item["id"]):
                path = node.data / output.path
                if output.path not in self.ground.flipped and path.exists():
                    h.made.setdefault(output.sop_instance_uid, _digest(path))
        places = [(place.scp.ae_title, list(_objects(place))) for place in self.ground.places]
        h.notices = {title: _named(objects) for title, objects in places}
        h.arrived = [
            Made(
                place=title,
                sop_instance_uid=str(d.SOPInstanceUID),
                series=str(d.SeriesInstanceUID),
                frame=str(d.FrameOfReferenceUID),
                digest=_digest(path),
            )
            for title, objects in places
            for path, d in objects
            if d.Modality == "CT"
        ]
        for one in h.arrived:  # what was flipped after it left is as it was when it was made
            h.made.setdefault(one.sop_instance_uid, one.digest)


def _objects(place: Place) -> Iterator[tuple[Path, pydicom.Dataset]]:
    for path in place.scp.files():
        with suppress(Exception):  # half a file: its association was cut
            yield path, pydicom.dcmread(path, stop_before_pixels=True)


def _named(objects: Sequence[tuple[Path, pydicom.Dataset]]) -> set[str]:
    return {
        str(series.SeriesInstanceUID)
        for _, d in objects
        if d.Modality == "KO"
        for study in d.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(checks.data_set(path)).hexdigest()


def _uid(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
               .SOPInstanceUID)  # fmt: skip


def begin(folder: Path, seed: int, *, several: bool = False) -> Proof:
    """Start a node on one host, or on several, with two destinations, on a disk that can fail."""
    intake = f"return_s = {RETURN_S}"
    places = [
        Place(scp=start_storescp(folder / name, ae_title=name.upper()))
        for name in ("tps", "archive")
    ]
    scps = [place.scp for place in places]
    node: Node | Site
    if several:
        node, switch = make_site(folder / "node", scps, quiet_s=QUIET_S, intake=intake)
    else:
        node = make_node(
            folder / "node", scps[0], more_tps=scps[1:], acceptors=2, quiet_s=QUIET_S, intake=intake
        )
        text = node.config.read_text()
        node.config.write_text(text.replace('may = ["send"]', 'may = ["send", "query"]'))
        node.data.mkdir(exist_ok=True)
        node.environment, switch = failing_disk(folder, node.data)
    node.start()
    dice = random.Random(seed)  # noqa: S311 - a seed is wanted here
    ground = Ground(node=node, places=places, switch=switch, dice=dice)
    kinds: Kinds[Any] = SITE_KINDS if several else KINDS
    return Proof(ground=ground, kinds=kinds, folder=folder)


def run(
    folder: Path, seed: int, *, faults: int, series: int, per_round: int, several: bool = False
) -> list[str]:
    """Whole rounds until there were enough faults; what must not be."""
    began_at, number, found = time.monotonic(), 0, list[str]()
    proof = begin(folder, seed, several=several)
    try:
        while proof.faults.total() < faults and not found:
            number += 1
            found = proof.round(number, series=series, faults=per_round)
            h = proof.history
            _say(
                {
                    "round": number,
                    "minutes": round((time.monotonic() - began_at) / 60, 1),
                    "faults": proof.faults.total(),
                    "by_kind": dict(sorted(proof.faults.items())),
                    "acknowledged": len(h.acknowledged),
                    "states": dict(Counter(h.states.values())),
                    "arrived": len(h.arrived),
                    "withdrawn": len(h.withdrawn),
                    "wrong": counted(found),
                }
            )
    finally:
        proof.ground.switch.unlink(missing_ok=True)
        proof.ground.node.stop()
        for place in proof.ground.places:
            place.stop()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; exit status 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(prog="proving", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--several", action="store_true", help="hosts, PostgreSQL with a follower")
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--series", type=int, default=6, help="in each round")
    parser.add_argument("--per-round", type=int, default=20, help="faults in each round")
    parser.add_argument("--folder", type=Path, default=None, help="kept where it is given")
    asked = parser.parse_args(argv)
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    _say({"seed": seed, "faults_wanted": asked.faults})
    with tempfile.TemporaryDirectory(prefix="proving-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = run(
            folder,
            seed,
            faults=asked.faults,
            series=asked.series,
            per_round=asked.per_round,
            several=asked.several,
        )
    for fault in found:
        _say({"wrong": fault})
    return 1 if found else 0


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
