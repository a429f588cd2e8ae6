"""An ONNX Runtime session that runs where it was told to, or says why not."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)

from node.domain.errors import Defect, Misconfigured, Retryable
from node.infer.onnx_file import require_self_contained
from node.log import get_logger

log = get_logger(__name__)

Floats = NDArray[np.float32]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# One of these is there wherever a driver has a GPU: Linux, and Linux under Windows.
_NVIDIA_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/nvidia0"), Path("/dev/dxg"))


# What the allocators of the runtime, CUDA and its libraries say; there is no code to ask for.
_MEMORY_WORDS = ("bad_alloc", "out of memory", "failed to allocate", "alloc_failed", "memory limit")


def providers_here() -> tuple[str, ...]:
    """Providers this installation of the runtime was built with."""
    return tuple(ort.get_available_providers())


class OutOfMemory(Retryable):
    """One pass did not fit; smaller ones may."""


class Session:
    """A loaded network: one volume in, HU and perhaps its half width out.

    Parameters
    ----------
    model
        The ONNX file's bytes, as they were hashed; or its path.
    providers
        Names of `PROVIDERS`, best first. The session uses the first that really works and logs
        what it left out; it fails when none does.
    threads
        Threads of one operator; 0 leaves the number to the runtime.
    context
        Slices at either end of the input that the graph takes and does not answer.
    """

    def __init__(
        self, model: bytes | Path, *, providers: Sequence[str], threads: int = 0, context: int = 0
    ) -> None:
        refuse_two_runtimes()
        self._session = _open(model, _known(providers), threads)
        self.provider = self._session.get_providers()[0]
        """Provider the session really runs on."""
        self._context = context
        self._input = self._session.get_inputs()[0].name
        self._how = ort.RunOptions()
        if self.provider == PROVIDERS["cuda"]:
            # What one volume needed goes back to the device, for whoever shares it.
            self._how.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
        self.outputs = len(self._session.get_outputs())
        """Number of tensors the graph gives."""

    @property
    def runtime(self) -> str:
        """Library, version and provider, such as ``onnxruntime 1.31.1 CPU``."""
        return f"onnxruntime {ort.__version__} {self.provider.removesuffix('ExecutionProvider')}"

    def run(self, values: Floats) -> list[Floats]:
        """Run one pass: (slices, rows, columns) float32 in; each output in that shape.

        Slices of context at both ends are in no output.

        Raises `OutOfMemory` when the pass does not fit, and `Defect` for an answer that is none.
        """
        try:
            answers = self._answers(values[None, None])
        except (RuntimeException, Fail, EPFail, MemoryError) as error:
            if isinstance(error, MemoryError) or _is_memory(str(error)):
                raise OutOfMemory(
                    f"A pass over {values.shape} voxels does not fit into the memory of "
                    f"{self.provider.removesuffix('ExecutionProvider')}.",
                    remedy="Give the worker more memory, or lower vram_budget_gb.",
                ) from error
            raise
        shape = (values.shape[0] - 2 * self._context, *values.shape[1:])
        return [_checked(np.asarray(answer[0, 0], np.float32), shape) for answer in answers]

    def _answers(self, values: Floats) -> list[Floats]:
        if self.provider != PROVIDERS["cuda"]:
            return list(self._session.run(None, {self._input: values}, self._how))
        return bound(self._session, values, "cuda", self._how)


def _checked(answer: Floats, shape: tuple[int, ...]) -> Floats:
    """The answer, unless it has another shape or a voxel that is no number: that reads as water."""
    if answer.shape != shape:
        raise Defect(f"The network gave {answer.shape} voxels for {shape}.")
    if not np.isfinite(answer).all():
        count = int(np.count_nonzero(~np.isfinite(answer)))
        raise Defect(
            f"The network gave {count} of {answer.size} voxels that are no number.",
            remedy="Run pctnode models verify; then run the series again, or with another model.",
        )
    return answer


def bound(
    session: ort.InferenceSession, values: Floats, device: str, how: ort.RunOptions
) -> list[Floats]:
    """Run with one copy to ``device`` and one back; between them the runtime owns the memory."""
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, np.ascontiguousarray(values))
    for output in session.get_outputs():
        binding.bind_output(output.name, device)
    session.run_with_iobinding(binding, how)
    return list(binding.copy_outputs_to_cpu())


def _is_memory(message: str) -> bool:
    return any(word in message.lower() for word in _MEMORY_WORDS)


def refuse_two_runtimes(installed: Sequence[str] | None = None) -> None:
    """Refuse an installation that holds both runtimes; they overwrite each other's files."""
    names = ("onnxruntime", "onnxruntime-gpu")
    both = [n for n in names if n in installed] if installed is not None else _installed(names)
    if len(both) > 1:
        raise Misconfigured(
            "Both onnxruntime and onnxruntime-gpu are installed; they are one package twice.",
            remedy="Uninstall both, then install onnxruntime-gpu alone.",
        )


def _installed(names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def _known(providers: Sequence[str]) -> list[str]:
    unknown = [name for name in providers if name not in PROVIDERS]
    if unknown or not providers:
        raise Misconfigured(
            f"Provider {', '.join(unknown) or '(none)'} is not known.",
            remedy=f"Use {', '.join(PROVIDERS)} in providers of [inference].",
        )
    return list(providers)


def _open(model: bytes | Path, providers: list[str], threads: int) -> ort.InferenceSession:
    """Try each provider alone: a list would let the runtime fall back without a word."""
    path = model if isinstance(model, Path) else "in memory"
    data = model.read_bytes() if isinstance(model, Path) else model
    require_self_contained(data, str(path))
    reasons: list[str] = []
    for name in providers:
        if PROVIDERS[name] not in ort.get_available_providers():
            reasons.append(f"{name} is not built in")
            continue
        if name != "cpu" and not any(device.exists() for device in _NVIDIA_DEVICES):
            # Without this the runtime fills the terminal with what it could not load.
            reasons.append(f"{name}: this machine has no NVIDIA device")
            continue
        try:
            session = ort.InferenceSession(data, _options(threads), providers=[PROVIDERS[name]])
        except (InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
            raise Misconfigured(
                f"Model file {path} is no network: {str(error).splitlines()[0]}",
                remedy="Restore the file, or export the model again.",
            ) from None
        except (RuntimeError, ValueError, Fail, EPFail) as error:
            reasons.append(f"{name}: {str(error).splitlines()[0]}")
            continue
        # The runtime adds the CPU by itself; what stands first is what it settled for.
        if session.get_providers()[0] == PROVIDERS[name]:
            log.info("session_opened", provider=name, skipped=reasons)
            return session
        reasons.append(f"{name} did not start")
    raise Misconfigured(
        f"Model {path} runs on none of {', '.join(providers)} ({'; '.join(reasons)}).",
        remedy="Add cpu to providers of [inference], or install what the provider needs.",
    )


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    # The arena keeps a volume's peak for the life of the process (measured: 847 MB against 82 MB).
    options.enable_cpu_mem_arena = False
    # Nor plan for shapes seen before: the second tile of a size took 1.8 times the first's peak.
    options.enable_mem_pattern = False
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    return options
