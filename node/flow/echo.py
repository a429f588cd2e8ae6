"""C-ECHO on request: the page asks, a worker that can reach the peer does it."""

from collections.abc import Callable
from typing import Any

from node.domain.errors import Retryable
from node.domain.site import Site
from node.flow import engine
from node.scu.echo import echo


class EchoWork:
    """Verifies a peer."""

    def __init__(self, site: Callable[[], Site], calling_ae: str) -> None:
        self._site = site
        self._calling_ae = calling_ae

    def run(self, name: str) -> dict[str, Any]:
        """The workflow: one echo, and what came of it."""
        said: dict[str, Any] = engine.step("echo", self.ask, name, retry_on=Retryable)
        return said

    def ask(self, name: str) -> dict[str, Any]:
        """Send C-ECHO to the peer of that name."""
        peer = self._site().peer(name)
        if peer is None:
            return {"ok": False, "sentence": f"There is no peer {name}."}
        result = echo(peer, calling_ae=self._calling_ae)
        return {"ok": result.ok, "sentence": f"{result.sentence} {result.remedy}".strip()}
