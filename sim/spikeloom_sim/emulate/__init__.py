"""A virtual board: a build behind its serial line, in Verilator, at the end of a pseudo-terminal."""

from .board import VirtualBoard, compile_board
from .serve import emulate, serve
from .terminal import PseudoTerminal

__all__ = ["PseudoTerminal", "VirtualBoard", "compile_board", "emulate", "serve"]
