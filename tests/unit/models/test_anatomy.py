"""What is drawn beyond the label maps lies where it belongs and leaves the rest alone."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from models.anatomy import Anatomy, add_neck, beyond, draw_anatomy, refine
from models.tissues import FAT_SHARE, Tissue, TissueMap

BONE = (Tissue.CORTICAL, Tissue.DIPLOE)


def head() -> TissueMap:
    """A cylinder cut flat below: skin, soft tissue, skull, brain, a cavity in front, two eyes."""
    z, y, x = np.meshgrid(
        np.arange(90), np.arange(170) - 85.0, np.arange(140) - 70.0, indexing="ij"
    )
    radius = np.sqrt((y / 1.2) ** 2 + x**2)
    out = np.full(z.shape, Tissue.OUTSIDE, np.uint8)
    for limit, tissue in ((64, 7), (61, 6), (52, 8), (45, 2)):
        out[radius < limit] = tissue
    out[np.sqrt((z - 30) ** 2 + (y + 50) ** 2 + x**2) < 10] = Tissue.AIR
    for side in (-25, 25):
        out[np.sqrt((z - 45) ** 2 + (y + 55) ** 2 + (x - side) ** 2) < 9] = Tissue.EYE
    out[80:] = Tissue.OUTSIDE
    return out


def plain(**changes: object) -> Anatomy:
    """No surgery, no swelling, a full set of teeth."""
    quiet = replace(
        draw_anatomy(np.random.default_rng(1)),
        neck_mm=0,
        jaw_mm=45.0,
        teeth=1.0,
        skull_mm=0.0,
        swollen=0.0,
        metal=False,
        flap=False,
        deface=False,
        tilted=False,
        atrophy_mm=0.0,
    )
    return replace(quiet, **changes)  # type: ignore[arg-type]


def test_the_neck_has_spine_cord_airway_and_teeth() -> None:
    """Sixty slices more below, the head above them unchanged."""
    tissues = head()

    longer = add_neck(plain(neck_mm=60), tissues, np.random.default_rng(1))

    neck = longer[:60]
    assert longer.shape[0] == tissues.shape[0] + 60
    np.testing.assert_array_equal(longer[60:], tissues)
    for tissue in (Tissue.CORTICAL, Tissue.NERVE, Tissue.CSF, Tissue.AIR, Tissue.TOOTH):
        assert (neck == tissue).sum() > 200
    assert (
        np.argwhere(neck == Tissue.TOOTH)[:, 1].mean()
        < np.argwhere(neck == Tissue.NERVE)[:, 1].min()
    )


def test_a_thicker_skull_grows_outward_only() -> None:
    """Bone is gained from the soft tissue; the brain keeps every voxel."""
    tissues = head()
    thin, thick = (
        refine(plain(skull_mm=mm, cells=0.0), tissues, np.random.default_rng(2))
        for mm in (0.0, 2.5)
    )

    assert np.isin(thick, BONE).sum() > 1.2 * np.isin(thin, BONE).sum()
    np.testing.assert_array_equal(thick == Tissue.WHITE, tissues == Tissue.WHITE)


def test_fat_lies_under_the_skin_and_marrow_inside_bone() -> None:
    """No soft tissue is left undecided; marrow hardly ever meets the soft tissue."""
    out = refine(plain(diploe=1.0, fat_depth_mm=4.0), head(), np.random.default_rng(3))

    assert not (out == Tissue.SOFT).any()
    assert (out == Tissue.FAT).sum() > 1000
    marrow = out == Tissue.DIPLOE
    assert marrow.sum() > 1000
    assert (marrow[:, 1:] & (out == Tissue.FAT)[:, :-1]).sum() < 0.02 * marrow.sum()


def test_fat_is_not_always_in_the_same_place() -> None:
    """A subject may have none under the skin, skin of any depth, and fat that fades into muscle."""
    lean = plain(fat_depth_mm=0.0, fat_share=0.1, orbit_fat=False, skin_mm=9.0)

    sharp, faded, thin = (
        refine(a, head(), np.random.default_rng(3))
        for a in (
            replace(lean, fat_edge=0.02),
            replace(lean, fat_edge=1.0),
            replace(lean, skin_mm=1.5),
        )
    )

    soft = head() == Tissue.SOFT
    mixed = [t for t, share in FAT_SHARE.items() if 0 < share < 1]
    assert (sharp == Tissue.FAT).sum() < 0.2 * soft.sum()
    assert np.isin(faded, mixed).sum() > 2 * np.isin(sharp, mixed).sum() > 0
    np.testing.assert_array_equal(sharp == Tissue.SKIN, head() == Tissue.SKIN)
    assert (thin == Tissue.SKIN).sum() < 0.8 * (sharp == Tissue.SKIN).sum()


def test_cortex_shrinks_and_gives_way_to_water() -> None:
    """White matter and everything outside the brain keep their voxels."""
    tissues = head()
    rows = np.arange(tissues.shape[1])[None, :, None]
    tissues[(tissues == Tissue.WHITE) & (rows > 100)] = Tissue.GREY
    tissues[(tissues == Tissue.GREY) & (rows > 110)] = Tissue.CSF

    out = refine(plain(atrophy_mm=1.0, cells=0.0), tissues, np.random.default_rng(4))

    assert (out == Tissue.CSF).sum() > (tissues == Tissue.CSF).sum()
    assert ((out == Tissue.CSF) <= np.isin(tissues, (Tissue.CSF, Tissue.GREY))).all()
    np.testing.assert_array_equal(out == Tissue.WHITE, tissues == Tissue.WHITE)


@pytest.mark.parametrize("change", ["deface", "tilted"])
def test_what_was_not_measured_ends_in_a_plane(change: str) -> None:
    """The face in front of a plane, or what lies below one; nothing where neither is drawn."""
    gone = beyond(plain(**{change: True}), head(), np.random.default_rng(5))

    centre = np.argwhere(gone).mean(axis=0) - np.array(gone.shape) / 2
    assert 0.005 < gone.mean() < 0.6
    assert centre[1 if change == "deface" else 0] < -20
    assert not beyond(plain(), head(), np.random.default_rng(5)).any()


@pytest.mark.parametrize("change", ["swollen", "flap", "metal"])
def test_each_variant_changes_what_it_names(change: str) -> None:
    """Mucosa in the cavity, a gap in the skull, metal."""
    value = 0.9 if change == "swollen" else True
    still, other = (
        refine(plain(cells=0.0, **given), head(), np.random.default_rng(5))
        for given in ({}, {change: value})
    )

    tissue, fewer = {
        "swollen": (Tissue.AIR, True),
        "flap": (Tissue.CORTICAL, True),
        "metal": (Tissue.METAL, False),
    }[change]
    difference = int((other == tissue).sum()) - int((still == tissue).sum())
    assert difference < 0 if fewer else difference > 0
