"""Sessions run where they were told to or say why not."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from node.domain.errors import Defect, Misconfigured
from node.infer.session import Session, bound, refuse_two_runtimes
from tests.phantoms.tiny_onnx import write_affine_model, write_root_model

needs_no_gpu = pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="a GPU is here")


def test_the_arithmetic_of_the_graph_arrives(tmp_path: Path) -> None:
    """Slope and intercept act on every voxel."""
    session = Session(
        write_affine_model(tmp_path, slope=2, intercept=-3) / "model.onnx", providers=["cpu"]
    )

    (hu,) = session.run(np.arange(24, dtype=np.float32).reshape(2, 3, 4))

    np.testing.assert_allclose(hu, 2 * np.arange(24).reshape(2, 3, 4) - 3)
    assert ort.__version__ in session.runtime


def test_a_voxel_that_is_no_number_is_no_answer(tmp_path: Path) -> None:
    """It would be written as 0 HU, which is water."""
    session = Session(write_root_model(tmp_path) / "model.onnx", providers=["cpu"])
    values = np.full((2, 3, 4), 110, np.float32)

    np.testing.assert_allclose(session.run(values)[0], 10)
    values[1, 2, 3] = 9
    with pytest.raises(Defect, match="1 of 24 voxels that are no number"):
        session.run(values)


def test_bound_memory_gives_the_same_answer(tmp_path: Path) -> None:
    """What a GPU does with its own memory, done with the processor's."""
    path = write_affine_model(tmp_path, slope=2, intercept=-3) / "model.onnx"
    session = ort.InferenceSession(path.as_posix(), providers=["CPUExecutionProvider"])
    values = np.arange(24, dtype=np.float32).reshape(1, 1, 2, 3, 4)

    (hu,) = bound(session, values, "cpu", ort.RunOptions())

    np.testing.assert_array_equal(hu, session.run(None, {session.get_inputs()[0].name: values})[0])


@needs_no_gpu
def test_a_provider_that_does_not_start_is_no_silent_cpu(tmp_path: Path) -> None:
    """Asked for CUDA alone on a machine without one, the session refuses."""
    path = write_affine_model(tmp_path) / "model.onnx"

    with pytest.raises(Misconfigured, match="none of cuda"):
        Session(path, providers=["cuda"])


@needs_no_gpu
def test_the_next_provider_is_taken_openly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With cpu as second choice the session runs there, says so, and the runtime is silent."""
    session = Session(write_affine_model(tmp_path) / "model.onnx", providers=["cuda", "cpu"])

    assert session.provider == "CPUExecutionProvider"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("providers", [[], ["gpu"]])
def test_an_unknown_provider_is_refused(tmp_path: Path, providers: list[str]) -> None:
    """The message lists the names there are."""
    with pytest.raises(Misconfigured, match="not known"):
        Session(write_affine_model(tmp_path) / "model.onnx", providers=providers)


def test_two_runtimes_together_are_refused() -> None:
    """Both distributions overwrite each other's files."""
    refuse_two_runtimes(["onnxruntime-gpu", "numpy"])
    with pytest.raises(Misconfigured, match="Both"):
        refuse_two_runtimes(["onnxruntime", "onnxruntime-gpu"])


def test_this_installation_holds_one_runtime() -> None:
    """The environment the tests run in passes its own check."""
    refuse_two_runtimes()


@pytest.mark.parametrize("what", ["cut", "empty", "noise", "another node's input"])
def test_a_file_that_is_no_network_is_named(what: str, tmp_path: Path) -> None:
    """Cut, empty or damaged at load: a sentence with the file and the remedy, not a defect."""
    path = write_affine_model(tmp_path) / "model.onnx"
    good = path.read_bytes()
    at = good.index(b"intercept")
    broken = {
        "cut": good[: len(good) // 2],
        "empty": b"",
        "noise": bytes(range(7, 250)),
        "another node's input": good[:at] + b"j" + good[at + 1 :],
    }
    path.write_bytes(broken[what])

    with pytest.raises(Misconfigured, match=r"model\.onnx is no network") as raised:
        Session(path, providers=["cpu"])
    assert "export the model again" in (raised.value.remedy or "")
