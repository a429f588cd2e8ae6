"""What happens to an MR before the network sees it; training runs this same code.

Arrays are (slice, row, column). SimpleITK lists sizes, spacings and indices in the reverse order
(column, row, slice); only this module and its callers' affines know that.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray

from node.domain.geometry import Affine, Grid
from node.domain.volume import Volume
from node.infer import shapes

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Width in mm of the gaps (nostril, ear canal, dark scalp) that count as inside the body.
_CLOSING_MM = 10.0
# How far the filled shape may reach beyond what the threshold itself sees: not at all, less this.
_INSET_MM = 3.0
# Of Otsu's threshold of the square root of the signal: skin is darker than what lies below it.
_THRESHOLD_SHARE = 0.75
# Where the outer contour runs, as a share of the tissue's level, and what counts as beside it.
_HALF_LEVEL = 0.5
_NEARBY_MM = 3.0
# Parts of the tissue below this share of the largest are specks. With the largest alone five of 60
# patients' slices lost the scalp and the skull with it: it touched the brain nowhere.
_SPECK_SHARE = 0.02
# The checks accept stacks that are skewed by 0.1 degree, and cosines with some rounding.
_PERPENDICULAR = 3e-3
# A body below this volume is noise or a marker.
_LEAST_BODY_ML = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """How signal becomes the network's input."""

    kind: str
    """``none``: the signal itself; ``body-percentile``: signal over a percentile of the body's."""
    percentile: float = 80.0
    """Percentile of the signal inside the body that becomes 1."""
    low: float = 0.0
    """Lowest input after division."""
    high: float = 4.0
    """Highest input after division."""


def to_sitk(values: NDArray[np.generic], affine: Affine) -> sitk.Image:
    """Wrap an array and its LPS affine as a SimpleITK image, left-handed stacks included.

    SimpleITK refuses no reflection: its direction matrix is any orthonormal one. A skewed affine
    has no such form and is refused here.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / spacing
    if np.abs(cosines.T @ cosines - np.eye(3)).max() > _PERPENDICULAR:
        raise ValueError("the axes of the volume are not perpendicular")
    # Project onto the nearest orthonormal matrix: SimpleITK checks tighter than DICOM's rounding.
    left, _, right = np.linalg.svd(cosines)
    image = sitk.GetImageFromArray(np.ascontiguousarray(values))
    image.SetSpacing([float(step) for step in spacing[::-1]])
    direction = left @ right
    # The middle stays where it is, so that what the projection turns is shared by both ends.
    middle = (np.array(values.shape) - 1) / 2
    origin = affine[:3, 3] + (affine[:3, :3] - direction * spacing) @ middle
    image.SetOrigin([float(x) for x in origin])
    image.SetDirection([float(x) for x in direction[:, ::-1].ravel()])
    return image


def resample(volume: Volume, grid: Grid, *, fill: float = 0.0) -> Floats:
    """Bring a volume onto another grid, linearly; outside the volume stands ``fill``.

    Half a voxel beyond the outermost centres the nearest value is kept, so that the field of view
    is covered to its edge.
    """
    if volume.grid.same_as(grid):
        return volume.values.astype(np.float32)
    source = to_sitk(volume.values.astype(np.float32), volume.affine)
    lattice = to_sitk(np.zeros((1, 1, 1), np.uint8), grid.affine)
    size = [int(n) for n in grid.shape[::-1]]
    linear = sitk.Resample(
        source,
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        lattice.GetOrigin(),
        lattice.GetSpacing(),
        lattice.GetDirection(),
        fill,
        sitk.sitkFloat32,
    )
    return np.asarray(sitk.GetArrayFromImage(linear), np.float32)


def body_mask(values: Floats, spacing_mm: tuple[float, float, float]) -> Mask:
    """Find the patient: shape and order of ``values``, True inside the outer contour.

    The threshold decides where the contour runs; closing and filling only add what lies inside.
    Empty when nothing of a body's size is there.
    """
    root = _root(values)
    if root.max() <= 0:
        return np.zeros(values.shape, bool)
    parts = _ringed(_bright(root, spacing_mm), spacing_mm)
    body = np.asarray(sitk.GetArrayFromImage(parts) > 0)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    if body.sum() * voxel_ml < _LEAST_BODY_ML:
        return np.zeros(values.shape, bool)
    return shapes.fill_slices(body | _filled(parts))


def normalise(values: Floats, body: Mask, how: Normalisation) -> Floats:
    """Bring signal to the scale the network was trained on; see `Normalisation`."""
    if how.kind == "none":
        return values.astype(np.float32)
    inside = values[body] if body.any() else values.ravel()
    # A fixed stride keeps the answer the same from run to run and costs milliseconds.
    level = float(np.percentile(inside[:: max(1, inside.size // 500_000)], how.percentile))
    scaled = values / max(level, 1e-6)
    return np.asarray(np.clip(scaled, how.low, how.high), np.float32)


def _root(values: Floats) -> Floats:
    """Square root of the signal, its bright end cut: fat beside a coil must not rule."""
    flat = values.ravel()[:: max(1, values.size // 500_000)]
    top = float(np.percentile(flat, 99.0))
    return np.asarray(np.sqrt(np.clip(values, 0.0, max(top, 1e-6))), np.float32)


def _bright(root: Floats, spacing_mm: tuple[float, float, float]) -> Mask:
    smooth = shapes.discrete_gaussian(root, spacing_mm, 1.0)
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.Shrink(sitk.GetImageFromArray(smooth), [2, 2, 2]))
    return np.asarray(smooth > otsu.GetThreshold() * _THRESHOLD_SHARE)


def _ringed(mask: Mask, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    """The largest part, and those that reach round it: a scalp that touches the brain nowhere."""
    parts, count = _sizeable(mask, spacing_mm)
    kept = parts == 1
    if count < 2:
        return kept
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(parts)
    for label in range(2, count + 1):
        both = zip(_ends(shape.GetBoundingBox(label)), _ends(shape.GetBoundingBox(1)), strict=True)
        left, right, front, back = (theirs < ours for theirs, ours in both)
        if left and right and (front or back):
            kept = kept | (parts == label)
    return kept


def _ends(box: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Both ends along column and row, the further out the smaller."""
    x, y, _, width, height, _ = box
    return x, -(x + width), y, -(y + height)


