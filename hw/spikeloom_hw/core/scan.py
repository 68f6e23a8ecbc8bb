"""The scan: names the neurons of a bank in the order in which its rows hold them."""

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.program.program import FOLD, CorePlan, LayerPlan

from .layouts import neuron_layout
from .spec import CoreSpec


def scan_fields(layer: LayerPlan, slot: int) -> dict[str, int]:
    """What a scan has to know of a layer, for slots of so many neighbours; see `Scan`."""
    live = np.any(layer.neurons.reshape(layer.rows, -1, slot) >= 0, axis=2)
    by, bx = layer.spread
    return {
        "channels": layer.shape[0],
        "height": layer.shape[1],
        "width": layer.shape[2],
        "across_y": int(by > 1),
        "across_x": int(bx > 1),
        "folded": int(layer.folded),
        "step_y": by,
        "step_x": bx,
        "step_c": layer.channels,
        "last_c": (layer.groups - 1) * layer.channels,
        "last_y": (layer.blocks[0] - 1) * by,
        "last_x": (layer.blocks[1] - 1) * bx,
        "row_slot": int(np.flatnonzero(np.any(live, axis=0))[-1]),
        "last_slot": int(np.flatnonzero(live[-1])[-1]),
    }


class Scan(wiring.Component):
    """Counts through a bank: rows ascending, cells row-major, lanes ascending, `slot` neighbours at once.

    One slot a cycle. A row ends behind the last slot that holds a neuron in any row.

    Parameters
    ----------
    plan : CorePlan
    slot : neighbours in a slot, divides the cells' width.
    layout : of the fields of `scan_fields`.

    Members
    -------
    layer : In, the fields of the layer that is scanned; constant while it is.
    start : In(1), go to the first slot.
    advance : In(1), go to the next one.
    neuron : Out, coordinates of the slot's first neuron.
    live : Out(1), it exists.
    row_end, last : Out(1), the slot is the last one of its row, of the layer.
    """

    def __init__(self, *, spec: CoreSpec, slot: int, layout: data.StructLayout) -> None:
        self.plan: CorePlan = spec.plan
        self.slot = slot
        self.folds = any(item.folded for item in spec.plan.layers)
        super().__init__(
            {
                "layer": In(layout),
                "start": In(1),
                "advance": In(1),
                "neuron": Out(neuron_layout(spec.scanned_shape)),
                "live": Out(1),
                "row_end": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        gy, gx = self.plan.grid
        layer, neuron = self.layer, self.neuron
        lane = Signal(range(self.plan.width // self.slot))
        a = Signal(range(gy))
        b = Signal(range(gx))
        slot = Signal(range(self.plan.lanes // self.slot))
        origin = Signal.like(neuron)  # of the row
        line_c = Signal.like(neuron.c)  # first channel of this line of cells
        row_last = Signal()
        m.d.comb += [
            row_last.eq((origin.c == layer.last_c) & (origin.y == layer.last_y) & (origin.x == layer.last_x)),
            self.last.eq(row_last & (slot == layer.last_slot)),
        ]
        next_row = Signal.like(neuron)
        m.d.comb += next_row.eq(origin)
        with m.If(origin.c != layer.last_c):
            m.d.comb += next_row.c.eq(origin.c + layer.step_c)
        with m.Else():
            m.d.comb += next_row.c.eq(0)
            with m.If(origin.x != layer.last_x):
                m.d.comb += next_row.x.eq(origin.x + layer.step_x)
            with m.Else():
                m.d.comb += [next_row.x.eq(0), next_row.y.eq(origin.y + layer.step_y)]

        # the next slot is found a cycle early: what depends on it moves whole rows, and has no time for comparisons
        after = Signal.like(neuron)
        slot_after, a_after, b_after = Signal.like(slot), Signal.like(a), Signal.like(b)
        line_after = Signal.like(line_c)
        cell_end = lane == self.plan.width // self.slot - 1
        m.d.comb += [after.eq(neuron), after.c.eq(neuron.c + self.slot), slot_after.eq(slot + 1)]
        m.d.comb += [a_after.eq(a), b_after.eq(b), line_after.eq(line_c)]
        with m.If(self.start):
            m.d.comb += [after.eq(0), slot_after.eq(0), a_after.eq(0), b_after.eq(0), line_after.eq(0)]
        with m.Elif(self.row_end):
            m.d.comb += [after.eq(next_row), slot_after.eq(0), a_after.eq(0), b_after.eq(0), line_after.eq(next_row.c)]
        with m.Elif(cell_end & (b != gx - 1)):
            m.d.comb += b_after.eq(b + 1)
            with m.If(layer.across_x):
                m.d.comb += [after.x.eq(neuron.x + 1), after.c.eq(line_c)]
        with m.Elif(cell_end):
            m.d.comb += [b_after.eq(0), a_after.eq(a + 1), after.x.eq(origin.x), line_after.eq(neuron.c + self.slot)]
            with m.If(layer.across_y):
                m.d.comb += [after.y.eq(neuron.y + 1), after.c.eq(origin.c), line_after.eq(origin.c)]
        if self.folds:
            with m.If(layer.folded & cell_end & ~self.start & ~self.row_end):
                self._fold(m, Cat(b, a), origin, after)
        real = (after.c < layer.channels) & (after.y < layer.height) & (after.x < layer.width)
        with m.If(self.start | self.advance):
            m.d.sync += [neuron.eq(after), slot.eq(slot_after), a.eq(a_after), b.eq(b_after), line_c.eq(line_after)]
            m.d.sync += [
                self.live.eq(real & self._held(a_after, b_after)),
                self.row_end.eq(slot_after == layer.row_slot),
            ]
            m.d.sync += lane.eq(Mux(self.start | self.row_end | cell_end, 0, lane + 1))
            with m.If(self.start):
                m.d.sync += origin.eq(0)
            with m.Elif(self.row_end):
                m.d.sync += origin.eq(next_row)
        return m

    def _fold(self, m: Module, cell: Value, origin: data.View, after: data.View) -> None:
        """The first slot of the cell behind `cell` in a folded layer."""
        layer, gx, width = self.layer, self.plan.grid[1], self.plan.width
        with m.Switch(cell):
            for number, (y, x, share) in enumerate(FOLD[1:]):
                both, along_x, along_y = (part * width for part in (share, 2 * y + share, 2 * x + share))
                with m.Case(number % gx | number // gx << ceil_log2(gx)):
                    m.d.comb += [
                        after.y.eq(origin.y + (layer.across_y & y)),
                        after.x.eq(origin.x + (layer.across_x & x)),
                        after.c.eq(origin.c + Mux(layer.across_y, Mux(layer.across_x, both, along_y), along_x)),
                    ]

    def _held(self, a: Signal, b: Signal) -> Value:
        """Whether the cell belongs to the layer's spread; further cells of the grid lie idle."""
        layer = self.layer
        held = (~layer.across_y | (a < layer.step_y)) & (~layer.across_x | (b < layer.step_x))
        if not self.folds:
            return held
        return Mux(layer.folded, (a != self.plan.grid[0] - 1) | (b != self.plan.grid[1] - 1), held)
