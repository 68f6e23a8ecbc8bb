"""The boards: part, oscillator, pins, and where each of these is said."""

from .board import Board, named
from .pins import Pins

AMARANTH = "https://github.com/amaranth-lang/amaranth-boards/blob/main/amaranth_boards"
LITEX = "https://github.com/litex-hub/litex-boards/blob/master/litex_boards/platforms"

# Lattice's and Gowin's pins take 3.3 V levels on all these boards.
LATTICE = {"IO_TYPE": "LVCMOS33"}
GOWIN = {"IO_TYPE": "LVCMOS33"}
SCHMITT = {"SCHMITT_TRIGGER": "true"}
# The pins of the serial line and the lights of Tang boards serve to configure the device too, until it is configured.
FLASH_PINS = ("--mspi_as_gpio", "--sspi_as_gpio")
CONFIGURATION_PINS = (*FLASH_PINS, "--ready_as_gpio", "--done_as_gpio")


def _known(name: str, part: str, clock_mhz: float, path: str, serial: str = "USB", pll: str | None = None) -> Board:
    """A board of amaranth-boards; `part`: device, package and speed grade with slashes between."""
    device, package, grade = part.split("/")
    source = f"{AMARANTH}/{path.split(':')[0]}.py"
    if pll is None:
        pll = "EHXPLLL" if device.startswith("LFE5") else "SB_PLL40_CORE"
    return Board(name, device, package, grade, clock_mhz, source, platform_path=path, serial=serial, pll=pll)


def _orangecrab(size: str) -> Board:
    return Board(
        f"orangecrab-{size.lower()}", f"LFE5U-{size}", "MG285", "8", 48.0,
        f"{AMARANTH}/orangecrab_r0_2.py: clock A9, LED K4 M3 J3 low, header 0 is N17 and 1 is M18",
        pins=Pins("A9", rx="N17", tx="M18", leds="K4 M3 J3", leds_low=True, attributes=LATTICE),
        serial="header: rx on pin 0, tx on pin 1", pll="EHXPLLL",
    )  # fmt: skip


def _colorlight(name: str, size: str, led: str, source: str) -> Board:
    return Board(
        name, f"LFE5U-{size}", "BG381", "6", 25.0, source,
        pins=Pins("P3", rx="H18", tx="J17", leds=led, leds_low=True, attributes=LATTICE),
        serial="USB of the extension board", pll="EHXPLLL",
    )  # fmt: skip


