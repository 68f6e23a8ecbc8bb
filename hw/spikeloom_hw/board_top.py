"""The top of a board: the core that was simulated, as Verilog, behind a serial line, and lights that show the class.

The bytes are raw (see `bridge.ByteFormat`): no framing, no checksum, no flow control. The host sends a sample, reads
the answer, and only then sends the next sample. Where a byte is lost all the same (a stop bit that is low, or a core
that was still busy) the device forgets the sample, waits for two byte times of silence and starts afresh as after
power-on: the answer does not come, but a wrong one does not come either. A host that wants a fresh start sends a break.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amaranth.build import ResourceError
from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    ResetInserter,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import io, stream, wiring
from amaranth.lib.wiring import In, Out, connect

from .bridge import ByteBridge, ByteFormat, potential_layout
from .clock import PllClock
from .pll import Pll
from .uart import FRAME_BITS, UARTReceiver, UARTTransmitter, divisor_of

BAUD = 115200
QUIET_FRAMES = 2


def core_signature(form: ByteFormat) -> wiring.Signature:
    """Ports of the core: the streams of the generated design, and `clear`, which resets it."""
    return wiring.Signature(
        {
            "clear": In(1),
            "i": In(stream.Signature(form.input_bits)),
            "o": Out(stream.Signature(potential_layout(form))),
            "o_class": Out(stream.Signature(form.class_bits)),
        }
    )


class VerilogCore(wiring.Component):
    """The generated Verilog as a component; its module is named by the manifest and its text added to the platform.

    Parameters
    ----------
    form : ByteFormat
    module : name of the Verilog module.

    Members
    -------
    See `core_signature`.
    """

    def __init__(self, *, form: ByteFormat, module: str) -> None:
        self.form = form
        self.module = module
        super().__init__(core_signature(form))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        reset = Signal(init=1)
        m.d.sync += reset.eq(ResetSignal(allow_reset_less=True) | self.clear)
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": reset}
        for name, port in (("i", self.i), ("o", self.o), ("o_class", self.o_class)):
            forward, backward = ("i", "o") if name == "i" else ("o", "i")
            ports[f"{forward}_{name}__valid"] = port.valid
            ports[f"{backward}_{name}__ready"] = port.ready
            if len(payload := Value.cast(port.payload)):
                ports[f"{forward}_{name}__payload"] = payload
        m.submodules.core = Instance(self.module, **ports)
        return m


class SerialCore(wiring.Component):
    """A core behind a serial line, on no board in particular.

    Parameters
    ----------
    form : ByteFormat
    core : Component with `core_signature(form)`.
    divisor : clock cycles a bit of the line.

    Members
    -------
    rx : In(1), line from the host; asynchronous.
    tx : Out(1), line to the host.
    last_class : Out, class of the last sample.
    fault : Out(1), high while waiting for silence after a lost byte or power-on.
    """

    def __init__(self, *, form: ByteFormat, core: wiring.Component, divisor: int) -> None:
        self.form = form
        self.core = core
        self.divisor = divisor
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "last_class": Out(form.class_bits), "fault": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(divisor=self.divisor)
        transmitter = UARTTransmitter(divisor=self.divisor)
        bridge = ByteBridge(form=self.form)
        m.submodules.transmitter = ResetInserter(self.fault)(transmitter)
        m.submodules.bridge = ResetInserter(self.fault)(bridge)
        m.submodules.core = self.core
        connect(m, bridge.o, transmitter.i)
        connect(m, bridge.o_input, self.core.i)
        connect(m, self.core.o, bridge.i_potential)
        connect(m, self.core.o_class, bridge.i_class)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.last_class.eq(bridge.last_class),
            self.core.clear.eq(self.fault),
            bridge.i.payload.eq(receiver.o.payload),
            bridge.i.valid.eq(receiver.o.valid & ~self.fault),
            receiver.o.ready.eq(bridge.i.ready | self.fault),
        ]
        quiet_cycles = QUIET_FRAMES * FRAME_BITS * self.divisor
        quiet_left = Signal(range(quiet_cycles + 1), init=quiet_cycles)
        m.d.comb += self.fault.eq(quiet_left != 0)
        with m.If(receiver.framing | receiver.overrun | self.fault & receiver.busy):
            m.d.sync += quiet_left.eq(quiet_cycles)
        with m.Elif(self.fault):
            m.d.sync += quiet_left.eq(quiet_left - 1)
        return m


class BoardTop(Elaboratable):
    """The top for an Amaranth platform: adds the files of a build, and takes the platform's UART and lights.

    Parameters
    ----------
    folder : of the build.
    manifest : its manifest.
    baud : of the UART.
    pll : makes the clock; the oscillator is the clock where it is None.
    """

    def __init__(self, *, folder: Path, manifest: Mapping[str, Any], baud: int = BAUD, pll: Pll | None = None) -> None:
        self.folder = folder
        self.manifest = manifest
        self.baud = baud
        self.pll = pll

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for name in (self.manifest["verilog"], *self.manifest["memories"]):
            platform.add_file(name, (self.folder / name).read_text())
        clock_hz = platform.default_clk_frequency
        if self.pll is not None:
            m.domains.sync = ClockDomain()
            m.submodules.clock = PllClock(pll=self.pll)
            clock_hz = float(self.pll.mhz * 1_000_000)
        form = ByteFormat.of(self.manifest)
        m.submodules.serial = serial = SerialCore(
            form=form,
            core=VerilogCore(form=form, module=self.manifest["top"]),
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
