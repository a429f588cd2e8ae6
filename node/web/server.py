"""Runs an ASGI application until it is told to stop."""

import asyncio
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import uvicorn


class Stop(Protocol):
    """An event of threading."""

    def is_set(self) -> bool:
        """Whether it is time to end."""


def serve_web(
    app: Any,
    host: str,
    port: int,
    stop: Stop,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Serve ``app`` on ``host``:``port``; requests in flight get a few seconds to end."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarding headers are read by the guard, from declared proxies only.
        proxy_headers=False,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=5,
    )
    asyncio.run(_serve(uvicorn.Server(config), stop, app.state.notifier.closing))


async def _serve(server: uvicorn.Server, stop: Stop, closing: Event) -> None:
    # In the main thread uvicorn takes the signals itself and hands them on at its end; elsewhere
    # (a test) the event alone says when.
    async def watch() -> None:
        while not stop.is_set() and not server.should_exit:
            await asyncio.sleep(0.5)
        closing.set()  # event streams would otherwise stay open until they are cut
        server.should_exit = True

    watcher = asyncio.create_task(watch())
    await server.serve()
    watcher.cancel()
