"""Stories of the door: what senders do to one or two series, drawn by a seed.

A story is a list of associations to open one after another, or at the same time, and the truth
about its series. What may be delivered is not written here: `tests.field.evidence` works it out.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pydicom.dataset import FileDataset

from tests.field import heads
from tests.field.evidence import Truth
from tests.field.heads import LEAST_SLICES, SLICES, all_changed, changed, head
from tests.field.sending import Ending, Offer
from tests.phantoms.mr import uid

QUIET_S = 2.0
_STALL_S = (QUIET_S + 0.8, QUIET_S + 2.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One association."""

    offers: tuple[Offer, ...]
    calling: str = "PACS"
    called: str = "AUTO"
    ending: Ending = Ending.RELEASE
    after_s: float = 0.0
    """Silence before it is opened."""
    after_delivery: bool = False
    """Opened once an sCT of the series has arrived, and ``after_s`` later."""
    implicit: bool = False
    beside: bool = False
    """Opened at the same time as the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happens to one or two series."""

    name: str
    kinds: tuple[str, ...]
    acts: tuple[Act, ...]
    truths: tuple[Truth, ...]
    moved_to: str = ""
    """Series Instance UID under which the images came again."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """A story while it is thought up."""

    name: str
    dice: random.Random
    slices: list[FileDataset]
    acts: list[Act] = field(default_factory=list)
    others: list[Truth] = field(default_factory=list)
    warned: bool = False
    shares_uid: bool = False
    moved_to: str = ""
    called: str = "AUTO"

    def some(self, *, least: int = 1) -> list[int]:
        """Places of some of its slices."""
        return sorted(self.dice.sample(range(SLICES), self.dice.randint(least, SLICES)))

    def short(self) -> int:
        """A number of slices that the checks would still let pass."""
        return self.dice.randint(LEAST_SLICES, SLICES - 1)

    def stall_s(self) -> float:
        """A silence after which a node believes that nothing more comes."""
        return self.dice.uniform(*_STALL_S)

    def sometime_s(self) -> float:
        """Before the work begins, while it is done, or after."""
        return self.dice.choice([0.0, 0.0, self.dice.uniform(0.5, 4.0), self.dice.uniform(5, 8)])

    def truth(self) -> Truth:
        """Of its own series."""
        return truth_of(self.slices, warned=self.warned, shares_uid=self.shares_uid)


Kind = Callable[[Draft], None]


def truth_of(
    slices: Sequence[FileDataset], *, warned: bool = False, shares_uid: bool = False
) -> Truth:
    """What is really there when ``slices`` are."""
    return Truth(
        series=str(slices[0].SeriesInstanceUID),
        frame=str(slices[0].FrameOfReferenceUID),
        slices=frozenset(str(d.SOPInstanceUID) for d in slices),
        warned=warned,
        shares_uid=shares_uid,
    )


def offers(datasets: Sequence[FileDataset]) -> tuple[Offer, ...]:
    """Each offered as it is."""
    return tuple(Offer(dataset=dataset) for dataset in datasets)


def story(seed: int, number: int) -> Story:
    """The story of that number; equal seeds tell equal stories."""
    dice = random.Random(f"{seed}:{number}")  # noqa: S311 - a seed is wanted here
    name = f"{seed}:{number}"
    base, *second = _drawn(dice)
    draft = Draft(name=name, dice=dice, slices=_slices(name, dice, base))
    draft.warned = "LossyImageCompression" in draft.slices[0]
    draft.called = dice.choice(["AUTO", "AUTO", "CHECKED"])
    for kind in (base, *second):
        KINDS[kind](draft)
    return Story(
        name=name,
        kinds=(base, *second),
        acts=tuple(draft.acts),
        truths=(draft.truth(), *draft.others),
        moved_to=draft.moved_to,
    )


def _drawn(dice: random.Random) -> list[str]:
    """How its series comes first, and perhaps what happens after that."""
    first = dice.choices(list(FIRST), [weight for _, weight in FIRST.values()])[0]
    return [first, *([dice.choice(list(LATER))] if dice.random() < 0.45 else [])]


def _slices(name: str, dice: random.Random, base: str) -> list[FileDataset]:
    warned = base == "mixed_called" or dice.random() < 0.15
    return head(name, **(heads.WARNED if warned else {}))


def _plain(draft: Draft) -> None:
    """One association, in any order."""
    slices = list(draft.slices)
    if draft.dice.random() < 0.5:
        draft.dice.shuffle(slices)
    draft.acts.append(Act(offers=offers(slices), called=draft.called))


def _two_at_once(draft: Draft) -> None:
    """Half of it in each of two associations at the same time."""
    half = draft.dice.randint(1, SLICES - 1)
    other = draft.dice.choice(["PACS", "SCANNER"])
    draft.acts += [
        Act(offers=offers(draft.slices[:half]), called=draft.called),
        Act(offers=offers(draft.slices[half:]), calling=other, called=draft.called, beside=True),
    ]


def _stalled(draft: Draft) -> None:
    """A silence in the middle, with the association open."""
    at = draft.short()
    given = list(offers(draft.slices))
    given[at] = replace(given[at], wait_s=draft.stall_s())
    draft.acts.append(Act(offers=tuple(given), called=draft.called))


def _late(draft: Draft) -> None:
    """The last slices come in a second association, long after the first."""
    at = draft.short()
    draft.acts += [
        Act(offers=offers(draft.slices[:at]), called=draft.called),
        Act(
            offers=offers(draft.slices[at:]),
            called=draft.called,
            after_s=draft.dice.uniform(0.2, 7.0),
        ),
    ]


def _refused_and_repeated(draft: Draft) -> None:
    """Some are refused, for they end too early, and sent again as they should be."""
    given = list(offers(draft.slices))
    for at in draft.some():
        bad = Offer(dataset=draft.slices[at], cut=True)
        good = next(n for n, one in enumerate(given) if one.dataset is bad.dataset and not one.cut)
        given.insert(draft.dice.randint(0, good), bad)
    draft.acts.append(Act(offers=tuple(given), called=draft.called))


def _aborted_and_repeated(draft: Draft) -> None:
    """The sender breaks off and comes again with all of it."""
    at = draft.dice.randint(1, SLICES - 1)
    ending = draft.dice.choice([Ending.ABORT, Ending.DROP])
    draft.acts += [
        Act(offers=offers(draft.slices[:at]), called=draft.called, ending=ending),
        Act(
            offers=offers(draft.slices),
            called=draft.called,
            after_s=draft.dice.choice([0.0, 1.0, 4.0]),
        ),
    ]


def _refused(draft: Draft) -> None:
    """The node refuses some, and they never come again."""
    refused = range(draft.short(), SLICES) if draft.dice.random() < 0.7 else draft.some()
    how = draft.dice.choice(["misnamed", "cut"])
    given = [
        replace(offer, misnamed=how == "misnamed", cut=how == "cut") if n in refused else offer
        for n, offer in enumerate(offers(draft.slices))
    ]
    draft.acts.append(Act(offers=tuple(given), called=draft.called))


def _aborted(draft: Draft) -> None:
    """The sender breaks off and never comes again."""
    given = list(offers(draft.slices[: draft.short()]))
    if draft.dice.random() < 0.3:  # not without a silence
        given[-1] = replace(given[-1], wait_s=draft.stall_s())
    ending = draft.dice.choice([Ending.ABORT, Ending.DROP])
    draft.acts.append(Act(offers=tuple(given), called=draft.called, ending=ending))


def _patients_mixed(draft: Draft) -> None:
    """Some of the slices name another patient."""
    other = heads.patient(draft.name + " other")
    given = list(draft.slices)
    for at in draft.some()[: SLICES - 1]:
        given[at] = changed(given[at], PatientID=other, PatientName=f"Field^{other}")
    draft.acts.append(Act(offers=offers(given), called=draft.called))


def _mixed_called(draft: Draft) -> None:
    """Some slices to one called AE title, the others to another, whose policy differs."""
    at = draft.dice.randint(1, SLICES - 1)
    first, second = draft.dice.sample(["AUTO", "CHECKED"], 2)
    draft.called = second
    draft.acts += [
        Act(offers=offers(draft.slices[:at]), called=first),
        Act(offers=offers(draft.slices[at:]), called=second),
    ]


def _stray(draft: Draft) -> None:
    """The first slice comes from an AE that no route asks for."""
    at = draft.dice.randint(1, 3)
    draft.acts += [
        Act(offers=offers(draft.slices[:at]), calling="STRAY", called=draft.called),
        Act(offers=offers(draft.slices[at:]), called=draft.called),
    ]


def _two_patients_in_a_study(draft: Draft) -> None:
    """A second series in the same study, of another patient."""
    other = head(draft.name + " other", StudyInstanceUID=draft.slices[0].StudyInstanceUID)
    draft.others.append(truth_of(other))
    draft.acts += [
        Act(offers=offers(draft.slices), called=draft.called),
        Act(offers=offers(other), called=draft.called, beside=draft.dice.random() < 0.5),
    ]


def _uid_in_two_series(draft: Draft) -> None:
    """A second series gives one of its images the UID of one of the first."""
    other = head(draft.name + " other", PatientID=draft.slices[0].PatientID,
                 PatientName=draft.slices[0].PatientName)  # fmt: skip
    at = draft.dice.randint(0, SLICES - 1)
    other[at] = changed(other[at], SOPInstanceUID=draft.slices[at].SOPInstanceUID)
    draft.shares_uid = True
    draft.others.append(truth_of(other, shares_uid=True))
    draft.acts += [
        Act(offers=offers(draft.slices), called=draft.called),
        Act(offers=offers(other), called=draft.called),
    ]


_HARMLESS: tuple[Callable[[FileDataset], FileDataset], ...] = (
    lambda d: d,
    lambda d: changed(d, RetrieveAETitle="ARCHIVE", InstanceAvailability="ONLINE"),
    lambda d: changed(d, PatientName=f"{d.PatientName}^"),
    lambda d: changed(d, DataSetTrailingPadding=bytes(32)),
)


def _same_again(draft: Draft) -> None:
    """All or some come again, the same in all that matters."""
    again = draft.dice.choice(_HARMLESS)
    given = [again(draft.slices[at]) for at in draft.some()]
    draft.dice.shuffle(given)
    draft.acts.append(
        Act(
            offers=offers(given),
            called=draft.called,
            after_s=draft.sometime_s(),
            implicit=draft.dice.random() < 0.3,
        )
    )


def _corrected(draft: Draft) -> None:
    """All or some come again, and say something else of what matters."""
    given = [draft.slices[at] for at in draft.some()]
    if draft.dice.random() < 0.5:
        given = list(draft.slices)
    given = _CORRECTIONS[draft.dice.choice(list(_CORRECTIONS))](draft, given)
    draft.dice.shuffle(given)
    after = draft.sometime_s()
    draft.acts.append(Act(offers=offers(given), called=draft.called, after_s=after))


def _other_patient(draft: Draft, given: list[FileDataset]) -> list[FileDataset]:
    other = heads.patient(draft.name + " corrected")
    return all_changed(given, PatientID=other, PatientName=f"Corrected^{other}")


def _other_series(draft: Draft, given: list[FileDataset]) -> list[FileDataset]:
    draft.moved_to = uid(draft.name, "moved series")
    moved = {
        "SeriesInstanceUID": draft.moved_to,
        "StudyInstanceUID": uid(draft.name, "moved study"),
    }
    return all_changed(_other_patient(draft, given), **moved)


_CORRECTIONS: dict[str, Callable[[Draft, list[FileDataset]], list[FileDataset]]] = {
    "patient": _other_patient,
    "name": lambda _, given: all_changed(given, PatientName="Corrected^Name"),
    "study": lambda draft, given: all_changed(
        given, StudyInstanceUID=uid(draft.name, "other study")
    ),
    "series": _other_series,
    "geometry": lambda _, given: heads.moved(given, 3.0),
    "pixels": lambda _, given: [heads.repainted(d) for d in given],
}

FIRST: dict[str, tuple[Kind, int]] = {
    "plain": (_plain, 10),
    "two_at_once": (_two_at_once, 2),
    "stalled": (_stalled, 3),
    "late": (_late, 2),
    "refused_and_repeated": (_refused_and_repeated, 2),
    "aborted_and_repeated": (_aborted_and_repeated, 2),
    "refused": (_refused, 3),
    "aborted": (_aborted, 3),
    "patients_mixed": (_patients_mixed, 2),
    "mixed_called": (_mixed_called, 2),
    "stray": (_stray, 2),
    "two_patients_in_a_study": (_two_patients_in_a_study, 2),
    "uid_in_two_series": (_uid_in_two_series, 2),
}
"""How a series comes first, and how often."""
LATER: dict[str, Kind] = {"same_again": _same_again, "corrected": _corrected}
"""What happens to it after that."""
KINDS: dict[str, Kind] = {**{name: kind for name, (kind, _) in FIRST.items()}, **LATER}
