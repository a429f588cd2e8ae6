"""Whether an ONNX file is all there is of its network.

A tensor may lie in another file (``external_data``), which the manifest's hash does not cover: its
weights could be changed, and the hash would still be right. Such a file is refused. It is read as
the protocol buffer it is (onnx.proto, protobuf.dev/programming-guides/encoding), far enough to see
each tensor: a library for that is needed at training alone.
"""

from collections.abc import Iterator, Mapping

from node.domain.errors import Misconfigured

# Message to its fields that hold messages, by number, as onnx.proto 1.17 has them.
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_GRAPH, _EXTERNAL_DATA, _DATA_LOCATION, _DEFAULT = 7, 13, 14, 0
# ONNX Runtime's own format, which may name files as well.
_ORT, _ORT_AT = b"ORTM", slice(4, 8)
_DEPTH = 64


def require_self_contained(data: bytes, name: str) -> None:
    """Raise `Misconfigured` for a file that is no network, or whose weights lie elsewhere too."""
    try:
        whole = data[_ORT_AT] != _ORT and any(n == _GRAPH for n, _ in _fields(memoryview(data)))
        outside = whole and _points_outside(memoryview(data), "model", 0)
    except (IndexError, ValueError):
        whole = outside = False
    if outside:
        raise Misconfigured(
            f"Model file {name} keeps weights in another file, which its hash does not cover.",
            remedy="Export the model again with its weights inside.",
        )
    if not whole:
        raise Misconfigured(
            f"Model file {name} is no network: it is not an ONNX model.",
            remedy="Restore the file, or export the model again.",
        )


def _points_outside(data: memoryview, message: str, depth: int) -> bool:
    if depth > _DEPTH:
        raise ValueError("nested deeper than any network")
    inner = _FIELDS.get(message, {})
    for number, value in _fields(data):
        if message == "tensor":
            if number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != _DEFAULT):
                return True
        elif (
            number in inner
            and isinstance(value, memoryview)
            and _points_outside(value, inner[number], depth + 1)
        ):
            return True
    return False


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field; a `ValueError` or `IndexError` where it is none."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind, number = key & 7, key >> 3
        value: memoryview | int = 0
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(data) or not number:
            raise ValueError("a field does not fit")
        yield number, value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
