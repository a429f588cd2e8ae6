"""Training on tiny pairs: it learns, it resumes, what it exports is what it trained."""

import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.config import Phase, TrainConfig, read_config  # noqa: E402
from models.data import (  # noqa: E402
    CLASSES,
    PLANE,
    Sample,
    batch,
    count,
    plane,
    read_sample,
    slab,
    write_sample,
)
from models.networks import OFFSETS, SctNet, with_neighbours  # noqa: E402
from models.tissues import Tissue  # noqa: E402
from models.train import LONGEST_STEP_S, learning_rate, loss_of, save, start, step, train  # noqa: E402

CONFIG = Path(__file__).parents[3] / "models" / "head-t1.toml"


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """The shipped config, shrunk."""
    return replace(
        read_config(CONFIG), folder=tmp_path, widths=(4, 4, 4, 4, 4), fine=2, slices=2, threads=1
    )


PHASE = Phase(
    minutes=1.0,
    learning_rate=2e-3,
    repainted=0.0,
    bone_weight=2.0,
    water_weight=1.0,
    eye_weight=1.0,
    brain_weight=1.0,
    skin_weight=1.0,
    air_weight=3.0,
)


def sample() -> Sample:
    """A ball: bright inside, HU 0 there."""
    axis = np.arange(40) - 19.5
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = np.sqrt(x**2 + y**2 + z**2) < 15
    tissues = np.where(inside, 2, 0).astype(np.uint8)
    return Sample(
        mr=inside.astype(np.float16),
        ct=np.where(inside, 0, -1000).astype(np.int16),
        tissues=tissues,
        counts=count(tissues),
    )


