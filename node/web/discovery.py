"""What the modules of a package register by being there: routers, and places in the navigation."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi import APIRouter

TEMPLATES = "templates"


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """Every module of ``package``, in order of name."""
    for found in pkgutil.iter_modules(package.__path__):
        yield import_module(f"{package.__name__}.{found.name}")


def routers_of(package: ModuleType) -> Iterator[APIRouter]:
    """Every router that a module of ``package`` has, under whatever name."""
    for module in modules_of(package):
        yield from (value for value in vars(module).values() if isinstance(value, APIRouter))


def places_of(package: ModuleType) -> Iterator[Any]:
    """Every place that a module of ``package`` asks for in the navigation."""
    for module in modules_of(package):
        yield from getattr(module, "PLACES", ())


def templates_of(package: ModuleType) -> list[Path]:
    """The folder of templates in a package of pages, where it has one."""
    folders = [Path(path) / TEMPLATES for path in package.__path__]
    return [folder for folder in folders if folder.is_dir()]
