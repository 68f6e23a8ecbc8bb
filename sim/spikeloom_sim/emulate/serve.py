"""Moves bytes between a pseudo-terminal and a board, until somebody ends it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from spikeloom_hw.build import Build

from .board import VirtualBoard
from .terminal import PseudoTerminal

PORTION = 4096  # bytes taken from the host at once
SLICE_CYCLES = 1 << 14  # of a call: a signal is noticed after so many
PATIENCE_CYCLES = 1 << 11  # with nothing on the line, before looking for bytes from the host
LOOK_SECONDS = 0.2


class Ended(BaseException):
    """Asked to end by a signal; like KeyboardInterrupt no error, and so passed over by whoever handles errors."""


def serve(board: VirtualBoard, terminal: PseudoTerminal, rest_cycles: int) -> None:
    """Run the board as long as anything may happen, wait for the host otherwise; ends by an exception only.

    Parameters
    ----------
    board : VirtualBoard
    terminal : PseudoTerminal
    rest_cycles : with nothing on the line, after which no timer of the board still runs.
    """
    pending = b""
    while True:
        if len(pending) < PORTION:
            pending += terminal.read(PORTION)
        if not pending and board.quiet_cycles > rest_cycles:
            terminal.write()
            terminal.wait(LOOK_SECONDS)
            continue
        taken, came = board.run(pending, SLICE_CYCLES, PATIENCE_CYCLES)
        pending = pending[taken:]
        terminal.write(came)
