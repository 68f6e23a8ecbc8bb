"""A core behind a serial line, on no board in particular: the core that was simulated, as Verilog, and the link."""

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..export import verilog
from .device import LinkDevice, core_signature
from .spec import LinkSpec
from .uart import UARTReceiver, UARTTransmitter

TOP = "spikeloom_serial"


class VerilogCore(wiring.Component):
    """The generated Verilog as a component; its text is to be added where it is built.

    Parameters
    ----------
    spec : LinkSpec
    module : name of the Verilog module, the manifest's `top`.

    Members
    -------
    See `core_signature`.
    """

    def __init__(self, *, spec: LinkSpec, module: str) -> None:
        self.spec = spec
        self.module = module
        super().__init__(core_signature(spec))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        reset = Signal(init=1)
        m.d.sync += reset.eq(ResetSignal(allow_reset_less=True) | self.clear)
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": reset}
        for name, member in self.signature.members.items():
            if member.is_port:  # clear
                continue
            port = getattr(self, name)
            forward, backward = ("o", "i") if member.flow is Out else ("i", "o")
            ports[f"{forward}_{name}__valid"] = port.valid
            ports[f"{backward}_{name}__ready"] = port.ready
            if len(payload := Value.cast(port.payload)):
                ports[f"{forward}_{name}__payload"] = payload
        m.submodules.core = Instance(self.module, **ports)
        return m


class SerialCore(wiring.Component):
    """A core behind a serial line; what goes over it is in docs/reference/link.md.

    Parameters
    ----------
    spec : LinkSpec
    core : Component with `core_signature(spec)`.
    divisor : clock cycles a bit of the line.

    Members
    -------
    rx : In(1), line from the host; asynchronous.
    tx : Out(1), line to the host.
    last_class : Out, class of the last sample.
    """

    def __init__(self, *, spec: LinkSpec, core: wiring.Component, divisor: int) -> None:
        self.spec = spec
        self.core = core
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "last_class": Out(spec.identity.class_bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UARTReceiver(divisor=self.divisor)
        m.submodules.transmitter = transmitter = UARTTransmitter(divisor=self.divisor)
        m.submodules.link = link = LinkDevice(spec=self.spec)
        m.submodules.core = self.core
        connect(m, receiver.o, link.i)
        connect(m, link.o, transmitter.i)
        connect(m, link.core, self.core)
        m.d.sync += link.line_error.eq(receiver.framing | receiver.overrun)  # a cycle late, for the clock's sake
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.last_class.eq(link.last_class),
        ]
        return m


def serial_core(manifest: Mapping[str, Any], *, spec: LinkSpec, divisor: int) -> SerialCore:
    """The generated core of a build behind a serial line, and the link of it."""
    return SerialCore(spec=spec, core=VerilogCore(spec=spec, module=manifest["top"]), divisor=divisor)


def serial_verilog(component: SerialCore) -> str:
    """Verilog of a serial core, top `spikeloom_serial`, ports clk, rst, rx, tx, last_class; without that of its core.

    None of its memories has contents.
    """
    code, _ = verilog(component, "The link of a host to a generated core, which is in a file of its own.", top=TOP)
    return code
