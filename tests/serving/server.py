"""A service in a thread of this process, asked over real sockets."""

import threading
import time
from contextlib import contextmanager

import pytest

uvicorn = pytest.importorskip("uvicorn", reason='the service needs pip install "semiverse[serve]"')
pytest.importorskip("fastapi", reason='the service needs pip install "semiverse[serve]"')


@contextmanager
def running(app):
    """The address of an application as long as it runs."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
