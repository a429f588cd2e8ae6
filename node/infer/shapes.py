"""Smoothing, closing and filling of volumes as few large array operations.

Each does what a filter of ITK does, to the last voxel or to a float's rounding, in a part of its
time; the kernels are taken from that filter itself.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[slice, ...]

# Rows or slices that one thread multiplies at a time.
_PART = 32
# A weight below this share of the largest is lost in a float's rounding.
_NOTHING = 1e-8


def box_of(mask: Mask) -> Box:
    """The smallest box around what is True; the mask must not be empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        where = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box)


def recursive_gaussian(
    values: Floats, shape: tuple[int, ...], box: Box, spacing_mm: tuple[float, ...], sigma_mm: float
) -> Floats:
    """Smooth what stands in ``box`` of a volume of ``shape`` that is zero elsewhere.

    ``values`` and the answer have the box's shape. A filter along one axis is a matrix, and a
    product of matrices is what a processor does fastest.
    """
    matrices = (
        _recursive_matrix(n, step, sigma_mm)[where, where]
        for n, step, where in zip(shape, spacing_mm, box, strict=True)
    )
    return _along_axes(values, *matrices)


def discrete_gaussian(values: Floats, spacing_mm: tuple[float, ...], variance_mm2: float) -> Floats:
    """Smooth a whole volume by sampled Gaussians, its outermost values continued outwards."""
    steps = zip(values.shape, spacing_mm, strict=True)
    return _along_axes(values, *(_discrete_matrix(n, step, variance_mm2) for n, step in steps))


def closed_and_inset(
    mask: Mask, closing: tuple[int, int, int], inset: tuple[int, int, int]
) -> Mask:
    """Close gaps up to a ball of radii ``closing``, fill cavities, take a ball of ``inset`` off.

    Radii are voxels along slices, rows and columns. Outside the volume is background.
    """
    if not mask.any():
        return mask
    box = box_of(mask)
    spare = [(radius + 1, radius + 1) for radius in closing]
    part = _eroded(_dilated(np.pad(mask[box], spare), closing), closing)
    image = sitk.BinaryFillhole(sitk.GetImageFromArray(part.view(np.uint8)))
    part = _eroded(sitk.GetArrayFromImage(image) > 0, inset)
    out = np.zeros_like(mask)
    # A closed shape stays in the box of the shape.
    out[box] = part[tuple(slice(a, n - b) for (a, b), n in zip(spare, part.shape, strict=True))]
    return out


def fill_slices(mask: Mask) -> Mask:
    """Fill the holes of every slice by itself.

    The slices are laid out as one tall picture with background between and beside them: what is
    connected with that is no hole.
    """
    if not mask.any():
        return mask
    box = box_of(mask)
    slices, rows, columns = mask[box].shape
    tall = np.zeros((slices * (rows + 1) + 1, columns + 2), np.uint8)
    inner = tall[1:].reshape(slices, rows + 1, columns + 2)[:, :rows, 1:-1]
    inner[...] = mask[box]
    filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(tall)))
    out = np.zeros_like(mask)
    out[box] = filled[1:].reshape(slices, rows + 1, columns + 2)[:, :rows, 1:-1] > 0
    return out


def _along_axes(values: Floats, *matrices: Floats) -> Floats:
    """Apply a matrix along each axis, in parts that are always the same: so are the bits.

    What is far from a matrix's diagonal is nothing, so that a part needs only what is near it.
    """
    slices, _, columns = values.shape
    first, second, third = (_parts(matrix) for matrix in matrices)
    source = np.ascontiguousarray(values)
    between, out = np.empty_like(source), np.empty_like(source)

    def along_slices(part: _Part) -> None:
        near = source[part.source].reshape(part.matrix.shape[1], -1)
        np.matmul(part.matrix, near, out=between[part.target].reshape(part.matrix.shape[0], -1))

    def within_slices(at: int) -> None:
        block = between[at : at + _PART]
        turned = np.empty_like(block)
        for part in second:
            turned[:, part.target] = part.matrix @ block[:, part.source]
        lines, target = turned.reshape(-1, columns), out[at : at + _PART].reshape(-1, columns)
        for part in third:
            target[:, part.target] = lines[:, part.source] @ part.matrix.T

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        list(threads.map(along_slices, first))
        list(threads.map(within_slices, range(0, slices, _PART)))
    return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """Some rows of a matrix, as far as they are not nothing."""

    matrix: Floats
    source: slice
    target: slice


