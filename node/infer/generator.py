"""MR volume in, synthetic CT out: the steps in order.

resample -> body -> normalise -> crop -> network -> outside to air -> plan's grid -> checks
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Defect
from node.domain.findings import Finding, finding
from node.domain.geometry import Grid, axial_grid
from node.domain.plan import SctResult
from node.domain.volume import Unit, Volume
from node.infer.manifest import Manifest, met_hu
from node.infer.preprocess import body_mask, normalise, resample, tighten
from node.infer.quality import Examined, check
from node.infer.registry import ModelFolder
from node.infer.session import PROVIDERS, Session
from node.infer.slice_order import disorder
from node.infer.sliding import lean_budget, predict_within
from node.log import get_logger

log = get_logger(__name__)

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Report = Callable[[str, float], None]

AIR_HU = -1000.0
# PS3.3 C.8.2.1.1: 12 stored bits and intercept -1024 hold exactly this range.
LOWEST_HU, HIGHEST_HU = -1024, 3071
# A budget of 0 means this much, whatever is free: the same input must give the same bits, and
# whether a volume is cut in tiles changes the last of them. On a processor it means as little as
# costs nothing, where a network can be cut so: that changes no bit.
DEFAULT_BUDGET_BYTES = 8 * 2**30
# Air around the body that the network sees, in voxels.
_MARGIN_VOXELS = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Answer:
    """What the network says on its own grid."""

    hu: Floats
    scale: Floats | None
    body: Mask
    signal: Floats
    how: str


class Generator:
    """One model, loaded once, used for many series.

    Parameters
    ----------
    model
        Folder from the registry; its file's hash is verified here.
    providers
        ``cpu``, ``cuda``, ``tensorrt``, best first.
    memory_budget_bytes
        Most memory one pass may take; 0: `DEFAULT_BUDGET_BYTES`, or `lean_budget` on the CPU.
    """

    def __init__(
        self,
        model: ModelFolder,
        *,
        providers: Sequence[str],
        memory_budget_bytes: int = 0,
        threads: int = 0,
    ) -> None:
        data = model.read()
        self.model = model
        self._budget = memory_budget_bytes
        self._providers = tuple(providers)
        context = model.manifest.stack_context_voxels
        self._session = Session(data, providers=providers, threads=threads, context=context)
        self._spare: Session | None = None
        expected = 2 if model.manifest.output.has_scale else 1
        if self._session.outputs != expected:
            raise Defect(f"{model.file} gives {self._session.outputs} outputs, not {expected}.")

    @property
    def provider(self) -> str:
        """Where the network really runs."""
        return str(self._session.provider)

    def synthesise(
        self, mr: Volume, grid: Grid, *, flips: bool = False, report: Report | None = None
    ) -> SctResult:
        """Make the synthetic CT of ``mr`` on ``grid``; ``report`` gets step and share done.

        With ``flips`` it is the mean with the answer to the left-right mirrored MR: twice the time.
        """
        tell = _Timed(report)
        manifest = self.model.manifest
        tell("resample", 0.0)
        work = self._working_grid(mr, grid)
        signal = resample(mr, work)
        tell("body", 0.1)
        body = body_mask(signal, work.spacing_mm)
        if manifest.body_mask and not body.any():
            return self._nothing(mr, grid)
        answer = self._answer(signal, body, work, flips, tell)
        tell("write back", 0.8)
        result = self._on_grid(mr, answer, work, grid)
        tell("check", 0.95)
        findings = self._findings(mr, result, answer, work)
        tell("done", 1.0)
        log.info("sct_made", model=manifest.name, provider=self.provider, seconds=tell.seconds)
        return SctResult(
            sct=result.sct,
            uncertainty=result.uncertainty,
            body=result.body,
            findings=findings,
            runtime=f"{self._session.runtime}, {answer.how}",
        )

    def _working_grid(self, mr: Volume, grid: Grid) -> Grid:
        spacing = self.model.manifest.spacing_mm
        axial = np.allclose(grid.affine[:3, :3], np.fliplr(np.eye(3)) * spacing, atol=1e-6)
        return grid if axial else axial_grid(mr.grid, spacing_mm=spacing, max_matrix=100_000)

    def _answer(self, signal: Floats, body: Mask, work: Grid, flips: bool, tell: Report) -> _Answer:
        manifest = self.model.manifest
        values = normalise(signal, body, manifest.normalisation)
        box = _box(body) if manifest.body_mask else tuple(slice(0, n) for n in body.shape)
        inputs = _margin(values, box, manifest)
        tell("network", 0.2)
        with ThreadPoolExecutor(1) as aside:
            drawn = aside.submit(tighten, signal, body, work.spacing_mm)
            answers, how = self._predict(
                inputs, flips, lambda share: tell("network", 0.2 + 0.5 * share)
            )
            tell("contour", 0.7)
            contour = drawn.result()
        hu = _place(answers[0], box, body.shape, manifest, AIR_HU)
        scale = None
        if manifest.output.has_scale:
            scale = np.maximum(_place(answers[1], box, body.shape, manifest, 0.0), 0.0)
        if manifest.body_mask:
            outside = ~contour
            hu[outside] = AIR_HU
            if scale is not None:
                scale[outside] = 0.0
        elif not contour.any():
            contour = np.ones(body.shape, bool)
        if scale is not None and manifest.output.half_width_curve:
            scale[contour] = met_hu(scale[contour], manifest.output.half_width_curve)
        return _Answer(hu=hu, scale=scale, body=contour, signal=signal, how=how)

    def _predict(
        self,
        inputs: Floats,
        flips: bool,
        report: Callable[[float], None],
    ) -> tuple[list[Floats], str]:
        """Run with what memory there is; then, where asked, average with the mirror image."""
        budget = self._budget or self._usual_budget(inputs.shape)
        run = partial(predict_within, manifest=self.model.manifest, budget_bytes=budget)
        sessions = [self._session.run]
        if "cpu" in self._providers and self._session.provider != PROVIDERS["cpu"]:
            sessions.append(self._on_cpu)
        answers, how = run(inputs, sessions, report=report)
        if not flips:
            return answers, how
        others, _ = run(np.ascontiguousarray(inputs[:, :, ::-1]), sessions)
        both = [
            np.asarray((a + b[:, :, ::-1]) / 2, np.float32)
            for a, b in zip(answers, others, strict=True)
        ]
        return both, f"{how}, averaged with its mirror image"

    def _usual_budget(self, shape: tuple[int, ...]) -> int:
        on_cpu = self._session.provider == PROVIDERS["cpu"]
        return (on_cpu and lean_budget(shape, self.model.manifest)) or DEFAULT_BUDGET_BYTES

    def _on_cpu(self, values: Floats) -> list[Floats]:
        """Answer on the CPU for once; the next series finds the first session as it was."""
        if self._spare is None:
            log.warning("session_falls_back_to_cpu", model=self.model.manifest.name)
            context = self.model.manifest.stack_context_voxels
            self._spare = Session(self.model.read(), providers=["cpu"], context=context)
        return self._spare.run(values)

    def _on_grid(self, mr: Volume, answer: _Answer, work: Grid, grid: Grid) -> SctResult:
        frame = mr.frame_of_reference_uid

        def moved(values: Floats, fill: float, unit: Unit) -> Floats:
            volume = Volume(
                values=values, affine=work.affine, frame_of_reference_uid=frame, unit=unit
            )
            return resample(volume, grid, fill=fill)

        hu = np.rint(moved(answer.hu, AIR_HU, Unit.HU))
        body = moved(answer.body.astype(np.float32), 0.0, Unit.SIGNAL) >= 0.5
        scale = None if answer.scale is None else moved(answer.scale, 0.0, Unit.HU)
        sct = np.clip(hu, LOWEST_HU, HIGHEST_HU).astype(np.int16)
        return SctResult(
            sct=_volume(sct, grid, frame),
            uncertainty=None if scale is None else _volume(scale, grid, frame),
            body=body,
            findings=(),
            runtime="",
        )

    def _findings(
        self, mr: Volume, result: SctResult, answer: _Answer, work: Grid
    ) -> tuple[Finding, ...]:
        manifest = self.model.manifest
        if manifest.quality is None:
            return (finding("QUALITY_UNCHECKED", model=f"{manifest.name} {manifest.version}"),)
        return check(
            Examined(
                hu=answer.hu,
                scale=answer.scale,
                body=answer.body,
                signal=answer.signal,
                work=work,
                source=mr.grid,
                disorder=disorder(mr.values),
            ),
            manifest,
        )

    def _nothing(self, mr: Volume, grid: Grid) -> SctResult:
        frame = mr.frame_of_reference_uid
        sct = np.full(grid.shape, int(AIR_HU), np.int16)
        return SctResult(
            sct=_volume(sct, grid, frame),
            uncertainty=None,
            body=np.zeros(grid.shape, bool),
            findings=(finding("BODY_NOT_FOUND"),),
            runtime=f"{self._session.runtime}, not run",
        )


class _Timed:
    """Passes progress on and keeps the seconds each step took, for the log."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._doing = ""
        self._since = 0.0
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str, share: float) -> None:
        if step != self._doing:
            now = time.monotonic()
            if self._doing:
                self.seconds[self._doing] = round(now - self._since, 3)
            self._doing, self._since = step, now
        if self._report is not None:
            self._report(step, share)


