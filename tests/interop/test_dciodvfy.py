"""dicom3tools' dciodvfy on every instance we write."""

from pathlib import Path

import pytest

from node.cli import main
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms.mr import enhanced_mr, mr_series
from tests.phantoms.tiny_onnx import write_affine_model

# Each is explained in docs/dicom-output.md.
EXPLAINED = (
    "0008,001c",
    "attributes not present in standard DICOM IOD",
    "<99PCTNODE>",
    "Attribute is not present in standard DICOM IOD",
)


@pytest.mark.interop
@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_every_instance_is_a_valid_ct_image(kind: str, tmp_path: Path) -> None:
    """No error but the one attribute the validator is too old to know; no unexplained warning."""
    build = mr_series if kind == "classic" else enhanced_mr
    build(orientation="sagittal").write(tmp_path / "mr")
    write_affine_model(tmp_path / "onnx", intercept=-1000)
    (tmp_path / "node.toml").write_text('[inference]\nproviders = ["cpu"]\n')
    source = tmp_path / "mr"

    status = main(
        ["convert", str(source), str(tmp_path / "out"), "--config", str(tmp_path / "node.toml")]
    )

    assert status == 0
    files = sorted((tmp_path / "out").glob("*/ct/*.dcm"))
    assert len(files) >= 90
    for file in files:
        verdict = run_dciodvfy(file)
        assert verdict.errors == ()
        unexplained = [w for w in verdict.warnings if not any(e in w for e in EXPLAINED)]
        assert unexplained == []
