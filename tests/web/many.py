"""A hundred thousand series, as a few years leave them."""

from datetime import UTC, datetime

import sqlalchemy as sa

from tests.web.shelf import Shelf

# SQLite makes the rows itself: in Python it takes ten times as long.
_SERIES = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO series (
  id, series_instance_uid, study_instance_uid, patient_id, patient_name, accession_number,
  description, body_part, modality, calling_ae, instances, created_at, last_received_at,
  state, state_at, sentence, model, findings)
SELECT i, '1.2.3.' || i, '1.2.4.' || i, printf('PX-%06d', i),
  CASE i % 5 WHEN 0 THEN 'MUSTER' WHEN 1 THEN 'SAMPLE' WHEN 2 THEN 'MODEL' WHEN 3 THEN 'PRUEBA'
    ELSE 'ESEMPIO' END || CASE i % 3 WHEN 0 THEN '^Alix' WHEN 1 THEN '^Clara' ELSE '^Jan' END,
  printf('A%07d', i), 'T1 MPRAGE 3D', 'BRAIN', 'MR', 'MR_SIM1', 224, :now, :now,
  CASE WHEN i % 2000 = 0 THEN 'review' WHEN i % 2000 = 1 THEN 'failed'
    WHEN i % 25 = 0 THEN 'rejected' ELSE 'delivered' END,
  :now - (i * 7919 % 100000) * 946.0, 'Delivered to ECLIPSE_RT.', 'brain-t1', '[]'
FROM n"""
_RUNS = """
INSERT INTO runs (series_id, workflow_id, created_at, finished_at, released_at, released_by)
SELECT id, 'w' || id, state_at, state_at, state_at, 'L. Martin' FROM series"""


def fill_many(shelf: Shelf, count: int = 100_000) -> None:
    """Put ``count`` series with one run each on the shelf, most of them delivered long ago."""
    now = datetime.now(UTC).timestamp()
    with shelf.engine.begin() as connection:
        connection.execute(sa.text(_SERIES), {"count": count, "now": now})
        connection.execute(sa.text(_RUNS))
