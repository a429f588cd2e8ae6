"""One volume from a folder of DICOM files, for pairs that are compared or trained on."""

from dataclasses import replace
from pathlib import Path

from node.dicom.headers import read_file, read_instance
from node.dicom.pixels import mr_volume
from node.domain.errors import Misconfigured, Rejected
from node.domain.stack import split
from node.domain.volume import Unit, Volume


def read_folder(path: Path, modality: str) -> Volume:
    """Read the one series of ``modality`` (CT or MR) in a folder; other files are passed over."""
    if not path.is_dir():
        raise Misconfigured(
            f"There is no folder or image file {path}.", remedy="Name a folder of DICOM files."
        )
    datasets, instances = {}, []
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        try:
            dataset = read_file(file.read_bytes(), name=file.name)
            instance = read_instance(dataset)
        except Rejected:
            continue  # reports and pictures lie beside a series
        if instance.modality == modality:
            datasets[instance.sop_instance_uid] = dataset
            instances.append(instance)
    found = len({i.series_instance_uid for i in instances})
    if found != 1:
        raise Misconfigured(
            f"{path} holds {found} {modality} series, not 1.",
            remedy="Name the folder of one series.",
        )
    stacks = split(instances)
    if len(stacks) != 1:
        raise Misconfigured(
            f"The {modality} in {path} is {len(stacks)} stacks, not 1.",
            remedy="Name one regular volume.",
        )
    unit = Unit.HU if modality == "CT" else Unit.SIGNAL
    return replace(mr_volume(stacks[0], datasets), unit=unit)
