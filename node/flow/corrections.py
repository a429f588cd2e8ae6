"""Adopting a correction: the files first, then one transaction (`node.archive.work.adoption`).

A kill before the transaction leaves second names of files and a notice that nobody sends, and the
next try writes the same; after it, everything is done.
"""

from collections.abc import Callable
from pathlib import PurePosixPath

import sqlalchemy as sa

from node.archive.evidence.compare import identity_in
from node.archive.files import Folder, fsync_folder
from node.archive.people.audit import By
from node.archive.work.adoption import Adoption, Prepared
from node.crashpoints import reach
from node.domain.errors import Rejected
from node.domain.site import ADOPT, Site
from node.flow.withdrawals import write_notice
from node.log import get_logger

log = get_logger(__name__)

# PS3.16 CID 7011: an sCT of another patient, or of other images, is a matter of safety.
_CONCEPT = "safety"
_REASON = "its images were corrected"


class Corrections:
    """What may be decided about a correction."""

    def __init__(self, database: sa.Engine, folder: Folder) -> None:
        self._adoption = Adoption(database, folder)
        self._folder = folder

    def adopt(
        self, series_id: int, by: By, *, reason: str = "", correction: int | None = None
    ) -> str:
        """Make the corrected objects the images; `Rejected` while not all of them are there."""
        prepared = self._adoption.prepare(series_id, correction)
        self._must_be_whole(prepared)
        self._link(prepared)
        told = reason.strip() or _REASON
        notices = [
            write_notice(self._folder, what, by, reason=told, concept=_CONCEPT)
            for what in prepared.left
        ]
        reach("adopt.prepared")
        sentence = self._adoption.adopt(prepared, notices, by, reason=reason)
        log.info("correction_adopted", series=series_id, instances=len(prepared.objects))
        return sentence

    def dismiss(self, series_id: int, by: By, *, reason: str, correction: int | None = None) -> str:
        """Leave what is held; the corrected objects stay aside."""
        if not reason.strip():
            raise Rejected(
                "Dismissing a correction needs a reason.",
                code="REASON",
                remedy="Say why in one sentence.",
            )
        sentence = self._adoption.dismiss(series_id, by, reason=reason, correction_id=correction)
        log.info("correction_dismissed", series=series_id)
        return sentence

    def _must_be_whole(self, prepared: Prepared) -> None:
        """After the adoption every image must say the same patient, study and series."""
        if not prepared.identity:
            raise Rejected(
                "The images that came again cannot be read.",
                code="UNREADABLE",
                remedy="Have the series sent again from the PACS, or dismiss the correction.",
            )
        odd = [path for path in prepared.others if self._says(path) != dict(prepared.identity)]
        if odd:
            count = len(prepared.objects) + len(prepared.others)
            raise Rejected(
                f"Only {len(prepared.objects)} of {count} images came again corrected: {len(odd)} "
                "still say what they said.",
                code="PARTIAL",
                remedy="Have the whole series sent again from the PACS, or dismiss the correction.",
            )

    def _says(self, path: str) -> dict[str, str]:
        with self._folder.path(PurePosixPath(path)).open("rb") as file:
            return identity_in(file)

    def _link(self, prepared: Prepared) -> None:
        """Let the corrected objects lie where images lie, before a row says so."""
        folders = set()
        for one in prepared.objects:
            source = self._folder.path(PurePosixPath(one.aside))
            if not source.exists():
                raise Rejected(
                    f"{one.aside} is not there any more.",
                    code="REMOVED",
                    remedy="Have the series sent again from the PACS.",
                )
            folders.add(self._folder.link(source, PurePosixPath(one.path)).parent)
        for folder in folders:
            fsync_folder(folder)


class ByPolicy:
    """Adopts what peers sent that the site trusts with it; one look of a worker."""

    def __init__(
        self, database: sa.Engine, folder: Folder, site: Callable[[], Site], quiet_s: float
    ) -> None:
        self._adoption = Adoption(database, folder)
        self._corrections = Corrections(database, folder)
        self._site = site
        self._quiet_s = quiet_s
        self._tried: set[tuple[int, float]] = set()

    def look(self) -> int:
        """Adopt every correction that is whole and quiet; return how many there were."""
        ripe = self._adoption.ripe(self._quiet_s)
        self._tried &= {(number, last) for _, number, _, last in ripe}
        return sum(self._try(*one) for one in ripe)

    def _try(self, series_id: int, number: int, name: str, last_at: float) -> bool:
        peer = self._site().peer(name)
        if peer is None or peer.corrections != ADOPT or (number, last_at) in self._tried:
            return False
        self._tried.add((number, last_at))  # what is not whole is looked at again once more came
        try:
            by = By(who=f"policy of {name}", role="policy")
            self._corrections.adopt(series_id, by, correction=number)
        except Rejected as error:
            log.warning("correction_waits", series=series_id, code=error.code)
            return False
        return True
