"""A virtual board: a build behind its serial line, run by Verilator, at the end of a pseudo-terminal."""

from .board import VirtualBoard, compile_board, rest_cycles
from .serve import ended_by_signals, serve
from .terminal import PseudoTerminal

__all__ = ["PseudoTerminal", "VirtualBoard", "compile_board", "ended_by_signals", "rest_cycles", "serve"]
