"""Error kinds of Spikeloom: every one is a single message saying who, what, where and how to fix it."""

import reprlib
from enum import Enum


class SpikeloomError(Exception):
    """Base of all errors that are the caller's to mend; the command line prints it as one line and exits 2."""


class InvalidNetwork(SpikeloomError):
    """A network, or the file that holds one, violates the contract of the integer line."""


class InvalidData(SpikeloomError):
    """Input data (calibration, samples, labels) cannot be used as it is."""


class UnsupportedLayer(SpikeloomError):
    """A module or operation of the trained model has no spiking counterpart here; names the module's path."""


class NotBuilt(SpikeloomError):
    """The network asks for something its type can say but this version does not do yet; names the field."""


class DoesNotFit(SpikeloomError):
    """A network does not fit a board or the core's limits; lists all reasons at once."""


class ToolError(SpikeloomError):
    """An external tool is missing or failed; names the tool, its exit and the log."""


class LinkTrouble(Enum):
    """What is wrong between a host and a board."""

    MISSING = "missing"  # there is no such port
    REFUSED = "refused"  # the port cannot be used: rights, another program, or it is no serial port
    SILENT = "silent"  # nothing answers
    STRANGER = "stranger"  # something answers, and it is no board of Spikeloom
    OTHER_BUILD = "other build"  # a board of Spikeloom, with another network or of another release
    OTHER_PARAMETERS = "other parameters"  # the right board and build, with other weights than expected
    LOST = "lost"  # the port went away
    UNANSWERED = "unanswered"  # the board is there, and a request is not answered as it should be


class LinkError(SpikeloomError):
    """A board cannot be talked to; `kind` is a `LinkTrouble`."""

    def __init__(self, kind: LinkTrouble, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Divergence(SpikeloomError):
    """Two traces that must be equal differ; names the first differing integer."""


def listed(violations: list[str]) -> str:
    """Join independent violations into one line, in the order found."""
    return "; ".join(violations)


def shown(value: object) -> str:
    """A value as part of a message: on one line and short, whatever it is and wherever it came from."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return " ".join(short.repr(value).split())
