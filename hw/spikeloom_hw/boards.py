"""The boards with an open flow, a UART and a clock that amaranth-boards knows, and what their devices hold."""

import difflib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikeloom.errors import SpikeloomError

if TYPE_CHECKING:
    from spikeloom.place import Capacity


@dataclass(frozen=True)
class Device:
    """What a device has, as nextpnr counts it.

    Members
    -------
    family : "ecp5" or "ice40".
    lut : four-input look-up tables (TRELLIS_COMB, ICESTORM_LC).
    ram_blocks, ram_block_bits, ram_width : block RAMs (DP16KD, ICESTORM_RAM), bits of one, widest word of one.
    multipliers : of 18 by 18 bits that Yosys uses by itself (MULT18X18D).
    """

    family: str
    lut: int
    ram_blocks: int
    ram_block_bits: int
    ram_width: int
    multipliers: int = 0


# The 12F is the die of the 25F, and all of it can be used.
DEVICES = {
    "LFE5U-12F": Device("ecp5", 24288, 56, 18432, 36, 28),
    "LFE5U-25F": Device("ecp5", 24288, 56, 18432, 36, 28),
    "LFE5U-45F": Device("ecp5", 43848, 108, 18432, 36, 72),
    "LFE5U-85F": Device("ecp5", 83640, 208, 18432, 36, 156),
    "LFE5UM-45F": Device("ecp5", 43848, 108, 18432, 36, 72),
    "LFE5UM5G-45F": Device("ecp5", 43848, 108, 18432, 36, 72),
    "LFE5UM5G-85F": Device("ecp5", 83640, 208, 18432, 36, 156),
    "iCE40HX1K": Device("ice40", 1280, 16, 4096, 16),
    "iCE40HX8K": Device("ice40", 7680, 32, 4096, 16),
    "iCE40UP5K": Device("ice40", 5280, 30, 4096, 16),
}


@dataclass(frozen=True)
class Board:
    """A board: its device, its oscillator, and the class of amaranth-boards that knows its pins.

    Members
    -------
    name : as the command line takes it.
    device, package, speed_grade : the part; iCE40 has no separate speed grade ("").
    clock_mhz : of the oscillator, which clocks the design.
    platform_path : "module:class".
    """

    name: str
    device: str
    package: str
    speed_grade: str
    clock_mhz: float
    platform_path: str

    @property
    def family(self) -> str:
        """ "ecp5" or "ice40"."""
        return DEVICES[self.device].family

    @property
    def lut(self) -> int:
        """Four-input look-up tables."""
        return DEVICES[self.device].lut

    @property
    def ram_blocks(self) -> int:
        """Block RAMs."""
        return DEVICES[self.device].ram_blocks

    @property
    def ram_block_bits(self) -> int:
        """Bits of one block RAM."""
        return DEVICES[self.device].ram_block_bits

    @property
    def ram_kbit(self) -> int:
        """Kilobits (1024 bits) of all block RAMs."""
        return self.ram_blocks * self.ram_block_bits // 1024

    def capacity(self) -> "Capacity":
        """What a network has to fit into, beside the link to the host."""
        from spikeloom.resources import LINK_BLOCKS, LINK_LUTS, Capacity

        device = DEVICES[self.device]
        lut, blocks = max(device.lut - LINK_LUTS[device.family], 0), device.ram_blocks - LINK_BLOCKS
        return Capacity(self.name, lut, blocks, device.family, device.multipliers)

    def platform(self) -> Any:
        """A new Amaranth platform: pins, clock and tool flow of the board."""
        module, name = self.platform_path.split(":")
        return getattr(importlib.import_module(f"amaranth_boards.{module}"), name)()


BOARDS = {
    board.name: board
    for board in (
        Board("ulx3s-12f", "LFE5U-12F", "BG381", "6", 25.0, "ulx3s:ULX3S_12F_Platform"),
        Board("ulx3s-25f", "LFE5U-25F", "BG381", "6", 25.0, "ulx3s:ULX3S_25F_Platform"),
        Board("ulx3s-45f", "LFE5U-45F", "BG381", "6", 25.0, "ulx3s:ULX3S_45F_Platform"),
        Board("ulx3s-85f", "LFE5U-85F", "BG381", "6", 25.0, "ulx3s:ULX3S_85F_Platform"),
        Board("colorlight-5a-75b", "LFE5U-25F", "BG256", "6", 25.0,
              "colorlight_5a75b_r7_0:Colorlight_5A75B_R70Platform"),
        Board("icepi-zero", "LFE5U-25F", "BG256", "6", 50.0, "icepi_zero:IcepiZero1_3Platform"),
        Board("icesugar-pro", "LFE5U-25F", "BG256", "6", 25.0, "icesugar_pro:ICESugarProPlatform"),
        Board("ecp5-5g-evn", "LFE5UM5G-85F", "BG381", "8", 12.0, "ecp5_5g_evn:ECP55GEVNPlatform"),
        Board("ecpix5-45", "LFE5UM5G-45F", "BG554", "8", 100.0, "ecpix5:ECPIX545Platform"),
        Board("ecpix5-85", "LFE5UM5G-85F", "BG554", "8", 100.0, "ecpix5:ECPIX585Platform"),
        Board("versa-ecp5", "LFE5UM-45F", "BG381", "8", 100.0, "versa_ecp5:VersaECP5Platform"),
        Board("versa-ecp5-5g", "LFE5UM5G-45F", "BG381", "8", 100.0, "versa_ecp5_5g:VersaECP55GPlatform"),
        Board("icebreaker", "iCE40UP5K", "SG48", "", 12.0, "icebreaker:ICEBreakerPlatform"),
        Board("icesugar", "iCE40UP5K", "SG48", "", 12.0, "icesugar:ICESugarPlatform"),
        Board("ice40-hx8k", "iCE40HX8K", "CT256", "", 12.0, "ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform"),
        Board("icestick", "iCE40HX1K", "TQ144", "", 12.0, "icestick:ICEStickPlatform"),
        Board("nandland-go", "iCE40HX1K", "VQ100", "", 25.0, "nandland_go:NandlandGoPlatform"),
    )
}  # fmt: skip


def find(name: str) -> Board:
    """Board of a name, in whatever case; SpikeloomError naming the nearest ones where there is none."""
    wanted = name.strip().lower().replace("_", "-")
    if wanted in BOARDS:
        return BOARDS[wanted]
    near = difflib.get_close_matches(wanted, BOARDS, n=4, cutoff=0.5)
    near = near or [known for known in BOARDS if wanted and known.startswith(wanted.split("-")[0])]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise SpikeloomError(f"Board '{name}': must be one that `spikeloom boards` lists, not this{hint}")
