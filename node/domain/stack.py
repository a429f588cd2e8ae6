"""A series' instances, split into homogeneous stacks, each ordered along its slice normal.

Only what a scanner uses to tell volumes apart splits a series: kind of object, complex component,
ImageType, echo time, temporal position, b-value, stack id. Orientation, spacing, matrix and frame
of reference never split: where they differ inside one volume, something is wrong, and the checks
say so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from node.domain.clusters import clusters
from node.domain.errors import Defect
from node.domain.geometry import Grid, affine_from_dicom, slice_normal
from node.domain.instance import Cosines, Frame, Instance, Slice

# Positions closer than this are one position: a tenth of the thinnest slice met (0.5 mm), far above
# the rounding of positions written in 16 characters.
SAME_POSITION_MM = 0.05
# Cosines closer than this are one orientation: three digits, as the coarsest writers give, are off
# by half a thousandth; orientations meant to differ are degrees apart.
SAME_ORIENTATION = 5e-3
# Values closer than this are one. Echo times of one volume are equal in all series at hand and are
# reported to jitter by 0.001 ms; the echoes of field maps lie 2.3 ms apart and more.
ECHO_TIME_MS = 0.05
# Settings that tell volumes apart only where these meet: reported to jitter below a thousandth.
B_VALUE, INVERSION_MS, TRIGGER_MS, FLIP_DEG, REPETITION_MS = 1.0, 1.0, 1.0, 0.1, 1.0
# Steps that differ by less than this share of a step make one even stack.
_EVEN_SHARE = 0.1
# What comes next after the last slice, in steps: one, or two where the next is missing.
_NEXT = (0.75, 2.5)
_PARALLEL, _ON_LINE_MM = 1e-3, 1.0

T = TypeVar("T")
Label: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Frames that should form one regular volume."""

    slices: tuple[Slice, ...]
    """Ordered along the slice normal where all positions are known, else by instance number."""
    label: Label
    """What sets it apart from the other stacks of its series, as (attribute, value) pairs."""

    @property
    def first(self) -> Slice:
        """The slice with the lowest place along the normal."""
        return self.slices[0]

    @property
    def header(self) -> Instance:
        """Header of the first slice's instance: what is equal over a series may be read there."""
        return self.slices[0].instance

    @property
    def patient_position(self) -> str:
        """PatientPosition where the slices that state one agree; empty where none does."""
        stated = {s.instance.patient_position for s in self.slices} - {""}
        return stated.pop() if len(stated) == 1 else ""

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """UIDs of the instances it is made of, each once, in slice order."""
        return tuple(dict.fromkeys(s.instance.sop_instance_uid for s in self.slices))


def split(instances: Iterable[Instance]) -> tuple[Stack, ...]:
    """Split the instances of one series into stacks, largest first."""
    slices = [Slice(instance=i, frame=f) for i in instances for f in i.frames]
    groups: list[tuple[Label, list[Slice]]] = [((), slices)] if slices else []
    for key in _ALWAYS:
        groups = [part for g in groups for part in _parts(g, key)]
    for key in _WHERE_VOLUMES_MEET:
        groups = [part for g in groups for part in _parts_that_meet(g, key)]
    stacks = [Stack(slices=_ordered(members), label=label) for label, members in groups]
    return tuple(sorted(stacks, key=lambda s: -len(s.slices)))


def distances_mm(stack: Stack) -> NDArray[np.float64]:
    """Place of each slice along the first slice's normal, in mm; needs positions everywhere."""
    normal = slice_normal(_orientation(stack.first.frame))
    return np.array([np.dot(normal, s.frame.position_mm or ()) for s in stack.slices])


def stack_grid(stack: Stack) -> Grid:
    """The lattice of an accepted stack: positions decide, SliceThickness does not.

    The slice step is the mean over the whole stack, so that rounding in single positions does not
    add up (PS3.3 C.7.6.2.1.1).
    """
    first, last = stack.slices[0], stack.slices[-1]
    start, end = _known(first.frame.position_mm), _known(last.frame.position_mm)
    span = np.subtract(end, start)
    affine = affine_from_dicom(
        position_mm=start,
        orientation=_orientation(first.frame),
        pixel_spacing_mm=_known(first.frame.pixel_spacing_mm),
        slice_step_mm=span / max(1, len(stack.slices) - 1),
    )
    shape = (len(stack.slices), first.instance.rows, first.instance.columns)
    return Grid(shape=shape, affine=affine)


def coinciding(slices: Sequence[Slice]) -> list[tuple[Slice, Slice]]:
    """Pairs of neighbours that lie at one position, looking along each orientation apart."""
    pairs = []
    for members in _by_orientation(slices):
        ordered = _ordered(members)
        pairs += [
            (a, b)
            for a, b in pairwise(ordered)
            if _distance_mm(a.frame, b.frame) < SAME_POSITION_MM
        ]
    return pairs


