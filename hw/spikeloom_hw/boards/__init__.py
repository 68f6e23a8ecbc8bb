"""Boards: what is on them, their clocks and pins, and the top that a bitstream of theirs has."""

from .board import Board, find

__all__ = ["Board", "find"]
