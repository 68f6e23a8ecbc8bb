"""The host's side of a board: one interface for the golden model, a simulation and a board at a serial port."""

from .board import Answers, Board, GoldenBoard, Target
from .serial_board import SerialBoard
from .serial_port import BAUD, SerialPort, ports
from .session import TIMEOUT_S, Port, Session

__all__ = [
    "BAUD", "TIMEOUT_S", "Answers", "Board", "GoldenBoard", "Port", "SerialBoard", "SerialPort", "Session", "Target",
    "ports",
]  # fmt: skip