def going_on(stack: Stack, others: Iterable[Stack]) -> tuple[Slice, ...]:
    """Slices of ``others`` that lie where ``stack`` would go on: in line with it, beyond an end.

    Another volume of the series covers the same places; a slice told apart by a slip of the header
    comes next after the last. Half a step beyond is an interleaved volume.
    """
    if len(stack.slices) < 2 or not _is_placed(stack.slices):
        return ()
    at = distances_mm(stack)
    step = float(np.median(np.diff(at)))
    found = [(s, at_mm) for other in others for s, at_mm in _in_line(stack, other, at)]
    beyond = [(s, max(at[0] - at_mm, at_mm - at[-1])) for s, at_mm in found]
    if not any(_NEXT[0] * step <= far <= _NEXT[1] * step for _, far in beyond):
        return ()
    return tuple(s for s, far in beyond if far >= _NEXT[0] * step)


def between(stack: Stack, others: Iterable[Stack]) -> tuple[Slice, ...]:
    """Slices of ``others`` that lie on the line of ``stack``, in gaps between its own slices."""
    if len(stack.slices) < 2 or not _is_placed(stack.slices):
        return ()
    at = distances_mm(stack)
    apart = 0.5 * float(np.median(np.diff(at)))
    found = [(s, at_mm) for other in others for s, at_mm in _in_line(stack, other, at)]
    inside = [(s, at_mm) for s, at_mm in found if at[0] < at_mm < at[-1]]
    return tuple(s for s, at_mm in inside if np.abs(at - at_mm).min() > apart)


def _in_line(stack: Stack, other: Stack, at: NDArray[np.float64]) -> Iterator[tuple[Slice, float]]:
    """The slices of ``other`` on the line of ``stack``, and their places along it in mm."""
    first, last = stack.first.frame, stack.slices[-1].frame
    normal = slice_normal(_orientation(first))
    start = np.array(first.position_mm)
    along = (np.array(last.position_mm) - start) / max(float(at[-1] - at[0]), SAME_POSITION_MM)
    for s in other.slices:
        if not _is_placed([s]):
            continue
        if np.abs(np.subtract(_orientation(s.frame), _orientation(first))).max() > _PARALLEL:
            continue
        place = float(np.dot(normal, s.frame.position_mm or ()))
        aside = np.array(s.frame.position_mm) - (start + along * (place - at[0]))
        if float(np.linalg.norm(aside)) <= _ON_LINE_MM:
            yield s, place


def _is_placed(slices: Sequence[Slice]) -> bool:
    return all(s.frame.position_mm and s.frame.orientation for s in slices)


def _distance_mm(a: Frame, b: Frame) -> float:
    if a.position_mm is None or b.position_mm is None:
        return float("inf")
    return float(np.linalg.norm(np.subtract(a.position_mm, b.position_mm)))


