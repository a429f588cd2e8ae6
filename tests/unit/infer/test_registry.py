"""The registry finds models by folder and says what there is."""

from pathlib import Path

import pytest

from node.domain.errors import Misconfigured
from node.infer.registry import Registry
from tests.phantoms.tiny_onnx import write_affine_model


def test_the_newest_version_is_found_by_number(tmp_path: Path) -> None:
    """1.10.0 is newer than 1.9.0."""
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        write_affine_model(tmp_path, version=version)

    found = Registry.scan(tmp_path).find("tiny")

    assert found.ref.version == "1.10.0"
    assert found.ref.name == "tiny"


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.2.0-rc1", "1.2.0"), ("1.1.9", "1.2.0-rc1"), ("1.2.0-a", "1.2.0-b"),
     ("1.2.0-rc.2", "1.2.0-rc.10"), ("1.2.0", "1.2.0+site")],
)  # fmt: skip
def test_a_candidate_is_older_than_what_it_became(tmp_path: Path, older: str, newer: str) -> None:
    """What was put there to be tried is not used once the release lies beside it."""
    for version in (older, newer):
        write_affine_model(tmp_path, version=version)

    assert Registry.scan(tmp_path).find("tiny").ref.version == newer


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    """The message names the models of the folder."""
    write_affine_model(tmp_path, name="one")
    write_affine_model(tmp_path, name="two")

    with pytest.raises(Misconfigured, match="one, two"):
        Registry.scan(tmp_path).find("three")


def test_a_missing_folder_is_misconfigured(tmp_path: Path) -> None:
    """A wrong models_dir is said before anything runs."""
    with pytest.raises(Misconfigured, match="does not exist"):
        Registry.scan(tmp_path / "nowhere")


def test_a_manifest_in_the_wrong_folder_is_refused(tmp_path: Path) -> None:
    """Folder and manifest must agree on the name."""
    write_affine_model(tmp_path).parent.rename(tmp_path / "other")

    with pytest.raises(Misconfigured, match="name is 'tiny' but its folder is 'other'"):
        Registry.scan(tmp_path)


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    """One byte more and the hash tells."""
    path = write_affine_model(tmp_path) / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(Misconfigured, match="SHA-256"):
        Registry.scan(tmp_path).find("tiny").verify()
