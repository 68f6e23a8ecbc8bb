"""One core: the lanes accumulate a layer into one bank while the generator empties the other into events."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import ceil_log2

from .cells import Cells
from .drain import Accumulators, Drain, RegisterDrain
from .fetch import Fetch
from .generator import Generator
from .integrate import Integrate
from .lanes import Lanes
from .layouts import class_bits, potential_layout, spike_layout
from .loading import any_of, bus_ports
from .queue import EventQueue
from .reader import Reader
from .readout import ReadoutUnit
from .replay import RowReplay
from .sequencer import Sequencer, field
from .skid import Skid
from .spec import CoreSpec
from .store import Store
from .tables import WalkTables
from .walker import Walker
from .words import INTEGRATE, operation_layout, scan_layout, visit_layout


class Core(wiring.Component):
    """Layers in gates: events in, events (or readout potentials) out.

    `i` -> walker -> lanes -> cells -> drain -> fetch -> generator -> queue -> walker again, for the next layer, or `o`.
    Throughput one row of `lanes` SOPs a cycle; zeros cost nothing. A layer's accumulate phase ends with the end mark of
    its events; then the banks swap as soon as the other one is emptied, and the next layer accumulates while this one
    is generated. Behind the last layer comes the first one of the next sample. After reset a core with several rows
    clears its banks first, 2 * rows cycles.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), events of the source, see `spike_layout`.
    o : Out(stream), events of the last layer; a core with readouts sends their potentials (`potential_layout`) instead.
    o_class : Out(stream), readouts only: index of the largest potential, behind the last one of each.
    bus, loaded : see `bus_ports`.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        self.tables = WalkTables(spec)
        ports = {"i": In(stream.Signature(input_layout(spec))), **bus_ports(spec.bus)}
        if spec.reads_out:
            ports["o"] = Out(stream.Signature(potential_layout(spec.plan.bits)))
            ports["o_class"] = Out(stream.Signature(class_bits(max(spec.outputs))))
        else:
            ports["o"] = Out(stream.Signature(output_layout(spec)))
        super().__init__(ports)

    @property
    def queued_layout(self) -> data.StructLayout:
        """Events that leave the queue."""
        return output_layout(self.spec)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, tables = self.spec, self.tables
        m.submodules.sequencer = self.sequencer = sequencer = Sequencer(spec=spec, tables=tables)
        m.submodules.walker = self.walker = walker = Walker(spec=spec, tables=tables)
        m.submodules.lanes = self.lanes = Lanes(spec=spec, tables=tables)
        self.step = sequencer.step
        self.filled = Signal()  # the bank that is being filled
        self.draining = Signal()
        m.d.comb += [
            walker.step.eq(self.step),
            walker.run.eq(sequencer.run),
            sequencer.ended.eq(walker.ended),
            sequencer.draining.eq(self.draining),
        ]
        # a cycle late, in which nothing runs: the next word is fetched, or the bank that was filled is drained
        m.d.sync += walker.proceed.eq(sequencer.proceed)
        if spec.plan.stored:
            m.submodules.store = self.store = Store(spec=spec)
            m.d.comb += self.store.record.eq(walker.record)
        if spec.adds_rows:
            m.submodules.replay = self.replay = RowReplay(spec=spec, tables=tables)
        slots = self._registers(m) if spec.in_registers else self._memories(m)
        left = self._generate(m, slots)
        if spec.bus:
            m.d.comb += [self.lanes.bus.eq(self.bus), self.fetch.bus.eq(self.bus)]
            m.d.comb += self.loaded.eq(any_of([self.lanes.loaded, self.fetch.loaded]))
        with m.If(left):
            m.d.sync += self.draining.eq(0)
        with m.If(sequencer.swap):
            m.d.sync += [self.filled.eq(~self.filled), self.draining.eq(1)]
        self._probe(m, "swap", sequencer.swap)
        self._probe(m, "filled", self.filled)
        self._break_down(m)
        return m

    def _probe(self, m: Module, name: str, value: Value) -> None:
        """A signal that benches observe by name; `keep` preserves it in the Verilog, synthesis drops what nothing
        reads.
        """
        probe = Signal(Value.cast(value).shape(), name=f"probe_{name}", attrs={"keep": 1})
        m.d.comb += probe.eq(value)

    def _break_down(self, m: Module) -> None:
        """Where each cycle goes."""
        sequencer, walker = self.sequencer, self.walker
        draining = sequencer.run & self.draining & walker.ended & ~sequencer.rows_busy
        self._probe(m, "accumulating", sequencer.operating)
        self._probe(m, "draining", draining & ~sequencer.operating)
        self._probe(m, "waiting", sequencer.run & ~walker.ended & ~sequencer.operating)
        self._probe(m, "program", ~sequencer.operating & (~sequencer.run | walker.ended) & ~draining)

    def _registers(self, m: Module) -> stream.Interface:
        """Potentials in registers; returns the slots that leave them."""
        walker, lanes, sequencer = self.walker, self.lanes, self.sequencer
        m.submodules.potentials = potentials = Accumulators(spec=self.spec)
        layout = scan_layout(self.step.shape(), "drain_scan_")
        m.submodules.drain = drain = RegisterDrain(spec=self.spec, scan=layout)
        if len(self.spec.steps) > 1:  # what the generator has to do is in the next word
            with m.If(sequencer.swap):
                m.d.sync += drain.wait.eq(1)
            with m.Elif(sequencer.begin):
                m.d.sync += drain.wait.eq(0)
        operation = Signal(operation_layout(self.spec, self.tables))
        valid = Signal()
        m.d.comb += [
            walker.ready.eq(1),
            operation.eq(walker.o),
            valid.eq(walker.valid),
            lanes.operation.eq(operation),
            sequencer.operating.eq(walker.valid),
            potentials.valid.eq(valid),
            potentials.negative.eq(operation.negative),
            potentials.addends.eq(lanes.addends),
            potentials.clear.eq(sequencer.swap),
            drain.potentials.eq(potentials.potentials),
            drain.start.eq(sequencer.swap),
            *(drain.layer[name].eq(field(self.step, f"drain_scan_{name}")) for name, _ in layout),
        ]
        self._probe(m, "potentials", potentials.potentials.as_value())
        return drain.o

    def _memories(self, m: Module) -> stream.Interface:
        """Potentials in memories; returns the slots that leave them."""
        walker, lanes, sequencer, step, plan = self.walker, self.lanes, self.sequencer, self.step, self.spec.plan
        m.submodules.cells = cells = Cells(spec=self.spec, tables=self.tables)
        layout = scan_layout(step.shape(), "drain_scan_")
        m.submodules.drain = drain = Drain(spec=self.spec, scan=layout)
        # the next operation: clear after reset, then the generator's rows, then replayed rows, then events
        clearing = Signal(init=1)
        clear_row = Signal(ceil_log2(2 * plan.rows))
        with m.If(clearing):
            m.d.sync += clear_row.eq(clear_row + 1)
            with m.If(clear_row == 2 * plan.rows - 1):
                m.d.sync += clearing.eq(0)
        operation = Signal(operation_layout(self.spec, self.tables))
        valid, bank, empty, by_rows, fetching = (
            Signal(name=name) for name in ("valid", "bank", "empty", "by_rows", "fetching")
        )
        offered: Value = walker.valid
        others: Value = drain.requests
        if self.spec.adds_rows:
            replay = self.replay
            offered = offered | replay.valid
            others = others | replay.offers
            m.d.comb += [replay.step.eq(step), replay.start.eq(sequencer.begin & step.rows_active)]
            m.d.comb += [replay.ready.eq(~drain.request), lanes.plane.eq(replay.plane), lanes.codes.eq(replay.codes)]
            m.d.comb += sequencer.rows_busy.eq(replay.busy)
        m.d.sync += walker.ready.eq(~others)  # the other two are known a cycle ahead: much waits for this
        digit = Signal.like(lanes.digit)
        m.d.comb += lanes.digit.eq(digit)
        m.d.sync += [
            operation.eq(walker.o),
            valid.eq(clearing | drain.request | offered),
            empty.eq(clearing | drain.request),
            bank.eq(Mux(clearing, clear_row[0], self.filled ^ drain.request)),
            fetching.eq(drain.request & ~clearing),
            by_rows.eq(0),
        ]
        if self.spec.adds_rows:
            with m.If(self.replay.valid & ~drain.request):
                m.d.sync += [operation.eq(self.replay.operation), by_rows.eq(1), digit.eq(self.replay.digit)]
        with m.If(drain.request):
            m.d.sync += [operation.eq(0), operation.row.eq(drain.row)]
        with m.If(clearing):
            m.d.sync += [operation.eq(0), operation.row.eq(clear_row[1:])]
        arrived: Value = fetching
        for stage in range(cells.row_latency):
            held = Signal(name=f"fetching_{stage}")
            m.d.sync += held.eq(arrived)
            arrived = held
        m.d.comb += [
            sequencer.clearing.eq(clearing),
            sequencer.operating.eq(clearing | (offered & ~drain.request)),
            drain.granted.eq(1),
            lanes.operation.eq(operation),
            lanes.empty.eq(empty),
            lanes.by_rows.eq(by_rows),
            cells.valid.eq(valid),
            cells.operation.eq(operation),
            cells.bank.eq(bank),
            cells.empty.eq(empty),
            cells.stride_y.eq(step.stride_y),
            cells.stride_x.eq(step.stride_x),
            cells.addends.eq(lanes.addends),
            drain.potentials.eq(cells.potentials),
            drain.emptied.eq(cells.emptied),
            drain.arrived.eq(arrived),
            drain.start.eq(
                sequencer.swap if len(self.spec.steps) == 1 else sequencer.begin & step.first & self.draining
            ),
            drain.last_row.eq(step.drain_row),
            *(drain.layer[name].eq(field(step, f"drain_scan_{name}")) for name, _ in layout),
        ]
        return drain.o

    def _generate(self, m: Module, drained: stream.Interface) -> Value:
        """From slots to events or readout potentials; returns a flag that the layer has left the generator."""
        spec, step = self.spec, self.step
        m.submodules.fetch = self.fetch = fetch = Fetch(spec=spec)
        # whether the generator is ready is known late: not to what shifts a row, or what picks from one
        m.submodules.skid = skid = Skid(layout=(fetch.i if spec.in_registers else fetch.o).payload.shape())
        if spec.in_registers:
            connect(m, drained, skid.i)
            connect(m, skid.o, fetch.i)
            biased = fetch.o
        else:
            connect(m, drained, fetch.i)
            connect(m, fetch.o, skid.i)
            biased = skid.o
        m.d.comb += [
            fetch.base.eq(step.drain_neuron),
            fetch.borders.eq(step.drain_borders),
            fetch.border_y.eq(step.drain_border_y),
            fetch.border_x.eq(step.drain_border_x),
        ]
        slots, left = biased, Const(0, 1)
        if spec.integrates:
            m.submodules.integrate = integrate = Integrate(spec=spec, visit=visit_layout(step.shape()))
            connect(m, biased, integrate.i)
            m.d.comb += [integrate.visit[name].eq(step[f"drain_{name}"]) for name in INTEGRATE]
            slots, left = integrate.o, integrate.over
            self._probe(m, "visit", integrate.retire)
            self._probe(m, "visited", Cat(integrate.remainder, integrate.integrated))
        reads = step.drain_reads if spec.reads_out else Const(0, 1)
        taken: Value = Const(0, 1)
        if spec.reads_out:
            m.submodules.readout = readout = ReadoutUnit(spec=spec)
            connect(m, readout.o, wiring.flipped(self.o))
            connect(m, readout.o_class, wiring.flipped(self.o_class))
            m.d.comb += [readout.i.valid.eq(slots.valid & reads), readout.last.eq(step.drain_outputs)]
            _copy(m, readout.i.payload, slots.payload)
            taken = reads & readout.i.ready
            left = left | (readout.i.valid & readout.i.ready & readout.i.payload.last)
        queue = None
        if spec.queued:
            m.submodules.queue = queue = EventQueue(spec=spec)
        generator = None
        if spec.firing:
            m.submodules.generator = generator = Generator(spec=spec)
            m.d.comb += [
                generator.i.valid.eq(slots.valid & ~reads),
                generator.i.payload.eq(slots.payload),
                generator.digits.eq(step.drain_digits),
                generator.binary.eq(step.drain_binary),
                generator.announce.eq(step.drain_announce),
                generator.minimal.eq(step.drain_minimal),
            ]
            taken = taken | (~reads & generator.i.ready)
            assert queue is not None  # what fires is queued
            left = left | self._send(m, generator, queue)
        if spec.reads:
            assert queue is not None  # so is what is replayed
            self._replay(m, queue, generator.o.valid if generator else Const(0, 1))
        self._store_ports(m)
        self._receive(m, queue)
        m.d.comb += slots.ready.eq(taken)
        return left

    def _send(self, m: Module, generator: Generator, queue: EventQueue) -> Value:
        """From trains to events; returns a flag that the generator's last word has left it."""
        left = Signal()
        m.d.comb += [
            queue.i.payload.eq(generator.o.payload),
            queue.i.valid.eq(generator.o.valid),
            generator.o.ready.eq(queue.i.ready),
            queue.out.eq(self.step.drain_out),
            left.eq(generator.o.valid & generator.o.ready & generator.o.payload.last),
        ]
        self._probe(m, "retire", generator.retire)
        self._probe(m, "remainder", generator.remainder)
        self._probe(m, "spike_valid", queue.o.valid & ~queue.o_replayed)
        self._probe(m, "spike_ready", queue.o.ready)
        self._probe(m, "spike_payload", queue.o.payload)
        return left

    def _replay(self, m: Module, queue: EventQueue, generating: Value) -> None:
        """Stored trains enter the queue when the generator has left it."""
        step = self.step
        m.submodules.reader = self.reader = reader = Reader(spec=self.spec, tables=self.tables)
        asked = Signal()
        with m.If(self.sequencer.begin & step.read_active):
            m.d.sync += asked.eq(1)
        with m.Elif(reader.start):
            m.d.sync += asked.eq(0)
        m.d.comb += [
            reader.step.eq(step),
            reader.start.eq(asked & ~self.draining),
            reader.o.ready.eq(queue.i.ready & ~generating),
        ]
        with m.If(~generating):
            m.d.comb += [
                queue.i.payload.eq(reader.o.payload),
                queue.i.valid.eq(reader.o.valid),
                queue.out.eq(0),
                queue.replayed.eq(1),
            ]

    def _store_ports(self, m: Module) -> None:
        """Who reads the store: rows being added, or a train being sent once more; never both in a step."""
        spec = self.spec
        users = [self.replay] if spec.adds_rows else []
        users += [self.reader] if spec.reads else []
        for user in users:
            m.d.comb += user.word.eq(self.store.word)
            with m.If(user.read):
                m.d.comb += [self.store.read.eq(1), self.store.address.eq(user.address)]

    def _receive(self, m: Module, queue: EventQueue | None) -> None:
        """Events for the walker come from the port or from the queue; the queue's other events leave."""
        spec, walker, external = self.spec, self.walker, self.step.external
        m.d.comb += [walker.i.valid.eq(self.i.valid & external), self.i.ready.eq(walker.i.ready & external)]
        _copy(m, walker.i.payload, self.i.payload)
        if queue is None:
            return
        inner = len(spec.steps) > 1
        if inner:
            with m.If(~external):
                m.d.comb += walker.i.valid.eq(queue.o.valid & ~queue.o_out)
                _copy(m, walker.i.payload, queue.o.payload)
        leaves = queue.o_out if inner else Const(1, 1)
        to_walker = ~external & walker.i.ready
        if spec.reads_out:
            m.d.comb += queue.o.ready.eq(to_walker)
            return
        m.d.comb += [
            self.o.valid.eq(queue.o.valid & leaves),
            self.o.payload.eq(queue.o.payload),
            queue.o.ready.eq(Mux(leaves, self.o.ready, to_walker)),
        ]


def input_layout(spec: CoreSpec) -> data.StructLayout:
    """Events that enter a core."""
    train = spec.plan.source
    return spike_layout(spec.source_shape, spec.digits(train), negative=spec.signed_train(train), none=spec.announced)


def output_layout(spec: CoreSpec) -> data.StructLayout:
    """Events that leave a core."""
    return spike_layout(spec.queued_shape, spec.queued_digits, negative=spec.queues_signed, none=spec.announces_any)


def _copy(m: Module, target: data.View, source: data.View) -> None:
    """Assign the fields that both have; what only the target has is zero."""
    names = {name for name, _ in source.shape()}
    m.d.comb += [target[name].eq(source[name] if name in names else 0) for name, _ in target.shape()]
