"""All facts of a build: what it says itself, what was left in it, what the golden model does on a data set."""

from pathlib import Path

from spikeloom import energy as energy_figures
from spikeloom.datasets import Data
from spikeloom.energy import energy, macs
from spikeloom.network import Network
from spikeloom.neuron import Neuron
from spikeloom_hw.build import Build

from . import build_facts
from .facts import Energy, Facts, Missing, Pace, Sample, Simulation, Synthesis
from .measured import Measured, Progress, measured
from .recording import chosen, recorded
from .results import simulation_of, sweep_of, synthesis_of


def collect(folder: Path, data: Data | None, *, sweep: Path | None, command: str, progress: Progress) -> Facts:
    """Gather the facts of a build.

    Parameters
    ----------
    folder : the build.
    data : samples for the golden model; None: what needs them is missing.
    sweep : what `spikeloom sweep` wrote, its folder or file.
    command : that asks for the report.
    progress : told how much of the golden model's work is done.

    Raises
    ------
    SpikeloomError
        No build, or not of its network; samples or labels that do not suit it. Whatever else is missing is said in the
        facts.
    """
    build = Build.load(folder)
    network = build.network
    program = build_facts.program_of(build, network)
    planned = build_facts.expected(build, program)
    identity = {"digest": network.digest, "build": str(build.manifest["link"]["build"])}
    simulation = simulation_of(folder, identity, data.name if data else "DATA")
    synthesis = synthesis_of(folder, str(build.manifest["board"]), identity)
    found = None if data is None else measured(network, data, progress)
    spikes, sops = (found.measurement.spikes, found.measurement.sops) if found else ({}, {})
    cores = build_facts.cores_of(program, planned, spikes, sops, simulation)
    return Facts(
        network=network.name,
        digest=network.digest,
        board=str(build.manifest["board"]),
        schedule=network.schedule,
        timesteps=_timesteps(network),
        command=command,
        origin=build_facts.origin_of(build, network),
        cores=cores,
        interval_cycles=planned.interval,
        accuracy=found.accuracy if found else build_facts.missing_accuracy(build),
        sweep=sweep_of(sweep),
        simulation=simulation,
        synthesis=synthesis,
        pace=_pace(simulation, synthesis),
        energy=_energy(network, sum(layer.sops or 0 for core in cores for layer in core.layers), found is not None),
        samples=_samples(network, data, found, progress),
    )


def _timesteps(network: Network) -> int:
    """Time steps of most populations that fire, those of the input where none does."""
    from statistics import mode

    firing = [item.neuron.timesteps for item in network.populations if isinstance(item.neuron, Neuron)]
    return mode(firing or [network.inputs[0].timesteps])


def _pace(simulation: Simulation | Missing, synthesis: Synthesis | Missing) -> Pace | Missing:
    """Frames a second: cycles of the simulation at the clock of the synthesis; both are needed."""
    if isinstance(synthesis, Missing):
        return Missing("Frames a second need the clock of a bitstream. " + synthesis.why, synthesis.command)
    if isinstance(simulation, Missing):
        return Missing("Frames a second need the cycles of a simulation. " + simulation.why, simulation.command)
    if not simulation.interval_cycles:
        return Missing("Too few samples were simulated without mismatches to know the interval.", "spikeloom simulate")
    hertz = 1e6 * synthesis.clock_mhz
    latency = None if simulation.latency_cycles is None else 1e6 * simulation.latency_cycles / hertz
    return Pace(synthesis.clock_mhz, hertz / simulation.interval_cycles, latency)


def _energy(network: Network, sops: float, measured_here: bool) -> Energy | None:
    """What an inference takes; None where nobody knows how many synaptic operations it has."""
    if not sops:
        return None
    cost = energy(sum(macs(network).values()), sops)
    return Energy(**vars(cost), mac_pj=energy_figures.MAC_PJ, sop_pj=energy_figures.SOP_PJ, measured=measured_here)


def _samples(network: Network, data: Data | None, found: Measured | None, progress: Progress) -> tuple[Sample, ...]:
    """The samples that are drawn."""
    if data is None or found is None:
        return ()
    picks = chosen(found.answers, data.y)
    samples: list[Sample] = []
    for index, why in picks:
        progress(len(samples), len(picks), f"recording sample {index}")
        samples.append(recorded(network, data, index, why))
    return tuple(samples)
