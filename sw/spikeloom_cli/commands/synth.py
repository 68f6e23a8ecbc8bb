"""The command synth: from a build to a bitstream, at which clock, and what it uses of the board."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..output import Answer, named_rows, note, working
from .options import BuildFolder, Json, Seed

if TYPE_CHECKING:
    from spikeloom_hw.bitstream.synth_result import SynthResult

OPTIMISTIC = {"gowin": "; nextpnr's analysis of Gowin devices looks optimistic, and this clock was never measured"}


def synth(
    build: BuildFolder,
    clock: Annotated[
        str, typer.Option(metavar="CLOCK", help="oscillator, MHz up to which the PLL goes, or auto: what is routed.")
    ] = "auto",
    seeds: Annotated[int, typer.Option(metavar="N", help="Tries of placing, side by side; the fastest is kept.")] = 1,
    seed: Seed = 1,
    allow_timing_failure: Annotated[
        bool, typer.Option("--allow-timing-failure", help="Write a bitstream that is too slow for its clock.")
    ] = False,
    json: Json = False,
) -> Answer:
    """Synthesise, place and route a build for its board: a bitstream, its clock, what it uses.

    With `--clock auto` what is routed for the board's oscillator says how fast the board's PLL may be set, and the
    bitstream is made again for that; boards whose PLL is not supported run at their oscillator.

    \b
    Example:
      spikeloom synth build
      spikeloom synth build --clock 50 --seeds 4
    """
    return synthesised(build, clock=clock, seeds=seeds, seed=seed, allow_timing_failure=allow_timing_failure)


def synthesised(
    folder: Path, *, clock: str = "auto", seeds: int = 1, seed: int = 1, allow_timing_failure: bool = False
) -> Answer:
    """The answer of synth, which the demo gives too."""
    from dataclasses import asdict

    from spikeloom_hw.bitstream.synth import synth as synth_build
    from spikeloom_hw.boards import find

    with working(f"synthesising {folder}") as progress:
        result = synth_build(
            folder, clock=clock, seeds=seeds, seed=seed, allow_timing_failure=allow_timing_failure,
            progress=lambda text: progress(what=text),
        )  # fmt: skip
    if result.bitstream and not result.timing_met:
        note(
            f"WARNING: {result.bitstream} is too slow for its clock of {result.clock_mhz:g} MHz (Fmax "
            f"{result.fmax_mhz:.1f} MHz): it may give wrong answers"
        )
    rows = {
        "board": result.board,
        "LUTs": f"{result.lut:,} of {result.lut_available:,}",
        "flip-flops": f"{result.ff:,}",
        "RAM blocks": f"{result.ram} of {result.ram_available}",
        "multipliers": f"{result.dsp} of {result.dsp_available}",
        "clock": _clock(result),
        "Fmax": f"{result.fmax_mhz:.1f} MHz{OPTIMISTIC.get(find(result.board).family, '')}",
        "bitstream": result.bitstream or "none, timing is not met",
        "log": result.log,
        "seconds": f"{result.seconds:.1f}",
    }
    if len(result.fmax_mhz_by_seed) > 1:
        rows["seed"] = f"{result.seed} of " + ", ".join(f"{n}: {mhz:.1f}" for n, mhz in result.fmax_mhz_by_seed)
    failure = None
    if not result.bitstream:
        failure = (
            f"Board '{result.board}': Fmax must be at least {result.clock_mhz:g} MHz, not {result.fmax_mhz:.1f}, so "
            "there is no bitstream; use --clock auto or a slower one, try more --seeds, or generate with fewer lanes"
        )
    return Answer(asdict(result), (named_rows(f"Synthesised {folder}", rows),), failure)


def _clock(result: "SynthResult") -> str:
    """The design's clock and where it comes from."""
    if not result.pll:
        return f"{result.clock_mhz:g} MHz, the oscillator's"
    return f"{result.clock_mhz:g} MHz, by {result.pll} of the oscillator's {result.oscillator_mhz:g} MHz"
