"""Smooth random fields and distances, the two tools anatomy and scanner are drawn with."""

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def smooth_field(shape: tuple[int, ...], scale_mm: float, rng: np.random.Generator) -> Floats:
    """A smooth random field of unit spread with features of about ``scale_mm``."""
    coarse = [max(4, int(np.ceil(n / scale_mm)) + 3) for n in shape]
    noise = sitk.GetImageFromArray(rng.standard_normal(coarse).astype(np.float32))
    noise.SetOrigin([-scale_mm * float(rng.uniform(0.5, 1.5)) for _ in range(3)])
    noise.SetSpacing([scale_mm] * 3)
    size = [int(n) for n in shape[::-1]]
    field = sitk.Resample(noise, size, sitk.Transform(), sitk.sitkLinear, (0, 0, 0), (1, 1, 1))
    values = sitk.GetArrayFromImage(field)
    return np.asarray(values / max(float(values.std()), 1e-6), np.float32)


def distance(mask: NDArray[np.bool_], limit: int) -> Floats:
    """Distance in voxels to ``mask``, negative inside it, at most ``limit``."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    far = sitk.SignedMaurerDistanceMap(image, False, False, False)
    return np.asarray(np.minimum(sitk.GetArrayFromImage(far), limit), np.float32)
