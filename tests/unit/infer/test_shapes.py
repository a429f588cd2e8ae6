"""What is fast is what ITK's filters define: body and contour to the last voxel."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses

from node.demo.phantom import make_head
from node.infer import shapes
from node.infer.preprocess import body_mask, tighten
from node.infer.shapes import Floats, Mask

Spacing = tuple[float, float, float]
# Rounding of float32 may move a voxel whose signal is the threshold itself.
_MOST_DIFFERENT = 1e-5


def image_of(values: np.ndarray, spacing_mm: Spacing) -> sitk.Image:
    """An image with that spacing."""
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(list(spacing_mm[::-1]))
    return image


def mask_of(image: sitk.Image) -> Mask:
    """What is not zero."""
    return np.asarray(sitk.GetArrayFromImage(image) > 0)


def largest(mask: sitk.Image) -> sitk.Image:
    """The largest connected part."""
    return sitk.RelabelComponent(sitk.ConnectedComponent(mask), sortByObjectSize=True) == 1


def closed_by_itk(mask: sitk.Image) -> sitk.Image:
    """Close over 10 mm, fill, inset 3 mm, at half resolution, by ITK's own filters."""
    small = sitk.Shrink(mask, [2 if n > 8 else 1 for n in mask.GetSize()])
    steps = [max(1, round(10.0 / s)) for s in small.GetSpacing()]
    inset = [max(1, round(3.0 / s)) for s in small.GetSpacing()]
    padded = sitk.ConstantPad(small, steps, steps)
    closed = sitk.BinaryFillhole(sitk.BinaryMorphologicalClosing(padded, steps, sitk.sitkBall, 1.0))
    closed = sitk.BinaryErode(closed, inset, sitk.sitkBall, 0.0, 1.0)
    return sitk.Resample(closed, mask, sitk.Transform(), sitk.sitkNearestNeighbor, 0)


def filled_by_itk(mask: Mask) -> Mask:
    """Each slice by itself."""
    out = [sitk.BinaryFillhole(sitk.GetImageFromArray(part.astype(np.uint8))) for part in mask]
    return np.stack([mask_of(image) for image in out])


