"""Random networks on random cores against the golden model.

`python -m spikeloom_sim.fuzz.campaign --count 300 --seed 1` draws 300 of them.
Every network has a seed of its own, and one that fails says how to run it again. Exits 1 where something failed.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import DoesNotFit, Network, NotBuilt
from spikeloom.geometry import Shape
from spikeloom.measure import sops
from spikeloom.program.gates import require_gates
from spikeloom.program.program import CorePlan
from spikeloom_hw.build import generate

from ..cache import workspace
from ..capture import Capture
from ..compiled import FAST, compile_library
from ..cxxrtl import Model
from ..design import Design
from ..scoreboard import judge
from ..vectors import expected, vectors
from .draw import draw_samples
from .recipe import Recipe, add_options, chosen

BUDGET_SOPS = 200_000
QUICK = "-O0"  # compiles in two thirds of the time and runs forty times slower
WORTH = 10_000_000_000  # SOPs times bytes of Verilog; from here on what `FAST` saves in running is more than it costs


@dataclass(frozen=True)
class Outcome:
    """What came of one network.

    `network` and `cores` in words; `samples` sent in each run; `mismatches` of all runs; `failed` the run that found
    the `first` of them, a sentence; `refused` says why it was not built in gates, None where it was.
    """

    recipe: Recipe
    network: str
    cores: str = ""
    samples: int = 0
    mismatches: int = 0
    failed: str | None = None
    first: str | None = None
    refused: str | None = None


def run_recipe(recipe: Recipe, *, level: str | None = None, folder: Path | None = None) -> Outcome:
    """Build and simulate the network of a recipe.

    Parameters
    ----------
    recipe : Recipe
    level : options of g++; None: those with which compiling and running are done soonest.
    folder : where to keep the build; None: nowhere.
    """
    network = recipe.network
    title, words = describe(network), ""
    try:
        require_gates(network)
        program = recipe.program(network)
        words = "; ".join(describe_core(core) for core in program.cores)
        with workspace("jobs", f"campaign{recipe.seed}") as scratch:
            design = Design.load(generate(network, folder or scratch / "build", program=program).folder)
            x, work = affordable(recipe, design)
            soonest = FAST if work * design.verilog.stat().st_size > WORTH else QUICK
            library = compile_library(design, level=level or soonest, folder=scratch / "library")
            with Model(design, library) as model:
                mismatches, failed, first = simulate(recipe, design, model, x)
    except (NotBuilt, DoesNotFit) as error:
        return Outcome(recipe, title, words, refused=str(error))
    return Outcome(recipe, title, words, len(x), mismatches, failed, first)


def affordable(recipe: Recipe, design: Design) -> tuple[np.ndarray, int]:
    """The samples of a recipe, as many as stay within BUDGET_SOPS but at least two; and the SOPs of them all."""
    x = draw_samples(recipe.seed, design.network, recipe.samples)
    work = np.cumsum(np.sum(list(sops(design.network, expected(design, x).trace).values()), axis=0))
    x = x[: max(2, int((work < BUDGET_SOPS).sum()))]
    return x, int(work[len(x) - 1])


def simulate(recipe: Recipe, design: Design, model: Model, x: np.ndarray) -> tuple[int, str | None, str | None]:
    """Run a compiled design in order without stalls, then shuffled with stalls, then so after a reset on the way.

    Returns the mismatches of all runs, the run that found the first, and the first.
    """
    seed = recipe.seed
    want, rng = expected(design, x), np.random.default_rng(seed)
    total, failed, first = 0, None, None
    captures: list[tuple[str, Callable[[], Capture]]] = [
        ("without stalls", lambda: model.run(vectors(design, x), alone=1)),
        ("with stalls", lambda: model.run(vectors(design, x, rng), seed=seed)),
        (
            "after a reset, with stalls",
            lambda: model.run(vectors(design, x, rng), seed=seed + 1, abort_cycles=int(rng.integers(20, 2000))),
        ),
    ]
    for what, run in captures if recipe.stalls else captures[:1]:
        verdict = judge(design, want, run())
        if verdict.mismatches and failed is None:
            failed, first = what, verdict.first
        total += verdict.mismatches
    return total, failed, first


def describe(network: Network) -> str:
    """A network in a line: shapes and time steps of its populations, and the connections into each."""
    _, steps = network.train(network.inputs[0].name)
    parts = [f"{_shape(network.inputs[0].shape)} T{steps}"]
    for population in network.populations:
        kinds = [f"{item.geometry.kind} from {item.source}" for item in network.incoming(population.name)]
        parts.append(f"{population.name} {_shape(population.shape)} {' + '.join(kinds)}")
    return ", ".join(parts)


def describe_core(core: CorePlan) -> str:
    """A core in a line: its layers with their spreads, and its lanes."""
    layers = " ".join(f"{item.population}@{item.spread[0]}x{item.spread[1]}" for item in core.layers)
    lanes = f"{core.grid[0]}x{core.grid[1]}x{core.width} lanes of {core.bits} bits"
    return f"{layers} on {lanes}, {core.generate_width} a slot"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m spikeloom_sim.fuzz.campaign", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--count", type=int, default=20, help="networks")
    add_options(parser)
    parser.add_argument("--level", help="options of g++; left out: those with which a network is done soonest")
    parser.add_argument("--keep", type=Path, help="folder for the builds")
    parser.add_argument("--progress", action="store_true", help="a line a network")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    options = parser.parse_args(arguments)
    outcomes = []
    for seed in range(options.seed, options.seed + options.count):
        folder = options.keep and options.keep / f"seed{seed}"
        outcomes.append(run_recipe(chosen(options, seed), level=options.level, folder=folder))
        if options.progress:
            print(line(outcomes[-1]), file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({"outcomes": [as_json(outcome) for outcome in outcomes]}))
    else:
        print(summary(outcomes))
    return 1 if any(outcome.mismatches for outcome in outcomes) else 0


def as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values, with its seed and its command."""
    plain = asdict(outcome)
    del plain["recipe"]
    return {"seed": outcome.recipe.seed, "command": outcome.recipe.command, **plain}


def line(outcome: Outcome) -> str:
    """An outcome in a line."""
    what = "fails" if outcome.mismatches else "refused" if outcome.refused else "equal"
    return f"seed {outcome.recipe.seed}: {what}: {outcome.network} | {outcome.cores}"


def summary(outcomes: Iterable[Outcome]) -> str:
    """Everything that a reader needs to go on: counts, then each failure with the command that repeats it."""
    outcomes = list(outcomes)
    failures = [outcome for outcome in outcomes if outcome.mismatches]
    refused = [outcome for outcome in outcomes if outcome.refused]
    lines = [f"{len(outcomes)} networks, {len(failures)} fail, {len(refused)} refused"]
    for outcome in failures:
        lines += [
            f"{outcome.network}",
            f"  on {outcome.cores}",
            f"  {outcome.failed}: {outcome.mismatches} mismatches, first: {outcome.first}",
            f"  again: {outcome.recipe.command}",
        ]
    lines += [f"seed {outcome.recipe.seed} refused: {outcome.refused}" for outcome in refused]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
