"""Pairs in each published layout are found, read, checked and split by patient."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.data import read_sample
from models.real import fill_real, find_cases, problems, read_pair, split_patients
from models.tissues import Tissue
from node.domain.errors import Misconfigured
from node.domain.volume import Unit, Volume
from node.infer.files import write_image
from tests.phantoms.mr import mr_series


def egg(centre: float = 0.0) -> tuple[Volume, Volume, Volume]:
    """MR, CT and mask of a head-sized egg on a 3 mm lattice."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3)) * 3.0
    affine[:3, 3] = -60
    z, y, x = np.meshgrid(*[np.arange(40) * 3.0 - 58.5] * 3, indexing="ij")
    radius = np.sqrt(z**2 + y**2 + (x - centre) ** 2)
    mr = np.select([radius < 36, radius < 42, radius < 48], [500.0, 30.0, 700.0], 5.0)
    ct = np.select([radius < 36, radius < 42, radius < 48], [35.0, 1100.0, -90.0], -1000.0)
    arrays = (mr, ct, (radius < 50).astype(np.float32))
    units = (Unit.SIGNAL, Unit.HU, Unit.SIGNAL)
    mr_, ct_, mask = (
        Volume(values=v.astype(np.float32), affine=affine, frame_of_reference_uid="", unit=u)
        for v, u in zip(arrays, units, strict=True)
    )
    return mr_, ct_, mask


def write_case(root: Path, patient: str, suffix: str, parts: tuple[Volume, ...]) -> None:
    """One patient's folder."""
    (root / patient).mkdir(parents=True)
    for name, part in zip(("mr", "ct", "mask"), parts, strict=True):
        write_image(root / patient / f"{name}{suffix}", part)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_both_published_layouts_are_read_onto_one_lattice(tmp_path: Path, suffix: str) -> None:
    """2023 writes NIfTI, 2025 MetaImage; a sound pair has no problem."""
    write_case(tmp_path / "Task1" / "brain", "1BA001", suffix, egg())

    (case,) = find_cases(tmp_path)
    pair = read_pair(case)

    assert case.patient == "1BA001"
    assert pair.mr.shape == pair.ct.shape == pair.mask.shape == (120, 120, 120)
    assert pair.ct[60, 60, 60] == pytest.approx(35)
    assert problems(pair) == []


def test_folders_of_dicom_are_a_pair_without_a_mask(tmp_path: Path) -> None:
    """The outline is found in the MR."""
    for folder, modality, inside, outside in (("mr", "MR", 600, 5), ("ct", "CT", 400, -1000)):

        def signal(p: np.ndarray, inside: int = inside, outside: int = outside) -> np.ndarray:
            return np.where(np.linalg.norm(p, axis=-1) < 45, float(inside), float(outside))

        made = mr_series(
            shape=(30, 40, 40),
            spacing_mm=(4.0, 3.0, 3.0),
            signal=signal,
            rescale=lambda _n: (1.0, -1024.0),
            tags={"Modality": modality},
            name=folder,
        )
        made.write(tmp_path / "P1" / folder)

    (case,) = find_cases(tmp_path)

    assert case.mask is None
    assert problems(read_pair(case)) == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [("empty mask", "mask is empty"), ("not HU", "not HU"), ("slipped", "not registered")],
)
def test_a_bad_pair_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, words: str
) -> None:
    """Units, registration and mask are checked before anything is learnt."""
    mr, ct, mask = egg()
    if fault == "empty mask":
        mask.values[...] = 0
    if fault == "not HU":
        ct.values[...] = (ct.values + 1000) / 2100
    if fault == "slipped":
        ct = egg(centre=12.0)[1]
    write_case(tmp_path / "data", "good", ".mha", egg())
    write_case(tmp_path / "data", "bad", ".mha", (mr, ct, mask))

    kept = fill_real(tmp_path / "data", tmp_path / "pool")

    assert kept == ("good",)
    assert words in capsys.readouterr().out


def test_a_sample_has_the_tissues_hu_tell_apart(tmp_path: Path) -> None:
    """Bone, fat, the rest, and nothing outside the mask."""
    write_case(tmp_path / "data", "one", ".mha", egg())

    fill_real(tmp_path / "data", tmp_path / "pool")
    sample = read_sample(tmp_path / "pool" / "pair_0000_one.npy")

    middle = [int(sample.tissues[60, 60, x]) for x in (60, 60 + 39, 60 + 45, 60 + 58)]
    assert middle == [Tissue.MUSCLE, Tissue.CORTICAL, Tissue.FAT, Tissue.OUTSIDE]
    assert float(sample.mr[60, 60, 60]) == pytest.approx(1.0, abs=0.4)


def test_more_patients_move_nobody_between_the_halves() -> None:
    """A patient is in one half only, and the order of the names does not matter."""
    names = [f"1BA{n:03d}" for n in range(40)]

    train, held = split_patients(names)
    again, _ = split_patients(list(reversed(names)))

    assert train == again
    assert not set(train) & set(held)
    assert len(held) == 6


def test_an_empty_folder_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    """Nothing is trained on nothing."""
    with pytest.raises(Misconfigured, match="no pairs"):
        find_cases(tmp_path)
