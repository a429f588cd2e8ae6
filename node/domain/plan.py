"""The decision taken before any voxel is touched, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from node.domain.findings import Finding
from node.domain.geometry import Grid
from node.domain.volume import Volume


class ReleasePolicy(StrEnum):
    """When a route's sCT may leave without a person."""

    AUTO = "auto"
    """Unless a finding of severity hold or refuse stands."""
    CHECKS_PASSED = "checks-passed"
    """Unless a finding of severity warning or above stands."""
    SIGNATURE = "signature"
    """Never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What a model was made for; what it does not say is not asked of an MR."""

    region: str = ""
    """The body part in a person's words."""
    field_strengths_t: tuple[float, ...] = ()
    echo_time_ms: tuple[float, float] | None = None
    repetition_time_ms: tuple[float, float] | None = None
    slice_limit_mm: float | None = None
    """Largest distance between slices."""
    contrast_agent: bool = False
    """Whether images with contrast agent are among what it was made for."""
    least_fov_mm: float = 0.0
    """In-plane field of view that holds the whole region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Which generator, to the byte."""

    name: str
    """Folder name under the models folder, such as ``head-t1``."""
    version: str
    """Version folder, such as ``1.0.0``."""
    sha256: str
    """Hash of the model file, hexadecimal."""
    body_part: str
    """BodyPartExamined the model was made for, written where the MR has none."""
    spacing_mm: float
    """Isotropic working spacing."""
    limits: ModelLimits = field(default=ModelLimits(), compare=False)
    """For the checks before the plan; no part of the model's identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides the voxels and the identity of one sCT series."""

    model: ModelRef
    grid: Grid
    """Axial grid of the sCT, in the MR's frame of reference."""
    route: str | None
    """Name of the route that asked for it; None on the command line."""
    destinations: tuple[str, ...]
    """Names of the peers it is for; empty on the command line."""
    release: ReleasePolicy
    revision: int
    """1 for the first complete set of instances; late instances begin the next."""
    attempt: int
    """1 in the node, one more for each "run again"; 0 on the command line."""
    software_version: str
    """Version of the node that planned it."""
    created_at: datetime | None
    """When it was planned, recorded once; None on the command line, where no clock is written."""
    patient_position: str
    """PatientPosition to write: the MR's, or the route's declaration where the MR has none."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that change pixels (``{"flips": "lr"}``); they enter the UIDs."""
    predecessor_series_uid: str | None = None
    """Series Instance UID of the attempt this one replaces."""
    actions: Mapping[str, str] = field(default_factory=dict)
    """What the route does about a finding's code, where it wishes otherwise than the table."""
    status_label: str = "RESEARCH"
    """Prefix of SeriesDescription: RESEARCH, or what the site chose for signed-off models."""
    sign_off: int | None = None
    """Number of the sign-off for this model, scanner and protocol; None: the sCT is RESEARCH."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SctResult:
    """What a generator gives back, on the plan's grid."""

    sct: Volume
    """int16 HU in [-1024, 3071], shape of the plan's grid."""
    uncertainty: Volume | None
    """float32 HU: half width of the central 68 % interval; None when the model has no such head."""
    body: NDArray[np.bool_]
    """Inside the patient's outer contour; the grid's shape."""
    findings: tuple[Finding, ...]
    """What the quality checks say of it."""
    runtime: str
    """One line: library, version, provider, whole or tiled."""
