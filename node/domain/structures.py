"""What an RTSTRUCT outlines: structures defined by the HU of an sCT inside its body."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Misconfigured
from node.domain.outlines import components
from node.domain.volume import Values, Volume

Mask = NDArray[np.bool_]

NAME_LENGTH = 16  # what every planning system met takes; ROIName itself may be longer
# PS3.3 C.8.8.8.1, defined terms of RTROIInterpretedType for what is no target and no device.
INTERPRETED_TYPES = ("EXTERNAL", "ORGAN", "CAVITY", "AVOIDANCE", "CONTROL", "NONE")
_LOWEST_HU, _HIGHEST_HU = -1024, 3071


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """One region of interest."""

    name: str
    """ROIName, at most 16 characters."""
    interpreted_type: str
    """RTROIInterpretedType, one of `INTERPRETED_TYPES`."""
    colour: tuple[int, int, int]
    """ROIDisplayColor: red, green, blue, 0 to 255."""
    hu: tuple[int, int] | None = None
    """Lowest and highest HU inside the body, both included; None: the body itself."""
    least_ml: float = 0.0
    """Islands smaller than this are left out."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.strip()) <= NAME_LENGTH or "\\" in self.name:
            raise _wrong(self.name, f"its name must have 1 to {NAME_LENGTH} characters")
        if self.interpreted_type not in INTERPRETED_TYPES:
            raise _wrong(self.name, f"its type must be one of {', '.join(INTERPRETED_TYPES)}")
        if any(not 0 <= part <= 255 for part in self.colour):
            raise _wrong(self.name, "its colour must have three parts from 0 to 255")
        if self.hu is not None and not _LOWEST_HU <= self.hu[0] <= self.hu[1] <= _HIGHEST_HU:
            raise _wrong(self.name, "its HU must rise and lie between -1024 and 3071")
        if not self.least_ml >= 0:
            raise _wrong(self.name, "its least volume must not be negative")

    @property
    def definition(self) -> str:
        """How it is found, in words for ROIGenerationDescription."""
        if self.hu is None:
            return "Outer contour of the patient"
        low, high = self.hu
        if high == _HIGHEST_HU:
            words = f"HU >= {low}"
        elif low == _LOWEST_HU:
            words = f"HU <= {high}"
        else:
            words = f"{low} <= HU <= {high}"
        islands = f"; islands under {self.least_ml:g} ml left out" if self.least_ml else ""
        return f"{words} inside the body{islands}"


Region: TypeAlias = tuple[Structure, Mask]
"""A structure and its voxels."""

# The HU are those of the checks (bone above 250, air below -400). Partial volume along the skin and
# in cancellous bone leaves islands of a few voxels: 7,900 and 5,400 of air under 0.1 ml on S01 and
# a real head, with 11 and 12 % of its volume; of bone 59 and 380, with 0.1 and 0.4 %.
STRUCTURES = (
    Structure(name="BODY", interpreted_type="EXTERNAL", colour=(0, 255, 0)),
    Structure(
        name="BONE",
        interpreted_type="ORGAN",
        colour=(255, 224, 160),
        hu=(251, _HIGHEST_HU),
        least_ml=0.1,
    ),
    Structure(
        name="AIR",
        interpreted_type="CAVITY",
        colour=(0, 160, 255),
        hu=(_LOWEST_HU, -401),
        least_ml=0.1,
    ),
)


def checked(structures: Iterable[Structure]) -> tuple[Structure, ...]:
    """The structures; raise `Misconfigured` where two share a name or none is there."""
    found = tuple(structures)
    names = [s.name.strip().upper() for s in found]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(name, "another one has the same name")
    if sum(s.interpreted_type == "EXTERNAL" for s in found) > 1:
        raise _wrong(names[0], "only one structure can be EXTERNAL")
    return found


def regions_of(structures: Iterable[Structure], sct: Volume, body: Mask) -> tuple[Region, ...]:
    """Each of the structures with its voxels, which may be none; ``sct`` is in HU."""
    voxel_ml = sct.grid.voxel_volume_mm3 / 1000.0
    return tuple((s, mask_of(s, sct.values, body, voxel_ml)) for s in checked(structures))


def mask_of(structure: Structure, hu: Values, body: Mask, voxel_ml: float) -> Mask:
    """Voxels of ``structure``; ``hu`` and ``body`` are (slices, rows, columns)."""
    if structure.hu is None:
        mask = body
    else:
        low, high = structure.hu
        mask = body & (hu >= low) & (hu <= high)
    if structure.least_ml <= voxel_ml:
        return mask
    labels = components(mask)
    large = np.bincount(labels.ravel()) * voxel_ml >= structure.least_ml
    large[0] = False
    return large[labels]


def _wrong(name: str, reason: str) -> Misconfigured:
    return Misconfigured(
        f"Structure {name!r} cannot be written: {reason}.",
        remedy="Correct the structures of the route.",
    )
