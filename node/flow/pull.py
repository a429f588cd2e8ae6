"""Pull series from an archive: count them there, have them sent, know when they are whole."""

from collections.abc import Callable, Sequence
from typing import Any

from node.archive.evidence.expectations import Expectation, Expectations
from node.archive.schema.records import Run
from node.domain.errors import NodeError, Retryable
from node.domain.site import Peer, Site
from node.flow import engine
from node.log import get_logger
from node.scu.find import RemoteSeries, find_series
from node.scu.move import move_series

log = get_logger(__name__)


class PullWork:
    """C-FIND and C-MOVE on request; what arrives comes in by C-STORE like everything else."""

    def __init__(
        self, expectations: Expectations, site: Callable[[], Site], calling_ae: str
    ) -> None:
        self._expectations = expectations
        self._site = site
        self._calling_ae = calling_ae

    def run(self, peer: str, study: str, series: Sequence[str]) -> dict[str, Any]:
        """The workflow: one pull, and what came of it; again it pulls the same."""
        said: dict[str, Any] = engine.step(
            "pull", self.pull, peer, study, list(series), retry_on=Retryable
        )
        return said

    def pull(self, name: str, study: str, series: Sequence[str]) -> dict[str, Any]:
        """Find, count and move; a refusal is a result, not an exception."""
        try:
            peer = self._site().archive(name)
            found = find_series(peer, study, series, calling_ae=self._calling_ae)
            wanted = [s for s in found if series or s.modality == "MR"]
            if not wanted:
                return _said(False, _nothing(peer, study, series, found))
            return self._moved(peer, wanted)
        except NodeError as error:
            log.warning("pull_failed", peer=name, reason=error.message)
            return _said(False, str(error))

    def _moved(self, peer: Peer, wanted: Sequence[RemoteSeries]) -> dict[str, Any]:
        items, ok = [], True
        for series in wanted:
            uid = series.series_instance_uid
            self._expectations.expect(uid, peer.name, series.instances or 0, moving=True)
            outcome, sentence = None, "The move did not end."
            try:
                outcome = move_series(
                    peer,
                    series.study_instance_uid,
                    uid,
                    destination=self._calling_ae,
                    calling_ae=self._calling_ae,
                )
                sentence = _sentence(peer, series, outcome.completed, outcome.failed)
            finally:
                self._expectations.moved(uid, sentence)
            ok = ok and not outcome.failed
            items.append({"series_instance_uid": uid, "expected": series.instances,
                          "completed": outcome.completed, "sentence": sentence})  # fmt: skip
            log.info("series_pulled", series=uid, peer=peer.name, completed=outcome.completed)
        return _said(ok, " ".join(str(item["sentence"]) for item in items), items)


class Counts:
    """How many instances a series has, by the word of the archive it came from."""

    def __init__(
        self, expectations: Expectations, site: Callable[[], Site], calling_ae: str
    ) -> None:
        self._expectations = expectations
        self._site = site
        self._calling_ae = calling_ae

    def of(self, run: Run, study: str, peers: Sequence[str]) -> Expectation | None:
        """What is known already, or what ``peers``, its senders, say now; None where nobody says.

        Of several that are asked the one that has the most counts.
        """
        site, uid = self._site(), run.series_instance_uid
        asked = [peer for peer in map(site.peer, dict.fromkeys(peers)) if peer and peer.count]
        told = [(self._count(peer, study, uid), peer.name) for peer in asked]
        count, name = max(told, default=(0, ""))
        if not count:
            return self._expectations.of(uid)
        self._expectations.expect(uid, name, count, moving=False)
        return Expectation(peer=name, instances=count)

    def _count(self, peer: Peer, study: str, uid: str) -> int:
        """How many instances ``peer`` says the series has; 0 where it does not say."""
        try:
            found = find_series(peer, study, [uid], calling_ae=self._calling_ae)
        except NodeError as error:  # quiet time and head coverage are what is left
            log.warning("count_unknown", series=uid, peer=peer.name, reason=error.message)
            return 0
        return next((s.instances for s in found if s.instances), 0)


def _sentence(peer: Peer, series: RemoteSeries, completed: int, failed: int) -> str:
    count = "of an unknown number" if series.instances is None else f"of {series.instances}"
    name = series.description or series.series_instance_uid
    lost = f", {failed} failed" if failed else ""
    return f"{peer.name} sent {completed} {count} instances of {name}{lost}."


def _nothing(peer: Peer, study: str, series: Sequence[str], found: Sequence[RemoteSeries]) -> str:
    if series:
        return f"{peer.name} has none of the series named in study {study}."
    kinds = ", ".join(sorted({s.modality for s in found})) or "no series"
    return f"{peer.name} has no MR series in study {study} (it has {kinds})."


def _said(ok: bool, sentence: str, series: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"ok": ok, "sentence": sentence, "series": list(series)}
