"""Ablation on tiny pairs: each variant leaves out what it says, is trained and measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.ablate import ALONE, VARIANTS, alone, rows  # noqa: E402
from models.config import read_config  # noqa: E402
from models.data import Sample, count, write_sample  # noqa: E402
from models.networks import OFFSETS  # noqa: E402

CONFIG = Path(__file__).parents[3] / "models" / "head-t1.toml"


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

    head, _, *lines = rows(config, {"18": ball(16)}, steps=2)

    assert head == "| 2 steps | 18 |"
    assert [line.split(" | ")[0] for line in lines] == [f"| {name}" for name in VARIANTS]
    for line in lines:
        mae, dice = (float(v) for v in line.split(" | ")[1].rstrip(" |").split(", "))
        assert mae > 0
        assert 0 <= dice <= 1


def test_each_variant_leaves_out_what_it_says() -> None:
    """Nothing else of the config changes."""
    config = read_config(CONFIG)
    whole = config.phases[-1]

    assert VARIANTS["as shipped"](config) == config
    assert VARIANTS["no repainted slabs"](config).phases == (replace(whole, repainted=0.0),)
    assert VARIANTS["no tissue classes"](config) == replace(config, class_weight=0.0)
    flat = VARIANTS["every tissue counts the same"](config).phases[0]
    kinds = ("bone", "water", "eye", "air", "brain", "skin")
    assert {getattr(flat, f"{kind}_weight") for kind in kinds} == {1.0}
    assert flat.repainted == whole.repainted


def test_a_slice_alone_knows_no_neighbours() -> None:
    """Each channel shows the middle slice."""
    mr = torch.arange(len(OFFSETS), dtype=torch.float32)[None, :, None, None].expand(2, -1, 3, 3)

    assert ALONE in VARIANTS
    assert torch.equal(alone(mr), torch.full((2, len(OFFSETS), 3, 3), 4.0))
