"""From a .nir file to the integer line: import, quantise, and measure against the graph itself, run in floats."""

from collections.abc import Mapping
from pathlib import Path

import nir
import numpy as np
import torch
from spikeloom.checks import MAX_SYNCHRONOUS_TIMESTEPS, MAX_TIMESTEPS
from spikeloom.encoding import as_samples
from spikeloom.errors import InvalidNetwork, listed, shown
from spikeloom.network import Network
from spikeloom.profile import profiled
from spikeloom.threads import single_threaded

from ..convert import (
    ANALOGUE_BITS,
    Progress,
    affordable,
    check_labels,
    common_violations,
    counter,
    input_of,
    length_violations,
)
from ..folding.prepare import Norm
from ..quantising.quantise_spiking import Widths, quantise_spiking
from ..quantising.selection import Candidate, Reference, with_provenance
from ..samples import Samples, check, codes_of, input_ranges, normalisation, split, value_range
from ..spiking import SpikingNetwork, averages
from .file import read_nir
from .importing import NirOptions, import_graph
from .restore import restored

TIMESTEPS, WEIGHT_BITS = 4, 6  # where they are not given, as in `convert`


def convert_nir(
    path: str | Path | nir.NIRGraph,
    calibration: np.ndarray,
    *,
    timesteps: int | None = None,
    weight_bits: int | None = None,
    input_timesteps: int | None = None,
    dt: float | None = None,
    reset: str = "hard",
    v_min: float | None = None,
    round_leak: bool = False,
    labels: np.ndarray | None = None,
    mean: Norm = None,
    std: Norm = None,
    seed: int = 0,
    name: str = "net",
    progress: Progress | None = None,
) -> Network:
    """Convert a spiking network that was trained elsewhere and written as NIR.

    A file that `export_nir` wrote gives the network it was written from, bit by bit, and nothing is converted.

    Parameters
    ----------
    path : a .nir file, or its graph: Linear, Affine, Conv1d, Conv2d, Scale, SumPool2d, AvgPool2d, Flatten, IF and LIF,
        feed-forward, with sums where several edges meet; I or LI as the last node.
    calibration, labels, mean, std, seed, name, progress : as for `convert`. Samples are injected, as they are, in every
        time step.
    timesteps : T of a sample, 1..256; default 4.
    weight_bits : 2..8; default 6.
    input_timesteps : bits of an input code, 1..16; default 8.
    dt, reset, v_min, round_leak : what NIR leaves open, see `NirOptions`.

    Returns
    -------
    Network
        On the synchronous schedule. Its notes tell dt, reset, v_min and what was rounded; its accuracy is that of the
        graph in floats (ann) and its own (snn), where labels are given, and how often both agree.

    Raises
    ------
    UnsupportedLayer
        Naming the first node that has no counterpart, and what to use instead.
    InvalidData, InvalidNetwork
        A file, calibration data or settings that cannot be used.
    """
    options = NirOptions(dt, reset, v_min, round_leak)
    graph = path if isinstance(path, nir.NIRGraph) else read_nir(path)
    who = "Graph" if isinstance(path, nir.NIRGraph) else f"File '{path}'"
    given = {"timesteps": timesteps, "weight_bits": weight_bits, "input_timesteps": input_timesteps}
    if (written := restored(graph, who)) is not None:
        _require_as_written(written, given, options, who)
        return written
    steps, bits = TIMESTEPS if timesteps is None else timesteps, WEIGHT_BITS if weight_bits is None else weight_bits
    lengths: list[tuple[str, object, int]] = [("timesteps", steps, MAX_SYNCHRONOUS_TIMESTEPS)]
    lengths += [] if input_timesteps is None else [("input_timesteps", input_timesteps, MAX_TIMESTEPS)]
    found = length_violations(lengths)
    if found := found + common_violations(bits, seed, name):
        raise InvalidNetwork(f"Convert: {listed(found)}")
    samples = check(calibration, labels)
    with single_threaded():
        spiking = import_graph(
            graph,
            options,
            timesteps=int(steps),
            samples=as_samples("calibration", samples.x[:1]).shape[1:],
            ahead=lambda channels: normalisation(mean, std, channels),
            span=value_range(samples),
        )
        network = spiking.network
        check_labels(samples, network)
        samples = Samples(as_samples("calibration", samples.x, network.input_shape), samples.y)
        fit, held = split(samples, int(seed), affordable(network))
        source_bits = int(input_timesteps or ANALOGUE_BITS)
        source = input_of(network, fit, input_ranges(samples, source_bits)[0], source_bits, "plain")
        widths = Widths(int(bits), int(seed))
        advance = counter(progress, len(network.layers))
        made = quantise_spiking(spiking, source, codes_of(fit, source), widths, name=name, advance=advance)
        reference = _reference(spiking, held)
        best = Candidate.measure(f"weights of {bits} bits, {steps} time steps", made, reference)
        return profiled(with_provenance(best, reference, "nir", {}, len(fit)), fit.x)


def _reference(spiking: SpikingNetwork, held: Samples) -> Reference:
    """What the graph in floats answers; its potentials are those of an average time step, as those of the network."""
    growth, name = spiking.readout_growth, spiking.network.readouts[0]
    summed = sum(growth**step for step in range(spiking.timesteps))
    x = torch.from_numpy(held.seen.reshape(-1, *spiking.network.input_shape))
    with torch.no_grad():
        logits = averages(spiking, x)[name].flatten(1).double().numpy() / summed
    if not np.isfinite(logits).all():
        raise InvalidNetwork("Graph: outputs must be finite, not NaN or infinite on the calibration samples")
    return Reference(held, logits.argmax(1), [logits])


def _require_as_written(network: Network, given: Mapping[str, int | None], options: NirOptions, who: str) -> None:
    """InvalidNetwork where somebody asks for another network than the file holds."""
    held = {
        "timesteps": network.timesteps,
        "weight_bits": max(item.weight_bits for item in network.connections),
        "input_timesteps": network.inputs[0].timesteps,
    }
    found = [
        f"{what} must be {held[what]} or left out, not {shown(value)}"
        for what, value in given.items()
        if value is not None and value != held[what]
    ]
    if options != NirOptions():
        found.append("dt, reset, v_min and round_leak must be left out")
    if found:
        raise InvalidNetwork(f"{who}: holds integers that Spikeloom wrote: {listed(found)}")
