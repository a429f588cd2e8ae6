"""Pairs are made from a seed and agree with the tissues they come from."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from models.pairs import apply, draw
from models.tissues import FAT_SHARE, Tissue, TissueMap, tissues_from_labels


def labels() -> np.ndarray:
    """A nested ball in SynthSeg's numbers: skin, soft, bone, CSF, white, a cavity, a speck."""
    axis = np.arange(64) - 31.5
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    out = np.zeros(radius.shape, np.int16)
    for limit, label in ((30, 511), (27, 507), (23, 515), (18, 24), (15, 2)):
        out[radius < limit] = label
    out[np.sqrt(x**2 + (y + 20) ** 2 + z**2) < 3.5] = 0
    out[32, 32, 32] = 0
    return out


@pytest.fixture(scope="module")
def tissues() -> TissueMap:
    """The tissue map of `labels`."""
    return tissues_from_labels(labels())


def test_a_cavity_is_air_and_the_room_is_not(tissues: TissueMap) -> None:
    """Enclosed zeros of a size are air, a single one is filled, the corner is outside."""
    # Cropped to the head: 10 voxels of room in front and beside it, none below.
    assert tissues[0, 0, 0] == Tissue.OUTSIDE
    assert tissues[30, 20, 40] == Tissue.AIR
    assert tissues[30, 40, 40] == Tissue.WHITE
    assert 100 < (tissues == Tissue.AIR).sum() < 320


def test_a_pair_is_its_seed(tissues: TissueMap) -> None:
    """Drawn and applied twice, the bits are the same; another seed gives another pair."""
    first, second = apply(draw(5), tissues), apply(draw(5), tissues)

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)
    assert first.mr.tobytes() == second.mr.tobytes()
    assert first.ct.tobytes() == second.ct.tobytes()


def test_mr_and_ct_share_the_tissues_place(tissues: TissueMap) -> None:
    """Bone is dense in CT and dark in MR where the tissue map says bone; air is -1000."""
    signal = {int(t): 1.0 for t in Tissue} | {int(Tissue.CORTICAL): 0.05, 0: 0.0, 1: 0.0}
    plain = replace(
        draw(5),
        anatomy=replace(
            draw(5).anatomy,
            neck_mm=0,
            deface=False,
            tilted=False,
            metal=False,
            flap=False,
            skull_mm=0.0,
        ),
        coil=0.0,
        cut=(0, 0, 0, 0),
        slice_mm=1.0,
        ghost=0.0,
        drop_mm=0.0,
        bias=0.1,
        noise=0.01,
        signal=signal,
    )

    pair = apply(plain, tissues)

    bone = pair.tissues == Tissue.CORTICAL
    assert pair.ct.shape == pair.mr.shape == pair.tissues.shape
    assert pair.ct[bone].mean() > 600
    assert pair.ct[pair.tissues == Tissue.WHITE].mean() == pytest.approx(28, abs=8)
    assert pair.ct[0, 0, 0] == -1000
    assert pair.mr[bone].mean() < 0.5 * pair.mr[pair.tissues == Tissue.WHITE].mean()


def test_marbled_muscle_mixes_in_both_images() -> None:
    """A quarter of fat is a quarter of the way in HU and in signal, whatever the contrast."""
    for seed in range(40):
        p = draw(seed)
        for values in (p.hu, p.signal):
            muscle, fat = values[Tissue.MUSCLE], values[Tissue.FAT]
            for tissue, share in FAT_SHARE.items():
                assert values[tissue] == pytest.approx(muscle + share * (fat - muscle))


def test_a_blanked_face_is_zero_to_its_edge(tissues: TissueMap) -> None:
    """No blur and no noise beyond the plane, and air in the CT."""
    p = draw(5)
    cut = replace(p, anatomy=replace(p.anatomy, neck_mm=0, deface=False, tilted=True), cut=(0,) * 4)

    pair = apply(cut, tissues)

    blank = pair.mr == 0
    assert 0.01 < blank.mean() < 0.5
    assert not pair.tissues[blank].any()
    assert pair.tissues[~blank].mean() > 0.1
    assert pair.ct[0, 0, 0] == -1000
    # Just above the plane the head is as bright as a voxel further up.
    first = np.argmin(blank, axis=0)
    inside = np.take_along_axis(pair.tissues, first[None], 0)[0] > 0
    edge, higher = (np.take_along_axis(pair.mr, (first + n)[None], 0)[0] for n in (0, 2))
    assert edge[inside].mean() > 0.75 * higher[inside].mean()
