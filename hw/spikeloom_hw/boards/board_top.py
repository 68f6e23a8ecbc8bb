"""The top of a board: the core behind its serial line, and lights that show the class of the last sample."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amaranth.build import ResourceError
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io

from ..link.serial import serial_core
from ..link.spec import LinkSpec
from ..link.uart import divisor_of
from .clock import PllClock
from .pll import Pll

BAUD = 115200


class BoardTop(Elaboratable):
    """The top for an Amaranth platform: adds the files of a build, and takes the platform's UART and lights.

    Parameters
    ----------
    folder : of the build.
    manifest : its manifest.
    baud : of the UART.
    pll : makes the clock; the oscillator is the clock where it is None.
    told_later : see `LinkSpec.to_be_told`.
    """

    def __init__(
        self,
        *,
        folder: Path,
        manifest: Mapping[str, Any],
        baud: int = BAUD,
        pll: Pll | None = None,
        told_later: bool = False,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.baud = baud
        self.pll = pll
        self.told_later = told_later

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for name in (self.manifest["verilog"], *self.manifest["memories"]):
            platform.add_file(name, (self.folder / name).read_text())
        clock_hz = platform.default_clk_frequency
        if self.pll is not None:
            m.domains.sync = ClockDomain()
            m.submodules.clock = PllClock(pll=self.pll)
            clock_hz = float(self.pll.mhz * 1_000_000)
        m.submodules.serial = serial = serial_core(
            self.manifest,
            spec=LinkSpec.to_be_told(self.manifest, clock_hz, later=self.told_later),
            divisor=divisor_of(clock_hz, self.baud),
        )
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [serial.rx.eq(rx.i), tx.o.eq(serial.tx)]
        for number, bit in enumerate(serial.last_class):
            try:
                led = platform.request("led", number, dir="-")
            except ResourceError:
                break
            m.submodules[f"led{number}"] = buffer = io.Buffer("o", led)
            m.d.comb += buffer.o.eq(bit)
        return m
