"""Image files (NIfTI, MetaImage, NRRD) as volumes, for pairs that never were DICOM."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses

from node.domain.errors import Misconfigured
from node.domain.volume import Unit, Volume

SUFFIXES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd")


def is_image_file(path: Path) -> bool:
    """Whether the name is one of an image file."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def read_image(path: Path, unit: Unit) -> Volume:
    """Read an image file; SimpleITK gives LPS whatever the file's own convention is."""
    try:
        image = sitk.ReadImage(path.as_posix(), sitk.sitkFloat32)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise Misconfigured(
            f"{path} cannot be read as an image: {reason}", remedy="Name another file."
        ) from error
    if image.GetDimension() != 3:
        raise Misconfigured(
            f"{path} has {image.GetDimension()} dimensions, not 3.", remedy="Name one volume."
        )
    affine = np.eye(4)
    cosines = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = cosines[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Volume(
        values=sitk.GetArrayFromImage(image), affine=affine, frame_of_reference_uid="", unit=unit
    )


def write_image(path: Path, volume: Volume) -> None:
    """Write a volume as the file its suffix names."""
    from node.infer.preprocess import to_sitk

    sitk.WriteImage(to_sitk(volume.values, volume.affine), path.as_posix(), True)
