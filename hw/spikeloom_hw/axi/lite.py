"""AXI4-Lite in gates: five channels become one write and one read of a word at a time."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import ADDRESS_BITS, DATA_BITS

OKAY, SLVERR = 0, 2
# ports of a subordinate, by the names of the standard without their prefix
PORTS = {
    "awaddr": In(ADDRESS_BITS), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
    "wdata": In(DATA_BITS), "wstrb": In(DATA_BITS // 8), "wvalid": In(1), "wready": Out(1),
    "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
    "araddr": In(ADDRESS_BITS), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
    "rdata": Out(DATA_BITS), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
}  # fmt: skip


class LitePort(wiring.Component):
    """An AXI4-Lite subordinate of 32 bits: address and data of a write may come in either order, or together.

    All outputs are registers or their inverses; no `ready` waits for a `valid`, no `valid` for a `ready`. A write or a
    read takes two cycles, and one more transfer of each channel is taken while an answer waits. The lowest two bits of
    an address and the protection do not count.

    Members
    -------
    The ports of the standard, see `PORTS`.
    write : Out(1), high for one cycle with `write_address`, `write_data` and `write_strobes`, one bit a byte.
    write_error : In(1), in the same cycle: nothing can be written there.
    read_address : Out, of the word whose value `read_data` must be in the same cycle, with `read_error`.
    """

    def __init__(self) -> None:
        super().__init__(
            PORTS
            | {
                "write": Out(1),
                "write_address": Out(ADDRESS_BITS - 2),
                "write_data": Out(DATA_BITS),
                "write_strobes": Out(DATA_BITS // 8),
                "write_error": In(1),
                "read_address": Out(ADDRESS_BITS - 2),
                "read_data": In(DATA_BITS),
                "read_error": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._take_writes(m)
        self._take_reads(m)
        return m

    def _take_writes(self, m: Module) -> None:
        addressed, filled = Signal(), Signal()  # an address, or data, of a write that has not been done yet
        m.d.comb += [
            self.awready.eq(~addressed),
            self.wready.eq(~filled),
            self.write.eq(addressed & filled & (~self.bvalid | self.bready)),
        ]
        with m.If(self.awvalid & self.awready):
            m.d.sync += [addressed.eq(1), self.write_address.eq(self.awaddr[2:])]
        with m.If(self.wvalid & self.wready):
            m.d.sync += [filled.eq(1), self.write_data.eq(self.wdata), self.write_strobes.eq(self.wstrb)]
        with m.If(self.write):
            m.d.sync += [addressed.eq(0), filled.eq(0), self.bvalid.eq(1)]
            m.d.sync += self.bresp.eq(response(self.write_error))
        with m.Elif(self.bready):
            m.d.sync += self.bvalid.eq(0)

    def _take_reads(self, m: Module) -> None:
        addressed = Signal()
        m.d.comb += self.arready.eq(~addressed)
        with m.If(self.arvalid & self.arready):
            m.d.sync += [addressed.eq(1), self.read_address.eq(self.araddr[2:])]
        with m.If(addressed & (~self.rvalid | self.rready)):
            m.d.sync += [addressed.eq(0), self.rvalid.eq(1), self.rdata.eq(self.read_data)]
            m.d.sync += self.rresp.eq(response(self.read_error))
        with m.Elif(self.rready):
            m.d.sync += self.rvalid.eq(0)


def response(error: Value) -> Value:
    """Code of an answer: the subordinate says SLVERR, since DECERR is said by whoever finds no subordinate."""
    return Mux(error, SLVERR, OKAY)