def _parts(matrix: Floats) -> list[_Part]:
    length = len(matrix)
    near = np.abs(matrix) > _NOTHING * np.abs(matrix).max()
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    reach = int(apart[near].max())
    found = []
    for at in range(0, length, _PART):
        target = slice(at, min(at + _PART, length))
        source = slice(max(0, at - reach), min(length, target.stop + reach))
        rows = np.ascontiguousarray(matrix[target, source])
        found.append(_Part(matrix=rows, source=source, target=target))
    return found


@cache
def _recursive_matrix(length: int, spacing_mm: float, sigma_mm: float) -> Floats:
    """What ITK's recursive Gaussian makes of each place of a line, as columns."""
    image = _unit_vectors(length, spacing_mm)
    zero = sitk.RecursiveGaussianImageFilter.ZeroOrder
    answers = sitk.RecursiveGaussian(image, sigma_mm, False, zero, 0)
    return np.asarray(sitk.GetArrayFromImage(answers).T, np.float32)


@cache
def _discrete_matrix(length: int, spacing_mm: float, variance_mm2: float) -> Floats:
    """The same of ITK's sampled Gaussian, its edge condition included."""
    image = _unit_vectors(length, spacing_mm)
    answers = sitk.DiscreteGaussian(image, [variance_mm2, 0.0])
    return np.asarray(sitk.GetArrayFromImage(answers).T, np.float32)


def _unit_vectors(length: int, spacing_mm: float) -> sitk.Image:
    image = sitk.GetImageFromArray(np.eye(length, dtype=np.float32))
    image.SetSpacing([spacing_mm, spacing_mm])
    return image


@cache
def _ball(radii: tuple[int, int, int]) -> tuple[tuple[int, int, int], ...]:
    """ITK's ball as rows: offset in slices and rows, and half the row's width in columns."""
    point = np.zeros([2 * r + 1 for r in radii], np.uint8)
    point[radii] = 1
    grown = sitk.BinaryDilate(sitk.GetImageFromArray(point), list(radii[::-1]), sitk.sitkBall)
    ball = sitk.GetArrayFromImage(grown)
    return tuple(
        (z - radii[0], y - radii[1], int(ball[z, y].sum()) // 2)
        for z in range(ball.shape[0])
        for y in range(ball.shape[1])
        if ball[z, y].any()
    )


def _dilated(mask: Mask, radii: tuple[int, int, int]) -> Mask:
    """Grow by a ball; what would leave the array is cut off."""
    ball = _ball(radii)
    rows = [mask]
    for _ in range(max(half for _, _, half in ball)):
        wider = rows[-1].copy()
        wider[..., 1:] |= rows[-1][..., :-1]
        wider[..., :-1] |= rows[-1][..., 1:]
        rows.append(wider)
    out = np.zeros_like(mask)
    for slices, lines, half in ball:
        (to_z, from_z), (to_y, from_y) = _shift(mask.shape[0], slices), _shift(mask.shape[1], lines)
        out[to_z, to_y] |= rows[half][from_z, from_y]
    return out


def _eroded(mask: Mask, radii: tuple[int, int, int]) -> Mask:
    """Shrink by a ball; beyond the array counts as inside."""
    return ~_dilated(~mask, radii)


def _shift(length: int, by: int) -> tuple[slice, slice]:
    """Where values go, and where they come from, when they move along an axis."""
    to, source = slice(max(by, 0), length + min(by, 0)), slice(max(-by, 0), length - max(by, 0))
    return to, source
