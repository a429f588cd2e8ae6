"""A planning system that remembers what reached it, and when."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import StoragePresentationContexts

from tests.peers.waiting import free_port

_VERIFICATION = "1.2.840.10008.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One series of objects as the planning system has it, an sCT or a notice."""

    first_at: float
    """Seconds of `time.monotonic` when the node sent the first of them."""
    last_at: float
    modality: str
    patient_id: str
    patient_name: str
    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    sources: frozenset[str]
    """SOP Instance UIDs of the images that its objects say they were made of."""
    instances: frozenset[str]
    """SOP Instance UIDs of its objects."""
    withdrawn: frozenset[str]
    """SOP Instance UIDs of the objects that a notice names."""


@dataclass(slots=True)
class Recorder:
    """The planning system; safe to ask while objects arrive."""

    port: int
    ae_title: str = "TPS"
    _series: dict[str, Delivered] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def series(self) -> list[Delivered]:
        """Everything that arrived so far."""
        with self._lock:
            return list(self._series.values())

    def scts(self, frame_of_reference_uid: str | None = None) -> list[Delivered]:
        """The CT series that arrived so far, even in part; those of one frame of reference."""
        frame = frame_of_reference_uid
        return [
            one
            for one in self.series()
            if one.modality == "CT" and frame in (None, one.frame_of_reference_uid)
        ]

    def notices(self) -> list[Delivered]:
        """Key object selections: what says that an earlier object must not be used."""
        return [one for one in self.series() if one.modality == "KO"]

    def take(self, event: evt.Event) -> int:
        """Remember an object."""
        dataset = pydicom.dcmread(BytesIO(event.encoded_dataset()), stop_before_pixels=True)
        with self._lock:
            key = str(dataset.SeriesInstanceUID)
            self._series[key] = _with(self._series.get(key), dataset)
        return 0x0000


def _with(known: Delivered | None, dataset: Dataset) -> Delivered:
    """The series with one more object."""
    now = time.monotonic()
    sources, instances = _named(dataset, "SourceImageSequence"), {str(dataset.SOPInstanceUID)}
    if known is not None:
        return replace(
            known,
            last_at=now,
            sources=known.sources | sources if sources - known.sources else known.sources,
            instances=known.instances | instances,
        )
    return Delivered(
        first_at=now,
        last_at=now,
        modality=str(dataset.get("Modality", "")),
        patient_id=str(dataset.get("PatientID", "")),
        patient_name=str(dataset.get("PatientName", "")),
        study_instance_uid=str(dataset.get("StudyInstanceUID", "")),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "")),
        sources=sources,
        instances=frozenset(instances),
        withdrawn=_evidence(dataset),
    )


def _named(dataset: Dataset, keyword: str) -> frozenset[str]:
    items: Any = dataset.get(keyword) or []
    return frozenset(str(item.ReferencedSOPInstanceUID) for item in items)


def _evidence(dataset: Dataset) -> frozenset[str]:
    """What a key object selection names (PS3.3 C.17.6.2)."""
    studies: Any = dataset.get("CurrentRequestedProcedureEvidenceSequence") or []
    return frozenset(
        str(image.ReferencedSOPInstanceUID)
        for study in studies
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    )


@contextmanager
def recording(ae_title: str = "TPS") -> Iterator[Recorder]:
    """A planning system that listens while the block runs."""
    recorder = Recorder(free_port(), ae_title)
    entity = AE(ae_title)
    entity.maximum_associations = 50
    entity.supported_contexts = StoragePresentationContexts
    entity.add_supported_context(_VERIFICATION)
    server = entity.start_server(
        ("127.0.0.1", recorder.port),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, recorder.take), (evt.EVT_C_ECHO, lambda _: 0x0000)],
    )
    try:
        yield recorder
    finally:
        server.shutdown()
