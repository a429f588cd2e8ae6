"""Acceptance checks: a file for each theme, or for each check.

A module here is found by being here. What it lists in ``ACCEPTANCE`` runs on every stack; a code
that no theme of `node.domain.codes` has is registered in the file of its check:

    register({"CODE": row("hold", en=(...), fr=(...))})

    def check(stack: Stack, rules: Rules) -> Finding | None: ...

    ACCEPTANCE = (check,)
"""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType


def modules() -> Iterator[ModuleType]:
    """Every module of this package but the one that runs them, in order of name."""
    for found in pkgutil.iter_modules(__path__):
        if found.name != "acceptance":
            yield import_module(f"{__name__}.{found.name}")


def load_all() -> None:
    """Import every check, so that the rows it brings along are known."""
    for _ in modules():
        pass
