"""What peers may find and fetch: one engine for C-FIND, C-MOVE, C-GET and DICOMweb.

The database narrows, `node.archive.headers.matching` decides. What is not released is not
there: an sCT is visible while its run is released, current and on its way or delivered.
"""

import math
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.archive.evidence.conflicts import contradicted
from node.archive.evidence.damage import OF_HELD, Held, held
from node.archive.headers.indexed_attributes import COMPUTED, LEVEL_OF, Level, above
from node.archive.headers.matching import Key, all_match, fold, require_modest
from node.archive.rows.whereabouts import Place, note
from node.archive.schema import tables as t
from node.archive.schema.correction_tables import WAITING
from node.domain.errors import Rejected
from node.domain.states import State

Attributes = Mapping[str, Any]

_MAY_LEAVE = (State.DELIVERING.value, State.DELIVERED.value, State.FAILED.value)
# SQLite takes 32,766 values in a statement; a list of UIDs longer than this is asked for in parts.
_CHUNK = 500
# While instances go out: how old the knowledge may be that they may.
_ASK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundInstance:
    """One instance that may leave."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    """Of the Part 10 file, relative to the data folder."""
    attributes: Attributes
    """Of every level."""
    size: int
    """Bytes of the file."""
    sha256: str
    run_id: int | None
    """The run that made it; None where it was received."""

    @property
    def made(self) -> bool:
        """Whether the node made it; else it was received."""
        return self.run_id is not None

    @property
    def held(self) -> Held:
        """The file, and what it must be."""
        return held(
            {name: getattr(self, name) for name in OF_HELD},
            of_file=self.made,
        )


@dataclass(frozen=True, slots=True)
class HeldInstance:
    """What lies in the archive under a SOP Instance UID."""

    sop_class_uid: str
    path: str
    size: int
    """Bytes of the file."""
    held: Held
    """The file, and what it must be."""


class Leaving:
    """Whether what was found may still leave, while it is being sent; asked anew now and then.

    A hold, a withdrawal or a correction may come between the first instance and the last. Where
    sCTs go is written down first, so that what comes later finds it, and is asked again after that.
    """

    def __init__(self, catalogue: "Catalogue", found: Sequence[FoundInstance]) -> None:
        self._catalogue = catalogue
        self._runs = {one.run_id for one in found if one.run_id is not None}
        self._series = {
            one.sop_instance_uid: str(one.attributes["SeriesInstanceUID"]) for one in found
        }
        self._visible = set(self._series.values())
        self._asked_at = time.monotonic()

    def begin(self, place: Place) -> None:
        """Write down where the sCTs among them may be from now on; before the first byte."""
        if self._runs and self._catalogue.note_place(self._runs, place):
            self._asked_at = -math.inf

    def require(self, sop_instance_uid: str) -> None:
        """Raise `Rejected` when the series of the instance is held or withdrawn by now."""
        if time.monotonic() - self._asked_at >= _ASK_AGAIN_S:
            self._visible = self._catalogue.visible(self._series.values())
            self._asked_at = time.monotonic()
        series = self._series[sop_instance_uid]
        if series not in self._visible:
            raise Rejected(
                f"Series {series} may not leave any more; it was held or withdrawn meanwhile.",
                code="HELD_MEANWHILE",
                remedy="Ask again once it is released.",
            )


class Catalogue:
    """Finds what matches; safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = t.reading(engine)
        self.engine = engine

    def find(self, level: Level, keys: Sequence[Key]) -> Iterator[Attributes]:
        """Each entity of ``level`` that matches all ``keys`` of its level and above.

        Keys of levels below are not compared; the values of every level above come along.
        """
        series = self._series(level, keys)
        if level is Level.IMAGE:
            return (i.attributes for i in self._instances(series, keys))
        if level is Level.SERIES:
            return iter(series)
        return iter(_grouped(level, series, keys))

    def instances(self, keys: Sequence[Key]) -> list[FoundInstance]:
        """The instances that match all ``keys``, series by series, in order of number."""
        return list(self._instances(self._series(Level.IMAGE, keys), keys))

    def stored(self, sop_instance_uids: Iterable[str]) -> dict[str, HeldInstance]:
        """Those of the instances that are held here, by SOP Instance UID."""
        uids, found = sorted(set(sop_instance_uids)), dict[str, HeldInstance]()
        with self._engine.begin() as connection:
            for chunk in _chunks(uids):
                for table in (t.instances, t.outputs):
                    columns = [table.c[name] for name in OF_HELD]
                    here = sa.select(*columns).where(table.c.sop_instance_uid.in_(chunk))
                    for row in connection.execute(here).mappings():
                        file = held(row, of_file=table is t.outputs)
                        one = HeldInstance(row["sop_class_uid"], row["path"], row["size"], file)
                        found[row["sop_instance_uid"]] = one
        return found

    def contradicted(self, sop_instance_uids: Iterable[str]) -> set[str]:
        """Those of the instances whose sender has another version than is held here."""
        uids, found = sorted(set(sop_instance_uids)), set[str]()
        with self._engine.begin() as connection:
            for chunk in _chunks(uids):
                found |= contradicted(connection, chunk)
        return found

    def note_place(self, run_ids: Collection[int], place: Place) -> bool:
        """Write down that sCTs may get to ``place``; False when that was known already."""
        w = t.whereabouts.c
        query = sa.select(w.run_id).where(w.run_id.in_(run_ids), w.place == place.name)
        with self._engine.begin() as connection:
            if set(run_ids) <= set(connection.scalars(query)):
                return False
        with self.engine.begin() as connection:
            note(connection, run_ids, place)
        return True

    def visible(self, series_instance_uids: Iterable[str]) -> set[str]:
        """Those of the series of which anything may leave."""
        uids, found = sorted(set(series_instance_uids)), set[str]()
        uid = t.catalogue.c.series_instance_uid
        with self._engine.begin() as connection:
            for chunk in _chunks(uids):
                query = _visible().with_only_columns(uid).where(uid.in_(chunk))
                found |= set(connection.scalars(query))
        return found

    def _series(self, level: Level, keys: Sequence[Key]) -> list[dict[str, Any]]:
        """The series below every matching entity, with the attributes from the patient down."""
        require_modest(keys)
        judged = _down_to(keys, Level.SERIES if level is Level.IMAGE else level)
        query = _visible().where(*_narrowed(judged))
        wanted = _uids(keys, "SOPInstanceUID") if level is Level.IMAGE else ()
        found: list[dict[str, Any]] = []
        with self._engine.begin() as connection:
            for chunk in _chunks(wanted) if wanted else ((),):
                part = query.where(_with_instances(chunk)) if chunk else query
                found += [_attributes(row) for row in connection.execute(part).mappings()]
        own = [k for k in judged if COMPUTED.get(k.keyword, Level.SERIES) is Level.SERIES]
        unique = {a["SeriesInstanceUID"]: a for a in found if all_match(own, a)}
        return list(unique.values())

    def _instances(
        self, series: Iterable[dict[str, Any]], keys: Sequence[Key]
    ) -> Iterator[FoundInstance]:
        own = [k for k in keys if LEVEL_OF.get(k.keyword) is Level.IMAGE]
        wanted = _uids(keys, "SOPInstanceUID")
        for attributes in series:
            with self._engine.begin() as connection:
                rows = _image_rows(connection, attributes, wanted)
            found = [_found(attributes, row) for row in rows]
            yield from sorted((f for f in found if all_match(own, f.attributes)), key=_number)


