"""Real pairs: the layouts of SynthRAD2023 and 2025, and folders of DICOM pairs.

``python -m models.real FOLDER`` lists the pairs and says what is wrong with each. Layouts, one
folder for each patient, anywhere below the root:

- SynthRAD2023: ``mr.nii.gz``, ``ct.nii.gz``, ``mask.nii.gz``
- SynthRAD2025: ``mr.mha``, ``ct.mha``, ``mask.mha``
- DICOM: ``mr/`` and ``ct/`` with one series each, the CT registered to the MR
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.data import NORMALISATION, Sample, count, write_sample
from models.tissues import Tissue, TissueMap
from node.dicom.folder import read_folder
from node.domain.errors import Misconfigured
from node.domain.geometry import axial_grid
from node.domain.volume import Unit, Volume
from node.infer.files import read_image
from node.infer.preprocess import body_mask, normalise, resample
from node.metrics.geometry import dice

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_IMAGES = (".nii.gz", ".mha")
# Outlines of a registered pair; SynthRAD's own masks reach this easily, a slipped pair does not.
_LEAST_DICE = 0.85
_MOST_MM = 6.0
# A CT in HU has air well below this and something above that.
_AIR_HU, _SOLID_HU = -700.0, 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Where the files of one patient are."""

    patient: str
    """Name of the patient's folder."""
    mr: Path
    ct: Path
    mask: Path | None
    """None: the outline is found in the MR."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RealPair:
    """One patient on a 1 mm axial LPS lattice."""

    mr: Floats
    """Signal."""
    ct: Floats
    """HU; -1000 where the CT ends."""
    mask: Mask
    """Where there is patient."""


def find_cases(root: Path) -> tuple[Case, ...]:
    """Every pair below ``root``, by patient; `Misconfigured` when there is none."""
    cases = []
    for folder in sorted(p for p in [root, *root.rglob("*")] if p.is_dir()):
        for suffix in _IMAGES:
            mr, ct, mask = (folder / f"{name}{suffix}" for name in ("mr", "ct", "mask"))
            if mr.is_file() and ct.is_file():
                found = mask if mask.is_file() else None
                cases.append(Case(patient=folder.name, mr=mr, ct=ct, mask=found))
        if (folder / "mr").is_dir() and (folder / "ct").is_dir():
            cases.append(Case(patient=folder.name, mr=folder / "mr", ct=folder / "ct", mask=None))
    twice = {c.patient for c in cases if sum(d.patient == c.patient for d in cases) > 1}
    if not cases or twice:
        raise Misconfigured(
            f"{root} holds no pairs." if not cases else f"Patients twice: {', '.join(twice)}.",
            remedy="See the layouts in docs/models.md.",
        )
    return tuple(cases)


def split_patients(
    patients: Sequence[str], share: float = 0.15
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Training and held-out patients; a patient's name alone decides, so more data moves nobody."""
    order = sorted(patients, key=lambda p: hashlib.sha256(p.encode()).hexdigest())
    held = max(1, round(share * len(order)))
    return tuple(sorted(order[held:])), tuple(sorted(order[:held]))


def read_pair(case: Case) -> RealPair:
    """Read one patient and bring MR, CT and mask onto one 1 mm lattice."""
    mr = _volume(case.mr, "MR")
    grid = axial_grid(mr.grid, spacing_mm=1.0, max_matrix=100_000)
    signal = resample(mr, grid)
    ct = resample(_volume(case.ct, "CT"), grid, fill=-1000.0)
    if case.mask is not None:
        mask = resample(read_image(case.mask, Unit.SIGNAL), grid) >= 0.5
    else:
        mask = body_mask(signal, grid.spacing_mm)
    return RealPair(mr=signal, ct=ct, mask=mask)


def problems(pair: RealPair) -> list[str]:
    """What is wrong with a pair, as sentences; empty when it can be trained on."""
    out = []
    if not pair.mask.any():
        return ["the mask is empty"]
    if float(np.ptp(pair.mr)) == 0:
        return ["the MR is constant"]
    low, high = float(pair.ct.min()), float(np.percentile(pair.ct[pair.mask], 99.9))
    if low > _AIR_HU or high < _SOLID_HU:
        out.append(f"the CT runs from {low:.0f} to {high:.0f}: these are not HU")
        return out
    solid = np.where(pair.ct > -300, 1000.0, 0.0).astype(np.float32)
    ours, theirs = (body_mask(v, (1.0, 1.0, 1.0)) for v in (pair.mr, solid))
    if not ours.any() or not theirs.any():
        return [*out, "there is no patient in the MR or in the CT"]
    overlap = dice(ours, theirs)
    off = float(np.linalg.norm(_centre(ours) - _centre(theirs)))
    if overlap < _LEAST_DICE or off > _MOST_MM:
        out.append(
            f"MR and CT are not registered: outlines overlap {overlap:.2f}, centres {off:.0f} mm "
            "apart"
        )
    return out


def to_sample(pair: RealPair) -> Sample:
    """Make a sample of a pair; what each voxel is made of is read from the HU."""
    body = body_mask(pair.mr, (1.0, 1.0, 1.0))
    mr = normalise(pair.mr, body, NORMALISATION).astype(np.float16)
    ct = np.where(pair.mask, np.clip(pair.ct, -1024, 3071), -1000)
    tissues = tissues_of(ct, pair.mask)
    return Sample(mr=mr, ct=np.rint(ct).astype(np.int16), tissues=tissues, counts=count(tissues))


def tissues_of(ct: NDArray[np.floating], mask: Mask) -> TissueMap:
    """The tissues that HU tell apart."""
    kinds = [Tissue.OUTSIDE, Tissue.AIR, Tissue.FAT, Tissue.CORTICAL]
    where = [~mask, ct < -400, ct < -20, ct > 200]
    return np.select(where, kinds, Tissue.MUSCLE).astype(np.uint8)


def fill_real(root: Path, pool: Path) -> tuple[str, ...]:
    """Write every sound pair to the pool; those with a problem are named and left out."""
    pool.mkdir(parents=True, exist_ok=True)
    good = []
    for case in find_cases(root):
        path = pool / f"pair_0000_{case.patient}.npy"
        if not path.exists():
            pair = read_pair(case)
            wrong = problems(pair)
            if wrong:
                print(f"{case.patient}: left out, {'; '.join(wrong)}", flush=True)  # noqa: T201
                continue
            write_sample(path, to_sample(pair))
        good.append(case.patient)
    return tuple(good)


def _volume(path: Path, modality: str) -> Volume:
    if path.is_dir():
        return read_folder(path, modality)
    return read_image(path, Unit.HU if modality == "CT" else Unit.SIGNAL)


def _centre(mask: Mask) -> NDArray[np.float64]:
    return np.array([float(w.mean()) for w in np.nonzero(mask)])


def main() -> None:
    """Check a folder of pairs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    given = parser.parse_args()
    cases = find_cases(given.root)
    train, held = split_patients([c.patient for c in cases])
    for case in cases:
        wrong = problems(read_pair(case))
        kind = "training" if case.patient in train else "held out"
        print(f"{case.patient}  {kind}  {'; '.join(wrong) or 'sound'}")  # noqa: T201
    print(f"{len(train)} patients to train on, {len(held)} held out")  # noqa: T201


if __name__ == "__main__":
    main()
