"""The drain: reads a bank row by row and hands its potentials on slot by slot."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .layouts import slot_layout
from .scan import Scan
from .spec import CoreSpec
from .words import potentials_layout


class Drain(wiring.Component):
    """Empties a bank: asks for a row whenever it has room, and shifts the row before it out meanwhile.

    One slot a cycle; places without a neuron cost a cycle and are dropped. The next row is fetched while the present
    one is handed out.

    Parameters
    ----------
    spec : CoreSpec
    scan : layout of the fields that describe a layer's places, see `Scan`.

    Members
    -------
    start : In(1), a bank is full; only while `busy` is low.
    layer : In, its layer's places.
    last_row : In, its rows less one.
    busy : Out(1), the bank still holds potentials.
    request, row : Out, a row to read; `granted` In(1) takes it.
    arrived, potentials : In, the row that was asked for.
    o : Out(stream), see `slot_layout`.
    """

    def __init__(self, *, spec: CoreSpec, scan: data.StructLayout) -> None:
        self.spec, self.scan = spec, scan
        row = ceil_log2(spec.plan.rows)
        super().__init__(
            {
                "start": In(1),
                "layer": In(scan),
                "last_row": In(row),
                "busy": Out(1),
                "request": Out(1),
                "row": Out(row),
                "granted": In(1),
                "arrived": In(1),
                "potentials": In(potentials_layout(spec)),
                "o": Out(stream.Signature(slot_layout(spec.plan.bits, spec.slot, spec.scanned_shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scan = scan = Scan(spec=self.spec, slot=self.spec.slot, layout=self.scan)
        step = self.spec.plan.bits * self.spec.slot
        asking = Signal()  # rows are left to be asked for
        awaited = Signal()
        fetched = Signal(self.potentials.shape(), reset_less=True)
        ready = Signal()  # a fetched row waits
        held = Signal(self.potentials.shape(), reset_less=True)
        full = Signal()
        moves = Signal()
        take = Signal()
        m.d.comb += [
            self.request.eq(asking & ~awaited & ~ready),
            self.o.valid.eq(full & scan.live),
            self.o.payload.potentials.eq(held.as_value()[:step]),
            self.o.payload.neuron.eq(scan.neuron),
            self.o.payload.last.eq(scan.last),
            moves.eq(full & (self.o.ready | ~scan.live)),
            take.eq(ready & (~full | (moves & scan.row_end))),
            scan.layer.eq(self.layer),
            scan.start.eq(self.start),
            scan.advance.eq(moves),
        ]
        with m.If(self.request & self.granted):
            m.d.sync += [awaited.eq(1), self.row.eq(self.row + 1)]
            with m.If(self.row == self.last_row):
                m.d.sync += asking.eq(0)
        with m.If(self.arrived):
            m.d.sync += [fetched.eq(self.potentials), ready.eq(1), awaited.eq(0)]
        with m.Elif(take):
            m.d.sync += ready.eq(0)
        with m.If(take):
            m.d.sync += [held.eq(fetched), full.eq(1)]
        with m.Elif(moves):
            m.d.sync += held.eq(held.as_value() >> step)
            with m.If(scan.row_end | scan.last):
                m.d.sync += full.eq(0)
        with m.If(moves & scan.last):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += [asking.eq(1), self.row.eq(0), self.busy.eq(1)]
        return m


class RegisterDrain(wiring.Component):
    """The drain of a core with one row, whose accumulators are registers: takes the row at `start`.

    Parameters
    ----------
    spec : CoreSpec
    scan : layout of the fields that describe a layer's places, see `Scan`.

    Members
    -------
    start : In(1), `potentials` is full; only while `busy` is low.
    wait : In(1), do not hand it out yet.
    layer : In, its layer's places.
    busy : Out(1), the row is not yet handed out.
    potentials : In, the row.
    o : Out(stream), see `slot_layout`.
    """

    def __init__(self, *, spec: CoreSpec, scan: data.StructLayout) -> None:
        self.spec, self.scan = spec, scan
        super().__init__(
            {
                "start": In(1),
                "wait": In(1),
                "layer": In(scan),
                "busy": Out(1),
                "potentials": In(potentials_layout(spec)),
                "o": Out(stream.Signature(slot_layout(spec.plan.bits, spec.slot, spec.scanned_shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scan = scan = Scan(spec=self.spec, slot=self.spec.slot, layout=self.scan)
        held = Signal(self.potentials.shape(), reset_less=True)
        step = self.spec.plan.bits * self.spec.slot
        moves = Signal()
        m.d.comb += [
            self.o.valid.eq(self.busy & scan.live & ~self.wait),
            self.o.payload.potentials.eq(held.as_value()[:step]),
            self.o.payload.neuron.eq(scan.neuron),
            self.o.payload.last.eq(scan.last),
            moves.eq(self.busy & ~self.wait & (self.o.ready | ~scan.live)),
            scan.layer.eq(self.layer),
            scan.start.eq(self.start),
            scan.advance.eq(moves),
        ]
        with m.If(self.start):
            m.d.sync += [held.eq(self.potentials), self.busy.eq(1)]
        with m.Elif(moves):
            m.d.sync += held.eq(held.as_value() >> step)
            with m.If(scan.last):
                m.d.sync += self.busy.eq(0)
        return m


class Accumulators(wiring.Component):
    """Potentials of one row in registers: a row a cycle, no bubble; emptied in the cycle of `clear`.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    valid : In(1), an operation; its `addends` come `spec.weight_latency` cycles later.
    negative : In(1), with the operation: its addends are inverted.
    addends : In
    clear : In(1), start again from zero.
    potentials : Out
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        layout = potentials_layout(spec)
        super().__init__(
            {"valid": In(1), "negative": In(1), "addends": In(layout), "clear": In(1), "potentials": Out(layout)}
        )

    def elaborate(self, platform: object) -> Module:
        from .cells import add

        m = Module()
        accumulator = Signal(potentials_layout(self.spec))
        valid, negative = self.valid, self.negative
        for stage in range(self.spec.weight_latency):
            held, sign = Signal(name=f"valid_{stage}"), Signal(name=f"negative_{stage}")
            m.d.sync += [held.eq(valid), sign.eq(negative)]
            valid, negative = held, sign
        for lane in range(self.spec.plan.lanes):
            with m.If(self.clear):
                m.d.sync += accumulator[lane].eq(0)
            with m.Elif(valid):
                sign = negative if self.spec.inverts else None
                m.d.sync += accumulator[lane].eq(add(accumulator[lane], self.addends[lane], sign))
        m.d.comb += self.potentials.eq(accumulator)
        return m