def test_steps_lower_the_loss_and_a_resumed_run_goes_on(config: TrainConfig) -> None:
    """A dozen steps learn the ball; the checkpoint brings weights and step count back."""
    run, rng = start(config), np.random.default_rng(1)
    losses = [step(run, config, batch([sample()] * 2, rng, PHASE)) for _ in range(12)]
    run.elapsed_s = 77.0
    save(run, config)

    again = start(config)

    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert (again.step, again.elapsed_s) == (12, 77.0)
    for ours, theirs in zip(run.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_time_stood_still_is_no_training(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped for an hour between two steps takes them none the less."""
    for subject in ("02", "18"):
        write_sample(tmp_path / f"pair_0000_{subject}.npy", sample())
    phase = replace(PHASE, minutes=2.5 * LONGEST_STEP_S / 60)
    short = replace(
        config, pool=tmp_path, train=("02",), validate=("18",), pairs=0, phases=(phase,)
    )
    hours = itertools.count(0.0, 3600.0)
    monkeypatch.setattr("models.train.time", SimpleNamespace(monotonic=lambda: next(hours)))
    monkeypatch.setattr("models.train.SAVE_EVERY_S", float("inf"))

    train(short)

    run = start(short)
    assert (run.step, run.elapsed_s) == (3, 3 * LONGEST_STEP_S)
    assert (tmp_path / "slices.png").exists()


def test_a_sample_comes_back_from_disk(tmp_path: Path) -> None:
    """Half precision signal, HU and tissues survive the pool's file."""
    write_sample(tmp_path / "pair.npy", sample())

    back = read_sample(tmp_path / "pair.npy")

    np.testing.assert_array_equal(back.mr, sample().mr)
    np.testing.assert_array_equal(back.ct, sample().ct)
    np.testing.assert_array_equal(back.tissues, sample().tissues)


def test_a_slice_beyond_the_volume_is_air() -> None:
    """A plane larger than the volume is filled with -1000 HU and no signal."""
    mr, ct, tissues = plane(sample(), 20)

    assert mr.shape == (len(OFFSETS), *PLANE)
    assert (ct[0, 0], mr[4, 0, 0], tissues[0, 0]) == (-1000.0, 0.0, 0)
    assert (ct[112, 96], mr[4, 112, 96], tissues[112, 96]) == (0.0, 1.0, 2)


def test_a_slice_at_the_end_sees_itself_beyond() -> None:
    """What training shows there is what the exported graph pads with."""
    volume = sample()
    whole = torch.from_numpy(np.asarray(volume.mr, np.float32))[None, None]

    mr, _, _ = plane(volume, 0)

    seen = mr[:, 92:132, 76:116]
    np.testing.assert_array_equal(with_neighbours(whole)[0].numpy(), seen)


def test_a_batch_keeps_signal_hu_and_classes_together() -> None:
    """However a slice is moved, mirrored and brightened."""
    mr, truth, weight, classes = batch([sample()] * 6, np.random.default_rng(0), PHASE)

    inside = classes == int(CLASSES[Tissue.WHITE])
    assert mr.shape == (6, len(OFFSETS), *PLANE)
    assert torch.equal(truth[:, 0] > -0.5, inside)
    assert torch.equal(mr[:, 4] > 0.1, inside)
    assert float(weight.max()) == 1.0


def test_each_tissue_counts_as_the_phase_says() -> None:
    """Eyes, CSF, cavities, skin and brain by their tissue, bone by its HU."""
    ball = sample()
    kinds = np.asarray(ball.tissues).copy()
    drawn = (Tissue.EYE, Tissue.CSF, Tissue.AIR, Tissue.SKIN, Tissue.GREY)
    for number, kind in enumerate(drawn, start=18):
        kinds[number][kinds[number] > 0] = kind
    phase = replace(
        PHASE,
        eye_weight=4.0,
        water_weight=2.5,
        air_weight=3.5,
        skin_weight=1.5,
        brain_weight=1.75,
        bone_weight=7.0,
    )
    eyes = replace(ball, mr=ball.mr[18:19], ct=ball.ct[18:19], tissues=kinds[18:19])
    bone = replace(ball, mr=ball.mr[:21], ct=np.full_like(ball.ct[:21], 900))
    met = set()
    for cut in range(18, 23):
        part = slice(cut, cut + 1)
        one = replace(ball, mr=ball.mr[part], ct=ball.ct[part], tissues=kinds[part])
        met.add(float(batch([one], np.random.default_rng(0), phase).weight.max()))

    assert met == {4.0, 2.5, 3.5, 1.5, 1.75}
    assert float(batch([eyes], np.random.default_rng(0), phase).weight.min()) == pytest.approx(0.1)
    assert float(batch([bone], np.random.default_rng(0), phase).weight.max()) == 7.0


def test_a_repainted_slab_shows_the_same_anatomy_in_another_contrast() -> None:
    """HU and tissues stay; the signal is drawn anew near the usual level."""
    painted = slab(sample(), np.random.default_rng(3))

    inside = np.asarray(painted.tissues) == 2
    np.testing.assert_array_equal(np.asarray(painted.ct) == 0, inside)
    assert 0.3 < float(painted.mr[inside].mean()) < 2.5
    assert float(painted.mr[~inside].mean()) < 0.3
    assert not np.array_equal(painted.mr, sample().mr)


def test_the_classes_are_learnt_beside_the_hu_and_not_exported() -> None:
    """The network answers with two maps; training sees seven classes more."""
    torch.manual_seed(0)
    network = SctNet((4, 4, 4, 4, 4), 2).eval()

    with torch.no_grad():
        assert len(network(torch.rand(1, 1, 4, 32, 32))) == 2
        assert network.learn(torch.rand(3, len(OFFSETS), 32, 32))[2].shape == (3, 7, 32, 32)


def test_the_scale_head_learns_the_error_not_the_image() -> None:
    """The HU head's gradient does not depend on the scale head."""
    mu = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    gradients = []
    for scale in (-3.0, 0.0):
        loss = loss_of(mu, torch.full_like(mu, scale), torch.ones_like(mu), torch.ones_like(mu))
        gradients.append(torch.autograd.grad(loss, mu)[0])

    assert torch.equal(gradients[0], gradients[1])


def test_the_rate_falls_to_almost_nothing(config: TrainConfig) -> None:
    """Cosine after a short rise, once in each phase."""
    two = replace(
        config, phases=(replace(PHASE, minutes=50.0), replace(PHASE, minutes=40.0, repainted=0.5))
    )
    ends = [learning_rate(two, 60 * minutes) for minutes in (49.99, 90.0, 95.0)]

    assert max(ends) < 0.02 * PHASE.learning_rate < learning_rate(two, 300)
    assert learning_rate(two, 60 * 50 + 300) == pytest.approx(learning_rate(two, 300), rel=0.1)
    assert two.phase_at(60 * 50)[0].repainted == 0.5


def test_the_network_keeps_shape_and_reach() -> None:
    """Two maps of the input's shape; nothing beyond the declared reach changes an answer."""
    torch.manual_seed(0)
    network = SctNet((4, 4, 4, 4, 4), 2).eval()
    values = torch.rand(1, 1, 40, 32, 640)
    far, high = values.clone(), values.clone()
    far[..., :100] = 0
    high[:, :, :10] = 0

    with torch.no_grad():
        (mu, scale), (aside, _), (above, _) = network(values), network(far), network(high)

    assert mu.shape == scale.shape == values.shape
    assert torch.equal(mu[..., 100 + SctNet.reach :], aside[..., 100 + SctNet.reach :])
    assert not torch.equal(mu[..., :100], aside[..., :100])
    beyond = 10 + SctNet.stack_reach
    assert torch.allclose(mu[:, :, beyond:], above[:, :, beyond:], atol=1e-5)
    assert not torch.allclose(mu[:, :, beyond - 1], above[:, :, beyond - 1], atol=1e-5)


def test_a_config_with_a_typo_is_refused(tmp_path: Path) -> None:
    """The message names the key."""
    path = tmp_path / "wrong.toml"
    path.write_text(CONFIG.read_text().replace("minutes =", "minuets ="))

    with pytest.raises(ValueError, match="minuets"):
        read_config(path)
