"""The sequencer: runs the program of a core, word by word, and swaps the banks at the end of each phase."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .rom import rom
from .spec import CoreSpec
from .tables import WalkTables
from .words import program_image, step_layout


class Sequencer(wiring.Component):
    """Fetches the words of the program in turn. A step is over when its events have been walked and its rows added; a
    phase is over when, besides, the lanes' pipeline is empty and the other bank is emptied; then the banks swap.

    A program of one word is always there; else the fetch takes three cycles a step. Some words in the middle may be
    repeated: the time steps of a synchronous network that are alike.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    step : Out, the present word.
    run : Out(1), the step's events may be taken.
    begin : Out(1), the step begins: first cycle of `run`.
    ended : In(1), the end mark of the step's train has come.
    rows_busy : In(1), rows are being added.
    operating : In(1), an operation is taken.
    clearing : In(1), the banks are not ready yet.
    draining : In(1), the other bank's layer is still being generated.
    proceed : Out(1), the step is over.
    swap : Out(1), so is the phase.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec, self.tables = spec, tables
        super().__init__(
            {
                "step": Out(step_layout(spec, tables)),
                "run": Out(1),
                "begin": Out(1),
                "ended": In(1),
                "rows_busy": In(1),
                "operating": In(1),
                "clearing": In(1),
                "draining": In(1),
                "proceed": Out(1),
                "swap": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step, done = self.step, Signal()
        # an operation is written so many cycles after it was taken
        left = Signal(range(self.spec.weight_latency + 2))
        with m.If(self.operating):
            m.d.sync += left.eq(self.spec.weight_latency + 1)
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        m.d.comb += [
            done.eq(self.run & ~self.begin & (self.ended | ~step.walk) & ~self.rows_busy),
            self.swap.eq(done & step.last & (left == 0) & ~self.operating & ~self.draining),
            self.proceed.eq(self.swap | (done & ~step.last)),
        ]
        image = program_image(self.spec, self.tables)
        steps = len(self.spec.steps)
        if steps == 1:
            m.d.comb += [field(step, key).eq(int(values[0])) for key, values in image.items()]
            m.d.comb += self.run.eq(~self.clearing)
            m.d.comb += self.begin.eq(0)
            return m
        number = Signal(ceil_log2(steps))
        first, last, times = self.spec.loop
        turns = Signal(range(times), init=times - 1)  # of the loop that are left
        fetch = Signal()
        word = rom(m, "program", image, number, fetch)
        with m.FSM():
            with m.State("Clear"), m.If(~self.clearing):
                m.next = "Fetch"
            with m.State("Fetch"):
                m.d.comb += fetch.eq(1)
                m.d.sync += number.eq(number + 1)
                with m.If(number == steps - 1):
                    m.d.sync += [number.eq(0), turns.eq(times - 1)]
                if times > 1:
                    with m.If((number == last) & (turns != 0)):
                        m.d.sync += [number.eq(first), turns.eq(turns - 1)]
                m.next = "Load"
            with m.State("Load"):
                m.d.sync += [field(step, key).eq(value) for key, value in word.items()]
                m.d.sync += self.begin.eq(1)
                m.next = "Run"
            with m.State("Run"):
                m.d.comb += self.run.eq(1)
                m.d.sync += self.begin.eq(0)
                with m.If(self.proceed):
                    m.next = "Fetch"
        return m


def field(word: object, name: str) -> Value:
    """A field of a word by name."""
    return word[name]  # type: ignore[index]  # amaranth: views are indexed by name