def _volume(values: NDArray[np.generic], grid: Grid, frame: str) -> Volume:
    return Volume(values=values, affine=grid.affine, frame_of_reference_uid=frame, unit=Unit.HU)


def _box(body: Mask) -> tuple[slice, ...]:
    """The body's bounding box: anchored to it, a shift of the input shifts the answer alike."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        where = np.flatnonzero(body.any(axis=others))
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box)


def _margin(values: Floats, box: tuple[slice, ...], manifest: Manifest) -> Floats:
    """The box with what surrounds it; beyond the volume stands the padding value."""
    if not manifest.body_mask:
        return values
    low = [b.start - _MARGIN_VOXELS for b in box]
    high = [b.stop + _MARGIN_VOXELS for b in box]
    inside = tuple(
        slice(max(a, 0), min(b, n)) for a, b, n in zip(low, high, values.shape, strict=True)
    )
    spare = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(low, high, values.shape, strict=True)]
    return np.pad(values[inside], spare, constant_values=manifest.padding)


def _place(
    answer: Floats, box: tuple[slice, ...], shape: tuple[int, ...], manifest: Manifest, fill: float
) -> Floats:
    """Undo `_margin`: the answer for the box, ``fill`` elsewhere."""
    if not manifest.body_mask:
        return np.array(answer, np.float32)
    placed = np.full(shape, fill, np.float32)
    low = [b.start - _MARGIN_VOXELS for b in box]
    source = tuple(
        slice(max(-a, 0), max(-a, 0) + min(b.stop + _MARGIN_VOXELS, n) - max(a, 0))
        for a, b, n in zip(low, box, shape, strict=True)
    )
    target = tuple(
        slice(max(a, 0), min(b.stop + _MARGIN_VOXELS, n))
        for a, b, n in zip(low, box, shape, strict=True)
    )
    placed[target] = answer[source]
    return placed
