"""The structure set read back by others: plastimatch adds contours, the second reader toggles."""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from node.dicom.companion import written_ct
from node.dicom.rtstruct import encode_rtstruct
from node.domain.structures import STRUCTURES, mask_of, regions_of
from node.infer.preprocess import body_mask
from tests.peers.dciodvfy import run_dciodvfy
from tests.peers.plastimatch import read_structures
from tests.phantoms.sct import WrittenSct, written_sct

pytestmark = pytest.mark.interop
Mask = NDArray[np.bool_]


def toggled(rtstruct: Path, ct_folder: Path) -> dict[str, Mask]:
    """Read as platipy and dcmrtstruct2nii do: SimpleITK for the lattice, exclusive or of polygons.

    Vertices go through the image's own transform, pixels through scikit-image's polygon filler.
    """
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(ct_folder))
    image = SimpleITK.ReadImage(files)
    columns, rows, slices = image.GetSize()
    dataset = pydicom.dcmread(rtstruct)
    names = {r.ROINumber: str(r.ROIName) for r in dataset.StructureSetROISequence}
    masks = {}
    for roi in dataset.ROIContourSequence:
        mask = np.zeros((slices, rows, columns), bool)
        for contour in roi.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            index = np.array([image.TransformPhysicalPointToContinuousIndex(p) for p in points])
            mask[round(index[0, 2])] ^= polygon2mask((rows, columns), index[:, 1::-1])
        masks[names[roi.ReferencedROINumber]] = mask
    return masks


def written(made: WrittenSct, folder: Path) -> tuple[Path, Path]:
    """Both series as files."""
    ct_folder = folder / "ct"
    ct_folder.mkdir(parents=True)
    for instance in made.encoded:
        (ct_folder / f"{instance.instance_number:04d}.dcm").write_bytes(instance.data)
    companion = encode_rtstruct(
        written_ct(made.encoded), regions_of(STRUCTURES, made.result.sct, made.result.body)
    )
    assert companion.instance is not None
    rtstruct = folder / "rtstruct.dcm"
    rtstruct.write_bytes(companion.instance.data)
    return rtstruct, ct_folder


def agree(found: Mask, mask: Mask) -> None:
    """Dice at least 0.999, volume within 0.5 %."""
    dice = 2 * (found & mask).sum() / (found.sum() + mask.sum())
    assert dice >= 0.999
    assert abs(found.sum() / mask.sum() - 1) <= 0.005


def read_back(made: WrittenSct, folder: Path) -> None:
    """Every structure, by both readers, against the voxels it is defined by."""
    rtstruct, ct_folder = written(made, folder)
    verdict = run_dciodvfy(rtstruct)
    assert (verdict.iod, verdict.errors) == ("RTStructureSet", ())
    readers = {
        "adds": read_structures(rtstruct, ct_folder, folder / "read"),
        "toggles": toggled(rtstruct, ct_folder),
    }
    result = made.result
    voxel_ml = result.sct.grid.voxel_volume_mm3 / 1000.0
    for masks in readers.values():
        assert set(masks) == {s.name for s in STRUCTURES}
        for structure in STRUCTURES:
            agree(
                masks[structure.name], mask_of(structure, result.sct.values, result.body, voxel_ml)
            )


def test_two_readers_give_the_voxels_back(tmp_path: Path) -> None:
    """A shell of bone around a ball that is not: a filled hole would double its volume."""
    read_back(written_sct((60, 80, 72), 1.5, radius_mm=42.0), tmp_path)


@pytest.mark.realdata
@pytest.mark.parametrize("case", ["S01", "S12"])
def test_two_readers_give_a_head_back(case: str, real_data: Path, tmp_path: Path) -> None:
    """The CT of the pair, noise included, as if it were the sCT."""
    file = real_data / "synthetic-pairs" / case / "ct_truth.nii.gz"
    read_back(head(np.asarray(nibabel.load(file).dataobj, np.float64).T), tmp_path)


def head(hu: NDArray[np.float64]) -> WrittenSct:
    """A head of 1 mm voxels, its outer contour found as in a CT."""
    solid = np.where(hu > -300, 1000.0, 0.0).astype(np.float32)
    body = body_mask(solid, (1.0, 1.0, 1.0))
    whole = np.where(body, np.clip(np.rint(hu), -1024, 3071), -1000)

    def paint(_lps: NDArray[np.float64], values: NDArray[np.int16]) -> None:
        values[:] = whole

    slices, rows, columns = whole.shape
    made = written_sct((slices, rows, columns), 1.0, paint=paint)
    made.result.body[:] = body
    return made
