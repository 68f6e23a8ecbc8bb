"""Everything that a report says, as plain frozen values; None and `Missing` where it is not known."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from spikeloom import energy


@dataclass(frozen=True)
class Missing:
    """Why something is not in the report, as a sentence, and the command line that would bring it in."""

    why: str
    command: str


@dataclass(frozen=True)
class Layer:
    """A population that a core holds.

    `weights` and `weight_bits` of all its incoming connections; `theta` its least and largest threshold, None for a
    readout; `rate` spikes of a neuron in an inference, `sops` a sample: measured, or expected from calibration.
    `cycles` from swap to swap, simulated, or as planned.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    neurons: int
    weights: int
    weight_bits: int
    potential_bits: int
    theta: tuple[int, int] | None
    timesteps: int | None
    rate: float | None
    sops: float | None
    cycles: float | None
    simulated: bool


@dataclass(frozen=True)
class Core:
    """A core with its layers; `lut` and `ram` as planned, `states` cycles a sample by what it is at, None unknown."""

    name: str
    grid: str
    lanes: int
    lut: int
    ram: int
    layers: tuple[Layer, ...]
    states: dict[str, float] | None


@dataclass(frozen=True)
class Point:
    """An accuracy at a number of time steps."""

    timesteps: int
    accuracy: float


@dataclass(frozen=True, eq=False)
class Accuracy:
    """What the golden model reaches on the samples of `data`.

    `interval` the 95 % Wilson interval of `accuracy`; `confusion` int64 [classes, classes], true class by class read
    out; all three None without labels. `prefix` the accuracy of the readout's potential as it stands after each time
    step of the trains it hears.
    """

    data: str
    samples: int
    accuracy: float | None
    interval: tuple[float, float] | None
    confusion: np.ndarray | None
    prefix: tuple[Point, ...]
    spikes_per_neuron: float
    sops: float
    images_per_second: float


@dataclass(frozen=True)
class Sweep:
    """What `spikeloom sweep` found: conversions of a model at several T, and the model itself."""

    model: str
    method: str
    data: str
    samples: int
    accuracy_ann: float
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Simulation:
    """What `spikeloom simulate` found of this very build, and on which data."""

    data: str
    simulator: str
    samples: int
    mismatches: int
    accuracy: float | None
    latency_cycles: float | None
    interval_cycles: float | None
    lower_bound_cycles: float | None
    utilisation: float | None
    busiest: str | None
    first_divergence: str | None
    cycles_by_layer: dict[str, float]
    states: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Synthesis:
    """What `spikeloom synth` found of this very build; `used` [(what, used, available)], `bitstream` a file name."""

    board: str
    clock_mhz: float
    fmax_mhz: float
    timing_met: bool
    pll: str
    used: tuple[tuple[str, int, int], ...]
    cells: tuple[tuple[str, int, int], ...]
    critical_path: tuple[str, ...]
    seeds: tuple[tuple[int, float], ...]
    bitstream: str | None
    sha256: str
    seconds: float


@dataclass(frozen=True)
class Pace:
    """Frames a second and the latency of one at a clock."""

    clock_mhz: float
    frames_per_second: float
    latency_us: float | None


@dataclass(frozen=True)
class Energy(energy.Energy):
    """And the picojoules of an operation of either kind; whether `sops` were measured, or are the conversion's."""

    mac_pj: float
    sop_pj: float
    measured: bool


@dataclass(frozen=True, eq=False)
class Raster:
    """Spikes int8 [neurons, steps] of some neurons of a population, by `addresses`, of `total`.

    `sent` by all of them, `negative` of these.
    """

    population: str
    total: int
    addresses: np.ndarray
    spikes: np.ndarray
    sent: int
    negative: int


@dataclass(frozen=True, eq=False)
class Course:
    """Potentials int64 [neurons, steps] of some neurons of a population, step by step.

    `accumulated`: the first steps, in which the incoming trains are added up; the others generate. `theta` int64
    [neurons], None for a readout; `fires` where they fire, in units of it; `ends` what each is, in a word or two.
    """

    population: str
    addresses: np.ndarray
    potentials: np.ndarray
    accumulated: int
    theta: np.ndarray | None
    fires: tuple[float, ...]
    ends: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample on its way through the network; `image` uint8 [H, W] or [H, W, 3], None where it is no picture."""

    index: int
    why: str
    label: int | None
    answer: int
    image: np.ndarray | None
    rasters: tuple[Raster, ...]
    courses: tuple[Course, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Where a build comes from, as names and values in order; `notes` of the conversion."""

    build: dict[str, str]
    model: dict[str, str]
    options: dict[str, str]
    accuracies: dict[str, float]
    versions: dict[str, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Facts:
    """All of a report; each part is there or says why not."""

    network: str
    digest: str
    board: str
    schedule: str
    timesteps: int
    command: str
    origin: Origin
    cores: tuple[Core, ...]
    interval_cycles: float
    accuracy: Accuracy | Missing
    sweep: Sweep | Missing
    simulation: Simulation | Missing
    synthesis: Synthesis | Missing
    pace: Pace | Missing
    energy: Energy | None
    samples: tuple[Sample, ...] = field(default=())

    @property
    def missing(self) -> dict[str, Missing]:
        """The parts that are not there, by name."""
        names = ("accuracy", "sweep", "simulation", "synthesis", "pace")
        parts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return {name: part for name, part in parts.items() if isinstance(part, Missing)}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers of all cores."""
        return tuple(layer for core in self.cores for layer in core.layers)
