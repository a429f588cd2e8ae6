"""An sCT of simple shapes, written as the node writes it: every volume is known by arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.dicom.ct_series import EncodedInstance, encode_ct
from node.dicom.headers import read_instance
from node.domain.plan import ModelRef, Plan, SctResult
from node.domain.stack import Stack, split
from node.domain.volume import Unit, Volume
from node.pipeline import make_plan
from tests.phantoms.mr import mr_series

AIR_HU, WATER_HU, BONE_HU = -1000, 20, 900


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WrittenSct:
    """An sCT and its files."""

    result: SctResult
    encoded: tuple[EncodedInstance, ...]
    mr: Volume


Paint = Callable[[NDArray[np.float64], NDArray[np.int16]], None]
"""Changes HU in place, given LPS mm of every voxel, (slices, rows, columns, 3)."""


def written_sct(
    shape: tuple[int, int, int] = (24, 48, 40),
    spacing_mm: float = 3.0,
    *,
    radius_mm: float = 54.0,
    bone: bool = True,
    air: bool = True,
    paint: Paint | None = None,
    tags: dict[str, object] | None = None,
    name: str = "sct",
) -> WrittenSct:
    """Write a ball of water in air, with a shell of bone and a ball of air in it."""
    series = mr_series(shape, (spacing_mm,) * 3, tags=tags, name=name)
    stack = split(map(read_instance, series.datasets))[0]
    plan = _plan(stack, spacing_mm)
    lps = _positions(plan.grid.affine, plan.grid.shape)
    away = np.linalg.norm(lps, axis=-1)
    body = away <= radius_mm
    hu = np.where(body, WATER_HU, AIR_HU).astype(np.int16)
    if bone:
        hu[(away > radius_mm - 18) & (away <= radius_mm - 9)] = BONE_HU
    if air:
        hu[np.linalg.norm(lps - [0.0, -15.0, 0.0], axis=-1) <= 12.0] = AIR_HU
    if paint is not None:
        paint(lps, hu)
    sct, unsure = (_volume(v, plan.grid.affine, stack) for v in (hu, _unsure(lps, body)))
    result = SctResult(sct=sct, uncertainty=unsure, body=body, findings=(), runtime="by hand")
    encoded = tuple(encode_ct(result, plan, stack, series.datasets[0]))
    signal = _volume(np.where(body, 400.0, 0.0).astype(np.float32), plan.grid.affine, stack)
    return WrittenSct(result=result, encoded=encoded, mr=signal)


def planned(shape: tuple[int, int, int] = (24, 48, 40), spacing_mm: float = 3.0) -> Plan:
    """Plan what `written_sct` writes."""
    series = mr_series(shape, (spacing_mm,) * 3, name="sct")
    return _plan(split(map(read_instance, series.datasets))[0], spacing_mm)


def _plan(stack: Stack, spacing_mm: float) -> Plan:
    model = ModelRef(
        name="tiny", version="1.0.0", sha256="ab" * 32, body_part="HEAD", spacing_mm=spacing_mm
    )
    return make_plan(stack, model=model, software_version="0")


def _positions(affine: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def _unsure(lps: NDArray[np.float64], body: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Grow towards the left, the back and the head, each at another rate."""
    return np.where(body, 200.0 + lps @ [0.3, 0.7, 1.3], 0.0).astype(np.float32)


def _volume(values: NDArray[np.generic], affine: NDArray[np.float64], stack: Stack) -> Volume:
    frame = stack.header.frame_of_reference_uid
    return Volume(values=values, affine=affine, frame_of_reference_uid=frame, unit=Unit.HU)