def _without_specks(mask: Mask, spacing_mm: tuple[float, float, float]) -> sitk.Image:
    parts, count = _sizeable(mask, spacing_mm)
    return sitk.BinaryThreshold(parts, 1, max(1, count), 1, 0)


def _sizeable(mask: Mask, spacing_mm: tuple[float, float, float]) -> tuple[sitk.Image, int]:
    """The parts numbered from 1, the largest first, and how many of them are no specks."""
    image = sitk.GetImageFromArray(mask.view(np.uint8))
    image.SetSpacing([float(s) for s in spacing_mm[::-1]])
    by_size = sitk.RelabelComponentImageFilter()
    by_size.SetSortByObjectSize(True)
    parts = by_size.Execute(sitk.ConnectedComponent(image))
    sizes = by_size.GetSizeOfObjectsInPixels()
    return parts, sum(size >= max(1, int(_SPECK_SHARE * sizes[0])) for size in sizes)


def _filled(mask: sitk.Image) -> Mask:
    """The closed shape at half resolution, inset so that it never moves the contour."""
    factors = [2 if n > 8 else 1 for n in mask.GetSize()]
    small = sitk.Shrink(mask, factors)
    steps = small.GetSpacing()[::-1]
    closed = shapes.closed_and_inset(
        sitk.GetArrayFromImage(small) > 0, _radii(_CLOSING_MM, steps), _radii(_INSET_MM, steps)
    )
    image = sitk.GetImageFromArray(closed.view(np.uint8))
    image.CopyInformation(small)
    one = [1, 1, 1]  # so that the outermost voxels of an odd number find their neighbour
    whole = sitk.Resample(
        sitk.ConstantPad(image, one, one), mask, sitk.Transform(), sitk.sitkNearestNeighbor, 0
    )
    return np.asarray(sitk.GetArrayFromImage(whole) > 0)


def _radii(width_mm: float, spacing_mm: tuple[float, ...]) -> tuple[int, int, int]:
    slices, rows, columns = (max(1, round(width_mm / s)) for s in spacing_mm)
    return slices, rows, columns


def tighten(signal: Floats, body: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Draw the outer contour where the signal falls to half of the tissue's beside it.

    `body_mask` errs to the outside, for its threshold must be low enough for the darkest skin. The
    half level of the tissue nearby is where a blurred edge has its middle, whatever the coil
    makes of the brightness there.
    """
    if not body.any():
        return body
    box = shapes.box_of(body)
    inner, part = body[box], signal[box]

    def level(tissue: Mask) -> Floats:
        """Mean signal of the tissue nearby."""
        share, total = (
            shapes.recursive_gaussian(values, body.shape, box, spacing_mm, _NEARBY_MM)
            for values in (tissue.astype(np.float32), np.where(tissue, part, 0).astype(np.float32))
        )
        return np.asarray(total / np.maximum(share, 1e-3), np.float32)

    tissue = inner & (part > 0.35 * float(np.median(part[inner])))
    # Beside bright fat even the slope of the edge is brighter than tissue elsewhere.
    tissue &= part > _HALF_LEVEL * level(tissue)
    above = np.zeros_like(body)
    above[box] = inner & (part > _HALF_LEVEL * level(tissue))
    # The skull may keep brain and scalp apart all the way round.
    parts = _without_specks(above, spacing_mm)
    whole = (sitk.GetArrayFromImage(parts) > 0) | _filled(parts)
    return shapes.fill_slices(whole & body)
