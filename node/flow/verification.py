"""A model verified on request, where it works: on the worker, with the worker's providers."""

from collections.abc import Callable
from typing import Any

from node.domain.errors import NodeError, Retryable
from node.flow import engine

Verify = Callable[[str, str], dict[str, Any]]
"""Name and version to ``sha256, provider, ok, verdict``."""


def no_models(name: str, version: str) -> dict[str, Any]:
    """The answer of a worker that was given no models."""
    return _failed(name, version, "This worker was given no models.")


class VerifyWork:
    """Hash and golden case."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify

    def run(self, name: str, version: str) -> dict[str, Any]:
        """The workflow: one verification, and what came of it."""
        said: dict[str, Any] = engine.step("verify", self.look, name, version, retry_on=Retryable)
        return said

    def look(self, name: str, version: str) -> dict[str, Any]:
        """Verify; a model that is wrong is a result, not an exception."""
        try:
            return self._verify(name, version)
        except Retryable:
            raise
        except NodeError as error:
            return _failed(name, version, str(error))


def _failed(name: str, version: str, why: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "sha256": "",
        "provider": "",
        "ok": False,
        "verdict": why,
    }