def _by_orientation(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices with position and orientation, each beside the first that is turned alike."""
    groups: list[tuple[NDArray[np.float64], list[Slice]]] = []
    for s in slices:
        if not s.frame.position_mm or not s.frame.orientation:
            continue
        cosines = np.array(s.frame.orientation)
        for leader, members in groups:
            if np.abs(leader - cosines).max() <= SAME_ORIENTATION:
                members.append(s)
                break
        else:
            groups.append((cosines, [s]))
    return [members for _, members in groups]


def _ordered(slices: Sequence[Slice]) -> tuple[Slice, ...]:
    if all(s.frame.position_mm and s.frame.orientation for s in slices):
        normal = slice_normal(_orientation(_reference(slices).frame))
        return tuple(
            sorted(
                slices,
                key=lambda s: (
                    round(float(np.dot(normal, s.frame.position_mm or ())), 4),
                    s.instance.sop_instance_uid,
                    s.frame.number,
                ),
            )
        )
    return tuple(
        sorted(
            slices,
            key=lambda s: (
                s.instance.instance_number or 0,
                s.instance.sop_instance_uid,
                s.frame.number,
            ),
        )
    )


def _reference(slices: Sequence[Slice]) -> Slice:
    """A slice with the commonest orientation, so that one odd slice does not order the stack."""
    by_name = sorted(slices, key=lambda s: (s.instance.sop_instance_uid, s.frame.number))
    commonest = max(_by_orientation(by_name), key=len)
    return min(commonest, key=lambda s: (s.instance.sop_instance_uid, s.frame.number))


def _orientation(frame: Frame) -> Cosines:
    return _known(frame.orientation)


def _known(value: T | None) -> T:
    if value is None:
        raise Defect("Asked for the geometry of a stack that the checks refuse.")
    return value


Group: TypeAlias = tuple[Label, list[Slice]]


@dataclass(frozen=True, slots=True)
class _Key:
    """What tells volumes apart: an attribute, and how its value is read from a slice."""

    attribute: str
    value: Callable[[Slice], str | float | None]
    tolerance: float = 0.0
    """How much numbers of one volume may differ."""

    def labels(self, slices: Sequence[Slice]) -> list[str]:
        """A word for each slice: equal words, one value."""
        values = [self.value(s) for s in slices]
        numbers = [v for v in values if isinstance(v, int | float)]
        of_number = dict(zip(numbers, self._words(numbers), strict=True))
        return [of_number[v] if isinstance(v, int | float) else _text(v) for v in values]

    def _words(self, numbers: Sequence[float]) -> list[str]:
        found: dict[int, list[float]] = {}
        members = clusters(numbers, self.tolerance)
        for number, value in zip(members, numbers, strict=True):
            found.setdefault(number, []).append(value)
        middles = {number: float(np.median(values)) for number, values in found.items()}
        words = {number: f"{middle:.1f}" for number, middle in middles.items()}
        if len(set(words.values())) < len(words):
            words = {number: f"{middle:.6g}" for number, middle in middles.items()}
        return [words[number] for number in members]


def _parts(group: Group, key: _Key) -> list[Group]:
    label, slices = group
    values: dict[str, list[Slice]] = {}
    for s, word in zip(slices, key.labels(slices), strict=True):
        values.setdefault(word, []).append(s)
    if len(values) == 1 or _is_slip(values):
        return [group]
    return [((*label, (key.attribute, v)), members) for v, members in sorted(values.items())]


def _is_slip(values: Mapping[str, Sequence[Slice]]) -> bool:
    """Whether a few slices of one volume merely lack the attribute: none lies where another does.

    `node.domain.checks.acceptance` says so; that slices were missing would name another cause.
    """
    if len(values) != 2 or "" not in values:
        return False
    stated = next(members for word, members in values.items() if word)
    if len(values[""]) >= len(stated):
        return False
    return not coinciding([*values[""], *stated])


def _parts_that_meet(group: Group, key: _Key) -> list[Group]:
    """Split only where volumes meet, at the same positions or between each other's slices.

    The parts must come out equally large: a repeated slice is not a second volume, it stays and is
    refused as a duplicate. Packages of one interleaved acquisition make one regular stack together
    and stay together.
    """
    parts = _parts(group, key)
    if len({len(members) for _, members in parts}) != 1 or len(parts) == 1:
        return [group]
    if coinciding(group[1]):
        return parts
    apart = not _even(group[1]) and all(_even(members) for _, members in parts)
    return parts if apart else [group]


def _even(slices: Sequence[Slice]) -> bool:
    """Whether at least three slices of one orientation follow each other at equal distances."""
    if len(slices) < 3 or not all(s.frame.position_mm and s.frame.orientation for s in slices):
        return False
    steps = np.diff(distances_mm(Stack(slices=_ordered(slices), label=())))
    return bool(steps.min() > 0 and np.ptp(steps) <= _EVEN_SHARE * float(np.median(steps)))


def _text(value: object) -> str:
    return "" if value is None else str(value)


_ALWAYS = (
    _Key("SOPClassUID", lambda s: s.instance.sop_class_uid),
    _Key("Modality", lambda s: s.instance.modality),
    _Key("ComplexImageComponent", lambda s: s.frame.complex_component),
    _Key("ImageType", lambda s: "\\".join(s.frame.image_type)),
    _Key("EchoTime", lambda s: s.frame.echo_time_ms, ECHO_TIME_MS),
    _Key("TemporalPosition", lambda s: _text(s.frame.temporal_position)),
    _Key("DiffusionBValue", lambda s: s.frame.b_value, B_VALUE),
    _Key("StackID", lambda s: s.frame.stack_id),
)
_WHERE_VOLUMES_MEET = (
    _Key("EchoNumbers", lambda s: _text(s.frame.echo_number)),
    _Key("InversionTime", lambda s: s.frame.inversion_time_ms, INVERSION_MS),
    _Key("TriggerTime", lambda s: s.frame.trigger_time_ms, TRIGGER_MS),
    _Key("FlipAngle", lambda s: s.frame.flip_angle_deg, FLIP_DEG),
    _Key("RepetitionTime", lambda s: s.frame.repetition_time_ms, REPETITION_MS),
    _Key("AcquisitionNumber", lambda s: _text(s.frame.acquisition_number)),
)
TRIED = tuple(key.attribute for key in (*_ALWAYS, *_WHERE_VOLUMES_MEET))
"""The attributes compared, for the finding that says nothing told two volumes apart."""


def partly_stated(slices: Sequence[Slice]) -> tuple[str, tuple[Slice, ...]] | None:
    """An attribute that tells volumes apart and the slices that lack it; None when none does."""
    for key in _ALWAYS:
        words = key.labels(slices)
        bare = tuple(s for s, word in zip(slices, words, strict=True) if not word)
        if bare and len(bare) < len(slices):
            return key.attribute, bare
    return None
