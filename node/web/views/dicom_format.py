"""DICOM values as people write them."""

from node.domain.wording import Language


def person(name: str) -> str:
    """A person name (PN) as FAMILY Given: its alphabetic group without the carets."""
    parts = [part.strip() for part in name.split("=")[0].split("^")]
    family = parts[0].upper() if parts else ""
    given = " ".join(part for part in parts[1:3] if part)
    return f"{family} {given}".strip()


_PARTS = {
    "BRAIN": ("Brain", "Cerveau"),
    "HEAD": ("Head", "Tête"),
    "HEADNECK": ("Head & neck", "Tête et cou"),
    "NECK": ("Neck", "Cou"),
    "CHEST": ("Chest", "Thorax"),
    "ABDOMEN": ("Abdomen", "Abdomen"),
    "PELVIS": ("Pelvis", "Bassin"),
    "PROSTATE": ("Prostate", "Prostate"),
    "SPINE": ("Spine", "Rachis"),
}


def body(part: str, language: str = Language.EN) -> str:
    """A BodyPartExamined as a word; one that is not known here stays as it is written."""
    english, french = _PARTS.get(part, (part.replace("_", " ").capitalize(),) * 2)
    return french if language == Language.FR else english


def decimal(number: float, digits: int, *, language: str = Language.EN) -> str:
    """A number with so many decimals at most, a true minus, and the language's own mark."""
    text = f"{number:.{digits}f}".replace("-", "−")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(".", ",") if language == Language.FR else text


def gigabytes(size: int, *, language: str = Language.EN) -> str:
    """A size in GB of a thousand million bytes."""
    unit = "Go" if language == Language.FR else "GB"
    return f"{decimal(size / 1e9, 1 if size < 1e11 else 0, language=language)}\u00a0{unit}"


def thousands(number: int) -> str:
    """A count with narrow spaces between groups of three."""
    return f"{number:,}".replace(",", "\u202f")
