"""Whether a SOP Instance UID has a row: asked for every instance that arrives."""

import threading
from contextlib import closing, suppress
from typing import Any

import sqlalchemy as sa

from node.archive.schema import tables as t


class KnownInstances:
    """Asks by the driver itself, a tenth of the usual time; safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        query: Any = sa.select(sa.literal_column("1")).where(
            t.instances.c.sop_instance_uid == sa.bindparam("uid")
        )
        compiled = query.compile(dialect=engine.dialect)
        self._query, self._by_place = str(compiled), bool(compiled.positional)
        self._keeps = engine.dialect.name == "sqlite"
        self._lock = threading.Lock()
        self._kept: Any = None

    def may_have(self, sop_instance_uid: str) -> bool:
        """False when there is no row; an error says True: the usual way says what is wrong."""
        try:
            if self._keeps:
                return self._of_kept(sop_instance_uid)
            with closing(self._engine.raw_connection()) as connection:
                return self._ask(connection, sop_instance_uid)
        except self._engine.dialect.loaded_dbapi.Error:
            return True

    def _of_kept(self, uid: str) -> bool:
        """Over one connection that stays: to take one and give it back costs more than to ask.

        SQLite holds no lock and no view of the database between two questions.
        """
        with self._lock:
            try:
                self._kept = self._kept or self._engine.raw_connection()
                return self._ask(self._kept, uid)
            except self._engine.dialect.loaded_dbapi.Error:
                kept, self._kept = self._kept, None
                with suppress(self._engine.dialect.loaded_dbapi.Error):
                    if kept is not None:
                        kept.invalidate()
                raise

    def _ask(self, connection: Any, uid: str) -> bool:
        cursor = connection.cursor()
        try:
            cursor.execute(self._query, (uid,) if self._by_place else {"uid": uid})
            return bool(cursor.fetchall())  # all of it: half a result would keep SQLite's lock
        finally:
            cursor.close()
