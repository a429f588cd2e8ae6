"""What `pctnode check` looks at: settings, folders, database, models, and an echo to each peer."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from node.archive.evidence import damage
from node.archive.evidence.corrections import open_corrections
from node.archive.files import Folder
from node.archive.ingest.journal_claim import Watch
from node.archive.ingest.recovery import recover, reopen_refused
from node.archive.rows.index import Index
from node.archive.upkeep.backup import copy_archive
from node.archive.upkeep.mounts import may_be_shared
from node.archive.upkeep.verify import OUTPUTS, orphans, verify_files
from node.config.settings import Settings
from node.domain.errors import Defect, Misconfigured, NodeError
from node.domain.wording import counted
from node.progress import Progress
from node.run import app
from node.run.generators import verify_models
from node.run.system import note_backup, unfiled

# A younger file without a row may be one whose row is being written.
_ADOPT_AGE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One thing that was looked at."""

    name: str
    ok: bool
    sentence: str
    """What was found, and what to do where it is wrong."""

    def as_json(self) -> dict[str, Any]:
        """The item of ``--json``."""
        return asdict(self)


def examine_node(
    settings: Settings, *, deep: bool = False, adopt: bool = False
) -> tuple[Diagnosis, ...]:
    """Look at everything; one fault does not keep the rest from being looked at.

    ``deep`` reads every file of the archive; ``adopt`` takes up those that no row knows.
    """
    looks: list[tuple[str, Callable[[], str]]] = [
        ("settings", lambda: str(settings.file or "defaults")),
        ("data folder", lambda: _folder(settings.node.data_dir)),
        ("disk", lambda: _disk(settings)),
        ("database", lambda: app.database_sentence(settings)),
        ("locks", lambda: app.prove_folder(settings, app.database(settings))),
        ("received", lambda: _received(settings)),
        ("files", lambda: _damaged(settings)),
        ("corrections", lambda: _corrections(settings)),
        ("models", lambda: _models(settings)),
        ("tls", lambda: _certificates(settings)),
    ]
    looks += [
        (f"peer {peer.name}", partial(app.echo_peer, settings, peer.name))
        for peer in settings.site.peers
    ]
    if adopt:
        looks.append(("adopt", lambda: _adopt(settings)))
    if deep:
        looks.append(("archive", lambda: _archive(settings)))
    return tuple(_look(name, look) for name, look in looks)


def back_up(settings: Settings, target: Path, report: Callable[[int], None]) -> str:
    """Copy SQLite databases and files to ``target``; a sentence that says what was done."""
    data = settings.node.data_dir
    if target.resolve().is_relative_to(data.resolve()):
        raise Misconfigured(
            f"{target} lies in the data folder.", remedy="Name a folder on another disk."
        )
    app.database(settings).dispose()
    names = () if settings.database.url else (data / "engine.sqlite", data / "node.sqlite")
    copied = copy_archive(data, names, target, report=report)
    note_backup(data, target, copied)
    told = f"{copied} new files in {target}."
    if settings.database.url:
        told += " PostgreSQL is not in it: take pg_dump before, never after."
    return told


def _look(name: str, look: Callable[[], str]) -> Diagnosis:
    try:
        return Diagnosis(name=name, ok=True, sentence=look())
    except NodeError as error:
        return Diagnosis(name=name, ok=False, sentence=str(error))
    except OSError as error:
        return Diagnosis(name=name, ok=False, sentence=f"{error}. Check the path and its rights.")


def _archive(settings: Settings) -> str:
    with Progress() as progress:
        found = verify_files(
            app.database(settings),
            Folder(settings.node.data_dir),
            report=lambda n, total: progress("files", n / max(total, 1)),
        )
    received = [path for path in found.orphans if not path.startswith(f"{OUTPUTS}/")]
    kinds = {"missing": found.missing, "damaged": found.damaged, "without a row": found.orphans}
    lists = [f"{kind}: {', '.join(paths)}" for kind, paths in kinds.items() if paths]
    if not found.ok:
        raise Defect(
            f"Of {found.files} files some are not as they were written; {'; '.join(lists)}.",
            remedy="Restore them from the backup, or send the series again.",
        )
    if received:  # a row may have been lost with a restored database, and what it says acknowledged
        raise Defect(
            f"Received files {lists[0]}.",
            remedy="Take them up with pctnode check --adopt; never remove them.",
        )
    told = f" Files {lists[0]}: of work that did not end." if lists else ""
    return f"{found.files} files are as they were written.{told}"


def _adopt(settings: Settings) -> str:
    engine, folder = app.database(settings), Folder(settings.node.data_dir)
    reopen_refused(folder)
    recover(folder, Index(engine), Watch(shared=may_be_shared(folder.root, engine)))
    paths = orphans(engine, folder, older_than_s=_ADOPT_AGE_S)
    told = app.adopter(settings, engine).adopt_all(list(paths))
    sentence = f"{counted(len(told.adopted), 'file')} without a row taken up."
    if told.left:
        sentence += " Left where they are, since they are no whole instance as it was received: "
        sentence += ", ".join(told.left)
    return sentence


def _folder(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        return f"{folder} can be written."


def _disk(settings: Settings) -> str:
    free_gb = shutil.disk_usage(settings.node.data_dir).free / 1e9
    least = settings.retention.min_free_gb
    if free_gb < least:
        raise OSError(f"{free_gb:.1f} GB free, less than min_free_gb = {least:g}")
    return f"{free_gb:.1f} GB free."


def _received(settings: Settings) -> str:
    paths = unfiled(Folder(settings.node.data_dir), app.database(settings))
    if paths:
        raise Defect(
            f"{counted(len(paths), 'received instance')} could not be filed: {', '.join(paths)}.",
            remedy="Have their headers corrected at the sender and the series sent again; "
            "then remove these files.",
        )
    return "Everything that was received is filed."


def _damaged(settings: Settings) -> str:
    paths = damage.damaged(app.database(settings))
    if paths:
        raise Defect(
            f"{counted(len(paths), 'stored file is', 'stored files are')} damaged, and nobody gets "
            f"them: {', '.join(paths)}.",
            remedy="Check the disk; send the series again, or restore the files from the backup.",
        )
    return "No stored file is known to be damaged."


def _corrections(settings: Settings) -> str:
    waiting = open_corrections(app.database(settings))
    if waiting:
        told = "; ".join(f"series {number}: {counted(count, 'image')}" for number, count in waiting)
        raise Defect(
            f"Images came again and contradict what is held: {told}. Nothing of these series "
            "leaves.",
            remedy="Adopt or dismiss each correction, on the page of the series or with pctnode "
            "series adopt and dismiss.",
        )
    return "No correction waits."


def _models(settings: Settings) -> str:
    rows = verify_models(settings, None)
    bad = [row for row in rows if not row["ok"]]
    if bad or not rows:
        words = "; ".join(f"{row['name']}: {row['verdict']}" for row in bad) or "none found"
        raise OSError(f"Models in {settings.inference.models_dir}: {words}")
    return "; ".join(f"{row['name']} {row['version']} on {row['provider']}" for row in rows)


def _certificates(settings: Settings) -> str:
    found, now = app.tls_validity(settings), datetime.now(UTC)
    sentences = " ".join(one.sentence(now) for one in found)
    if any(one.days_left(now) < 0 for one in found):
        raise OSError(sentences)
    return sentences or "No TLS."
