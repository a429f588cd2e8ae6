"""What the viewer reads: which run made the sCT that is shown. Nothing here writes."""

from dataclasses import dataclass

import sqlalchemy as sa

from node.archive.rows.run_rows import output_value
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The sCT of one run, and what its work file was called."""

    files: tuple[OutputFile, ...]
    """Its CT images in slice order."""
    work_name: str


class ViewReads:
    """The part of `node.archive.query.queries.Queries` that the viewer needs."""

    _engine: sa.Engine

    def shown(self, series_id: int) -> Shown | None:
        """The sCT of the newest run that made one; None where there is none."""
        r, o, s = t.runs, t.outputs, t.series
        newest = (
            sa.select(r.c.id, r.c.revision, r.c.attempt, s.c.series_instance_uid)
            .join(s, s.c.id == r.c.series_id)
            .where(r.c.series_id == series_id)
            .where(sa.exists().where(o.c.run_id == r.c.id, o.c.kind == "ct"))
            .order_by(r.c.id.desc())
            .limit(1)
        )
        with self._engine.begin() as connection:
            run = connection.execute(newest).one_or_none()
            if run is None:
                return None
            files = sa.select(o).where(o.c.run_id == run.id, o.c.kind == "ct")
            rows = connection.execute(files.order_by(o.c.stack, o.c.number)).mappings()
            return Shown(
                files=tuple(output_value(row) for row in rows),
                work_name=f"{run.series_instance_uid}-{run.revision}-{run.attempt}.npz",
            )
