"""Acceptance checks of whom the images show: identity, position, age, implants."""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date

from node.domain.character_set import character_sets
from node.domain.checks.rules import Rules, uids_of
from node.domain.findings import Finding, finding
from node.domain.instance import Instance
from node.domain.names import is_valid_uid, person_name
from node.domain.stack import Stack

ADULT_YEARS = 18
_AGE = re.compile(r"(\d{1,3})([DWMY]?)")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_LYING = {
    "HFP": "prone, head first",
    "FFP": "prone, feet first",
    "HFDR": "on the right side, head first",
    "HFDL": "on the left side, head first",
    "FFDR": "on the right side, feet first",
    "FFDL": "on the left side, feet first",
}


def _referred(i: Instance) -> Mapping[str, str]:
    return {
        "SOPInstanceUID": i.sop_instance_uid,
        "SeriesInstanceUID": i.series_instance_uid,
        "StudyInstanceUID": i.study_instance_uid,
        "FrameOfReferenceUID": i.frame_of_reference_uid,
    }


def refers_well(instance: Instance) -> bool:
    """Whether everything that an sCT refers to in ``instance`` is a UID."""
    return all(is_valid_uid(value) for value in _referred(instance).values())


def uid_invalid(stack: Stack, _rules: Rules) -> Finding | None:
    """The UIDs that our output refers to must be UIDs."""
    for s in stack.slices:
        i = s.instance
        for attribute, value in _referred(i).items():
            if not value and attribute != "FrameOfReferenceUID":  # that has a code of its own
                return finding("UID_MISSING", attribute=attribute, uids=[i.sop_instance_uid])
            if value and not is_valid_uid(value):
                return finding("UID_INVALID", attribute=attribute, value=repr(value), uids=[value])
    return None


def patient_missing(stack: Stack, _rules: Rules) -> Finding | None:
    """A planning system cannot file an image without patient."""
    for attribute, name in (("PatientID", "patient_id"), ("PatientName", "patient_name")):
        bare = [s for s in stack.slices if not getattr(s.instance, name).strip(" ^=")]
        if bare:
            return finding("PATIENT_ID_MISSING", attribute=attribute, uids=uids_of(bare))
    return None


def patient_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """One series, one patient, one study."""
    for attribute, name in (
        ("PatientID", "patient_id"),
        ("PatientName", "patient_name"),
        ("PatientBirthDate", "patient_birth_date"),
        ("StudyInstanceUID", "study_instance_uid"),
    ):
        said = [_compared(name, getattr(s.instance, name)) for s in stack.slices]
        values = Counter(said)
        if len(values) > 1:
            common = values.most_common(1)[0][0]
            odd = [s for s, value in zip(stack.slices, said, strict=True) if value != common]
            return finding(
                "PATIENT_MIXED", count=len(values), attribute=attribute, uids=uids_of(odd)
            )
    return None


def _compared(name: str, value: str) -> str:
    return person_name(value) if name == "patient_name" else value


def patient_position(stack: Stack, rules: Rules) -> Finding | None:
    """Supine only, unless the route enables more: other positions are untested in planning."""
    values = {s.instance.patient_position for s in stack.slices}
    if values == {""}:
        if rules.allow_derived and stack.first.frame.image_type[:1] == ("DERIVED",):
            return None
        return finding("PATIENT_POSITION_MISSING", uids=uids_of(stack.slices))
    value = stack.patient_position
    if not value or value in {"HFS", "FFS", *rules.allow_patient_positions}:
        return None
    words = _LYING.get(value, "in an unknown position")
    return finding("PATIENT_POSITION", words=words, value=value, uids=uids_of(stack.slices))


def patient_position_mixed(stack: Stack, _rules: Rules) -> Finding | None:
    """One acquisition, one position: two make each other untrue."""
    values = Counter(s.instance.patient_position for s in stack.slices)
    values.pop("", None)
    if len(values) < 2:
        return None
    common = values.most_common(1)[0][0]
    odd = [s for s in stack.slices if s.instance.patient_position not in ("", common)]
    return finding("PATIENT_POSITION_MIXED", values=sorted(values), uids=uids_of(odd))


def patient_position_partly(stack: Stack, _rules: Rules) -> Finding | None:
    """Empty in some slices: those of the others is written, and a person confirms it."""
    bare = [s for s in stack.slices if not s.instance.patient_position]
    if not bare or not stack.patient_position:
        return None
    return finding(
        "PATIENT_POSITION_PARTLY",
        count=len(bare),
        total=len(stack.slices),
        value=stack.patient_position,
        uids=uids_of(bare),
    )


def not_biped(stack: Stack, _rules: Rules) -> Finding | None:
    """Left, posterior and head mean another direction in an animal: PS3.3 C.7.6.2.1.1."""
    for s in stack.slices:
        value = s.instance.anatomical_orientation
        if value not in ("", "BIPED"):
            return finding("NOT_BIPED", value=value, uids=uids_of([s]))
    return None


def patient_minor(stack: Stack, _rules: Rules) -> Finding | None:
    """Models are made for adults; an unknown age says nothing."""
    years = _age_years(stack)
    if years is None or years >= ADULT_YEARS:
        return None
    return finding("PATIENT_MINOR", age=int(years), uids=uids_of(stack.slices[:1]))


def implant(stack: Stack, _rules: Rules) -> Finding | None:
    """An implant that is coded, or entered as an alert."""
    for s in stack.slices:
        for attribute, word in s.instance.implants:
            return finding("IMPLANT", attribute=attribute, word=word, uids=uids_of([s]))
    return None


def implant_mentioned(stack: Stack, _rules: Rules) -> Finding | None:
    """Free text that mentions one: "no implants" reads the same to a program."""
    for s in stack.slices:
        for attribute, word in s.instance.implant_mentions:
            return finding("IMPLANT_MENTIONED", attribute=attribute, word=word, uids=uids_of([s]))
    return None


def character_set_unknown(stack: Stack, _rules: Rules) -> Finding | None:
    """Names in a character set nobody defines cannot be copied without being changed."""
    for s in stack.slices:
        stated = s.instance.character_set
        if character_sets(stated) is None:
            return finding("CHARACTER_SET_UNKNOWN", value="\\".join(stated), uids=uids_of([s]))
    return None


def _age_years(stack: Stack) -> float | None:
    """Age at the study, from the dates, else from PatientAge; None when neither is readable."""
    header = stack.header
    born, seen = _date(header.patient_birth_date), _date(header.study_date)
    if born and seen and seen >= born:
        before = (seen.month, seen.day) < (born.month, born.day)
        return float(seen.year - born.year - before)
    match = _AGE.fullmatch(header.patient_age.strip().upper())
    return float(match[1]) * _YEARS[match[2]] if match else None


def _date(text: str) -> date | None:
    if not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None
