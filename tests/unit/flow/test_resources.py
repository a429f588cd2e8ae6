"""A database that is away is a resource that comes back: the step is tried again, nothing fails."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.work.runs import Runs
from node.domain.errors import Retryable
from node.domain.plan import ModelRef
from node.domain.site import Site
from node.flow.series import SeriesWork
from node.flow.step_context import Bench, Rules
from node.pipeline import Synthesiser

_SITE = Site(peers=(), routes=())


@pytest.fixture
def away(tmp_path: Path) -> sa.Engine:
    """A database in a folder that is not there."""
    return sa.create_engine(f"sqlite:///{tmp_path / 'gone' / 'node.sqlite'}")


def _no_model(_name: str) -> ModelRef:
    raise AssertionError


def _no_generator(_ref: ModelRef) -> Synthesiser:
    raise AssertionError


def test_a_step_without_its_database_is_tried_again(away: sa.Engine, tmp_path: Path) -> None:
    """From the very first look at the run on."""
    bench = Bench(
        folder=Folder(tmp_path),
        runs=Runs(away),
        site=lambda: _SITE,
        model_named=_no_model,
        generator=_no_generator,
        rules=Rules(software_version="1", label="", mark_synthetic=True),
    )
    with pytest.raises(Retryable, match="unable to open"):
        SeriesWork(bench).perform(1, "collect", None)
    with pytest.raises(Retryable, match="unable to open"):
        SeriesWork(bench).give_up(1, "Why.")
