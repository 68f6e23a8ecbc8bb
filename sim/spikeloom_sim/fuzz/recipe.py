"""A recipe says which random network, on which cores, is simulated how; its command runs it again."""

import argparse
from dataclasses import dataclass
from typing import Any

from spikeloom import Network
from spikeloom.program.program import Program

from .draw import (
    DEEPEST,
    KINDS,
    LONGEST,
    MOST_LANES,
    SCHEDULES,
    draw_network,
    draw_program,
)

SAMPLES = 8


@dataclass(frozen=True)
class Recipe:
    """What one run of a campaign builds and does.

    Parameters
    ----------
    seed : of network, cores, samples and stalls.
    depth, cores : firing layers and cores; drawn by the seed where None.
    kinds : what the network may hold, see `draw.KINDS`.
    timesteps : of a train, at most.
    schedule : of the network.
    lanes : of a core, at most.
    samples : inferences in each run, at most; fewer where a network is slow.
    stalls : run with stalls, and after a reset, too.
    """

    seed: int
    depth: int | None = None
    cores: int | None = None
    kinds: frozenset[str] = frozenset(KINDS)
    timesteps: int = LONGEST
    schedule: str = SCHEDULES[0]
    lanes: int = MOST_LANES
    samples: int = SAMPLES
    stalls: bool = True

    @property
    def network(self) -> Network:
        """The network."""
        return draw_network(
            self.seed, depth=self.depth, kinds=self.kinds, timesteps=self.timesteps, schedule=self.schedule
        )

    def program(self, network: Network) -> Program:
        """The cores for that network."""
        return draw_program(self.seed, network, cores=self.cores, lanes=self.lanes)

    @property
    def command(self) -> str:
        """How to run it again."""
        given = [f"--{name} {value}" for name, value in self._plain() if value != getattr(Recipe(self.seed), name)]
        if self.kinds != frozenset(KINDS):
            given.append(f"--kinds '{', '.join(kind for kind in KINDS if kind in self.kinds)}'")
        if not self.stalls:
            given.append("--no-stalls")
        return " ".join(["python -m spikeloom_sim.fuzz.campaign --count 1 --seed", str(self.seed), *given])

    def _plain(self) -> list[tuple[str, Any]]:
        names = ("depth", "cores", "timesteps", "schedule", "lanes", "samples")
        return [(name, getattr(self, name)) for name in names]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `Recipe.command` prints."""
    parser.add_argument("--seed", type=int, default=1, help="seed of the first network; the next ones follow")
    parser.add_argument("--depth", type=int, help=f"firing layers, instead of the 1 to {DEEPEST} that the seed draws")
    parser.add_argument("--cores", type=int, help="cores, instead of the 1 to 3 that the seed draws")
    parser.add_argument(
        "--kinds", type=_kinds, default=frozenset(KINDS), help=f"what networks may hold: {', '.join(KINDS)}"
    )
    parser.add_argument("--timesteps", type=int, default=LONGEST, help="of a train, at most")
    parser.add_argument("--schedule", choices=SCHEDULES, default=SCHEDULES[0])
    parser.add_argument("--lanes", type=int, default=MOST_LANES, help="of a core, at most")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="inferences in each run, at most")
    parser.add_argument("--no-stalls", dest="stalls", action="store_false", help="only the run without stalls")


def chosen(options: argparse.Namespace, seed: int) -> Recipe:
    """The recipe of parsed options for a seed."""
    names = ("depth", "cores", "kinds", "timesteps", "schedule", "lanes", "samples", "stalls")
    return Recipe(seed, **{name: getattr(options, name) for name in names})


def _kinds(text: str) -> frozenset[str]:
    found = frozenset(kind.strip() for kind in text.split(",") if kind.strip())
    if unknown := found - set(KINDS):
        raise argparse.ArgumentTypeError(f"must be among {', '.join(KINDS)}, not {', '.join(sorted(unknown))}")
    return found