def _visible() -> sa.Select[Any]:
    c, s, r, o = t.catalogue.c, t.series.alias("s"), t.runs.c, t.series.alias("o")
    made = (
        sa.select(sa.func.count())
        .select_from(t.outputs)
        .where(t.outputs.c.series_instance_uid == c.series_instance_uid)
        .where(t.outputs.c.run_id == c.run_id)
        .scalar_subquery()
    )
    released = (
        r.released_at.is_not(None)
        & r.superseded_at.is_(None)
        & r.withdrawn_at.is_(None)
        & (r.revision == o.c.revision)
        & (r.attempt == o.c.attempt)
        & o.c.state.in_(_MAY_LEAVE)
    )
    return (
        sa.select(
            t.catalogue, sa.case((c.run_id.is_not(None), made), else_=s.c.instances).label("count")
        )
        .outerjoin(s, s.c.id == c.series_id)
        .outerjoin(t.runs, r.id == c.run_id)
        .outerjoin(o, o.c.id == r.series_id)
        .where((c.series_id.is_not(None) & ~_is_contradicted(s.c.id)) | released)
        .order_by(c.study_instance_uid, c.series_instance_uid)
    )


def _is_contradicted(series_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether the images came again and say something else: nobody is to take them as they are."""
    k = t.corrections.c
    return sa.exists().where(k.series_id == series_id, k.state == WAITING)


def _narrowed(keys: Iterable[Key]) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that every match fulfils: what an index can answer is not read row by row."""
    c = t.catalogue.c
    columns = {
        "StudyInstanceUID": c.study_instance_uid,
        "SeriesInstanceUID": c.series_instance_uid,
        "PatientID": c.patient_id,
        "AccessionNumber": c.accession_number,
    }
    for key in keys:
        if key.universal:
            continue
        values = [value.strip() for value in key.value.split("\\")]
        if key.keyword in columns and not key.wild and len(values) <= _CHUNK:
            yield columns[key.keyword].in_(values)
        elif key.keyword == "PatientName" and not set(key.value) & set("\\="):
            yield c.folded_name.like(f"%{_like(_longest(fold(key.value)))}%", escape="!")


def _longest(pattern: str) -> str:
    """The longest piece without wild cards: what matches holds it, and to look for one is quick.

    SQLite and PostgreSQL try every division of a text among several ``%``, for minutes.
    """
    return max((piece.strip(" ^=") for piece in re.split(r"[*?]", pattern)), key=len)


def _like(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return text


def _with_instances(uids: Sequence[str]) -> sa.ColumnElement[bool]:
    i, o, c = t.instances.c, t.outputs.c, t.catalogue.c
    received = sa.select(i.series_id).where(i.sop_instance_uid.in_(uids))
    made = sa.select(o.series_instance_uid).where(o.sop_instance_uid.in_(uids))
    return c.series_id.in_(received) | c.series_instance_uid.in_(made)


def _attributes(row: sa.RowMapping) -> dict[str, Any]:
    return {
        **row["header"],
        "StudyInstanceUID": row["study_instance_uid"],
        "SeriesInstanceUID": row["series_instance_uid"],
        "NumberOfSeriesRelatedInstances": str(row["count"]),
        "_row": (row["series_id"], row["run_id"], row["sop_class_uid"]),
    }


def _image_rows(
    connection: sa.Connection, attributes: Attributes, wanted: Sequence[str]
) -> list[sa.RowMapping]:
    series_id, run_id, _ = attributes["_row"]
    if run_id is not None:
        table: sa.Table = t.outputs
        here = (table.c.run_id == run_id) & (
            table.c.series_instance_uid == attributes["SeriesInstanceUID"]
        )
    else:
        table = t.instances
        here = table.c.series_id == series_id
    query = sa.select(table).where(here)
    if wanted and len(wanted) <= _CHUNK:
        query = query.where(table.c.sop_instance_uid.in_(wanted))
    return list(connection.execute(query).mappings())


def _found(series: dict[str, Any], row: sa.RowMapping) -> FoundInstance:
    own = {"SOPInstanceUID": row["sop_instance_uid"], "SOPClassUID": row["sop_class_uid"]}
    return FoundInstance(
        sop_instance_uid=row["sop_instance_uid"],
        sop_class_uid=row["sop_class_uid"],
        transfer_syntax_uid=row["transfer_syntax_uid"],
        path=row["path"],
        size=row["size"],
        sha256=row["sha256"],
        run_id=series["_row"][1],
        attributes={**series, **row["header"], **own},
    )


def _number(found: FoundInstance) -> tuple[int, str]:
    text = str(found.attributes.get("InstanceNumber", ""))
    return int(text) if text.isdecimal() else 0, found.sop_instance_uid


def _grouped(
    level: Level, series: Iterable[dict[str, Any]], keys: Sequence[Key]
) -> Iterator[Attributes]:
    """Patients or studies out of their series, with what is counted over them."""
    groups: dict[Any, list[dict[str, Any]]] = {}
    for attributes in series:
        identity = (
            attributes["StudyInstanceUID"]
            if level is Level.STUDY
            else (attributes.get("PatientID", ""), attributes.get("IssuerOfPatientID", ""))
        )
        groups.setdefault(identity, []).append(attributes)
    computed = [k for k in keys if COMPUTED.get(k.keyword) in above(level)]
    for members in groups.values():
        whole = {**members[0], **_counted(level, members)}
        if all_match(computed, whole):
            yield whole


def _counted(level: Level, members: Sequence[Attributes]) -> dict[str, str]:
    instances = sum(int(m["NumberOfSeriesRelatedInstances"]) for m in members)
    if level is Level.PATIENT:
        return {
            "NumberOfPatientRelatedStudies": str(len({m["StudyInstanceUID"] for m in members})),
            "NumberOfPatientRelatedSeries": str(len(members)),
            "NumberOfPatientRelatedInstances": str(instances),
        }
    return {
        "ModalitiesInStudy": _distinct(m.get("Modality", "") for m in members),
        "SOPClassesInStudy": _distinct(m["_row"][2] for m in members),
        "NumberOfStudyRelatedSeries": str(len(members)),
        "NumberOfStudyRelatedInstances": str(instances),
    }


def _distinct(values: Iterable[str]) -> str:
    return "\\".join(sorted({v for v in values if v}))


def _down_to(keys: Iterable[Key], level: Level) -> list[Key]:
    return [k for k in keys if LEVEL_OF.get(k.keyword) in above(level)]


def _uids(keys: Iterable[Key], keyword: str) -> list[str]:
    return next((k.value.split("\\") for k in keys if k.keyword == keyword and k.value), [])


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]
