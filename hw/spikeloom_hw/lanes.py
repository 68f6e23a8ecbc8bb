"""The lanes: read a row of weights, shift it to its time step's weight, hand it to the banks."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .banks import rom_image
from .layouts import row_layout
from .spec import CoreSpec


class Lanes(wiring.Component):
    """Weight memory and shifters: `addends` follow `weight_row` and `shift` by three cycles, one row a cycle.

    The weights are registered before they are shifted: a block RAM's output comes late in its cycle.

    A spike of a growth-2 train at time step t of T weighs 2^(T-t): the lane adds w << (T-t), so events may come in
    any order (the potentials are sums).

    Parameters
    ----------
    spec : CoreSpec
    shifts : number of different shifts, T for growth 2 and 1 otherwise.

    Members
    -------
    weight_row, shift : In, what to read and how far to shift it.
    addends : Out, a row of what to add.
    """

    def __init__(self, *, spec: CoreSpec, shifts: int) -> None:
        self.spec, self.shifts = spec, shifts
        super().__init__(
            {
                "weight_row": In(ceil_log2(len(spec.weight_rows))),
                "shift": In(ceil_log2(shifts)),
                "addends": Out(row_layout(spec.plan.bits, spec.plan.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self.spec
        image = spec.weight_rows
        layout = row_layout(spec.connection.weight_bits, spec.plan.lanes)
        m.submodules.weights = memory = Memory(shape=layout, depth=len(image), init=rom_image(image))
        read = memory.read_port()
        shifts = [Signal.like(self.shift, name=f"shift_{stage}") for stage in (1, 2)]
        row = Signal(layout, reset_less=True)
        m.d.comb += read.addr.eq(self.weight_row)
        m.d.sync += [shifts[0].eq(self.shift), shifts[1].eq(shifts[0]), row.eq(read.data)]
        shifted = row_layout(spec.connection.weight_bits + self.shifts - 1, spec.plan.lanes)
        products = Signal(shifted, reset_less=True)
        for lane in range(spec.plan.lanes):
            m.d.sync += products[lane].eq(row[lane] << shifts[1])
            m.d.comb += self.addends[lane].eq(products[lane] << spec.connection.shift)
        return m
