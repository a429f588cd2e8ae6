"""Serves an application on a port the system chose."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def listening(app: Any, **settings: Any) -> Iterator[int]:
    """Serve ``app`` while the block runs; gives the port. ``settings`` go to uvicorn."""
    known = {"host": "127.0.0.1", "port": 0, "log_config": None, "proxy_headers": False}
    server = uvicorn.Server(uvicorn.Config(app, **{**known, **settings}))
    listener = server.config.bind_socket()
    listener.listen()  # requests made before the server runs wait in its backlog
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        app.state.notifier.closing.set()
        server.should_exit = True
        thread.join(20)
        listener.close()


@contextmanager
def served(app: Any, **settings: Any) -> Iterator[str]:
    """Serve ``app`` while the block runs; gives its address."""
    with listening(app, **settings) as port:
        yield f"http://127.0.0.1:{port}"
