"""Moves bytes between a pseudo-terminal and a board, until somebody ends it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .board import VirtualBoard
from .terminal import PseudoTerminal

PORTION = 4096  # bytes that wait for the board, at most, before more are taken from the host
SLICE_CYCLES = 1 << 14  # of a call into the board: a signal is noticed after so many
PATIENCE_CYCLES = (
    1 << 11
)  # with nothing on the line, before looking for bytes from the host; then twice that, and so on
HOST_SECONDS = 0.001  # in which a host that is at work sends the next bytes
LOOK_SECONDS = 0.2


def serve(board: VirtualBoard, terminal: PseudoTerminal, rest_cycles: int) -> None:
    """Run the board while anything may happen in it, and wait for the host otherwise; an exception ends it.

    Parameters
    ----------
    board : VirtualBoard
    terminal : PseudoTerminal
    rest_cycles : with nothing on the line, after which nothing in the board moves: no core, no timer.
    """
    pending, patience = b"", PATIENCE_CYCLES
    while True:
        if len(pending) < PORTION:
            pending += terminal.read(PORTION)
        if not pending and board.quiet_cycles > rest_cycles:
            terminal.write()
            terminal.wait(LOOK_SECONDS)
            continue
        taken, came = board.run(pending, SLICE_CYCLES, patience)
        pending = pending[taken:]
        terminal.write(came)
        patience = PATIENCE_CYCLES if taken or came else min(2 * patience, SLICE_CYCLES)
        if not pending:
            terminal.wait(HOST_SECONDS)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end what is in here as Ctrl-C does: by KeyboardInterrupt, so that everything is tidied up."""
    if threading.current_thread() is not threading.main_thread():  # where Python takes no signals
        yield
        return
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
