"""Cases from the field that happen at the door, each with where it was seen.

A case is a story that does not depend on chance, and the words a person must be able to read of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from pydicom.dataset import FileDataset

from tests.field import heads
from tests.field.heads import SLICES, WARNED, all_changed, changed, head
from tests.field.sending import Ending, Offer
from tests.field.stories import Act, Story, offers, truth_of
from tests.phantoms.mr import uid

STALL_S = 9.0
"""Longer than any quiet time the tests set, with the association open."""


Made: TypeAlias = tuple[list[Act], list[FileDataset]]
"""Acts, and the slices of the series they are about."""
Make: TypeAlias = Callable[[str], Made]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case: what the senders do, and what must be told."""

    name: str
    seen: str
    """Where it was reported."""
    before: str
    """What the node made of it before it was mended."""
    make: Make
    """Acts and the slices of its series, by the name of the story."""
    words: Callable[[str], Sequence[str]] = lambda _: ()
    """What the interface must say of the series, by the name of the story."""
    other: Callable[[str], list[FileDataset]] | None = None
    """Slices of a second series it is about."""
    moved_to: str = ""

    def story(self, name: str) -> Story:
        """The case as a story of that name, which decides its UIDs."""
        acts, slices = self.make(name)
        truths = [truth_of(slices, warned="LossyImageCompression" in slices[0])]
        truths += [truth_of(self.other(name))] if self.other else []
        return Story(
            name=name,
            kinds=(self.name,),
            acts=tuple(acts),
            truths=tuple(truths),
            moved_to=uid(name, self.moved_to) if self.moved_to else "",
        )

    @cached_property
    def is_clean(self) -> bool:
        """Whether nothing of it may hold the series."""
        return self.name in _CLEAN


def corrected_patient(name: str) -> str:
    """Patient ID that the PACS of the story ``name`` says is the right one."""
    return heads.patient(name + " corrected")


def _right(name: str) -> dict[str, str]:
    return {"PatientID": corrected_patient(name), "PatientName": "Corrected^Name"}


def _corrected_before(called: str, **more: str) -> Make:
    def make(name: str) -> Made:
        slices = head(name)
        again = all_changed(slices, **_right(name))
        return [
            Act(offers=offers(slices), called=called),
            Act(offers=offers(again), called=called),
        ], slices

    return make


def _corrected_after(name: str) -> Made:
    slices = head(name)
    moved = {"StudyInstanceUID": uid(name, "new study"), "SeriesInstanceUID": uid(name, "new")}
    again = all_changed(slices, **_right(name), **moved)
    return [
        Act(offers=offers(slices)),
        Act(offers=offers(again), after_delivery=True, after_s=1.0),
    ], slices


def _refused(how: str, places: range) -> Make:
    def make(name: str) -> Made:
        slices = head(name)
        given = [
            Offer(
                dataset=d,
                misnamed=n in places and how == "misnamed",
                cut=n in places and how == "cut",
            )
            for n, d in enumerate(slices)
        ]
        return [Act(offers=tuple(given))], slices

    return make


def _broken_off(ending: Ending) -> Make:
    def make(name: str) -> Made:
        slices = head(name)
        return [Act(offers=offers(slices[:15]), ending=ending)], slices

    return make


def _stalled(name: str) -> Made:
    slices = head(name)
    given = list(offers(slices))
    given[15] = replace(given[15], wait_s=STALL_S)
    return [Act(offers=tuple(given))], slices


def _stray(name: str) -> Made:
    slices = head(name)
    return [
        Act(offers=offers(slices[:1]), calling="STRAY"),
        Act(offers=offers(slices[1:])),
    ], slices


def _two_titles(first: str, second: str) -> Make:
    def make(name: str) -> Made:
        slices = head(name, **WARNED)
        return [
            Act(offers=offers(slices[:1]), called=first),
            Act(offers=offers(slices[1:]), called=second),
        ], slices

    return make


def _again(change: Callable[[FileDataset], FileDataset], *, implicit: bool = False) -> Make:
    def make(name: str) -> Made:
        slices = head(name)
        return [
            Act(offers=offers(slices), called="CHECKED"),
            Act(offers=offers([change(d) for d in slices]), called="CHECKED", implicit=implicit),
        ], slices

    return make


def _each_twice(name: str) -> Made:
    slices = head(name)
    twice = [d for one in slices for d in (one, one)]
    return [Act(offers=offers(twice), called="CHECKED")], slices


def _second_patient(name: str) -> list[FileDataset]:
    return head(name + " other", StudyInstanceUID=uid(name, "study"))


