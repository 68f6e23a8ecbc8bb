"""The register bank: what AXI4-Lite reads and writes, as `registers` defines it."""

from collections.abc import Mapping

from amaranth.hdl import Cat, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .lite import PORTS, LitePort
from .registers import DATA_BITS, register_map


class RegisterBank(wiring.Component):
    """Registers behind an AXI4-Lite port.

    Reading another address than a register's, and writing to one that is not there or can only be read, is answered by
    SLVERR and does nothing. Of a write only the bytes with a strobe count.

    Parameters
    ----------
    readouts : number of readouts, each of which has a class.
    constants : values of the registers of that kind by name.

    Members
    -------
    The ports of AXI4-Lite, see `lite.PORTS`; and of every register with its name in lower case:
    status and counters : In(32), the value.
    flags : In, a bit for each field that sets it; setting wins over clearing.
    commands : Out, a bit for each field, high for one cycle where a 1 was written.
    clear : In(1), clears the flags.
    """

    def __init__(self, *, readouts: int, constants: Mapping[str, int]) -> None:
        self.registers = register_map(readouts)
        self.constants = dict(constants)
        wanted = {item.name for item in self.registers if item.kind == "constant"}
        if self.constants.keys() != wanted:
            raise ValueError(f"RegisterBank: constants must be {sorted(wanted)}, not {sorted(self.constants)}")
        ports = {"clear": In(1), **PORTS}
        for item in self.registers:
            if item.kind in ("status", "counter"):
                ports[item.name.lower()] = In(DATA_BITS)
            elif item.kind in ("flags", "command"):
                ports[item.name.lower()] = (In if item.kind == "flags" else Out)(len(item.fields))
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.port = port = LitePort()
        for name, member in PORTS.items():
            inner, outer = getattr(port, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        values: dict[str, ValueLike] = dict(self.constants)
        m.d.comb += [port.write_error.eq(1), port.read_error.eq(1)]
        written_ones = strobed(port.write_data, port.write_strobes)
        with m.Switch(port.write_address):
            for item in self.registers:
                if item.kind in ("flags", "command"):
                    with m.Case(item.offset // 4):
                        m.d.comb += port.write_error.eq(0)
        for item in self.registers:
            name = item.name.lower()
            written = port.write & (port.write_address == item.offset // 4)
            ones = Mux(written, Cat(written_ones[field.low] for field in item.fields), 0)
            if item.kind == "command":
                values[item.name] = 0
                m.d.comb += getattr(self, name).eq(ones)
            elif item.kind == "flags":
                values[item.name] = flags = Signal(len(item.fields), name=name)
                m.d.sync += flags.eq(Mux(self.clear, 0, flags & ~ones | getattr(self, name)))
            elif item.kind != "constant":
                values[item.name] = getattr(self, name)
        with m.Switch(port.read_address):
            for item in self.registers:
                with m.Case(item.offset // 4):
                    m.d.comb += [port.read_data.eq(values[item.name]), port.read_error.eq(0)]
        return m


def strobed(data: Value, strobes: Value) -> Value:
    """Bits of a write whose byte has its strobe; the others are zero, which changes nothing in any register."""
    return Cat(data[bit] & strobes[bit // 8] for bit in range(DATA_BITS))
