"""What a model says of itself, read strictly: ``onnx/<name>/<version>/manifest.json``."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Misconfigured
from node.infer.preprocess import Normalisation
from node.infer.skull import BINS_HU

FORMAT = 1
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the network answers."""

    unit: str
    """Always ``HU``."""
    low: float
    """Lowest value the graph can give."""
    high: float
    """Highest value the graph can give."""
    has_scale: bool
    """Whether a second output gives the half width of the central 68 % interval in HU."""
    half_width_curve: tuple[tuple[float, float], ...] = ()
    """Half widths as the file tells them and as they were met, HU, both rising; see `met_hu`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Limits of the checks after synthesis; they come from the model's own population."""

    body_ml: tuple[float, float]
    """Volume of the body in the field of view."""
    solidity: float
    """Least share of the filled contour that gives signal; a grid phantom has little."""
    brain_share: tuple[float, float]
    """Share of the body between 0 and 80 HU."""
    bone_share: tuple[float, float]
    """Share of the body above 250 HU."""
    air_share: tuple[float, float]
    """Share of the body below -400 HU."""
    uncertain_hu: float
    """Half width above which the model counts as unsure."""
    uncertain_share: float
    """Highest usual share of the body that is unsure."""
    open_share: float | None = None
    """Highest usual share of rays that leave the vault without meeting bone; None: no check."""
    histogram: tuple[float, ...] | None = None
    """Usual shares of `node.infer.skull.BINS_HU` in the upper head; None: no check."""
    histogram_distance: float | None = None
    """Highest usual distance from it; None when there is none."""
    shift_mm: float | None = None
    """Highest usual distance of the outlines of MR and sCT along an axis; None: not compared."""
    surface_bone: float | None = None
    """Highest usual share of bone in the body's outermost 2 mm; None: not looked at."""
    bright_skew: float | None = None
    """Highest usual `node.infer.contrast.bright_skew` of the MR; None: not looked at."""
    bone_hu: tuple[float, float] | None = None
    """Usual median HU of the bone in the upper head; None: not looked at."""
    vault_bone_ml: float | None = None
    """Highest usual volume of bone inside the vault; None: not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """A case computed by code whose answer is known, to verify an installation."""

    shape: tuple[int, int, int]
    """Shape of the input `node.infer.golden` computes."""
    mean_hu: float
    """Mean of the answer."""
    sd_hu: float
    """Standard deviation of the answer."""
    tolerance_hu: float
    """How far either may be off on another processor or provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything the node must know to use a model rightly."""

    name: str
    """Folder name, such as ``head-t1``."""
    version: str
    """Version folder, such as ``1.0.0``."""
    description: str
    """One sentence for people."""
    file: str
    """Name of the ONNX file beside the manifest."""
    sha256: str
    """Hash of that file, hexadecimal."""
    opset: int
    """ONNX operator set of the graph."""
    channels: tuple[str, ...]
    """Contrasts in input order; this node gives one."""
    spacing_mm: float
    """Isotropic spacing of the input."""
    orientation: str
    """Always ``axial-lps``: slice to superior, row to posterior, column to left."""
    normalisation: Normalisation
    """How signal becomes input."""
    body_mask: bool
    """Whether what lies outside the body is set to -1000 HU."""
    padding: float
    """Value the input is padded with."""
    stride: int
    """Input sizes must be multiples of this; slices need not where `stack_reach_voxels` is told."""
    reach_voxels: int
    """How far an input voxel can be from an output voxel that it changes."""
    stack_reach_voxels: int | None
    """The same along slices, for a network that answers each slice from itself and its neighbours.

    None: `reach_voxels`.
    """
    stack_context_voxels: int
    """Slices the input has beyond either end of those the network answers; 0: it answers all.

    At the volume's ends the outermost slice is repeated. Such a network is cut along slices at no
    cost, so its `stack_reach_voxels` must be told.
    """
    bytes_per_voxel: int
    """Peak memory of one pass, per input voxel."""
    output: Output
    """Unit and range of the answer."""
    body_part: str
    """BodyPartExamined the model was made for."""
    region: str
    """The same in a person's words."""
    sequences: tuple[str, ...]
    """MR sequences it was made for."""
    field_strengths_t: tuple[float, ...]
    """Field strengths it was made for."""
    slice_limit_mm: float
    """Largest distance between slices it was made for."""
    training_data: str
    """What it was trained on."""
    licence: str
    """Licence of the weights."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured at export."""
    quality: Quality | None = None
    """None: no checks after synthesis."""
    golden: Golden | None = None
    """None: `models verify` only checks the hash."""
    echo_time_ms: tuple[float, float] | None = None
    """Echo times it was made for; None: any."""
    repetition_time_ms: tuple[float, float] | None = None
    """Repetition times it was made for; None: any."""
    contrast_agent: bool = False
    """Whether images with contrast agent are among what it was made for."""
    least_fov_mm: float = 0.0
    """In-plane field of view that holds the whole region; 0: not asked."""


