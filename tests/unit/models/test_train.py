"""Training on tiny pairs: it learns, it resumes, what it exports is what it trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.config import TrainConfig, read_config  # noqa: E402
from models.data import CLASSES, Sample, count, crop, read_sample, write_sample  # noqa: E402
from models.networks import SctNet  # noqa: E402
from models.train import learning_rate, loss_of, save, start, step  # noqa: E402

CONFIG = Path(__file__).parents[3] / "models" / "head-t1.toml"


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """The shipped config, shrunk."""
    return replace(
        read_config(CONFIG), folder=tmp_path, widths=(4, 4, 4, 4), fine=2, warm_crop=32, threads=1
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
    losses = [step(run, config, crop(sample(), 32, rng)) for _ in range(12)]
    run.elapsed_s = 77.0
    save(run, config)

    again = start(config)

    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert (again.step, again.elapsed_s) == (12, 77.0)
    for ours, theirs in zip(run.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_sample_comes_back_from_disk(tmp_path: Path) -> None:
    """Half precision signal, HU and tissues survive the pool's file."""
    write_sample(tmp_path / "pair.npy", sample())

    back = read_sample(tmp_path / "pair.npy")

    np.testing.assert_array_equal(back.mr, sample().mr)
    np.testing.assert_array_equal(back.ct, sample().ct)
    np.testing.assert_array_equal(back.tissues, sample().tissues)


def test_a_crop_beyond_the_volume_is_air(config: TrainConfig) -> None:
    """A cube larger than the volume is filled with -1000 HU and no signal."""
    mr, truth, weight, classes = crop(sample(), 64, np.random.default_rng(0))

    assert mr.shape == truth.shape == weight.shape == (1, 64, 64, 64)
    assert float(truth.min()) == -1.0
    assert float(mr[0, 0, 0, 0]) == 0.0
    assert set(classes.flatten().tolist()) == {0, int(CLASSES[2])}


def test_a_repainted_crop_shows_the_same_anatomy_in_another_contrast() -> None:
    """HU and classes stay with the tissues; the signal is drawn anew near the usual level."""
    still, other = (
        crop(sample(), 48, np.random.default_rng(3), repainted=share) for share in (0.0, 1.0)
    )

    inside = other.classes == int(CLASSES[2])
    assert torch.equal(other.truth[0] > -0.5, inside)
    assert 0.3 < float(other.mr[0][inside].mean()) < 2.5
    assert float(other.mr[0][~inside].mean()) < 0.3
    assert not torch.equal(still.mr, other.mr)


def test_the_classes_are_learnt_beside_the_hu_and_not_exported() -> None:
    """The network answers with two maps; training sees five classes more."""
    torch.manual_seed(0)
    network = SctNet((4, 4, 4, 4), 2).eval()

    with torch.no_grad():
        assert len(network(torch.rand(1, 1, 16, 16, 16))) == 2
        assert network.learn(torch.rand(1, 1, 16, 16, 16))[2].shape == (1, 5, 16, 16, 16)


def test_the_scale_head_learns_the_error_not_the_image() -> None:
    """The HU head's gradient does not depend on the scale head."""
    mu = torch.zeros(1, 1, 2, 2, 2, requires_grad=True)
    gradients = []
    for scale in (-3.0, 0.0):
        loss = loss_of(mu, torch.full_like(mu, scale), torch.ones_like(mu), torch.ones_like(mu))
        gradients.append(torch.autograd.grad(loss, mu)[0])

    assert torch.equal(gradients[0], gradients[1])


def test_the_rate_falls_to_almost_nothing(config: TrainConfig) -> None:
    """Cosine after a short rise."""
    end = learning_rate(config, config.minutes * 60)

    assert end < 0.02 * config.learning_rate < learning_rate(config, 300)


def test_the_network_keeps_shape_and_reach() -> None:
    """Two maps of the input's shape; nothing beyond the declared reach changes an answer."""
    torch.manual_seed(0)
    network = SctNet((4, 4, 4, 4), 2).eval()
    values = torch.rand(1, 1, 16, 16, 400)
    other = values.clone()
    other[..., :100] = 0

    with torch.no_grad():
        (mu, scale), (moved, _) = network(values), network(other)

    assert mu.shape == scale.shape == values.shape
    assert torch.equal(mu[..., 100 + SctNet.reach :], moved[..., 100 + SctNet.reach :])
    assert not torch.equal(mu[..., :100], moved[..., :100])


def test_a_config_with_a_typo_is_refused(tmp_path: Path) -> None:
    """The message names the key."""
    path = tmp_path / "wrong.toml"
    path.write_text(CONFIG.read_text().replace("minutes =", "minuets ="))

    with pytest.raises(ValueError, match="minuets"):
        read_config(path)
