"""What a build says by itself: where it comes from, its cores and layers, what the plan expects of them."""

from collections.abc import Mapping
from typing import Any

from spikeloom.bounds import potential_bits
from spikeloom.errors import SpikeloomError
from spikeloom.network import Network, Population
from spikeloom.neuron import Neuron
from spikeloom.plan import LayerEstimate, Plan, plan
from spikeloom.program import CorePlan, LayerPlan, Program, Stored
from spikeloom_hw.boards import find
from spikeloom_hw.build import Build

from .facts import Core, Layer, Missing, Origin, Simulation


def program_of(build: Build, network: Network) -> Program:
    """The program that a build was generated from, by its manifest; SpikeloomError where that is not whole."""
    try:
        return Program(network, tuple(_core_plan(network, core) for core in build.manifest["cores"]))
    except (KeyError, TypeError, StopIteration) as error:
        raise SpikeloomError(
            f"Build '{build.folder}': manifest.json must describe its cores, not lack {error}; generate it again"
        ) from None


def _core_plan(network: Network, core: Mapping[str, Any]) -> CorePlan:
    grid = (core["grid"][0], core["grid"][1])
    layers = tuple(
        LayerPlan(
            population=layer["population"],
            shape=network.source(layer["population"]).shape,
            grid=grid,
            width=core["width"],
            spread=(layer["spread"][0], layer["spread"][1]),
        )
        for layer in core["layers"]
    )
    plain = (
        "name", "source", "width", "bits", "weight_bits", "generate_width", "queue_depth", "store_width", "multiply",
        "inbox", "contents",
    )  # fmt: skip
    stored = tuple(Stored(**item) for item in core["stored"])
    return CorePlan(**{name: core[name] for name in plain}, grid=grid, layers=layers, stored=stored)


def expected(build: Build, program: Program) -> Plan:
    """What the program is expected to cost on the board of the build."""
    board = build.manifest["board"]
    return plan(program, None if board == "none" else find(board).capacity(program.network))


def cores_of(
    program: Program, planned: Plan, spikes: Mapping[str, float], sops: Mapping[str, float], simulated: Any
) -> tuple[Core, ...]:
    """Cores with their layers.

    Parameters
    ----------
    spikes, sops : events a sample by population and SOPs a sample by connection; empty where nothing was measured.
    simulated : `Simulation`, or `Missing`.
    """
    bits = potential_bits(program.network)
    estimates = {item.layer: item for item in planned.layers}
    found = simulated if isinstance(simulated, Simulation) else None
    cores = []
    for core, cost in zip(program.cores, planned.cores, strict=True):
        layers = tuple(
            _layer(program.network, item.population, bits[item.population], estimates[item.population], spikes, sops,
                   found.cycles_by_layer.get(item.population) if found else None)
            for item in core.layers
        )  # fmt: skip
        grid = str(core.width) if core.grid == (1, 1) else f"{core.grid[0]}×{core.grid[1]}×{core.width}"
        states = found.states.get(core.name) if found else None
        cores.append(Core(core.name, grid, core.lanes, cost.lut, cost.ram, layers, states))
    return tuple(cores)


def _layer(
    network: Network,
    name: str,
    bits: int,
    estimate: LayerEstimate,
    spikes: Mapping[str, float],
    sops: Mapping[str, float],
    cycles: float | None,
) -> Layer:
    population = network.source(name)
    assert isinstance(population, Population)  # a core holds no input
    incoming = network.incoming(name)
    neuron = population.neuron
    fires = isinstance(neuron, Neuron)
    neurons = population.shape[0] * population.shape[1] * population.shape[2]
    events = spikes.get(name, population.activity or None) if fires else None
    work = sum(sops[item.name] for item in incoming) if sops else estimate.sops
    return Layer(
        name=name,
        kind=kind_of(neuron) if isinstance(neuron, Neuron) else "readout",
        shape=population.shape,
        neurons=neurons,
        weights=sum(int(item.weights.size) for item in incoming),
        weight_bits=max((item.weight_bits for item in incoming), default=0),
        potential_bits=bits,
        theta=(int(neuron.theta.min()), int(neuron.theta.max())) if isinstance(neuron, Neuron) else None,
        timesteps=neuron.timesteps if isinstance(neuron, Neuron) else None,
        rate=None if events is None else events / neurons,
        sops=work,
        cycles=estimate.cycles if cycles is None else cycles,
        simulated=cycles is not None,
    )


def kind_of(neuron: Neuron) -> str:
    """A neuron's kind as people call it."""
    kind = "IF" if neuron.growth == 1 else "iLIF" if neuron.growth > 1 else "LIF"
    kind = kind if neuron.step_gamma is None else "StepReLU"
    return f"signed {kind}" if neuron.signed else kind


def origin_of(build: Build, network: Network) -> Origin:
    """Where a build comes from."""
    manifest, provenance = build.manifest, network.provenance
    wrapper = manifest.get("wrapper", {}).get("kind", "streams")
    about = {
        "network": network.name,
        "digest of the network": network.digest,
        "build": str(manifest["link"]["build"]),
        "generated by": command_of(build),
        "Spikeloom": str(manifest["spikeloom"]),
        "board": str(manifest["board"]),
        "wrapper": str(wrapper),
        "weights and thresholds": str(manifest["contents"]),
    }
    model = {
        "model": provenance.model or "not recorded",
        "method": provenance.method or "not recorded",
        "schedule": network.schedule,
    }
    options = {name: str(value).lower() if isinstance(value, bool) else str(value)
               for name, value in provenance.options.items()}  # fmt: skip
    return Origin(about, model, options, dict(provenance.accuracy), dict(provenance.versions), provenance.notes)


def command_of(build: Build) -> str:
    """The command that generated a build: it stands on top of its Verilog."""
    with (build.folder / build.manifest["verilog"]).open(encoding="utf-8", errors="replace") as file:
        for _, line in zip(range(20), file, strict=False):
            before, found, rest = line.partition("Generated by `")
            if found and not before.strip(" /*"):
                return rest.partition("`")[0]
    return "not recorded"


def missing_accuracy(build: Build) -> Missing:
    """What is said where no data was named."""
    return Missing("No data set was named.", f"spikeloom report {build.folder} DATA")
