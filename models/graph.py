"""The ONNX file of a network: how its graph is written, cleaned and made smaller."""

from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from models.networks import neighbours

OPSET = 20


class Answers(Protocol):
    """What is exported: a module that answers slices which stand with their neighbours."""

    def slices(self, stack: Tensor) -> tuple[Tensor, Tensor]:
        """(n, offsets, h, w) to HU and half width (n, h, w)."""


class _Graph(nn.Module):
    """(1, 1, d + context, h, w) to HU and half width (1, 1, d, h, w): no slice is padded here."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, mr: Tensor) -> tuple[Tensor, Tensor]:
        hu, half = self.answers.slices(neighbours(mr[0, 0]))
        return hu[None, None], half[None, None]


def write_onnx(deployed: Answers, path: Path, properties: dict[str, str]) -> None:
    """Export the graph with dynamic spatial axes and the weights inside.

    Its input has the slices beyond both ends that the first and the last answered slice see.
    """
    size = torch.export.Dim.DYNAMIC
    program = torch.onnx.export(
        _Graph(deployed),
        (torch.rand(1, 1, 40, 64, 96),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["mr"],
        output_names=["hu", "half_width_hu"],
        dynamic_shapes=({2: size, 3: size, 4: size},),
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave nothing")
    model = program.model_proto
    forget_making(model)
    for key, value in properties.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def forget_making(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes at each node: lines of our code, with this machine's paths."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    for value in (*graph.input, *graph.output):
        value.ClearField("metadata_props")


def halve_weights(path: Path, target: Path) -> None:
    """Write the same graph with weights of 16 bits, widened again before they are used.

    Only the stored weights lose digits; the arithmetic stays in 32 bits, and the file is half.
    """
    model = onnx.load(path)
    kept, casts = [], []
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT and np.prod(weight.dims) > 64:
            name = weight.name
            half = numpy_helper.to_array(weight).astype(np.float16)
            kept.append(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(
                helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
            )
        else:
            kept.append(weight)
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString())
