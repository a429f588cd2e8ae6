"""Ablation on tiny pairs: each variant leaves out what it says, is trained and measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.config import read_config  # noqa: E402
from models.data import Sample, count, write_sample  # noqa: E402
from models.networks import OFFSETS  # noqa: E402
from models.pairs import draw  # noqa: E402
from models.studies.ablate import (  # noqa: E402
    ALONE,
    OTHERS,
    SAME_FAT,
    VARIANTS,
    ablate,
    alone,
    from_nothing,
    same_fat,
)

CONFIG = Path(__file__).parents[4] / "models" / "head-t1.toml"
WITHOUT_DRAWING = [name for name in VARIANTS if name != SAME_FAT]


def ball(radius: float) -> Sample:
    """A ball of water in a shell of bone."""
    axis = np.arange(40) - 19.5
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    away = np.sqrt(x**2 + y**2 + z**2)
    tissues = np.select([away < radius - 4, away < radius], [5, 8], 0).astype(np.uint8)
    ct = np.select([away < radius - 4, away < radius], [8, 1200], -1000).astype(np.int16)
    return Sample(
        mr=(away < radius - 4).astype(np.float16), ct=ct, tissues=tissues, counts=count(tissues)
    )


@pytest.mark.slow
def test_each_variant_gives_figures(tmp_path: Path) -> None:
    """One line for each; two steps are enough to go through everything."""
    for number, subject in enumerate(("02", "18")):
        write_sample(tmp_path / f"pair_000{number}_{subject}.npy", ball(15 + number))
    config = replace(
        read_config(CONFIG),
        pool=tmp_path,
        train=("02",),
        validate=("18",),
        widths=(4, 4, 4, 4, 4),
        fine=2,
        slices=2,
    )

    config = replace(config, source="pairs", folder=tmp_path / "out")
    columns = {"18": [ball(16)], "both": [ball(16), ball(17)]}

    first = ablate(config, columns, 2, only=["nothing"])
    head, _, *lines = ablate(config, columns, 2, only=WITHOUT_DRAWING).splitlines()

    assert first.splitlines()[2] == lines[0]
    assert head == "| left out (2 steps, seed 7) | 18 | both |"
    assert [line.split(" | ")[0] for line in lines] == [f"| {name}" for name in WITHOUT_DRAWING]
    for line in lines:
        mae, soft, dice = (float(v) for v in line.split(" | ")[1].split(", "))
        assert mae > 0
        assert soft > 0
        assert 0 <= dice <= 1


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    """A row on disk is told as it stands, whatever the pool holds by now."""
    (tmp_path / "rows-5-7.json").write_text('{"nothing": {"18": [60.0, 20.0, 0.9]}}')
    config = replace(read_config(CONFIG), pool=tmp_path / "nowhere", folder=tmp_path)

    assert ablate(config, {}, 5, only=["nothing"]).splitlines()[2] == "| nothing | 60, 20, 0.900 |"


def test_each_variant_leaves_out_what_it_says() -> None:
    """Nothing else of the config changes."""
    config = from_nothing(read_config(CONFIG))
    (whole,) = config.phases

    assert whole.learning_rate == read_config(CONFIG).phases[0].learning_rate
    assert VARIANTS["nothing"](config) == config
    assert VARIANTS["repainted slabs"](config).phases == (replace(whole, repainted=0.0),)
    assert VARIANTS["tissue classes"](config) == replace(config, class_weight=0.0)
    flat = VARIANTS["weights of tissues"](config).phases[0]
    kinds = ("bone", "water", "eye", "air", "brain", "skin")
    assert {getattr(flat, f"{kind}_weight") for kind in kinds} == {1.0}
    assert flat.repainted == whole.repainted


def test_fat_alike_is_all_that_changes_in_a_pair() -> None:
    """Two subjects that differ in fat and skin no longer do; everything else is as drawn."""
    pairs = [draw(seed) for seed in (6000, 6001, 6003)]
    alike = [same_fat(p) for p in pairs]

    assert len({(a.anatomy.skin_mm, a.anatomy.fat_edge, a.anatomy.orbit_fat) for a in alike}) == 1
    assert all(a.anatomy.fat_depth_mm >= 2 for a in alike)
    for before, after in zip(pairs, alike, strict=True):
        assert replace(after, anatomy=before.anatomy) == before
        assert after.anatomy.skull_mm == before.anatomy.skull_mm


def test_each_kind_of_held_out_pair_can_be_drawn() -> None:
    """Among the first thousand seeds; none of a kind is of the other."""
    drawn = [draw(900_000 + n) for n in range(1000)]

    found = {kind: [p for p in drawn if fits(p)] for kind, fits in OTHERS.items()}

    assert all(len(pairs) >= 2 for pairs in found.values())
    assert not any(OTHERS["free contrast"](p) for p in found["another scanner"])


def test_a_slice_alone_knows_no_neighbours() -> None:
    """Each channel shows the middle slice."""
    mr = torch.arange(len(OFFSETS), dtype=torch.float32)[None, :, None, None].expand(2, -1, 3, 3)

    assert ALONE in VARIANTS
    assert torch.equal(alone(mr), torch.full((2, len(OFFSETS), 3, 3), 4.0))
