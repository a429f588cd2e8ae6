"""Every attribute that an sCT takes over, with values its value representation does not allow.

What the checks let pass is written: as a valid CT image, without a fault of ours. A sample runs
with the suite; ``--fuzz`` runs every value of every attribute.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR

from node.dicom.headers import read_file, read_instance
from node.dicom.inheritance import INHERITED, SCANNER
from node.domain.checks.rules import Rules
from node.domain.plan import ModelRef, SctResult
from node.domain.volume import Unit, Volume
from node.pipeline import Verdict, collect, encode, examine, make_plan
from tests.interop.test_dciodvfy import EXPLAINED
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms.mr import mr_series
from tests.phantoms.raw import with_element

MODEL = ModelRef(name="tiny", version="1.0.0", sha256="ab" * 32, body_part="HEAD", spacing_mm=6.0)
SHAPE, SPACING_MM = (12, 8, 8), (8.0, 12.0, 12.0)

_TEXT = (
    b"A" * 65, b"A" * 79, b"A" * 300, b"bell \x07", b"line\nline", b"tab\tbed", b"nul\x00nul",
    b"esc \x1b$B alone", b"delete \x7f", b"quote \x93\x94", b"one\\two", b"a\\b\\c\\d",
    b"\x1b(J\x1b", b"   ", b"blank   ", b"\xff\xfe\xfd",
)  # fmt: skip
VALUES: dict[str, tuple[bytes, ...]] = {
    "LO": _TEXT,
    "SH": (*_TEXT, b"A" * 17),
    "PN": (
        *_TEXT, b"A^B^C^D^E^F", b"A=B=C=D", b"A" * 65 + b"^B", b"^" * 9, b"A=" + b"B" * 65,
        b"A^B\r", b"=", b"^^^^",
    ),
    "UI": (
        b"1.2.840.ANON", b"1." + b"2" * 74, b"1.2.03.4", b"1..2", b".1.2", b"1.2.", b"1.2 .3",
        b"1.2\\1.3", b"-1.2", b"1,2,3", b"0x1.2", b"urn:oid:1.2", b"1.2\x003", b"***", b"1",
        b"1.2.3\xb2",
    ),
    "DA": (
        b"***", b"2022.04.07", b"2022", b"20221301", b"20220231", b"00000000", b"20220407 ",
        b"07.04.2022", b"2022/04/07", b"2022-4-7", b"April", b"20220407120000",
        b"20220101-20220102", b"2022040O", b"20220407\\20220408", b"\xb2\xb0\xb2\xb2",
    ),
    "TM": (
        b"15:01:38", b"2561", b"150161", b"3 PM", b"1501380.1", b"-1200", b"1200-1300",
        b"150138.1234567", b"15.01", b"***", b"24", b"150138,5", b"15:01:38.003", b"150138.003 ",
        b"150138\\150139", b"1",
    ),
    "CS": (
        b"head", b"AN_UNUSUALLY_LONG_ONE", b"HEAD-NECK", b"1.5", b"M\\F", b"MALE", b"X", b"m",
        b"HEAD/NECK", b"K\xd6RPER", b"*", b"\x07", b"UNHEARDOF", b"r", b"B", b"   ",
    ),
    "AS": (
        b"42", b"42Y", b"1000Y", b"042X", b"-42Y", b"Y042", b"04 Y", b"042 Y", b"4.2Y", b"abc",
        b"***", b"042Y\\043Y", b"042y", b"\xb242Y",
    ),
    "DS": (
        b"75,5", b"abc", b"1e400", b"12345678901234567890", b"NaN", b"inf", b"75 kg", b"--5",
        b"1.2.3", b"0x1F", b"75\\76", b"***", b"+", b"\xb2", b"1_000",
    ),
}  # fmt: skip
CHARACTER_SETS = (
    b"ISO-IR 100", b"ISO IR 100", b"ISO_IR_100", b"ISO_IR100", b"iso_ir 100", b"ISO_2022_IR_6",
    b"ISO 2022-IR 87", b"UTF-8", b"utf8", b"LATIN1", b"ISO-8859-1", b"ISO_IR 999", b"WINDOWS-1252",
    b"ISO_IR 6", b"ISO_IR 192\\ISO 2022 IR 87", b"GB18030\\ISO IR 192", b"\\ISO 2022 IR 87",
    b"ISO 2022 IR 6, IS", b"***", b"ISO_IR 203", b"ISO 2022 IR 6\\ISO 2022 IR 87", b"\xff", b"100",
)  # fmt: skip
ZONES = (
    b"+01:00", b"+2500", b"0100", b"Z", b"+1460", b"CET", b"-0000", b"+1500", b"+01", b"++100",
    b"+0100\\+0200", b"***", b"+0160",
)  # fmt: skip
# Representations an attribute never has: as where two vendors' private dictionaries met.
_OTHER_VR = (("US", b"\x01\x00"), ("OB", b"\x00\x01\x02\x03"), ("SQ", b""), ("FD", b"\0" * 8))


@dataclass(frozen=True, slots=True)
class Case:
    """One attribute with one value."""

    keyword: str
    vr: str
    value: bytes


def cases() -> Iterator[Case]:
    """Everything that is walked."""
    for keyword in (*INHERITED, *SCANNER):
        vr = dictionary_VR(keyword)
        values = ZONES if keyword == "TimezoneOffsetFromUTC" else VALUES[vr]
        assert len(set(values)) >= 12
        for value in values:
            yield Case(keyword, vr, value)
        for other, value in _OTHER_VR:
            yield Case(keyword, other, value)
    for value in CHARACTER_SETS:
        yield Case("SpecificCharacterSet", "CS", value)


@lru_cache(maxsize=1)
def plain_files() -> tuple[bytes, ...]:
    """A faultless small series."""
    return tuple(mr_series(SHAPE, SPACING_MM).files())


@pytest.mark.interop
@pytest.mark.filterwarnings("ignore")
def test_no_value_makes_an_invalid_ct(whole_fuzz: bool, tmp_path: Path) -> None:
    """Told before the work, or written as the standard asks: never a fault after it."""
    walked = list(cases())
    chosen = walked if whole_fuzz else walked[::9]
    verdicts = set()

    for case in chosen:
        verdict, codes, errors = fate(case, tmp_path / "ct.dcm")
        verdicts.add(verdict)
        assert errors == (), case
        if verdict is not Verdict.ACCEPTED:
            assert codes, case

    assert verdicts == {Verdict.ACCEPTED, Verdict.REFUSED}


def fate(case: Case, file: Path) -> tuple[Verdict, list[str], tuple[str, ...]]:
    """What the checks say of the series, and what the validator of the CT that is made of it."""
    files = [with_element(data, case.keyword, case.vr, case.value) for data in plain_files()]
    datasets = [read_file(data, name=str(n)) for n, data in enumerate(files)]
    (examined,) = examine(collect(map(read_instance, datasets)), Rules())
    codes = [found.code for found in examined.findings]
    if examined.verdict is not Verdict.ACCEPTED:
        return examined.verdict, codes, ()
    stack = examined.stack
    plan = make_plan(stack, model=MODEL, software_version="0")
    sct = Volume(
        values=np.full(plan.grid.shape, -1000, np.int16),
        affine=plan.grid.affine,
        frame_of_reference_uid=stack.header.frame_of_reference_uid,
        unit=Unit.HU,
    )
    body = np.zeros(plan.grid.shape, bool)
    result = SctResult(sct=sct, uncertainty=None, body=body, findings=(), runtime="by hand")
    encoded = encode(result, plan, stack, datasets[0])
    file.write_bytes(encoded[0].data)
    if not TOLD & set(codes):
        assert _written(encoded[0].data, case.keyword) in _as_it_stands(case), case
    said = run_dciodvfy(file)
    dubious = [w for w in said.warnings if not any(e in w for e in (*EXPLAINED, *DUBIOUS))]
    return examined.verdict, codes, (*said.errors, *dubious)


def _written(data: bytes, keyword: str) -> str:
    dataset = pydicom.dcmread(io.BytesIO(data))
    holder = dataset.ContributingEquipmentSequence[1] if keyword in SCANNER else dataset
    value = holder.get(keyword, "")
    several = isinstance(value, pydicom.multival.MultiValue)
    return "\\".join(map(str, value)) if several else str(value or "")


def _as_it_stands(case: Case) -> tuple[str, ...]:
    """What may be written without a word: the value itself, and what stands for no value."""
    text = case.value.decode("latin-1").strip()
    nothing = {"BodyPartExamined": "HEAD", "Manufacturer": "unknown"}.get(case.keyword, "")
    default = case.keyword == "SpecificCharacterSet" and text == "ISO_IR 6"
    return (text, nothing) if not text.strip("=^") or default else (text,)


TOLD = {"VALUE_EMPTIED", "VALUE_LEFT_OUT", "VALUE_READ", "CHARACTER_SET_READ"}
# Valid, and not what the validator expects: copied, as whoever wrote it meant it.
DUBIOUS = ("Retired Person Name form", "Unrecognized defined term", "zero length component",
           "is only permitted to be empty when actually unknown",
           "needed to build DICOMDIR")  # fmt: skip


@pytest.mark.interop
@pytest.mark.parametrize(
    ("stated", "name"),
    [
        (b"ISO-IR 100", b"M\xfcller"),
        (b"ISO_IR_192", "Müller".encode()),
        (b"UTF-8", "Müller".encode()),
        (b"iso ir 144", "Иванов".encode("iso8859_5")),
        (b"ISO 2022 IR 100", b"M\xfcller"),
        (b"ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B"),
    ],
)
def test_a_name_in_a_misspelt_character_set_is_the_same_name(
    stated: bytes, name: bytes, tmp_path: Path
) -> None:
    """Read by the set that is meant, and written beside its term."""
    files = [
        with_element(
            with_element(data, "SpecificCharacterSet", "CS", stated), "PatientName", "PN", name
        )
        for data in plain_files()
    ]
    datasets = [read_file(data, name="mr") for data in files]

    (examined,) = examine(collect(map(read_instance, datasets)), Rules())
    codes = {found.code: found.severity for found in examined.findings}
    plan = make_plan(examined.stack, model=MODEL, software_version="0")
    sct = Volume(
        values=np.full(plan.grid.shape, -1000, np.int16), affine=plan.grid.affine,
        frame_of_reference_uid=examined.stack.header.frame_of_reference_uid, unit=Unit.HU,
    )  # fmt: skip
    result = SctResult(sct=sct, uncertainty=None, body=sct.values > 0, findings=(), runtime="")
    data = encode(result, plan, examined.stack, datasets[0])[0].data
    written = pydicom.dcmread(io.BytesIO(data))

    assert codes["CHARACTER_SET_READ"] == "warning"
    assert str(written.PatientName) in ("Müller", "Иванов", "Yamada=山田")
    file = tmp_path / "ct.dcm"
    file.write_bytes(data)
    assert run_dciodvfy(file).errors == ()
