"""What runs is what was hashed, all of it, and signed where the site asks for that."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from onnx import TensorProto, helper, numpy_helper

from node.domain.errors import Misconfigured
from node.infer.onnx_file import require_self_contained
from node.infer.registry import Registry
from node.infer.session import Session
from node.infer.signature import SIGNATURE, read_keys
from tests.phantoms.tiny_onnx import write_affine_model


def _scaled(tensor: TensorProto, place: str) -> onnx.ModelProto:
    """HU = signal * tensor, which lies where ``place`` says."""
    shape = [1, 1, None, None, None]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("mr", "hu")]
    initializers, nodes = [], [helper.make_node("Mul", ["mr", "k"], ["hu"])]
    if place == "initializer":
        initializers = [tensor]
    elif place == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["k"], value=tensor))
    else:  # in a branch of a condition
        inner = helper.make_graph(
            [helper.make_node("Constant", [], ["c"], value=tensor)],
            "branch",
            [],
            [helper.make_tensor_value_info("c", TensorProto.FLOAT, [])],
        )
        yes = numpy_helper.from_array(np.array(True), "yes")
        initializers = [yes]
        nodes.insert(
            0, helper.make_node("If", ["yes"], ["k"], then_branch=inner, else_branch=inner)
        )
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _outside(location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.array(2.0, np.float32), "k")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
@pytest.mark.parametrize("location", ["weights.bin", "../weights.bin", "/etc/hostname"])
def test_weights_in_another_file_are_refused(tmp_path: Path, place: str, location: str) -> None:
    """They could be changed, and the hash of the model's file would still be right."""
    (tmp_path / "weights.bin").write_bytes(np.array(2.0, "<f4").tobytes())
    data = _scaled(_outside(location), place).SerializeToString()
    (tmp_path / "model.onnx").write_bytes(data)

    for model in (data, tmp_path / "model.onnx"):
        with pytest.raises(Misconfigured, match="in another file"):
            Session(model, providers=["cpu"])


@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
def test_weights_inside_are_taken(place: str) -> None:
    """The same network with its weights in it answers."""
    tensor = numpy_helper.from_array(np.array(2.0, np.float32), "k")
    session = Session(_scaled(tensor, place).SerializeToString(), providers=["cpu"])

    (answer,) = session.run(np.full((2, 3, 4), 3.0, np.float32))
    assert (answer == 6.0).all()


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\0\0ORTM", bytes(range(7, 250)), b"\x3a\x7f", b"\xff" * 99]
)
def test_what_is_no_network_is_said(data: bytes) -> None:
    """Nothing, the runtime's own format, noise, a length that lies, a number without an end."""
    with pytest.raises(Misconfigured, match="is no network"):
        require_self_contained(data, "model.onnx")


def test_what_is_loaded_is_what_was_hashed(tmp_path: Path) -> None:
    """Changed after the hash was taken, the file changes nothing: its bytes are read once."""
    path = write_affine_model(tmp_path, slope=1.0)
    (model,) = Registry.scan(tmp_path).models
    data = model.read()
    other = write_affine_model(tmp_path / "other", slope=-7.0) / "model.onnx"
    (path / "model.onnx").write_bytes(other.read_bytes())

    (answer,) = Session(data, providers=["cpu"]).run(np.ones((2, 2, 2), np.float32))
    assert (answer == 1.0).all()
    with pytest.raises(Misconfigured, match="SHA-256"):
        model.read()


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/hostname", "a/b.onnx", "", ".onnx", "a\\b"]
)
def test_a_file_has_a_plain_name(tmp_path: Path, name: str) -> None:
    """Nothing outside the model's folder is a model."""
    write_affine_model(tmp_path, file=name)
    with pytest.raises(Misconfigured, match="file"):
        Registry.scan(tmp_path)


def _keys(folder: Path, *names: str) -> Sequence[Ed25519PrivateKey]:
    made = []
    for name in names:
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name}.pem").write_bytes(public)
        made.append(key)
    return made


@pytest.mark.parametrize("encode", [bytes, base64.b64encode], ids=["raw", "base64"])
def test_a_signed_model_is_taken_and_a_changed_one_is_not(tmp_path: Path, encode: object) -> None:
    """The signature is of the manifest, which holds the hash of the network."""
    models = tmp_path / "models"
    path = write_affine_model(models)
    mine, other = _keys(tmp_path, "mine", "other")
    trusted = read_keys([tmp_path / "other.pem", tmp_path / "mine.pem"])
    manifest = (path / "manifest.json").read_bytes()
    with pytest.raises(Misconfigured, match="asks for signed models"):
        Registry.scan(models, trusted)
    (path / SIGNATURE).write_bytes(encode(mine.sign(manifest)))  # type: ignore[operator]
    assert len(Registry.scan(models, trusted).models) == 1

    changed = json.loads(manifest) | {"description": "another"}
    (path / "manifest.json").write_text(json.dumps(changed))
    with pytest.raises(Misconfigured, match="none of the trusted keys"):
        Registry.scan(models, trusted)
    (path / "manifest.json").write_bytes(manifest)
    with pytest.raises(Misconfigured, match="none of the trusted keys"):
        Registry.scan(models, [other.public_key()])


def test_a_key_that_is_none_is_said(tmp_path: Path) -> None:
    """The file is named."""
    (tmp_path / "no.pem").write_text("no key")
    with pytest.raises(Misconfigured, match=r"no\.pem holds no Ed25519 public key"):
        read_keys([tmp_path / "no.pem"])
