"""The drain: reads a bank row by row and hands its potentials on slot by slot."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.placing.resources import SLOTS

from .layouts import slot_layout
from .scan import Scan
from .spec import CoreSpec
from .words import potentials_layout


class Drain(wiring.Component):
    """Empties a bank: asks for a row whenever it has room, and picks its slots one by one.

    One slot a cycle, five cycles later; places without a neuron cost a cycle and are dropped. Only the last cell has a
    second register: when its turn comes the next row is fetched into all the others. What moves rows does not wait for
    `o`, which is far away: slots that are on their way have a place in a queue.

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
    requests : Out(1), `request` of the next cycle.
    arrived, potentials : In, the row that was asked for; emptied : In, `arrived` once more for every cell, or a row
        that nobody asked for.
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
                "requests": Out(1),
                "row": Out(row),
                "granted": In(1),
                "arrived": In(1),
                "emptied": In(spec.plan.grid[0] * spec.plan.grid[1]),
                "potentials": In(potentials_layout(spec)),
                "o": Out(stream.Signature(slot_layout(spec.plan.bits, spec.slot, spec.scanned_shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scan = scan = Scan(spec=self.spec, slot=self.spec.slot, layout=self.scan)
        fetched = Signal(self.potentials.shape(), reset_less=True)
        tail = Signal(self.spec.plan.width * self.spec.plan.bits, reset_less=True)  # of the row that is handed out
        asking, awaited, ready = Signal(), Signal(), Signal()  # rows are left; one is asked for; one is fetched
        full = Signal()  # a row is handed out
        late = Signal()  # its last cell is
        moves, take = Signal(), Signal()
        places = self.spec.plan.lanes // self.spec.slot
        before_tail = places - self.spec.plan.width // self.spec.slot
        place = Signal(places)  # a bit for every slot of a row
        free = late if before_tail else Const(1, 1)
        room = self._pick(m, fetched, tail, place, moves & scan.live, Cat(scan.last, scan.neuron))
        m.d.comb += [
            moves.eq(full & room),
            take.eq(ready & (~full | (moves & scan.row_end))),
            scan.layer.eq(self.layer),
            scan.start.eq(self.start),
            scan.advance.eq(moves),
        ]
        with m.If(self.request):
            m.d.comb += self.requests.eq(~self.granted)
        with m.Else():
            m.d.comb += self.requests.eq(asking & ~awaited & ~ready & (~full | free))
        m.d.sync += self.request.eq(self.requests)
        with m.If(self.request & self.granted):
            m.d.sync += [awaited.eq(1), self.row.eq(self.row + 1)]
            with m.If(self.row == self.last_row):
                m.d.sync += asking.eq(0)
        with m.If(self.arrived):
            m.d.sync += [ready.eq(1), awaited.eq(0)]
        with m.Elif(take):
            m.d.sync += ready.eq(0)
        for cell, emptied in enumerate(self.emptied):
            part = slice(cell * len(tail), (cell + 1) * len(tail))
            with m.If(emptied):
                m.d.sync += fetched.as_value()[part].eq(self.potentials.as_value()[part])
        with m.If(take):
            m.d.sync += [tail.eq(fetched.as_value()[-len(tail) :]), place.eq(1), late.eq(0), full.eq(1)]
        with m.Elif(moves):
            m.d.sync += [place.eq(place << 1), late.eq(late | place[before_tail - 1])]
            with m.If(scan.row_end | scan.last):
                m.d.sync += full.eq(0)
        with m.If(moves & scan.last):
            m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += [asking.eq(1), self.row.eq(0), self.busy.eq(1)]
        return m

    def _pick(self, m: Module, fetched: Value, tail: Value, place: Value, valid: Value, tag: Value) -> Value:
        """From a row to the slot whose bit is set: within cells, then rows of them; a flag that there is room."""
        plan, size = self.spec.plan, self.spec.plan.bits * self.spec.slot
        row = Cat(Value.cast(fetched)[: -len(tail)], tail)
        starts = range(0, len(row), size)
        slots = [row[start : start + size] & bit.replicate(size) for start, bit in zip(starts, place, strict=True)]
        each = plan.width // self.spec.slot
        potentials: Value = Const(0, size)
        for line in range(plan.grid[0]):
            picks: Value = Const(0, size)
            for cell in range(line * plan.grid[1], (line + 1) * plan.grid[1]):
                picked = Signal(size, name=f"picked_{cell}", reset_less=True)
                m.d.sync += picked.eq(reduce(or_, slots[cell * each : (cell + 1) * each]))
                picks = picks | picked
            gathered = Signal(size, name=f"gathered_{line}", reset_less=True)
            m.d.sync += gathered.eq(picks)
            potentials = potentials | gathered
        arriving = Signal(self.o.payload.shape(), reset_less=True)
        tags = [Signal(1 + len(tag), name=f"tag_{stage}") for stage in range(2)]
        arrives = Signal()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=len(arriving.as_value()), depth=SLOTS)
        left = Signal(range(SLOTS + 1), init=SLOTS)  # places that nothing is on its way to
        room = Signal()
        m.d.sync += [
            tags[0].eq(Cat(valid, tag)),
            tags[1].eq(tags[0]),
            arriving.potentials.eq(potentials),
            Cat(arrives, arriving.last, arriving.neuron).eq(tags[1]),
            left.eq(left - valid + (self.o.valid & self.o.ready)),
            room.eq(left > 2),  # two slots may leave before this is seen
        ]
        m.d.comb += [
            fifo.w_data.eq(arriving),
            fifo.w_en.eq(arrives),
            self.o.payload.eq(fifo.r_data),
            self.o.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.o.ready),
        ]
        return room


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
