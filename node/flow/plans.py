"""Plans as JSON values, for the database; every value comes back as it was."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from node.domain.geometry import Grid
from node.domain.plan import ModelRef, Plan, ReleasePolicy


def plan_json(plan: Plan, *, stack: int) -> dict[str, Any]:
    """``plan`` and the number of the stack it is for, as JSON values."""
    return {
        "stack": stack,
        "model": {
            "name": plan.model.name,
            "version": plan.model.version,
            "sha256": plan.model.sha256,
            "body_part": plan.model.body_part,
            "spacing_mm": plan.model.spacing_mm,
        },
        "grid": {"shape": list(plan.grid.shape), "affine": plan.grid.affine.tolist()},
        "route": plan.route,
        "destinations": list(plan.destinations),
        "release": plan.release.value,
        "revision": plan.revision,
        "attempt": plan.attempt,
        "software_version": plan.software_version,
        "created_at": None if plan.created_at is None else plan.created_at.isoformat(),
        "patient_position": plan.patient_position,
        "settings": dict(plan.settings),
        "actions": dict(plan.actions),
        "predecessor_series_uid": plan.predecessor_series_uid,
        "status_label": plan.status_label,
        "sign_off": plan.sign_off,
    }


def read_plan(value: Mapping[str, Any]) -> tuple[Plan, int]:
    """Give back the plan and the stack number that `plan_json` wrote."""
    slices, rows, columns = value["grid"]["shape"]
    affine = np.array(value["grid"]["affine"], np.float64)
    created = value["created_at"]
    plan = Plan(
        model=ModelRef(**value["model"]),
        grid=Grid(shape=(slices, rows, columns), affine=affine),
        route=value["route"],
        destinations=tuple(value["destinations"]),
        release=ReleasePolicy(value["release"]),
        revision=value["revision"],
        attempt=value["attempt"],
        software_version=value["software_version"],
        created_at=None if created is None else datetime.fromisoformat(created),
        patient_position=value["patient_position"],
        settings=dict(value["settings"]),
        actions=dict(value.get("actions", {})),
        predecessor_series_uid=value["predecessor_series_uid"],
        status_label=value["status_label"],
        sign_off=value.get("sign_off"),
    )
    return plan, value["stack"]
