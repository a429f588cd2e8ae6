"""What a hospital's systems told a node, and what may be delivered after that: the oracle.

It knows nothing of the node. Evidence is every object offered, held or refused, with what it says,
and every association, with how it ended. A delivery is judged by what had been told before it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset

from tests.field.recorder import Delivered
from tests.field.sending import Ending, Sent

GRACE_S = 1.5
"""A delivery that begins so soon after a contradiction was told may not know of it yet: what was
acknowledged is filed within half a second, and a step looks before it begins."""
STOP_S = 4.5
"""So long after a contradiction was told nothing more of a delivery under way may arrive."""
HELD = frozenset({0x0000, 0xB000})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an object says that matters; two that agree in it are the same object."""

    patient_id: str
    patient_name: str
    study: str
    series: str
    frame: str
    place: tuple[str, ...]
    pixels: str

    def differs(self, other: "Meaning") -> str:
        """The first thing in which two differ, in words; empty when in none."""
        for name in self.__slots__:
            if getattr(self, name) != getattr(other, name):
                return str(name)
        return ""


def meaning(dataset: Dataset) -> Meaning:
    """What ``dataset`` says."""
    place = (*dataset.ImagePositionPatient, *dataset.ImageOrientationPatient, *dataset.PixelSpacing)
    return Meaning(
        str(dataset.PatientID),
        str(dataset.PatientName).rstrip("^"),  # PS3.5 6.2.1.1: trailing delimiters say nothing
        str(dataset.StudyInstanceUID),
        str(dataset.SeriesInstanceUID),
        str(dataset.FrameOfReferenceUID),
        tuple(map(str, place)),
        hashlib.sha256(bytes(dataset.PixelData)).hexdigest(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One object that was offered."""

    at: float
    sop_instance_uid: str
    meaning: Meaning
    held: bool
    """Whether the node said that it has it."""
    association: int
    misnamed: bool = False
    """Whether the command named another object: which of the two it is, nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was really there: one series of the modality."""

    series: str
    frame: str
    slices: frozenset[str]
    """SOP Instance UIDs of all of it."""
    warned: bool = False
    """Whether its header leads to a warning, which `checks-passed` holds."""
    shares_uid: bool = False
    """Whether another series offered one of its SOP Instance UIDs: it may be held or not."""


class Expect(StrEnum):
    """What must become of a series in the end."""

    DELIVERED = "delivered"
    """Whole, under its patient."""
    TOLD = "told"
    """What was delivered before stays; the rest is held, and a person reads why."""
    EITHER = "either"
    """Whatever the evidence allows, at rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that was told of the series of one story."""

    told: Sequence[Told]
    associations: Sequence[Sent]
    truths: Sequence[Truth]
    grace_s: float = GRACE_S

    def contradiction(self, delivered: Delivered) -> str:
        """Why ``delivered`` may not have left; empty when it may."""
        truth = next(t for t in self.truths if t.frame == delivered.frame_of_reference_uid)
        before = self._of(truth, delivered.first_at - self.grace_s)
        for told in (
            _patient(delivered, before),
            self._meanings(truth, before),
            self._slices(truth, delivered, before),
            self._policy(truth, before),
            self._study(before, delivered.first_at - self.grace_s),
        ):
            if told:
                return told
        if self._meanings(truth, self._of(truth, delivered.last_at - self.grace_s - STOP_S)):
            return "delivery went on after a contradiction"
        return ""

    def expected(self, truth: Truth) -> Expect:
        """What must become of a series once everything has been told."""
        before = self._of(truth, float("inf"))
        mine = [t for t in before if t.meaning.series == truth.series]
        held = {t.sop_instance_uid for t in mine if t.held}
        if (
            self._meanings(truth, before)
            or self._study(before, float("inf"))
            or len({t.meaning.patient_id for t in before}) > 1
        ):
            return Expect.TOLD
        if self._policy(truth, before):
            return Expect.TOLD
        if held != truth.slices and not truth.shares_uid:
            refused = {t.sop_instance_uid for t in mine} - held
            missing = refused or self._unfinished(before, float("inf")) or not mine
            return Expect.TOLD if missing else Expect.EITHER
        senders = {self._sender(t) for t in before}
        mixed = len({called for _, called in senders}) > 1 or "STRAY" in dict(senders)
        doubtful = mixed or truth.shares_uid or any(t.misnamed for t in mine)
        # That a partial repeat made it whole, the node cannot know.
        doubtful = doubtful or bool(self._unfinished(before, float("inf")))
        return Expect.EITHER if doubtful else Expect.DELIVERED

    def _sender(self, told: Told) -> tuple[str, str]:
        association = self.associations[told.association]
        return association.calling, association.called

    def _of(self, truth: Truth, until: float) -> list[Told]:
        """What had been told by then of its images, under whatever series."""
        return [
            t
            for t in self.told
            if t.at <= until
            and (t.sop_instance_uid in truth.slices or t.meaning.series == truth.series)
        ]

    def _meanings(self, truth: Truth, before: Iterable[Told]) -> str:
        known: dict[str, Meaning] = {}
        for told in before:
            if truth.shares_uid and told.meaning.series != truth.series:
                continue
            first = known.setdefault(told.sop_instance_uid, told.meaning)
            if differs := first.differs(told.meaning):
                return f"an image was offered twice with different {differs}"
        return ""

    def _slices(self, truth: Truth, delivered: Delivered, before: Sequence[Told]) -> str:
        offered = {t.sop_instance_uid for t in before if t.meaning.series == truth.series}
        if missing := offered - delivered.sources:
            return f"{len(missing)} image(s) were offered and are missing"
        if truth.slices <= delivered.sources:
            return ""
        return self._unfinished(before, delivered.first_at - self.grace_s)

    def _unfinished(self, before: Sequence[Told], until: float) -> str:
        """What an association says of images that are still to come; empty when nothing."""
        for number in sorted({t.association for t in before}):
            association = self.associations[number]
            if association.closed_at > until:
                return "a short stack while its association was open"
            if association.ending is not Ending.RELEASE and not self._made_good(number, before):
                return "a short stack of an association that was aborted"
        return ""

    def _made_good(self, broken: int, before: Sequence[Told]) -> bool:
        """Whether its sender came back with what was left, or with everything once more."""
        end = self.associations[broken]
        known = {t.sop_instance_uid for t in before if t.at <= end.closed_at}
        for number, later in enumerate(self.associations):
            if later.calling != end.calling or later.opened_at < end.closed_at:
                continue
            brought = {t.sop_instance_uid for t in before if t.association == number}
            credible = brought and (not brought & known or brought >= known)
            if credible and later.ending is Ending.RELEASE:
                return True
        return False

    def _policy(self, truth: Truth, before: Iterable[Told]) -> str:
        called = {self.associations[t.association].called for t in before}
        return "held by its policy" if truth.warned and "CHECKED" in called else ""

    def _study(self, before: Iterable[Told], until: float) -> str:
        studies = {t.meaning.study for t in before}
        patients = {
            t.meaning.patient_id for t in self.told if t.at <= until and t.meaning.study in studies
        }
        return "two patients in one study" if len(patients) > 1 else ""


def _patient(delivered: Delivered, before: Iterable[Told]) -> str:
    patients = {t.meaning.patient_id for t in before}
    if len(patients) > 1:
        return "its images were offered under two patients"
    if patients and patients != {delivered.patient_id}:
        return "a patient that no image names"
    return ""
