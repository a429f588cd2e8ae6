"""What unit tests may lean on."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
_OTHERS = {p.name for p in TESTS.iterdir() if p.is_dir()} - {"unit", "phantoms", "peers"}


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_no_unit_test_needs_another_kind_of_test() -> None:
    """Helpers of interoperability, web or speed are theirs; what all need is a phantom."""
    files = [*(TESTS / "unit").rglob("*.py"), *(TESTS / "phantoms").glob("*.py")]
    assert len(files) > 100
    assert {"interop", "web", "bench"} <= _OTHERS

    wrong = [
        (file.name, module)
        for file in files
        for module in _imported(file)
        if module.split(".")[0] == "tests" and len(module.split(".")) > 1
        if module.split(".")[1] in _OTHERS
    ]

    assert not wrong
