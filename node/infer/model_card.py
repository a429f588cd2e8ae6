"""What a page or a script tells of a model: the card, as plain JSON values."""

from dataclasses import asdict
from typing import Any

from node.infer.registry import ModelFolder
from node.infer.skull import BINS_HU

_LONGEST = 100_000


def card(model: ModelFolder) -> dict[str, Any]:
    """Everything the manifest says, the limits of the checks and the text of the card."""
    manifest = model.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": manifest.sha256,
        "description": manifest.description,
        "body_part": manifest.body_part,
        "region": manifest.region,
        "spacing_mm": manifest.spacing_mm,
        "sequences": list(manifest.sequences),
        "field_strengths_t": list(manifest.field_strengths_t),
        "slice_limit_mm": manifest.slice_limit_mm,
        "echo_time_ms": manifest.echo_time_ms,
        "repetition_time_ms": manifest.repetition_time_ms,
        "contrast_agent": manifest.contrast_agent,
        "training_data": manifest.training_data,
        "licence": manifest.licence,
        "opset": manifest.opset,
        "file": manifest.file,
        "metrics": dict(manifest.metrics),
        "has_uncertainty": manifest.output.has_scale,
        "has_golden_case": manifest.golden is not None,
        "limits": None if manifest.quality is None else asdict(manifest.quality),
        "histogram_edges_hu": list(BINS_HU),
        "card": _text(model),
    }


def _text(model: ModelFolder) -> str:
    file = model.path / "README.md"
    try:
        return file.read_text("utf-8", errors="replace")[:_LONGEST]
    except OSError:
        return ""
