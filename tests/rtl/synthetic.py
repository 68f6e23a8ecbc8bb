"""What a bench would see of a design that does what the golden model says, made without any design.

The places of neurons are worked out here neuron by neuron, apart from the formulas that the bench uses.
"""

from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import Network, Neuron, Population
from spikeloom.bounds import potential_bits
from spikeloom.golden.synapses import initial_potentials
from spikeloom.program.program import FOLD, CorePlan, LayerPlan, Program, fires
from spikeloom_sim.capture import STATES, Capture, Recorder, Words, pieces_of
from spikeloom_sim.design import Core, Design
from spikeloom_sim.vectors import Expected, vectors

SPIKE_FIELDS = {"c": [0, 8], "y": [8, 6], "x": [14, 6], "step": [20, 4], "end": [24, 1]}


def described(program: Program, **more_fields: list[int]) -> Design:
    """The design that a manifest for this program describes; spikes get further fields."""
    network = program.network
    source, readout = network.inputs[0], network.populations[-1]
    address = int(np.prod(source.shape) - 1).bit_length()
    step_bits = (network.train(source.name)[1] - 1).bit_length()
    offset, port = 0, {}
    for name, width in (("address", address), ("step", step_bits), ("negative", int(source.code == "naf")), ("end", 1)):
        if name != "negative" or width:
            port[name] = [offset, width]
        offset += width
    bits = potential_bits(network)[readout.name]
    manifest = {
        "format": 4,
        "top": "spikeloom",
        "memories": [],
        "input": {
            "population": source.name,
            "width": offset,
            "fields": port,
        },
        "readout": {
            "populations": [readout.name],
            "outputs": [readout.shape[0]],
            "potential_bits": bits,
            "fields": {"potential": [0, bits], "last": [bits, 1]},
            "class_bits": max(1, (readout.shape[0] - 1).bit_length()),
        },
        "cores": [_core(network, core, SPIKE_FIELDS | more_fields) for core in program.cores],
    }
    return Design.of(Path("nowhere"), network, manifest)


def _core(network: Network, core: CorePlan, fields: dict[str, list[int]]) -> dict[str, Any]:
    register = len(core.layers) == 1 and core.rows == 1
    probes: dict[str, Any] = {
        "swap": "swap",
        "filled": "filled",
        "bank_kind": "register" if register else "memory",
        "banks": ["accumulator"] if register else [f"cell{n}" for n in range(core.grid[0] * core.grid[1])],
        **{state: state for state in STATES},
    }
    if any(fires(network, layer.population) for layer in core.layers):
        width = max(offset + bits for offset, bits in fields.values())
        spike = {"valid": "valid", "ready": "ready", "payload": "payload", "width": width, "fields": fields}
        probes |= {"retire_valid": "retire", "retire_remainder": "remainder", "spike": spike}
    plain = ("name", "source", "width", "bits", "generate_width", "rows")
    return {name: getattr(core, name) for name in plain} | {
        "grid": list(core.grid),
        "reset_cycles": 1,
        "layers": [{"population": layer.population, "spread": list(layer.spread)} for layer in core.layers],
        "probes": probes,
    }


