"""What may be at the other end of a serial port: pseudo-terminals in this process, each served by a thread."""

import os
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def served(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Path of a port at whose other end `answer` makes bytes of those that come; of none, now and then, too."""
    here, there = os.openpty()
    tty.setraw(there)
    os.set_blocking(here, False)
    ended = threading.Event()

    def serve() -> None:
        while not ended.wait(0.002):
            data = b""
            with suppress(BlockingIOError):
                data = os.read(here, 4096)
            with suppress(BlockingIOError):
                os.write(here, answer(data))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield os.ttyname(there)
    finally:
        ended.set()
        thread.join()
        os.close(there)
        os.close(here)
