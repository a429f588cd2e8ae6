"""What the field of view cuts off, the MR's contrast and the bone's level, by arithmetic."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.domain.geometry import Grid
from node.infer.contrast import bright_skew
from node.infer.fov_edges import faces, height_mm
from node.infer.manifest import Manifest, read_manifest
from node.infer.quality import Examined, check
from tests.phantoms.tiny_onnx import affine_manifest

STEP_MM = 2.0
WIDE: dict[str, Any] = {
    "body_ml": [0.0, 1e6],
    "solidity": 0.0,
    "brain_share": [0.0, 1.0],
    "bone_share": [0.0, 1.0],
    "air_share": [0.0, 1.0],
    "uncertain_hu": 250.0,
    "uncertain_share": 1.0,
}
"""Limits that nothing breaks."""


def limits(folder: Path, **quality: object) -> Manifest:
    """A manifest with these limits beside `WIDE`."""
    told = affine_manifest("tiny", "1.0.0", STEP_MM, "0" * 64)
    path = folder / "manifest.json"
    path.write_text(json.dumps(told | {"quality": WIDE | quality, "body_mask": True}))
    return read_manifest(path)


def lattice(shape: tuple[int, int, int], turned_degrees: float = 0.0) -> Grid:
    """An axial lattice, or one turned about the left-right axis."""
    angle = np.deg2rad(turned_degrees)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.fliplr(np.eye(3)) * STEP_MM
    return Grid(shape=shape, affine=affine)


def ball(shape: tuple[int, int, int], middle: tuple[float, float, float]) -> Examined:
    """A ball of 76 mm radius with brain, water and skull, its middle at an index."""
    axes = [np.arange(n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    away = STEP_MM * np.sqrt((z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2)
    hu = np.select([away < 10, away < 64, away < 72, away < 76], [8, 35, 900, 20], -1000)
    signal = np.select([away < 10, away < 64, away < 72, away < 76], [0.3, 1, 0.1, 0.8], 0.0)
    grid = lattice(shape)
    return Examined(
        hu=hu.astype(np.float32),
        scale=None,
        body=away < 76,
        signal=signal.astype(np.float32),
        work=grid,
        source=grid,
    )


WHOLE = (100, 100, 100)
MIDDLE = (50.0, 50.0, 50.0)


def stopped(case: Examined, manifest: Manifest) -> dict[str, dict[str, str]]:
    """Codes and values of the findings."""
    return {f.code: dict(f.values) for f in check(case, manifest)}


def test_a_head_within_its_field_of_view_touches_no_end(tmp_path: Path) -> None:
    """No face, no finding; its height is its diameter."""
    case = ball(WHOLE, MIDDLE)

    assert all(
        face.of_face == face.of_section == 0 for face in faces(case.body, case.work, case.work)
    )
    assert height_mm(case.body, case.work) == pytest.approx(152, abs=4)
    assert stopped(case, limits(tmp_path)) == {}


@pytest.mark.parametrize(
    ("middle", "side"),
    [
        ((50.0, 50.0, 0.0), "right"),
        ((50.0, 50.0, 99.0), "left"),
        ((50.0, 0.0, 50.0), "front"),
        ((50.0, 99.0, 50.0), "back"),
        ((99.0, 50.0, 50.0), "top"),
    ],
)
def test_half_a_head_is_held_and_the_side_named(
    tmp_path: Path, middle: tuple[float, float, float], side: str
) -> None:
    """The cut is the largest section there is."""
    case = ball(WHOLE, middle)
    if side == "top":  # or the other half is too short
        case = ball((120, 100, 100), (119.0, 50.0, 50.0))
        case = replace(case, body=case.body | (ball((120, 100, 100), (70.0, 50.0, 50.0)).body))

    found = stopped(case, limits(tmp_path))

    assert found["BODY_CUT_OFF"]["sides"] == side
    assert float(found["BODY_CUT_OFF"]["share_percent"]) > 90
    assert "BODY_AT_EDGE" not in found


def test_a_few_millimetres_at_the_edge_are_a_warning(tmp_path: Path) -> None:
    """An ear or the tip of a nose: 4 mm off a ball of 76 mm radius cut a tenth of its section."""
    case = ball(WHOLE, (50.0, 50.0, 36.0))

    found = {f.code: f for f in check(case, limits(tmp_path))}

    assert found["BODY_AT_EDGE"].severity.value == "warning"
    assert found["BODY_AT_EDGE"].values["sides"] == "right"
    assert "BODY_CUT_OFF" not in found


def test_a_neck_may_leave_at_the_bottom_but_a_slab_is_no_head(tmp_path: Path) -> None:
    """With 60 mm of a head nothing can be said of its vault."""
    neck, slab = ball(WHOLE, (20.0, 50.0, 50.0)), ball((30, 100, 100), (-8.0, 50.0, 50.0))

    assert stopped(neck, limits(tmp_path)) == {}
    assert float(stopped(slab, limits(tmp_path))["BODY_SHORT"]["height_mm"]) < 62


def test_an_oblique_field_of_view_is_its_own_measure(tmp_path: Path) -> None:
    """The cut lies in the MR's own planes, not in those of the working grid."""
    case = ball(WHOLE, MIDDLE)
    turned = lattice((100, 100, 100), turned_degrees=20.0)
    middle_mm = np.array(MIDDLE)[::-1] * STEP_MM
    whole, half = (
        replace(turned, affine=_placed(turned, middle_mm, index))
        for index in ((50.0, 50.0, 50.0), (50.0, 0.0, 50.0))
    )

    assert stopped(replace(case, source=whole), limits(tmp_path)) == {}
    assert stopped(replace(case, source=half), limits(tmp_path))["BODY_CUT_OFF"]["sides"] == "front"