def place_of(layer: LayerPlan, c: int, y: int, x: int) -> tuple[int, int, int, int]:
    """Row, cell along y, cell along x and lane of a neuron."""
    (gy, gx), (by, bx) = layer.grid, layer.spread
    if layer.folded:
        return _folded_place(layer, c, y, x)
    share, lane = divmod(c, layer.width)
    group, share = divmod(share, (gy if by == 1 else 1) * (gx if bx == 1 else 1))
    block_y, block_x = y // by, x // bx
    a = y % by if by > 1 else share // (gx if bx == 1 else 1)
    b = x % bx if bx > 1 else share % gx
    groups = -(-layer.shape[0] // (layer.width * (gy if by == 1 else 1) * (gx if bx == 1 else 1)))
    return (block_y * -(-layer.shape[2] // bx) + block_x) * groups + group, a, b, lane


def _folded_place(layer: LayerPlan, c: int, y: int, x: int) -> tuple[int, int, int, int]:
    (by, bx), banks = layer.spread, (y % layer.spread[0], x % layer.spread[1])
    shares = 8 // (by * bx)
    group, share = divmod(c // layer.width, shares)
    half, rest = divmod(share, 2)  # the axis without positions holds the upper half of the channels
    cell = FOLD.index((half if by == 1 else banks[0], half if bx == 1 else banks[1], rest))
    row = (y // by * -(-layer.shape[2] // bx) + x // bx) * -(-layer.shape[0] // (layer.width * shares)) + group
    return row, cell // 3, cell % 3, c % layer.width


def placed(layer: LayerPlan, rows: int, neurons: np.ndarray, empty: int = 0) -> np.ndarray:
    """Values [N, rows, gy, gx, width] in their places, of neurons [N, C, H, W]."""
    found = np.full((len(neurons), rows, *layer.grid, layer.width), empty, np.int64)
    for c, y, x in np.ndindex(neurons.shape[1:]):
        found[(slice(None), *place_of(layer, c, y, x))] = neurons[:, c, y, x]
    return found


def packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Words uint32 [..., pieces] of integers [..., lanes], lane 0 lowest."""
    recorder = Recorder(pieces_of(values.shape[-1] * bits))
    for row in values.reshape(-1, values.shape[-1]):
        recorder.values.append(sum((int(value) & ((1 << bits) - 1)) << (n * bits) for n, value in enumerate(row)))
        recorder.cycles.append(0)
    return recorder.done().words.reshape(*values.shape[:-1], recorder.pieces)


def beats(words: np.ndarray | list[int]) -> Words:
    """Beats of a stream, all in cycle 0."""
    return Words(np.array(words, np.uint64), np.zeros(len(words), np.int64))


def perfect(design: Design, want: Expected) -> Capture:
    """The capture of a design that does what the golden model says."""
    samples = len(want.classes)
    silence = vectors(design, np.zeros((samples, *design.network.inputs[0].shape), np.uint8))
    seen, swaps, retires, states = {"i": beats(silence.beats)}, {}, {}, {}
    for core in design.cores:
        swaps[core.name] = _swaps(design, core, want)
        states[core.name] = np.zeros((len(swaps[core.name].words), len(STATES)), np.int64)
        if core.spike:
            seen[core.name], retires[core.name] = _fired(design, core, want)
    last = np.arange(want.potentials.shape[1]) == want.potentials.shape[1] - 1
    port = design.ports["o"]
    low = want.potentials & ((1 << design.manifest["readout"]["potential_bits"]) - 1)
    seen["o"] = beats(port.pack({"potential": low, "last": np.broadcast_to(last, low.shape)}).ravel())
    seen["o_class"] = beats(want.classes.ravel().astype(np.uint64))
    return Capture(seen, swaps, retires, states=states)


def _swaps(design: Design, core: Core, want: Expected) -> Words:
    """The banks, sample by sample, layer by layer, without what a sample starts with."""
    layers = []
    for layer in core.layers:
        population = design.network.source(layer.population)
        assert isinstance(population, Population)
        sums = want.trace.accumulated[layer.population] - initial_potentials(design.network, population).numpy()[0]
        values = placed(layer, core.rows, sums)  # [N, rows, gy, gx, width]
        memories = values.reshape(len(values), core.rows, core.memories, -1).swapaxes(1, 2)
        layers.append(packed(memories, core.bits))
    words = np.stack(layers, 1).reshape(-1, *layers[0].shape[1:])
    return Words(words, np.arange(len(words)))


def _fired(design: Design, core: Core, want: Expected) -> tuple[Words, Words]:
    """Events with end marks, and remainders, sample by sample, layer by layer."""
    assert core.spike is not None
    events: list[int] = []
    words: list[np.ndarray] = []
    for n in range(len(want.classes)):
        for position in core.firing:
            layer = core.layers[position]
            population = design.network.source(layer.population)
            assert isinstance(population, Population)
            assert isinstance(population.neuron, Neuron)
            train = want.trace.spikes[layer.population][n]
            step, c, y, x = np.nonzero(train)
            fields = {"step": step, "c": c, "y": y, "x": x}
            if "negative" in core.spike.fields:
                fields["negative"] = train[step, c, y, x] < 0
            events += core.spike.pack(fields).tolist() + core.spike.pack({"end": np.ones(1)}).tolist()
            real = placed(layer, core.rows, np.ones((1, *layer.shape), np.int64)).reshape(-1, core.generate_width)
            left = placed(layer, core.rows, want.trace.remainder[layer.population][n : n + 1], empty=-1)
            words.append(packed(left.reshape(-1, core.generate_width)[real.any(1)], core.bits))
    scanned = np.concatenate(words)
    return beats(events), Words(scanned, np.zeros(len(scanned), np.int64))
