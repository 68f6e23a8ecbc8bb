"""What a bench knows of a generated design: the words at its ports and where inside it potentials can be seen.

Read from the manifest of a build; nothing here knows how the hardware is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import Network
from spikeloom.program.limits import busy_cycles, silent_cycles
from spikeloom.program.parameters import ParameterMemory
from spikeloom.program.program import LayerPlan, fires
from spikeloom.program.visits import Visit, visits
from spikeloom_hw.build import Build

from .capture import STATES

Fields = dict[str, tuple[int, int]]
PORTS = ("i", "o", "o_class")


@dataclass(frozen=True)
class Stream:
    """A stream of the design: paths of its three signals, width of its payload and the fields in it.

    A path is hierarchical from the top, with dots; `fields` maps a name to (offset, width) in bits.
    """

    name: str
    valid: str
    ready: str
    payload: str
    width: int
    fields: Fields

    def field(self, words: np.ndarray, name: str) -> np.ndarray:
        """One field of payload words: int64, of words uint64 of any shape; zeros where the field has no bits."""
        offset, width = self.fields[name]
        return ((words >> np.uint64(offset)) & np.uint64((1 << width) - 1)).astype(np.int64)

    def pack(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Payload words uint64 from fields of equal shape; a field that is not named is zero."""
        words = np.zeros(1, np.uint64)
        for name, value in values.items():
            words = words | value.astype(np.uint64) << np.uint64(self.fields[name][0])
        return words


@dataclass(frozen=True, eq=False)
class Core:
    """A core: its sizes (see `spikeloom.program.program.CorePlan`) and its probes, by path.

    `firing` are the positions of the layers that fire, `visits` all that the generator does in a sample; the visit
    probes are None where it keeps no potentials. `banks` are a memory for each cell, in which row r of bank b has
    address 2r + b, and `filled` says which bank is being filled; or, where that is None, one register. `spike` and
    the retire probes are None where no layer fires, `states` empty where the design has no such flags.
    """

    name: str
    source: str
    layers: tuple[LayerPlan, ...]
    firing: tuple[int, ...]
    grid: tuple[int, int]
    width: int
    bits: int
    generate_width: int
    rows: int
    reset_cycles: int
    swap: str
    filled: str | None
    banks: tuple[str, ...]
    retire_valid: str | None
    retire_remainder: str | None
    spike: Stream | None
    states: tuple[str, ...]
    visits: tuple[Visit, ...]
    visit_valid: str | None = None
    visited: str | None = None

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        return self.grid[0] * self.grid[1]

    @property
    def lanes(self) -> int:
        """Physical lanes."""
        return self.cells * self.width

    @property
    def memories(self) -> int:
        """Memories that hold the potentials: one a cell, or one register."""
        return len(self.banks)

    @property
    def row_bits(self) -> int:
        """Width of a row of one of them."""
        return self.lanes // self.memories * self.bits

    @property
    def retire_bits(self) -> int:
        """Width of a word of remainders."""
        return self.generate_width * self.bits

    @property
    def slot(self) -> int:
        """Neurons that are visited at once."""
        return self.generate_width or 1

    @property
    def visit_bits(self) -> int:
        """Width of a word of what is left of the potentials of a slot, and of these."""
        return 2 * self.slot * self.bits

    @property
    def sends(self) -> tuple[Visit, ...]:
        """The visits that send trains."""
        return tuple(visit for visit in self.visits if visit.sends)

    @property
    def title(self) -> str:
        """The core by what it runs."""
        names = [layer.population for layer in self.layers]
        return names[0] if len(names) == 1 else f"{names[0]}..{names[-1]}"


@dataclass(frozen=True, eq=False)
class Design:
    """A build as benches see it.

    Parameters
    ----------
    folder : the build folder.
    network : the network it was generated from; its digest is the build's.
    manifest : the manifest as read.
    ports : the streams i, o and o_class.
    cores : in the order of the chain.
    """

    folder: Path
    network: Network
    manifest: dict[str, Any]
    ports: dict[str, Stream]
    cores: tuple[Core, ...]

    @classmethod
    def load(cls, folder: str | Path) -> "Design":
        """Open a build; SpikeloomError where it is none, or where network and manifest do not belong together."""
        build = Build.load(folder)
        return cls.of(build.folder, build.network, build.manifest)

    @classmethod
    def of(cls, folder: Path, network: Network, manifest: dict[str, Any]) -> "Design":
        """The design that a manifest describes."""
        source, readout = manifest["input"], manifest["readout"]
        ports = {
            "i": _port("i", source["width"], source["fields"]),
            "o": _port("o", readout["potential_bits"] + 1, readout["fields"]),
            "o_class": _port("o_class", readout["class_bits"], {"class": [0, readout["class_bits"]]}),
        }
        return cls(folder, network, manifest, ports, tuple(_core(network, core) for core in manifest["cores"]))

    @property
    def readouts(self) -> dict[str, int]:
        """Outputs of the readouts by population, in the order in which they answer."""
        readout = self.manifest["readout"]
        return dict(zip(readout["populations"], readout["outputs"], strict=True))

    @property
    def parameters(self) -> tuple[ParameterMemory, ...]:
        """The memories whose contents may change."""
        return Build(self.folder, self.manifest).parameters

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream that is watched: the ports, then the spikes of each core that fires."""
        return (*self.ports.values(), *(core.spike for core in self.cores if core.spike))

    @property
    def verilog(self) -> Path:
        """The Verilog file."""
        return self.folder / self.manifest["verilog"]

    @property
    def layers(self) -> tuple[LayerPlan, ...]:
        """The layers of all cores, in the order in which a sample passes them."""
        return tuple(layer for core in self.cores for layer in core.layers)

    @property
    def patience_cycles(self) -> int:
        """Cycles in which something must move, or the design hangs: more than the longest silence of all cores."""
        silences = (silent_cycles(self.network, core.source, core.layers) + core.reset_cycles for core in self.cores)
        return 2000 + 4 * sum(silences)

    @property
    def sample_cycles(self) -> int:
        """Cycles in which some core must finish a layer: more than a sample takes, stalls included."""
        work = sum(busy_cycles(self.network, core.source, core.layers) for core in self.cores)
        return self.patience_cycles + 8 * work


def _port(name: str, width: int, fields: dict[str, list[int]]) -> Stream:
    return Stream(name, f"{name}__valid", f"{name}__ready", f"{name}__payload", width, _fields(fields))


def _fields(fields: dict[str, list[int]]) -> Fields:
    return {name: (offset, width) for name, (offset, width) in fields.items()}


def _core(network: Network, core: dict[str, Any]) -> Core:
    probes, spike = core["probes"], core["probes"].get("spike")
    plain = ("name", "source", "width", "bits", "generate_width", "rows", "reset_cycles")
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
    return Core(
        **{name: core[name] for name in plain},
        grid=grid,
        layers=layers,
        firing=tuple(position for position, layer in enumerate(layers) if fires(network, layer.population)),
        swap=probes["swap"],
        filled=probes["filled"] if probes["bank_kind"] == "memory" else None,
        banks=tuple(probes["banks"]),
        retire_valid=probes.get("retire_valid"),
        retire_remainder=probes.get("retire_remainder"),
        spike=spike
        and Stream(
            core["name"], spike["valid"], spike["ready"], spike["payload"], spike["width"], _fields(spike["fields"])
        ),
        states=tuple(probes[name] for name in STATES) if all(name in probes for name in STATES) else (),
        visits=visits(network, core["source"], tuple(layer.population for layer in layers)),
        visit_valid=probes.get("visit_valid"),
        visited=probes.get("visited"),
    )
