"""Real ONNX models of a few kilobytes whose answer is arithmetic, with their manifests."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20


def write_affine_model(
    folder: Path,
    *,
    name: str = "tiny",
    version: str = "1.0.0",
    slope: float = 1.0,
    intercept: float = 0.0,
    spacing_mm: float = 1.0,
    **overrides: Any,
) -> Path:
    """Write ``folder/<name>/<version>/`` with HU = slope * signal + intercept, unmasked.

    ``overrides`` replace keys of the manifest. Returns the version's folder; ``folder`` is what
    `Registry.scan` takes.
    """
    path = folder / name / version
    path.mkdir(parents=True, exist_ok=True)
    data = _graph(slope, intercept).SerializeToString()
    (path / "model.onnx").write_bytes(data)
    manifest = affine_manifest(name, version, spacing_mm, hashlib.sha256(data).hexdigest())
    (path / "manifest.json").write_text(json.dumps(manifest | overrides, indent=2))
    return path


def write_greedy_model(folder: Path, *, most_voxels: int, **overrides: Any) -> Path:
    """HU = signal, but a pass over more than ``most_voxels`` asks for 256 TB of memory."""
    path = write_affine_model(folder, **overrides)
    data = _greedy_graph(most_voxels).SerializeToString()
    (path / "model.onnx").write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256(data).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def write_root_model(folder: Path, **overrides: Any) -> Path:
    """HU = square root of signal - 10: no number where the signal is below that."""
    path = write_affine_model(folder, **overrides)
    data = _root_graph().SerializeToString()
    (path / "model.onnx").write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256(data).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def write_neighbours_model(folder: Path, *, context: int, **overrides: Any) -> Path:
    """HU = mean of the slices ``context`` below and above, of slices that have both."""
    path = write_affine_model(
        folder, stack_context_voxels=context, stack_reach_voxels=context, **overrides
    )
    data = _neighbours_graph(context).SerializeToString()
    (path / "model.onnx").write_bytes(data)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256(data).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def affine_manifest(name: str, version: str, spacing_mm: float, sha256: str) -> dict[str, Any]:
    """The manifest `write_affine_model` writes."""
    return {
        "format": 1,
        "name": name,
        "version": version,
        "description": "HU as a linear function of signal.",
        "file": "model.onnx",
        "sha256": sha256,
        "opset": OPSET,
        "channels": ["T1"],
        "spacing_mm": spacing_mm,
        "orientation": "axial-lps",
        "normalisation": {"kind": "none"},
        "body_mask": False,
        "padding": 0.0,
        "stride": 1,
        "reach_voxels": 0,
        "bytes_per_voxel": 16,
        "output": {"unit": "HU", "low": -1024, "high": 3071, "has_scale": False},
        "body_part": "HEAD",
        "region": "head",
        "sequences": [],
        "field_strengths_t": [],
        "slice_limit_mm": 6.0,
        "training_data": "none: arithmetic",
        "licence": "Apache-2.0",
        "metrics": {},
        "quality": None,
        "golden": None,
    }


def _root_graph() -> onnx.ModelProto:
    graph = _graph(1.0, -10.0)
    graph.graph.node[-1].output[0] = "less"
    graph.graph.node.append(helper.make_node("Sqrt", ["less"], ["hu"]))
    return graph


def _graph(slope: float, intercept: float) -> onnx.ModelProto:
    size = [1, 1, "slices", "rows", "columns"]
    signal = helper.make_tensor_value_info("signal", TensorProto.FLOAT, size)
    hu = helper.make_tensor_value_info("hu", TensorProto.FLOAT, size)
    constants = [
        numpy_helper.from_array(np.array(slope, np.float32), "slope"),
        numpy_helper.from_array(np.array(intercept, np.float32), "intercept"),
    ]
    nodes = [
        helper.make_node("Mul", ["signal", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "intercept"], ["hu"]),
    ]
    graph = helper.make_graph(nodes, "affine", [signal], [hu], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model)
    return model


def _neighbours_graph(context: int) -> onnx.ModelProto:
    signal = helper.make_tensor_value_info(
        "signal", TensorProto.FLOAT, [1, 1, "given", "rows", "columns"]
    )
    hu = helper.make_tensor_value_info("hu", TensorProto.FLOAT, [1, 1, "slices", "rows", "columns"])
    far = 2**31
    cuts = {"axis": 2, "none": 0, "twice": 2 * context, "end": far, "back": -2 * context}
    constants = [numpy_helper.from_array(np.array([v], np.int64), k) for k, v in cuts.items()]
    constants.append(numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    nodes = [
        helper.make_node("Slice", ["signal", "none", "back", "axis"], ["below"]),
        helper.make_node("Slice", ["signal", "twice", "end", "axis"], ["above"]),
        helper.make_node("Add", ["below", "above"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["hu"]),
    ]
    graph = helper.make_graph(nodes, "neighbours", [signal], [hu], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _greedy_graph(most_voxels: int) -> onnx.ModelProto:
    size = [1, 1, "slices", "rows", "columns"]
    signal = helper.make_tensor_value_info("signal", TensorProto.FLOAT, size)
    hu = helper.make_tensor_value_info("hu", TensorProto.FLOAT, size)
    numbers = {"most": most_voxels, "huge": 2**46, "one": 1}
    constants = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in numbers.items()]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "flat"))
    nodes = [
        helper.make_node("Size", ["signal"], ["voxels"]),
        helper.make_node("Greater", ["voxels", "most"], ["too_many"]),
        helper.make_node("Where", ["too_many", "huge", "one"], ["length"]),
        helper.make_node("Reshape", ["length", "flat"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["signal", "zero"], ["hu"]),
    ]
    graph = helper.make_graph(nodes, "greedy", [signal], [hu], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    return model
