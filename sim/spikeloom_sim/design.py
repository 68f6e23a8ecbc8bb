"""What a bench knows of a generated design: the words at its ports and where inside it potentials can be seen.

Read from the manifest of a build; nothing here knows how the hardware is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import Conv2d, Dense, Network
from spikeloom_hw.build import Build

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


@dataclass(frozen=True)
class Core:
    """A core: its sizes (see `spikeloom.program.CorePlan`) and its probes, by path.

    `banks` are two memories of `rows` words, chosen by `filled`, or one register; `spike` and the retire probes are
    None for a readout.
    """

    name: str
    population: str
    connection: str
    lanes: int
    groups: int
    rows: int
    bits: int
    generate_width: int
    reset_cycles: int
    swap: str
    filled: str | None
    banks: tuple[str, ...]
    retire_valid: str | None
    retire_remainder: str | None
    spike: Stream | None

    @property
    def row_bits(self) -> int:
        """Width of a row of potentials."""
        return self.lanes * self.bits

    @property
    def retire_bits(self) -> int:
        """Width of a word of remainders."""
        return self.generate_width * self.bits


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
        manifest = build.manifest
        source, readout = manifest["input"], manifest["readout"]
        ports = {
            "i": _port("i", source["width"], source["fields"]),
            "o": _port("o", readout["potential_bits"] + 1, readout["fields"]),
            "o_class": _port("o_class", readout["class_bits"], {"class": [0, readout["class_bits"]]}),
        }
        return cls(build.folder, build.network, manifest, ports, tuple(_core(core) for core in manifest["cores"]))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream that is watched: the ports, then the spikes of each core that fires."""
        return (*self.ports.values(), *(core.spike for core in self.cores if core.spike))

    @property
    def verilog(self) -> Path:
        """The Verilog file."""
        return self.folder / self.manifest["verilog"]

    @property
    def patience_cycles(self) -> int:
        """Cycles in which something must move, or the design hangs: more than the slowest scan of a bank takes."""
        return 2000 + 4 * sum(core.rows * core.lanes + core.reset_cycles for core in self.cores)

    @property
    def sample_cycles(self) -> int:
        """Cycles in which some core must finish a sample: more than any sample takes, stalls included."""
        work = 0
        for core in self.cores:
            connection = next(item for item in self.network.connections if item.name == core.connection)
            source, target = self.network.source(connection.source), self.network.source(connection.target)
            assert isinstance(connection.geometry, Dense | Conv2d)  # a build has no other
            _, timesteps = self.network.train(connection.source)
            vertical, horizontal = connection.geometry.axes(source.shape, target.shape)
            rows = int(vertical.count.max() * horizontal.count.max()) * core.groups
            work += int(np.prod(source.shape)) * timesteps * max(rows, 1) + core.rows * core.lanes
        return self.patience_cycles + 8 * work


def _port(name: str, width: int, fields: dict[str, list[int]]) -> Stream:
    return Stream(name, f"{name}__valid", f"{name}__ready", f"{name}__payload", width, _fields(fields))


def _fields(fields: dict[str, list[int]]) -> Fields:
    return {name: (offset, width) for name, (offset, width) in fields.items()}


def _core(core: dict[str, Any]) -> Core:
    probes, spike = core["probes"], core["probes"].get("spike")
    plain = ("name", "population", "connection", "lanes", "groups", "rows", "bits", "generate_width", "reset_cycles")
    return Core(
        **{name: core[name] for name in plain},
        swap=probes["swap"],
        filled=probes["filled"] if probes["bank_kind"] == "memory" else None,
        banks=tuple(probes["banks"]),
        retire_valid=probes.get("retire_valid"),
        retire_remainder=probes.get("retire_remainder"),
        spike=spike
        and Stream(
            core["name"], spike["valid"], spike["ready"], spike["payload"], spike["width"], _fields(spike["fields"])
        ),
    )
