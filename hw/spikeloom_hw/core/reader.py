"""Reader of stored trains: sends them once more, as they were generated or through max pooling."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .codes import train_of
from .layouts import train_layout
from .spec import CoreSpec
from .tables import WalkTables
from .words import step_layout


class Reader(wiring.Component):
    """Reads a region of the store position by position and sends its codes as trains; of a window the largest codes.

    Max pooling of codes is max pooling of trains: most significant digit first, the largest digit among the candidates
    still in the race wins, which spells the largest code.

    A word takes a cycle for every position of the window, two more, and one for every slot of its channels. Positions
    beyond the border of the source are passed over: nothing is read.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    step : In, the present word of the program.
    start : In(1), begin the step's train.
    read, address : Out, read the store; `word` In, in the next cycle.
    o : Out(stream), trains, see `train_layout`.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec = spec
        self.layout = step_layout(spec, tables)
        trains = train_layout(spec.queued_digits, spec.slot, spec.sent_shape, signed=spec.queues_signed)
        super().__init__(
            {
                "step": In(self.layout),
                "start": In(1),
                "read": Out(1),
                "address": Out(ceil_log2(spec.plan.store_words)),
                "word": In(data.ArrayLayout(spec.code_bits, spec.plan.store_width)),
                "o": Out(stream.Signature(trains)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, plan, step = self.spec, self.spec.plan, self.step
        slots = plan.store_width // spec.slot
        y, x, word = Signal.like(step.read_last_y), Signal.like(step.read_last_x), Signal.like(step.read_words)
        window_y, window_x = Signal.like(step.read_pool_y), Signal.like(step.read_pool_x)
        line, place, corner = (Signal.like(self.address, name=name) for name in ("line", "place", "corner"))
        window_line = Signal.like(self.address)
        best = Signal(data.ArrayLayout(spec.code_bits, plan.store_width), reset_less=True)
        slot = Signal(range(slots))
        fresh, late_fresh = Signal(), Signal()
        reading, arrives, done = Signal(), Signal(), Signal()
        start, aside, below = self._border(m, window_y, window_x)
        last_window = Signal()
        last_word = Signal()
        m.d.comb += [
            self.address.eq(place),
            last_window.eq((window_y == step.read_pool_y) & (window_x == step.read_pool_x)),
            last_word.eq((word == step.read_words) & (x == step.read_last_x) & (y == step.read_last_y)),
        ]
        m.d.comb += self.read.eq(reading & self.inside)
        m.d.sync += [arrives.eq(self.read), late_fresh.eq(fresh), done.eq(reading)]
        with m.If(arrives):
            for n in range(plan.store_width):
                larger = late_fresh | self._above(self.word[n], best[n])
                with m.If(larger):
                    m.d.sync += best[n].eq(self.word[n])
        with m.FSM():
            with m.State("Idle"), m.If(self.start):
                m.d.sync += [y.eq(0), x.eq(0), word.eq(0), window_y.eq(0), window_x.eq(0), fresh.eq(1)]
                m.d.sync += [signal.eq(step.read_base) for signal in (line, place, corner, window_line)]
                m.d.sync += start
                m.next = "Read"
            with m.State("Read"):
                m.d.comb += reading.eq(1)
                with m.If(self.inside):
                    m.d.sync += fresh.eq(0)
                m.d.sync += [window_x.eq(window_x + 1), place.eq(place + step.read_words + 1)]
                with m.If(window_x == step.read_pool_x):
                    m.d.sync += [window_x.eq(0), window_y.eq(window_y + 1)]
                    m.d.sync += [place.eq(window_line + step.read_line), window_line.eq(window_line + step.read_line)]
                with m.If(last_window):
                    m.next = "Wait"
            with m.State("Wait"), m.If(done):
                m.d.sync += slot.eq(0)
                m.next = "Send"
            with m.State("Send"):
                m.d.comb += self.o.valid.eq(self._speaks(best, slot) | (last_word & (slot == slots - 1)))
                with m.If(self.o.ready | ~self.o.valid):
                    m.d.sync += slot.eq(slot + 1)
                    with m.If(slot == slots - 1):
                        m.d.sync += [fresh.eq(1), window_y.eq(0), window_x.eq(0)]
                        m.next = "Next"
            with m.State("Next"):
                m.next = "Read"
                m.d.sync += word.eq(word + 1)
                m.d.sync += [signal.eq(corner + 1) for signal in (place, corner, window_line)]
                with m.If(word == step.read_words):
                    # from the last word of a position to the first of the window beside it
                    beside = corner + step.read_beside
                    m.d.sync += [word.eq(0), x.eq(x + 1), *aside]
                    m.d.sync += [signal.eq(beside) for signal in (place, corner, window_line)]
                    with m.If(x == step.read_last_x):
                        under = line + step.read_below
                        m.d.sync += [x.eq(0), y.eq(y + 1), *below]
                        m.d.sync += [signal.eq(under) for signal in (line, place, corner, window_line)]
                        with m.If(y == step.read_last_y):
                            m.next = "Idle"
        self._send(m, best, slot, y, x, word, last_word & (slot == slots - 1))
        return m

    def _border(self, m: Module, window_y: Signal, window_x: Signal) -> tuple[list[Any], list[Any], list[Any]]:
        """Where windows may reach beyond the border, `inside` says whether their present place lies in the source.

        Returns what follows it at the start of a train, at the next window of a line, and at the first one of a line.
        """
        step = self.step
        self.inside = Signal(init=1)
        if not self.spec.reads_beyond:
            m.d.comb += self.inside.eq(1)
            return [], [], []
        # coordinate at which the window begins, below 0 ahead of the border
        begin_y = Signal(signed(len(step.read_high) + 2))
        begin_x = Signal(signed(len(step.read_wide) + 2))
        at_y, at_x = begin_y + window_y, begin_x + window_x
        m.d.comb += self.inside.eq((at_y >= 0) & (at_y < step.read_high) & (at_x >= 0) & (at_x < step.read_wide))
        first = begin_x.eq(-step.read_ahead_x)
        return (
            [begin_y.eq(-step.read_ahead_y), first],
            [begin_x.eq(begin_x + step.read_stride_x)],
            [begin_y.eq(begin_y + step.read_stride_y), first],
        )

    def _codes(self, best: data.View, slot: Signal) -> list[Value]:
        """Codes of the present slot."""
        size = self.spec.slot * self.spec.code_bits
        chosen = Value.cast(best).word_select(slot, size)
        bits = self.spec.code_bits
        return [chosen[n * bits : (n + 1) * bits] for n in range(self.spec.slot)]

    def _speaks(self, best: data.View, slot: Signal) -> Value:
        return Cat(*self._codes(best, slot)).any()

    def _send(self, m: Module, best: data.View, slot: Signal, y: Signal, x: Signal, word: Signal, last: Value) -> None:
        """The present slot as a word of trains."""
        spec, o = self.spec, self.o.payload
        lane, inner = ceil_log2(spec.plan.store_width), ceil_log2(spec.slot)
        trains = [self._train(code) for code in self._codes(best, slot)]
        m.d.comb += [
            o.spikes.eq(Cat(*(train[0][t] for t in range(spec.queued_digits) for train in trains))),
            o.neuron.c.eq(Cat((slot << inner)[:lane], word)),
            o.neuron.y.eq(y),
            o.neuron.x.eq(x),
            o.last.eq(last),
        ]
        if spec.queues_signed:
            m.d.comb += o.negatives.eq(Cat(*(train[1][t] for t in range(spec.queued_digits) for train in trains)))

    def _above(self, code: Value, other: Value) -> Value:
        """Whether a code is larger than another."""
        above = code > other
        return Mux(self.step.read_signed, code.as_signed() > other.as_signed(), above) if self._signs else above

    @property
    def _signs(self) -> bool:
        """Whether some codes that are read have a sign."""
        network = self.spec.network
        return any(network.sender(item.train).signed for item in self.spec.steps if item.replayed and item.train)

    def _train(self, code: Value) -> tuple[list[Value], list[Value]]:
        """(spikes, signs) of a code at every time step, in the code of the train that is read."""
        spec, step = self.spec, self.step
        negative: Value = Const(0, 1)
        if self._signs:
            negative = step.read_signed & code[-1]
            code = Mux(negative, -code, code)[: len(code)]
        read = [item.train for item in spec.steps if item.replayed and item.train]
        found: list[tuple[Value, tuple[list[Value], list[Value]]]] = []
        for coded in (False, True):
            lengths = sorted(
                {
                    spec.digits(name)
                    for name in read
                    if spec.binary(name) and (spec.network.sender(name).code == "naf") == coded
                }
            )
            if lengths:
                found.append(
                    (
                        step.binary & (step.read_minimal == int(coded)),
                        train_of(
                            code,
                            lengths=lengths,
                            length=step.read_digits,
                            digits=spec.queued_digits,
                            minimal_weight=coded,
                        ),
                    )
                )
        if not all(spec.binary(name) for name in read):
            none = [Const(0, 1)] * spec.queued_digits
            found.append((~step.binary, ([code > t for t in range(spec.queued_digits)], none)))
        spikes, signs = found[0][1]
        for flag, (more, minus) in found[1:]:
            spikes = [Mux(flag, a, b) for a, b in zip(more, spikes, strict=True)]
            signs = [Mux(flag, a, b) for a, b in zip(minus, signs, strict=True)]
        return spikes, [sign | (negative & spike) for sign, spike in zip(signs, spikes, strict=True)]