def body_by_itk(values: Floats, spacing_mm: Spacing) -> Mask:
    """`body_mask` as ITK's filters, one after the other."""
    top = float(np.percentile(values.ravel()[:: max(1, values.size // 500_000)], 99.0))
    smooth = sitk.DiscreteGaussian(
        image_of(np.sqrt(np.clip(values, 0.0, max(top, 1e-6))), spacing_mm), 1.0
    )
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(sitk.Shrink(smooth, [2, 2, 2]))
    part = largest(smooth > otsu.GetThreshold() * 0.75)
    return filled_by_itk(mask_of(sitk.Or(part, closed_by_itk(part))))


def contour_by_itk(signal: Floats, body: Mask, spacing_mm: Spacing) -> Mask:
    """`tighten` as ITK's filters, one after the other."""

    def level(tissue: Mask) -> Floats:
        share, level = (
            sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(image_of(v, spacing_mm), 3.0))
            for v in (tissue.astype(np.float32), np.where(tissue, signal, 0).astype(np.float32))
        )
        return np.asarray(level / np.maximum(share, 1e-3), np.float32)

    tissue = body & (signal > 0.35 * float(np.median(signal[body])))
    tissue &= signal > 0.5 * level(tissue)
    above = (body & (signal > 0.5 * level(tissue))).astype(np.uint8)
    part = largest(image_of(above, spacing_mm))
    return filled_by_itk(mask_of(sitk.Or(part, closed_by_itk(part))) & body)


@pytest.fixture(scope="module")
def head() -> Floats:
    """A noisy head at 2 mm, an odd number of voxels along each axis."""
    signal = make_head((101, 127, 95), 2.0).signal
    noise = np.random.default_rng(3).normal(0, 12, (2, *signal.shape))
    return np.asarray(np.hypot(signal + noise[0], noise[1]), np.float32)


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "spacing_mm"),
    [
        ((slice(None), slice(None), slice(None)), (2.0, 2.0, 2.0)),
        ((slice(None, None, 2), slice(0, 126), slice(None)), (4.0, 2.0, 2.0)),
        ((slice(40, 80), slice(20, 100), slice(10, 80)), (2.0, 2.0, 2.0)),  # cut off on all sides
        ((slice(60, 66), slice(None), slice(None)), (2.0, 2.0, 2.0)),  # not halved along slices
    ],
)
def test_body_and_contour_are_those_of_itk(
    head: Floats, part: tuple[slice, ...], spacing_mm: Spacing
) -> None:
    """Whole, thick, cut and thin volumes: the same masks as by the filters that define them."""
    signal = np.ascontiguousarray(head[part])
    body = body_by_itk(signal, spacing_mm)
    contour = contour_by_itk(signal, body, spacing_mm)

    fast = body_mask(signal, spacing_mm)
    tight = tighten(signal, body, spacing_mm)

    assert 0.2 < contour.mean() < body.mean()
    assert (fast != body).sum() <= _MOST_DIFFERENT * body.size
    assert (tight != contour).sum() <= _MOST_DIFFERENT * body.size


@pytest.mark.long
def test_smoothing_is_that_of_itk(head: Floats) -> None:
    """Both Gaussians give ITK's values to a float's rounding, at the edges as well."""
    spacing_mm = (3.0, 2.0, 1.5)
    box = (slice(20, 60), slice(0, 80), slice(15, 90))
    alone = np.zeros_like(head)
    alone[box] = head[box]
    wide = sitk.SmoothingRecursiveGaussian(image_of(alone, spacing_mm), 3.0)
    narrow = sitk.DiscreteGaussian(image_of(head, spacing_mm), 1.0)

    ours = shapes.recursive_gaussian(head[box], head.shape, box, spacing_mm, 3.0)

    most = float(head.max())
    np.testing.assert_allclose(ours, sitk.GetArrayFromImage(wide)[box], atol=1e-5 * most)
    np.testing.assert_allclose(
        shapes.discrete_gaussian(head, spacing_mm, 1.0),
        sitk.GetArrayFromImage(narrow),
        atol=1e-5 * most,
    )


@pytest.mark.parametrize("closing", [(5, 5, 5), (2, 4, 3), (1, 1, 1)])
def test_closing_is_that_of_itk(closing: tuple[int, int, int]) -> None:
    """A cloud of points, a cavity and a shape at the volume's edge, voxel for voxel."""
    rng = np.random.default_rng(closing[0])
    mask = rng.random((31, 40, 27)) > 0.985
    mask[:12, 5:20, :14] = True
    mask[3:8, 8:14, 3:9] = False
    inset = (1, 2, 1)
    steps = list(closing[::-1])
    padded = sitk.ConstantPad(sitk.GetImageFromArray(mask.view(np.uint8)), steps, steps)
    closed = sitk.BinaryFillhole(sitk.BinaryMorphologicalClosing(padded, steps, sitk.sitkBall, 1.0))
    expected = sitk.Crop(sitk.BinaryErode(closed, [1, 2, 1], sitk.sitkBall, 0.0, 1.0), steps, steps)

    ours = shapes.closed_and_inset(mask, closing, inset)

    np.testing.assert_array_equal(ours, mask_of(expected))
    assert ours[5, 10, 5]


def test_holes_are_filled_slice_by_slice() -> None:
    """A ring is filled; a bay open to the side, a slice without anything and an end stay open."""
    mask = np.zeros((5, 20, 20), bool)
    mask[1, 2:9, 2:9] = mask[2, 2:9, 2:9] = True
    mask[1, 4:7, 4:7] = False
    mask[2, 4:7, 4:9] = False
    mask[4, :, 0] = mask[4, 0] = mask[4, 12] = True

    filled = shapes.fill_slices(mask)

    np.testing.assert_array_equal(filled, filled_by_itk(mask))
    assert filled[1, 5, 5]
    assert not filled[2, 5, 5]
    assert not shapes.fill_slices(np.zeros_like(mask)).any()
