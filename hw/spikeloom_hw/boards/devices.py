"""The devices of the boards: what each holds, as nextpnr counts it, and how nextpnr calls it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """What a device has, as nextpnr counts it.

    Members
    -------
    family : "ecp5", "ice40", "gowin" or "gatemate".
    lut : four-input look-up tables (TRELLIS_COMB, ICESTORM_LC, LUT4) or, of a GateMate, halves of a CPE (CPE_LT).
    ram_blocks, ram_block_bits, ram_width : block RAMs (DP16KD, ICESTORM_RAM, BSRAM, RAM_HALF), bits of one, widest word
        of one.
    multipliers : of 18 by 18 bits that Yosys uses by itself (MULT18X18D).
    memories : key of `spikeloom.placing.ram.FAMILIES`; None: the family.
    """

    family: str
    lut: int
    ram_blocks: int
    ram_block_bits: int
    ram_width: int
    multipliers: int = 0
    memories: str | None = None


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
    "GW1NR-9C": Device("gowin", 8640, 26, 18432, 36),
    "GW2A-18C": Device("gowin", 20736, 46, 18432, 36),
    "GW2AR-18C": Device("gowin", 20736, 46, 18432, 36),
    "GW5A-25A": Device("gowin", 23040, 56, 18432, 36, memories="gowin5"),
    "CCGM1A1": Device("gatemate", 40960, 64, 20480, 40),
}
# The database that nextpnr and the packer have for a Gowin device: those with memory in the package are the bare die.
GOWIN_DIES = {"GW1NR-9C": "GW1N-9C", "GW2A-18C": "GW2A-18C", "GW2AR-18C": "GW2A-18C", "GW5A-25A": "GW5A-25A"}