BOARDS = named((
    _known("ulx3s-12f", "LFE5U-12F/BG381/6", 25.0, "ulx3s:ULX3S_12F_Platform"),
    _known("ulx3s-25f", "LFE5U-25F/BG381/6", 25.0, "ulx3s:ULX3S_25F_Platform"),
    _known("ulx3s-45f", "LFE5U-45F/BG381/6", 25.0, "ulx3s:ULX3S_45F_Platform"),
    _known("ulx3s-85f", "LFE5U-85F/BG381/6", 25.0, "ulx3s:ULX3S_85F_Platform"),
    _orangecrab("25F"),
    _orangecrab("85F"),
    _colorlight("colorlight-i5", "25F", "U16", f"{LITEX}/colorlight_i5.py: clk25 P3, serial J17 H18, user_led_n U16"),
    _colorlight("colorlight-i9", "45F", "L2",
                "https://github.com/wuxx/Colorlight-FPGA-Projects/blob/master/colorlight_i9_v7.2.md: as the i5 but for "
                "SODIMM pin 41; clock P3, LED L2"),
    _known("colorlight-5a-75b", "LFE5U-25F/BG256/6", 25.0, "colorlight_5a75b_r7_0:Colorlight_5A75B_R70Platform",
           serial="connector J19"),
    _known("icepi-zero", "LFE5U-25F/BG256/6", 50.0, "icepi_zero:IcepiZero1_3Platform"),
    _known("icesugar-pro", "LFE5U-25F/BG256/6", 25.0, "icesugar_pro:ICESugarProPlatform"),
    _known("ecp5-5g-evn", "LFE5UM5G-85F/BG381/8", 12.0, "ecp5_5g_evn:ECP55GEVNPlatform"),
    _known("ecpix5-45", "LFE5UM5G-45F/BG554/8", 100.0, "ecpix5:ECPIX545Platform"),
    _known("ecpix5-85", "LFE5UM5G-85F/BG554/8", 100.0, "ecpix5:ECPIX585Platform"),
    _known("versa-ecp5", "LFE5UM-45F/BG381/8", 100.0, "versa_ecp5:VersaECP5Platform"),
    _known("versa-ecp5-5g", "LFE5UM5G-45F/BG381/8", 100.0, "versa_ecp5_5g:VersaECP55GPlatform"),
    _known("icebreaker", "iCE40UP5K/SG48/", 12.0, "icebreaker:ICEBreakerPlatform", pll="SB_PLL40_PAD"),
    _known("icesugar", "iCE40UP5K/SG48/", 12.0, "icesugar:ICESugarPlatform", pll="SB_PLL40_PAD"),
    _known("ice40-hx8k", "iCE40HX8K/CT256/", 12.0, "ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform"),
    Board(
        "alchitry-cu", "iCE40HX8K", "CB132", "", 100.0,
        "https://github.com/alchitry/Alchitry-Labs/blob/master/library/components/cu.pcf: clk P7, usb_rx P14, usb_tx "
        "M9, led J11 to N14",
        pins=Pins("P7", rx="P14", tx="M9", leds="J11 K11 K12 K14 L12 L14 M12 N14", attributes={}),
        pll="SB_PLL40_CORE",
    ),
    _known("icestick", "iCE40HX1K/TQ144/", 12.0, "icestick:ICEStickPlatform"),
    _known("nandland-go", "iCE40HX1K/VQ100/", 25.0, "nandland_go:NandlandGoPlatform", pll=""),
    Board(
        "tang-nano-9k", "GW1NR-9C", "QN88P", "C6/I5", 27.0,
        f"{AMARANTH}/tang_nano_9k.py: clk27 52, rx 18, tx 17, LEDs 10 11 13 14 15 16 low",
        pins=Pins("52", rx="18", tx="17", leds="10 11 13 14 15 16", leds_low=True, attributes=GOWIN),
        pll="rPLL", part="GW1NR-LV9QN88PC6/I5", pack_options=FLASH_PINS,
    ),
    Board(
        "tang-nano-20k", "GW2AR-18C", "QN88", "C8/I7", 27.0,
        f"{LITEX}/sipeed_tang_nano_20k.py: clk27 4, rx 70, tx 69, led_n 15 to 20",
        pins=Pins("4", rx="70", tx="69", leds="15 16 17 18 19 20", leds_low=True, attributes=GOWIN),
        pll="rPLL", part="GW2AR-LV18QN88C8/I7", pack_options=CONFIGURATION_PINS,
    ),
    Board(
        "tang-primer-20k", "GW2A-18C", "PG256", "C8/I7", 27.0,
        f"{AMARANTH}/tang_primer_20k.py: clk27 H11, rx T13, tx M11; LEDs of the dock: Apicula, examples/himbaechel/"
        "primer20k.cst, C13 A13 N16 N14 L14 L16",
        pins=Pins("H11", rx="T13", tx="M11", leds="C13 A13 N16 N14 L14 L16", leds_low=True, attributes=GOWIN),
        serial="USB of the dock", pll="rPLL", part="GW2A-LV18PG256C8/I7", pack_options=CONFIGURATION_PINS,
    ),
    Board(
        "tang-primer-25k", "GW5A-25A", "MG121N", "C1/I0", 50.0,
        f"{LITEX}/sipeed_tang_primer_25k.py: clk50 E2, serial of the dock J1:19 (B3) and J1:21 (C3), LEDs E8 and D7",
        pins=Pins("E2", rx="B3", tx="C3", leds="E8 D7", attributes=GOWIN),
        serial="USB of the dock", part="GW5A-LV25MG121NC1/I0",
        pack_options=("--mspi_as_gpio", "--ready_as_gpio", "--done_as_gpio", "--cpu_as_gpio"),
    ),
    Board(
        "gatemate-evb", "CCGM1A1", "BGA324", "", 10.0,
        f"{LITEX}/colognechip_gatemate_evb.py (Cologne Chip, DS1003): clk10 IO_SB_A8, user_led_n IO_EB_B1 to B8, "
        "a USB-UART module in PMOD A: tx IO_NB_A1, rx IO_NB_A2",
        pins=Pins(
            "IO_SB_A8", rx="IO_NB_A2", tx="IO_NB_A1", leds=" ".join(f"IO_EB_B{n}" for n in range(1, 9)), leds_low=True,
            clock_attributes=SCHMITT,
        ),
        serial="PMOD A: tx on pin 2, rx on pin 3", pll="CC_PLL",
    ),
    Board(
        "olimex-gatemate", "CCGM1A1", "BGA324", "", 10.0,
        f"{LITEX}/olimex_gatemate_a1_evb.py: clk0 IO_SB_A8, serial IO_SA_B6 IO_SA_A6, user_led_n IO_SB_B6",
        pins=Pins(
            "IO_SB_A8", rx="IO_SA_A6", tx="IO_SA_B6", leds="IO_SB_B6", leds_low=True, clock_attributes=SCHMITT,
        ),
        pll="CC_PLL",
    ),
))  # fmt: skip
