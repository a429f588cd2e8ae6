"""The model's own doubt, half width of its interval in HU -> Parametric Map (PS3.3 A.75)."""

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping
from numpy.typing import NDArray
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from node.dicom.companion import (
    Companion,
    WrittenCt,
    evidence,
    finished,
    restamped,
    series_number,
    uids_of,
    worded,
)
from node.dicom.ct_series import MANUFACTURER
from node.domain.findings import finding
from node.domain.volume import Volume

ROLE = "uncertainty"
STEP_HU = 0.125
"""One stored unit: 16 bits reach 8191 HU, twice what a CT can differ by, and half the bytes of a
32 bit float go."""
_MOST = 65535
_WINDOW_HU = (100.0, 200.0)
_UNIT = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
_QUANTITY = Code("386136009", "SCT", "Standard deviation")
_VERSION = "1"


def encode_uncertainty(ct: WrittenCt, uncertainty: Volume, *, research: bool = True) -> Companion:
    """Write ``uncertainty`` (HU, on the grid of ``ct``); values are read back within half a step.

    A map with a value that is no number, or below 0, is none: a finding says so.
    """
    values = uncertainty.values
    if not np.isfinite(values).all() or values.min() < 0:
        reason = "it has values that are no half width"
        return _missing(reason)
    series, instance = uids_of(ct, ROLE, {"version": _VERSION, "research": research})
    header = ct.header
    made = ParametricMap(
        source_images=evidence(ct),
        pixel_array=stored(values),
        series_instance_uid=series,
        series_number=series_number(ct, ROLE),
        sop_instance_uid=instance,
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=str(header.ManufacturerModelName),
        software_versions=str(header.SoftwareVersions),
        device_serial_number=str(header.DeviceSerialNumber),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping()],
        voi_lut_transformations=[_window()],
        transfer_syntax_uid=ExplicitVRLittleEndian,
        content_label="UNCERTAINTY",
        content_description="Half width of the central 68 % interval of the HU",
        content_qualification="RESEARCH" if research else "PRODUCT",
    )
    made.SeriesDescription = worded(ct, f"Uncertainty of {header.SeriesDescription}")[:64]
    restamped(made, ct, is_image=True)
    return Companion(instance=finished(made))


def stored(values_hu: NDArray[np.floating]) -> NDArray[np.uint16]:
    """Half widths in steps of `STEP_HU`."""
    steps: NDArray[np.uint16] = np.clip(np.rint(values_hu / STEP_HU), 0, _MOST).astype(np.uint16)
    return steps


def _mapping() -> RealWorldValueMapping:
    return RealWorldValueMapping(
        lut_label="HALF_WIDTH_HU",
        lut_explanation="Half width of the central 68 % interval",
        unit=_UNIT,
        value_range=(0, _MOST),
        slope=STEP_HU,
        intercept=0.0,
        quantity_definition=_QUANTITY,
    )


def _window() -> VOILUTTransformation:
    centre, width = (v / STEP_HU for v in _WINDOW_HU)
    return VOILUTTransformation(window_center=centre, window_width=width)


def _missing(reason: str) -> Companion:
    return Companion(
        instance=None,
        findings=(finding("COMPANION_NOT_MADE", companion="uncertainty map", reason=reason),),
    )
