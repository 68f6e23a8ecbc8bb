"""A board, and how to find one by its name; the table of them is `board_list`."""

import difflib
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikeloom.errors import SpikeloomError

from .devices import DEVICES, Device

if TYPE_CHECKING:
    from spikeloom import Network
    from spikeloom.placing.resources import Capacity

    from .pins import Pins


@dataclass(frozen=True)
class Board:
    """A board: its device, its oscillator, its pins or the class of amaranth-boards that knows them.

    Members
    -------
    name : as the command line takes it.
    device, package, speed_grade : the part; iCE40 and GateMate have no separate speed grade ("").
    clock_mhz : of the oscillator.
    source : where pins and clock come from.
    platform_path : "module:class" of amaranth-boards, or "" where `pins` says it all.
    pins : see `pins.Pins`, or None.
    serial : where the serial line is, for people.
    pll : cell that can make another clock of the oscillator's, or "": see `pll`.
    part : as Gowin's tools call the device with its package and grade, or "".
    pack_options : of the packer.
    """

    name: str
    device: str
    package: str
    speed_grade: str
    clock_mhz: float
    source: str
    platform_path: str = ""
    pins: "Pins | None" = None
    serial: str = "USB"
    pll: str = ""
    part: str = ""
    pack_options: tuple[str, ...] = ()

    @property
    def holds(self) -> Device:
        """What its device has."""
        return DEVICES[self.device]

    @property
    def family(self) -> str:
        """ "ecp5", "ice40", "gowin" or "gatemate"."""
        return self.holds.family

    @property
    def lut(self) -> int:
        """Look-up tables, see `Device`."""
        return self.holds.lut

    @property
    def ram_blocks(self) -> int:
        """Block RAMs."""
        return self.holds.ram_blocks

    @property
    def ram_block_bits(self) -> int:
        """Bits of one block RAM."""
        return self.holds.ram_block_bits

    @property
    def ram_kbit(self) -> int:
        """Kilobits (1024 bits) of all block RAMs."""
        return self.ram_blocks * self.ram_block_bits // 1024

    def capacity(self, network: "Network") -> "Capacity":
        """What a network has to fit into, and what its link to the host takes besides."""
        from spikeloom.placing.resources import LINK_LUTS, Capacity, link_blocks

        memories = self.holds.memories or self.family
        lut, ram = LINK_LUTS[self.family], link_blocks(network, memories)
        return Capacity(self.name, self.lut - lut, self.ram_blocks - ram, memories, self.holds.multipliers, lut, ram)

    def platform(self) -> Any:
        """A new Amaranth platform: pins and clock of the board."""
        if self.pins is not None:
            from .pins import platform

            return platform(self, self.pins)
        module, name = self.platform_path.split(":")
        return getattr(importlib.import_module(f"amaranth_boards.{module}"), name)()


def named(boards: Iterable[Board]) -> dict[str, Board]:
    """Boards by name."""
    return {board.name: board for board in boards}


def find(name: str) -> Board:
    """Board of a name, in whatever case; SpikeloomError naming the nearest ones where there is none."""
    from .board_list import BOARDS

    wanted = name.strip().lower().replace("_", "-")
    if wanted in BOARDS:
        return BOARDS[wanted]
    near = difflib.get_close_matches(wanted, BOARDS, n=4, cutoff=0.5)
    near = near or [known for known in BOARDS if wanted and known.startswith(wanted.split("-")[0])]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise SpikeloomError(f"Board '{name}': must be one that `spikeloom boards` lists, not this{hint}")
