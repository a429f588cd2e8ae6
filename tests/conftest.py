"""Options and fixtures of the whole suite."""

from pathlib import Path

import pytest
from hypothesis import settings

from tests.peers.tools import Policy

pytest_plugins = ["tests.peers.fixtures"]

# A loaded machine is slow, not wrong.
settings.register_profile("pctnode", deadline=None)
settings.load_profile("pctnode")
_SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --require-peers."""
    parser.addoption(
        "--require-peers",
        action="store_true",
        help="a missing peer (DCMTK, Orthanc, ...) fails its tests instead of skipping them",
    )

    parser.addoption(
        "--fuzz", action="store_true", help="run the fuzzers in full, not a sample of each"
    )
    parser.addoption(
        "--soak", action="store_true", help="let misbehaving peers try for ten minutes"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Decide what a missing peer means."""
    Policy.required = bool(config.getoption("--require-peers"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of real MR data beside the checkout; skip where it is not."""
    if not _SHARED.is_dir():
        pytest.skip("no real data beside the checkout (../shared/data)")
    return _SHARED


@pytest.fixture(scope="session")
def whole_fuzz(request: pytest.FixtureRequest) -> bool:
    """Whether the fuzzers run in full."""
    return bool(request.config.getoption("--fuzz"))


@pytest.fixture(scope="session")
def whole_soak(request: pytest.FixtureRequest) -> bool:
    """Whether misbehaving peers have ten minutes."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture
def need_gpu() -> None:
    """Skip without a CUDA device."""
    if not Path("/dev/nvidiactl").exists():
        pytest.skip("no CUDA device")