def _one_study(name: str) -> Made:
    slices = head(name)
    return [Act(offers=offers([*slices, *_second_patient(name)]))], slices


def _both(name: str) -> Sequence[str]:
    return heads.patient(name), corrected_patient(name)


CASES = (
    Case(
        name="corrected_before_work",
        seen="dcm4chee-arc-light 506, 4508: patient corrected and resent before work starts",
        before="delivered under the wrong patient",
        make=_corrected_before("AUTO"),
        words=_both,
    ),
    Case(
        name="corrected_before_work_checked",
        seen="dcm4chee-arc-light 506, 4508, to a title whose policy is checks-passed",
        before="held; the other patient not named",
        make=_corrected_before("CHECKED"),
        words=_both,
    ),
    Case(
        name="corrected_after_delivery",
        seen="dcm4chee-arc-light 2578, 4518: new patient, study and series, same SOP Instance UIDs",
        before="the new series nowhere, the old sCT as delivered",
        make=_corrected_after,
        words=_both,
        moved_to="new",
    ),
    Case(
        name="last_refused",
        seen="fo-dicom 47, pynetdicom 769: the last C-STOREs are answered with a failure",
        before="a short sCT delivered",
        make=_refused("misnamed", range(14, 18)),
    ),
    Case(
        name="last_cut",
        seen="fo-dicom 47, pynetdicom 769, with data sets that end too early",
        before="a short sCT delivered",
        make=_refused("cut", range(14, 18)),
    ),
    Case(
        name="one_refused",
        seen="fo-dicom 47: one image of a whole series is answered with a failure",
        before="a short sCT delivered",
        make=_refused("misnamed", range(SLICES - 1, SLICES)),
    ),
    Case(
        name="aborted",
        seen="mercure 45, MONAI gateway 347: A-ABORT, and the sender never returns",
        before="a short sCT delivered",
        make=_broken_off(Ending.ABORT),
    ),
    Case(
        name="dropped",
        seen="mercure 45: the connection ends without a word, and the sender never returns",
        before="a short sCT delivered",
        make=_broken_off(Ending.DROP),
    ),
    Case(
        name="stalled",
        seen="pynetdicom 369, seen on a busy machine: a silence with the association open",
        before="taken up short, then again",
        make=_stalled,
    ),
    Case(
        name="stray_first",
        seen="mercure: the first image comes from an AE that no route asks for",
        before="kept: no route asks for it",
        make=_stray,
    ),
    Case(
        name="first_to_direct",
        seen="pynetdicom 369: the first image to a title whose policy is auto",
        before="delivered by the laxer policy",
        make=_two_titles("AUTO", "CHECKED"),
    ),
    Case(
        name="first_to_checked",
        seen="pynetdicom 369: the first image to a title whose policy is checks-passed",
        before="held",
        make=_two_titles("CHECKED", "AUTO"),
    ),
    Case(
        name="retrieval_attributes",
        seen="dcm4chee coercion: attributes of retrieval are added",
        before="held: 18 conflicts",
        make=_again(lambda d: changed(d, RetrieveAETitle="ARCHIVE", InstanceAvailability="ONLINE")),
    ),
    Case(
        name="other_syntax",
        seen="dcm4chee coercion: another native transfer syntax",
        before="delivered",
        make=_again(lambda d: d, implicit=True),
    ),
    Case(
        name="other_syntax_and_attributes",
        seen="dcm4chee coercion: both at once, and a trailing delimiter in the name",
        before="held: 18 conflicts",
        make=_again(
            lambda d: changed(d, RetrieveAETitle="ARCHIVE", PatientName=f"{d.PatientName}^"),
            implicit=True,
        ),
    ),
    Case(
        name="each_twice",
        seen="dcm4chee-arc-light 4754: every image is sent twice in a row",
        before="delivered",
        make=_each_twice,
    ),
    Case(
        name="two_patients_in_a_study",
        seen="undecided in the field: two patients under one StudyInstanceUID",
        before="both delivered",
        make=_one_study,
        other=_second_patient,
    ),
)
_CLEAN = frozenset(
    {"stalled", "retrieval_attributes", "other_syntax", "other_syntax_and_attributes", "each_twice"}
)
AT_THE_DOOR = tuple(case for case in CASES if case.name in {
    "corrected_before_work", "corrected_after_delivery", "last_refused", "aborted", "stalled",
    "stray_first", "first_to_direct", "first_to_checked",
})  # fmt: skip
"""The kinds that are tried under kills as well."""
