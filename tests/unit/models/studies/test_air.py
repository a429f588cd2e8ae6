"""What a head's cavities are filled with is measured away from their edges."""

import numpy as np
import pytest

from models.studies.air import figures

SPACING_MM = (2.0, 1.0, 1.0)


def _head(filled_hu: float) -> tuple[np.ndarray, np.ndarray]:
    """A block of tissue in a room, with one large cavity and one too small to count."""
    body = np.zeros((30, 60, 60), bool)
    body[3:-3, 6:-6, 6:-6] = True
    hu = np.where(body, 40.0, -1000.0).astype(np.float32)
    hu[8:20, 15:35, 15:35] = filled_hu
    hu[25, 45:48, 45:48] = -1000.0
    return hu, body


def test_cavities_are_counted_and_weighed() -> None:
    """12 x 20 x 20 voxels of 2 mm3 are 9.6 ml; the small one is left out."""
    found = figures(*_head(-980.0), SPACING_MM)

    assert found["cavities"] == 1
    assert found["their volume, ml"] == pytest.approx(9.6)
    assert found["2 mm inside them below -900 HU, %"] == 100
    assert found["2 mm inside them, median HU"] == -980
    assert found["room below -900 HU, %"] == 100


def test_half_filled_cavities_and_a_dirty_room_are_seen() -> None:
    """-700 HU is no air; a stray voxel in the room is the room's highest."""
    hu, body = _head(-700.0)
    hu[0, 0, 0] = 30.0
    found = figures(hu, body, SPACING_MM)

    assert found["2 mm inside them below -900 HU, %"] == 0
    assert found["room, highest HU"] == 30
    assert found["room below -900 HU, %"] < 100


def test_a_head_without_cavities_has_no_figure() -> None:
    """Nothing inside is told apart from nothing wrong inside."""
    hu, body = _head(40.0)
    found = figures(hu, body, SPACING_MM)

    assert found["cavities"] == 0
    assert np.isnan(found["2 mm inside them, median HU"])
