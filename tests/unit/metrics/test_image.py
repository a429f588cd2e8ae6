"""Every image figure equals an independent implementation; the published quirk is kept."""

import numpy as np
import pytest
from scipy.ndimage import uniform_filter
from scipy.signal import fftconvolve
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from node.metrics.image import RANGE_2023, RANGE_2025, Range, mae, ms_ssim, psnr, ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def case(shape: tuple[int, int, int] = (40, 52, 46)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball of HU with values beyond the ranges, an answer with errors, its mask."""
    rng = np.random.default_rng(4)
    axes = [np.linspace(-1, 1, n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    truth = np.where(radius < 0.8, 40 + 1500 * (radius > 0.65), -1000.0)
    truth += rng.normal(0, 60, shape)
    truth[20, 20, 20] = 3500
    ours = truth + rng.normal(15, 120, shape)
    return truth, ours, radius < 0.85


def textbook(
    truth: np.ndarray, ours: np.ndarray, mask: np.ndarray, limits: Range, luminance: list[float]
) -> float:
    """MS-SSIM with scipy's filters and a chosen weight of the luminance at each level."""
    low, high = limits
    x, y = (np.where(mask, np.clip(v, low, high), low) - low for v in (truth, ours))
    pads = [((97 - n) // 2, 97 - n - (97 - n) // 2) if n < 97 else (0, 0) for n in x.shape]
    x, y, m = (np.pad(v, pads, mode="edge") for v in (x, y, mask))
    c1, c2 = (0.01 * (high - low)) ** 2, (0.03 * (high - low)) ** 2
    product, cut = 1.0, (slice(3, -3),) * 3
    for weight, light in zip(WEIGHTS, luminance, strict=True):
        ux, uy = uniform_filter(x, 7), uniform_filter(y, 7)
        vx, vy, vxy = (
            343 / 342 * (uniform_filter(a * b, 7) - ua * ub)
            for a, b, ua, ub in ((x, x, ux, ux), (y, y, uy, uy), (x, y, ux, uy))
        )
        s = np.sqrt(np.clip(vx, 0, None)) * np.sqrt(np.clip(vy, 0, None))
        bright = np.clip((2 * ux * uy + c1) / (ux**2 + uy**2 + c1), 0, None)
        rest = np.clip((2 * s + c2) / (vx + vy + c2), 0, None)
        rest = rest * np.clip((vxy + c2 / 2) / (s + c2 / 2), 0, None)
        level = (bright**light * rest**weight)[cut][m[cut]].mean()
        product *= float(np.clip(level, 0, 1))
        x, y = (fftconvolve(v, np.ones((2, 2, 2)) / 8, mode="same")[::2, ::2, ::2] for v in (x, y))
        m = m[::2, ::2, ::2]
    return product


def test_mae_counts_the_mask_alone_and_clips_nothing() -> None:
    """Ten HU off inside, a thousand outside: ten."""
    truth, _, mask = case()
    ours = np.where(mask, truth + 10, truth + 1000)

    assert mae(truth, ours, mask) == pytest.approx(10, abs=1e-9)


@pytest.mark.parametrize("limits", [RANGE_2023, RANGE_2025])
def test_psnr_equals_scikit_image(limits: Range) -> None:
    """Clipped to the range whose width is the peak."""
    truth, ours, mask = case()

    theirs = peak_signal_noise_ratio(
        np.clip(truth, *limits)[mask], np.clip(ours, *limits)[mask], data_range=limits[1] + 1024
    )

    assert psnr(truth, ours, mask, limits) == pytest.approx(theirs, abs=1e-9)


def test_the_wider_range_gives_a_seventh_of_a_decibel_more() -> None:
    """Without values to clip the two ranges differ by 20 log10(4095/4024)."""
    truth, ours, mask = case()
    truth, ours = np.clip(truth, -1000, 2900), np.clip(ours, -1000, 2900)

    gain = psnr(truth, ours, mask, RANGE_2025) - psnr(truth, ours, mask, RANGE_2023)

    assert gain == pytest.approx(20 * np.log10(4095 / 4024), abs=1e-9)


def test_ssim_equals_scikit_image() -> None:
    """Its full map, three voxels off each face, averaged over the mask."""
    truth, ours, mask = case()
    x, y = (np.where(mask, np.clip(v, *RANGE_2023), -1024) + 1024 for v in (truth, ours))
    _, full = structural_similarity(x, y, data_range=4024, full=True)
    cut = (slice(3, -3),) * 3

    assert ssim(truth, ours, mask, RANGE_2023) == pytest.approx(
        full[cut][mask[cut]].mean(), abs=1e-9
    )


@pytest.mark.long
@pytest.mark.parametrize("shape", [(40, 52, 46), (101, 97, 60)])
def test_ms_ssim_equals_the_one_built_on_scipy(shape: tuple[int, int, int]) -> None:
    """Padded and unpadded axes, even and odd ones."""
    truth, ours, mask = case(shape)

    theirs = textbook(truth, ours, mask, RANGE_2025, list(WEIGHTS))

    assert ms_ssim(truth, ours, mask, RANGE_2025) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.long
def test_ms_ssim_keeps_the_published_quirk() -> None:
    """The textbook's, with luminance at the coarsest level alone, is another number."""
    truth, ours, mask = case()
    book = textbook(truth, ours, mask, RANGE_2025, [0, 0, 0, 0, 0.1333])

    assert abs(ms_ssim(truth, ours, mask, RANGE_2025) - book) > 1e-5


@pytest.mark.long
def test_a_perfect_answer_has_perfect_figures() -> None:
    """Error 0, similarity 1, PSNR without bound."""
    truth, _, mask = case()

    assert mae(truth, truth, mask) == 0
    assert psnr(truth, truth, mask, RANGE_2023) == float("inf")
    assert ssim(truth, truth, mask, RANGE_2023) == pytest.approx(1, abs=1e-12)
    assert ms_ssim(truth, truth, mask, RANGE_2025) == pytest.approx(1, abs=1e-12)


def test_an_empty_mask_or_another_shape_is_an_error() -> None:
    """No figure is made of nothing."""
    truth, ours, mask = case()

    with pytest.raises(ValueError, match="empty"):
        mae(truth, ours, np.zeros_like(mask))
    with pytest.raises(ValueError, match="differ"):
        mae(truth, ours[1:], mask)
