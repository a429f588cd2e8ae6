"""Fixtures of the crash tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import Node, make_node
from tests.peers.dcmtk import Storescp

MakeNode = Callable[..., Node]


@pytest.fixture
def new_node(tmp_path: Path) -> Iterator[MakeNode]:
    """Make nodes that end with the test."""
    made: list[Node] = []

    def begin(tps: Storescp | int, **more: Any) -> Node:
        node = make_node(tmp_path / f"node{len(made)}", tps, **more)
        made.append(node)
        return node

    yield begin
    for node in made:
        if node.process is not None and node.process.poll() is None:
            node.stop()
