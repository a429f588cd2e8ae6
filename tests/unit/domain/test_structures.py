"""What is outlined: definitions that can be written, masks that follow them."""

from typing import Any

import numpy as np
import pytest

from node.domain.errors import Misconfigured
from node.domain.structures import STRUCTURES, Structure, checked, mask_of

BODY, BONE, AIR = STRUCTURES


def structure(**changes: Any) -> Structure:
    """A structure with changes."""
    usual: dict[str, Any] = {"name": "X", "interpreted_type": "ORGAN", "colour": (1, 2, 3)}
    return Structure(**usual | changes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "SEVENTEEN LETTERS"},
        {"name": "A\\B"},
        {"interpreted_type": "SKULL"},
        {"colour": (0, 0, 256)},
        {"hu": (300, 200)},
        {"hu": (-2000, 200)},
        {"least_ml": -1.0},
        {"least_ml": float("nan")},
    ],
)
def test_what_cannot_be_written_is_refused(wrong: dict[str, Any]) -> None:
    """With a remedy."""
    with pytest.raises(Misconfigured) as error:
        structure(**wrong)
    assert error.value.remedy


def test_names_are_unique_and_one_is_external() -> None:
    """A planning system has one outer contour, and finds structures by name."""
    assert checked(STRUCTURES) == STRUCTURES
    with pytest.raises(Misconfigured, match="same name"):
        checked([BODY, structure(name="body")])
    with pytest.raises(Misconfigured, match="EXTERNAL"):
        checked([BODY, structure(interpreted_type="EXTERNAL")])


def test_masks_are_where_the_hu_say_inside_the_body() -> None:
    """251 HU is bone, 250 is not; -401 is air, -400 is not; nothing outside the body is either."""
    hu = np.array([[[250, 251, 3071, -400, -401, -1024, 900]]], np.int16)
    body = np.array([[[1, 1, 1, 1, 1, 1, 0]]], bool)

    assert mask_of(BODY, hu, body, 1.0)[0, 0].tolist() == body[0, 0].tolist()
    assert mask_of(BONE, hu, body, 1.0)[0, 0].tolist() == [False, True, True, *[False] * 4]
    assert mask_of(AIR, hu, body, 1.0)[0, 0].tolist() == [*[False] * 4, True, True, False]


def test_small_islands_are_left_out() -> None:
    """100 voxels of a cubic millimetre are 0.1 ml: kept; 99 are not."""
    hu = np.zeros((5, 12, 24), np.int16)
    hu[:4, 1:6, 1:6] = 900
    hu[:4, 1:6, 12:17] = 900
    hu[3, 5, 16] = 0

    mask = mask_of(BONE, hu, np.ones(hu.shape, bool), 0.001)

    assert mask.sum() == 100
    assert mask[:, :, :8].sum() == 100
