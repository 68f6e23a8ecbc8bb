"""Arguments and options that several commands share, and what is checked about them before any work is done."""

import os
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..output import note

if TYPE_CHECKING:
    from torch import nn

_PATIENCE_SECONDS = 5.0  # that a model may take to be made, to be made once more

# `app.respond` looks for it and prints the answer accordingly
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else there.")]
DataDir = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Folder of mnist, fashion-mnist, cifar10, or one of these.  [default: $SPIKELOOM_DATA]"
    ),
]
Source = Annotated[
    str,
    typer.Argument(metavar="DATA", help="digits, mnist, fashion-mnist, cifar10, an .npz file, a folder of IDX files."),
]
Samples = Annotated[int | None, typer.Option(metavar="N", help="The first N samples only.  [default: all]")]
NetworkFile = Annotated[Path, typer.Argument(metavar="NETWORK", help="A .loom file, as `spikeloom convert` writes.")]
BuildFolder = Annotated[Path, typer.Argument(metavar="BUILD", help="A folder, as `spikeloom generate` writes.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Start of every random choice; the same seed, the same result.")]


class Simulator(StrEnum):
    """What runs the generated Verilog."""

    VERILATOR = "verilator"
    ICARUS = "icarus"
    CXXRTL = "cxxrtl"


class Wrapper(StrEnum):
    """What is put around the cores."""

    STREAMS = "streams"
    AXI = "axi"


def trained_model(name: str, weights: Path | None) -> "nn.Module":
    """The model of a name, as `spikeloom_convert.models.load_model`; notes where its weights are not trained."""
    from spikeloom_convert.models import is_untrained, load_model

    started = time.monotonic()
    model = load_model(name, weights)
    quick = time.monotonic() - started < _PATIENCE_SECONDS
    if weights is None and quick and is_untrained(name, model):
        note(f"  note: the weights of '{name}' are random; name the trained ones by --weights")
    return model


def require_writable(path: Path, what: str, option: str = "-o") -> None:
    """Refuse an output file that could not be written, before the work for it is done; `option` is what names it.

    Raises
    ------
    SpikeloomError
        Its folder is missing or not writable, or the path is a folder.
    """
    from spikeloom.errors import SpikeloomError

    who = f"Output '{path}'"
    if path.is_dir():
        raise SpikeloomError(f"{who}: must be {what}, not a folder; name the file in it")
    if not path.parent.is_dir():
        raise SpikeloomError(f"{who}: folder '{path.parent}' must exist; make it first")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".spikeloom.")
        os.close(handle)
        os.unlink(temporary)
    except OSError as error:
        raise SpikeloomError(
            f"{who}: folder '{path.parent}' must be writable ({error.strerror}); choose another with {option}"
        ) from None


def numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Numbers between commas; InvalidData where one is none."""
    from spikeloom.errors import InvalidData

    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidData(f"Option '{option}': must be numbers between commas, not '{text}'") from None


def by_population(option: str, example: str, given: list[str]) -> dict[str, int]:
    """Numbers by the name or pattern of populations, the last of a name; InvalidData where one is none."""
    from spikeloom.errors import InvalidData

    found: dict[str, int] = {}
    for text in given:
        name, _, steps = text.rpartition("=")
        if not name or not (steps.isascii() and steps.isdigit() and len(steps) < 10):
            raise InvalidData(f"Option '{option}': must be {example}, not '{text}'")
        found.pop(name, None)  # so that the order is that of the last mention
        found[name] = int(steps)
    return found


def method_options(given: list[str]) -> dict[str, object]:
    """Options of a method by name, values as in JSON or else text; InvalidData where one is not NAME=VALUE."""
    from json import loads

    from spikeloom.errors import InvalidData

    found: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidData(f"Option '--option': must be NAME=VALUE, like shift=false, not '{text}'")
        try:
            found[name] = loads(value)
        except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
            found[name] = value
    return found