def read_manifest(path: Path) -> Manifest:
    """Read one manifest; `Misconfigured` names file, key and remedy."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Misconfigured(
            f"{path} does not exist.", remedy="Export the model again, or remove its folder."
        ) from error
    return parse_manifest(data, path)


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """What ``data`` says, which were read from ``path``."""
    try:
        raw = json.loads(data.decode("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path} is not JSON: {error}.", remedy="Export the model again."
        ) from error
    if not isinstance(raw, dict):
        raise Misconfigured(f"{path} is not a JSON object.", remedy="Export the model again.")
    return _manifest(_Table(path, raw))


class _Table:
    """Takes keys out of a JSON object one by one; what is left over at the end is unknown."""

    def __init__(self, path: Path, raw: Mapping[str, Any], prefix: str = "") -> None:
        self.path, self.raw, self.prefix = path, dict(raw), prefix

    def fail(self, key: str, problem: str) -> Misconfigured:
        return Misconfigured(
            f"{self.path}: {self.prefix}{key} {problem}.",
            remedy="Correct the manifest, or export the model again.",
        )

    def take(self, key: str) -> Any:
        if key not in self.raw:
            raise self.fail(key, "is missing")
        return self.raw.pop(key)

    def text(self, key: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or not value:
            raise self.fail(key, f"is {value!r}, not a text")
        return value

    def number(self, key: str) -> float:
        return self._number(key, self.take(key))

    def _number(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fail(key, f"is {value!r}, not a number")
        return float(value)

    def maybe(self, key: str) -> float | None:
        return self.number(key) if key in self.raw else None

    def positive(self, key: str) -> float:
        value = self.number(key)
        if value <= 0:
            raise self.fail(key, f"is {value:g}, not above 0")
        return value

    def whole(self, key: str, *, least: int = 1) -> int:
        value = self.number(key)
        if value != int(value) or value < least:
            raise self.fail(key, f"is {value:g}, not a whole number from {least}")
        return int(value)

    def flag(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            raise self.fail(key, f"is {value!r}, not true or false")
        return value

    def one_of(self, key: str, *allowed: str) -> str:
        value = self.text(key)
        if value not in allowed:
            raise self.fail(key, f"is {value!r}, not {' or '.join(allowed)}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.take(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, f"is {value!r}, not a list of texts")
        return tuple(value)

    def numbers(self, key: str, count: int | None = None) -> tuple[float, ...]:
        value = self.take(key)
        if not isinstance(value, list) or (count is not None and len(value) != count):
            raise self.fail(key, f"is {value!r}, not a list of {count or ''} numbers")
        return tuple(self._number(key, item) for item in value)

    def interval(self, key: str) -> tuple[float, float]:
        low, high = self.numbers(key, 2)
        if low > high:
            raise self.fail(key, f"runs from {low:g} down to {high:g}")
        return low, high

    def table(self, key: str) -> "_Table":
        value = self.take(key)
        if not isinstance(value, dict):
            raise self.fail(key, f"is {value!r}, not an object")
        return _Table(self.path, value, f"{self.prefix}{key}.")

    def optional(self, key: str) -> "_Table | None":
        if self.raw.get(key) is None:
            self.raw.pop(key, None)
            return None
        return self.table(key)

    def done(self) -> None:
        if self.raw:
            raise self.fail(sorted(self.raw)[0], "is unknown")


def _manifest(table: _Table) -> Manifest:
    if table.whole("format") != FORMAT:
        raise table.fail("format", f"is not {FORMAT}, the one this node reads")
    context = _stack_context(table)  # before the reach it needs is taken
    manifest = Manifest(
        name=table.text("name"),
        version=table.text("version"),
        description=table.text("description"),
        file=_file(table),
        sha256=_sha256(table),
        opset=table.whole("opset"),
        channels=_one_channel(table),
        spacing_mm=table.positive("spacing_mm"),
        orientation=table.one_of("orientation", "axial-lps"),
        normalisation=_normalisation(table.table("normalisation")),
        body_mask=table.flag("body_mask"),
        padding=table.number("padding"),
        stride=table.whole("stride"),
        reach_voxels=table.whole("reach_voxels", least=0),
        stack_reach_voxels=(
            table.whole("stack_reach_voxels", least=0)
            if "stack_reach_voxels" in table.raw
            else None
        ),
        stack_context_voxels=context,
        bytes_per_voxel=table.whole("bytes_per_voxel"),
        output=_output(table.table("output")),
        body_part=table.text("body_part"),
        region=table.text("region"),
        sequences=table.texts("sequences"),
        field_strengths_t=table.numbers("field_strengths_t"),
        slice_limit_mm=table.positive("slice_limit_mm"),
        training_data=table.text("training_data"),
        licence=table.text("licence"),
        metrics=_metrics(table.table("metrics")),
        quality=_quality(table.optional("quality")),
        golden=_golden(table.optional("golden")),
        echo_time_ms=table.interval("echo_time_ms") if "echo_time_ms" in table.raw else None,
        repetition_time_ms=(
            table.interval("repetition_time_ms") if "repetition_time_ms" in table.raw else None
        ),
        contrast_agent=table.flag("contrast_agent") if "contrast_agent" in table.raw else False,
        least_fov_mm=table.positive("least_fov_mm") if "least_fov_mm" in table.raw else 0.0,
    )
    table.done()
    return manifest


def _sha256(table: _Table) -> str:
    digest = table.text("sha256")
    if not _SHA256.fullmatch(digest):
        raise table.fail("sha256", f"is {digest!r}, not 64 hexadecimal digits")
    return digest


def _file(table: _Table) -> str:
    file = table.text("file")
    if not _PLAIN_NAME.fullmatch(file):
        raise table.fail("file", f"is {file!r}, not the plain name of a file beside the manifest")
    return file


def _one_channel(table: _Table) -> tuple[str, ...]:
    channels = table.texts("channels")
    if len(channels) != 1:
        raise table.fail("channels", f"has {len(channels)} items; this node gives one")
    return channels


def _stack_context(table: _Table) -> int:
    if "stack_context_voxels" not in table.raw:
        return 0
    context = table.whole("stack_context_voxels", least=0)
    if context and table.raw.get("stack_reach_voxels") is None:
        raise table.fail("stack_context_voxels", "needs stack_reach_voxels beside it")
    return context


def _normalisation(table: _Table) -> Normalisation:
    kind = table.one_of("kind", "none", "body-percentile")
    if kind == "none":
        table.done()
        return Normalisation(kind=kind)
    how = Normalisation(
        kind=kind,
        percentile=table.positive("percentile"),
        low=table.number("low"),
        high=table.number("high"),
    )
    table.done()
    return how


def _output(table: _Table) -> Output:
    output = Output(
        unit=table.one_of("unit", "HU"),
        low=table.number("low"),
        high=table.number("high"),
        has_scale=table.flag("has_scale"),
        half_width_curve=_curve(table) if "half_width_curve" in table.raw else (),
    )
    table.done()
    return output


def _curve(table: _Table) -> tuple[tuple[float, float], ...]:
    key = "half_width_curve"
    value = table.take(key)
    if not isinstance(value, list) or len(value) < 2:
        raise table.fail(key, "is not a list of two points or more")
    points = [_Table(table.path, {key: p}, table.prefix).numbers(key, 2) for p in value]
    told, met = zip(*points, strict=True)
    if min(told) <= 0 or min(met) <= 0:
        raise table.fail(key, "has a half width that is not above 0")
    if any(b <= a for a, b in pairwise(told)) or any(b < a for a, b in pairwise(met)):
        raise table.fail(key, "falls")
    return tuple(zip(told, met, strict=True))


def met_hu(
    half_hu: NDArray[np.floating], points: tuple[tuple[float, float], ...]
) -> NDArray[np.float32]:
    """Half widths as told to half widths as met: a line between the points' logarithms.

    Beyond the ends the ratio of the last point holds; nothing told stays nothing.
    """
    if not points:
        return np.asarray(half_hu, np.float32)
    told, met = np.log(np.array(points, np.float64)).T
    at = np.log(np.maximum(half_hu, 1e-6))
    return np.asarray(half_hu * np.exp(np.interp(at, told, met - told)), np.float32)


def _metrics(table: _Table) -> dict[str, float]:
    return {key: table.number(key) for key in list(table.raw)}


def _quality(table: _Table | None) -> Quality | None:
    if table is None:
        return None
    quality = Quality(
        body_ml=table.interval("body_ml"),
        solidity=table.number("solidity"),
        brain_share=table.interval("brain_share"),
        bone_share=table.interval("bone_share"),
        air_share=table.interval("air_share"),
        uncertain_hu=table.positive("uncertain_hu"),
        uncertain_share=table.number("uncertain_share"),
        open_share=table.maybe("open_share"),
        histogram=table.numbers("histogram") if "histogram" in table.raw else None,
        histogram_distance=table.maybe("histogram_distance"),
        shift_mm=table.maybe("shift_mm"),
        surface_bone=table.maybe("surface_bone"),
        bright_skew=table.maybe("bright_skew"),
        bone_hu=table.interval("bone_hu") if "bone_hu" in table.raw else None,
        vault_bone_ml=table.maybe("vault_bone_ml"),
    )
    if quality.histogram is not None and len(quality.histogram) != len(BINS_HU) - 1:
        raise table.fail("histogram", f"has not the {len(BINS_HU) - 1} bins this node compares")
    table.done()
    return quality


def _golden(table: _Table | None) -> Golden | None:
    if table is None:
        return None
    s, r, c = (int(n) for n in table.numbers("shape", 3))
    golden = Golden(
        shape=(s, r, c),
        mean_hu=table.number("mean_hu"),
        sd_hu=table.number("sd_hu"),
        tolerance_hu=table.positive("tolerance_hu"),
    )
    table.done()
    return golden
