"""The command demo: the whole way on bundled data, with the time each step took and a summary."""

from pathlib import Path
from typing import Annotated

import typer

from ..commands.options import Json, Seed
from ..output import Answer


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="For all results.")] = Path("run"),
    board: Annotated[str, typer.Option(metavar="B", help="A board of `spikeloom boards`.")] = "ulx3s-85f",
    samples: Annotated[int, typer.Option(metavar="N", help="Digits to simulate.")] = 20,
    seed: Seed = 0,
    json: Json = False,
) -> Answer:
    """Go the whole way on scikit-learn's digits: train, convert, measure, generate, simulate, synthesise, report.

    Steps whose sources and inputs have not changed since the last time are reused.

    \b
    Example:
      spikeloom demo -o run
    """
    from .run import Demo

    return Demo(output, board=board, samples=samples, seed=seed).run()