def _placed(grid: Grid, middle_mm: np.ndarray, index: tuple[float, ...]) -> np.ndarray:
    """The affine that puts ``index`` at a point."""
    affine = grid.affine.copy()
    affine[:3, 3] = middle_mm - affine[:3, :3] @ np.array(index)
    return affine


def test_bright_water_is_another_contrast(tmp_path: Path) -> None:
    """Dark water makes the dark end long, bright water the bright one; scale means nothing."""
    case, rng = ball(WHOLE, MIDDLE), np.random.default_rng(1)
    noise = rng.normal(0, 0.03, case.signal.shape).astype(np.float32)
    water = (case.hu > 0) & (case.hu < 36) & (np.indices(WHOLE).sum(axis=0) % 9 == 0)
    t1, t2 = (np.where(water, level, case.signal) + noise for level in (0.3, 2.2))
    manifest = limits(tmp_path, bright_skew=2.0)

    ratios = [bright_skew(signal, case.body, (2.0, 2.0, 2.0)) for signal in (t1, 70 * t1, t2)]

    assert ratios[0] is not None
    assert ratios[1] == pytest.approx(ratios[0], rel=1e-3)
    assert ratios[0] < 1 < 5 < (ratios[2] or 0)
    assert stopped(replace(case, signal=t1), manifest) == {}
    assert list(stopped(replace(case, signal=t2), manifest)) == ["CONTRAST_UNUSUAL"]
    assert bright_skew(t1[:20], case.body[:20], (2.0, 2.0, 2.0)) is None


def test_a_wrong_slope_shows_in_the_bones_level(tmp_path: Path) -> None:
    """Half as much again is no skull."""
    case, manifest = ball(WHOLE, MIDDLE), limits(tmp_path, bone_hu=[700.0, 1100.0])

    assert stopped(case, manifest) == {}
    found = stopped(replace(case, hu=case.hu * 1.5), manifest)
    assert found["BONE_HU_UNUSUAL"]["median_hu"] == "1350"
    assert stopped(replace(case, hu=np.minimum(case.hu, 40)), manifest) == {}


def test_bone_deep_in_the_vault_is_held_wherever_it_lies(tmp_path: Path) -> None:
    """A ball of 15 mm radius in the brain, not a smaller one beside the skull, or one low."""
    case = ball(WHOLE, MIDDLE)
    z, y, x = np.ogrid[:100, :100, :100]

    def lump(level: int, row: int, radius_mm: float = 15.0) -> Examined:
        away = STEP_MM * np.sqrt((z - level) ** 2 + (y - row) ** 2 + (x - 50) ** 2)
        return replace(case, hu=np.where(away < radius_mm, 900, case.hu).astype(np.float32))

    manifest = limits(tmp_path, vault_bone_ml=1.0)
    assert stopped(case, manifest) == {}
    for row in (40, 50, 60):
        found = stopped(lump(66, row), manifest)
        # What of it lies in the vault however the head is pitched.
        assert 11.5 < float(found["BONE_IN_VAULT"]["volume_ml"]) < 14.5
    assert stopped(lump(66, 22, 10.0), manifest) == {}
    assert stopped(lump(30, 50), manifest) == {}
    assert stopped(lump(66, 50), limits(tmp_path)) == {}


@pytest.mark.parametrize("degrees", [-17, -10, 0, 10, 17])
def test_the_base_of_a_pitched_head_is_no_bone_in_the_vault(tmp_path: Path, degrees: int) -> None:
    """A plate 66 mm below the vertex along the head's own axis, whatever the scanner's is."""
    case = ball(WHOLE, MIDDLE)
    z, y, x = (STEP_MM * (v - 50) for v in np.ogrid[:100, :100, :100])
    angle = np.deg2rad(degrees)
    height = z * np.cos(angle) + y * np.sin(angle) + 0 * x
    plate = case.body & (height < 10) & (height > 2)
    manifest = limits(tmp_path, vault_bone_ml=1.0)

    assert stopped(replace(case, hu=np.where(plate, 900, case.hu)), manifest) == {}
    higher = case.body & (height < 26) & (height > 18)
    found = stopped(replace(case, hu=np.where(higher, 900, case.hu)), manifest)
    assert float(found["BONE_IN_VAULT"]["volume_ml"]) > 10


def test_air_deep_in_the_vault_is_held_wherever_it_lies(tmp_path: Path) -> None:
    """A hole of 20 mm radius in the brain; the same beside the skin is a sinus."""
    case = ball(WHOLE, MIDDLE)
    z, y, x = np.ogrid[:100, :100, :100]

    def hole(row: int) -> Examined:
        away = STEP_MM * np.sqrt((z - 65) ** 2 + (y - row) ** 2 + (x - 50) ** 2)
        return replace(case, hu=np.where(away < 20, -500, case.hu).astype(np.float32))

    assert stopped(case, limits(tmp_path)) == {}
    found = stopped(hole(50), limits(tmp_path))["AIR_IN_VAULT"]
    assert float(found["volume_ml"]) == pytest.approx(33.5, rel=0.05)
    assert "AIR_IN_VAULT" not in stopped(hole(16), limits(tmp_path))
