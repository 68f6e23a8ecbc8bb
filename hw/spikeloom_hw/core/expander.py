"""The expander: a word of neighbouring neurons' trains leaves as events, one a cycle."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


def word_layout(digits: int, width: int, tag: int, *, signed: bool) -> data.StructLayout:
    """Trains of `width` neighbours: bit t*width + n of `spikes` is neuron n's spike at time step t.

    `negatives` are their signs, `last` is the last word of a sample; `tag` goes with every event of the word.
    """
    signs = {"negatives": digits * width} if signed else {}
    return data.StructLayout({"spikes": digits * width, **signs, "tag": tag, "last": 1})


def expanded_layout(digits: int, width: int, tag: int) -> data.StructLayout:
    """An event of a word: neuron, time step and sign; `none`: the word had none; `end` after a sample's last event."""
    return data.StructLayout(
        {"neuron": ceil_log2(width), "step": ceil_log2(digits), "negative": 1, "none": 1, "tag": tag, "end": 1}
    )


class Expander(wiring.Component):
    """Sends the spikes of a word one by one, the lowest bit first; a word without any is one event that says so.

    Latency one cycle; one event a cycle, no bubble between words; stalls as `o` does. The last word of a sample is
    followed by an end mark with the word's tag (instead of an event, if it has no spike).

    Parameters
    ----------
    digits, width, tag, signed : of the word, see `word_layout`.

    Members
    -------
    i : In(stream), see `word_layout`.
    o : Out(stream), see `expanded_layout`.
    """

    def __init__(self, *, digits: int, width: int, tag: int, signed: bool = False) -> None:
        self.digits, self.width, self.signed = digits, width, signed
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(digits, width, tag, signed=signed))),
                "o": Out(stream.Signature(expanded_layout(digits, width, tag))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, event = self.i.payload, self.o.payload
        spikes = Value.cast(word.spikes)
        sent = Signal.like(spikes)
        waiting = Signal.like(spikes)
        chosen = Signal.like(spikes)
        spent = Signal()
        free = Signal()
        done = Signal()
        m.d.comb += [
            waiting.eq(spikes & ~sent),
            chosen.eq(waiting & -waiting),  # lowest spike that waits: earliest time step first
            spent.eq(waiting == 0),
            free.eq(~self.o.valid | self.o.ready),
            # the word leaves with its last spike, or with its end mark
            done.eq(Mux(word.last, spent, ~_several(waiting))),
            self.i.ready.eq(free & done),
        ]
        numbers = range(len(spikes))
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(self.i.valid),
                event.end.eq(spent & word.last),
                event.none.eq(spent & ~word.last),
                event.neuron.eq(_number(chosen, numbers, lambda n: n % self.width, len(event.neuron))),
                event.step.eq(_number(chosen, numbers, lambda n: n // self.width, len(event.step))),
                event.tag.eq(word.tag),
            ]
            if self.signed:
                m.d.sync += event.negative.eq((chosen & word.negatives).any())
            with m.If(self.i.valid):
                m.d.sync += sent.eq(Mux(done, 0, sent | chosen))
        return m


def _number(chosen: Signal, numbers: Iterable[int], value: object, bits: int) -> Value:
    """`value` of the number whose bit is set."""
    assert callable(value)
    return Cat(*(Cat(*(chosen[n] for n in numbers if value(n) >> bit & 1)).any() for bit in range(bits)))


def _several(bits: Value) -> Value:
    """Whether two bits or more are set: known beside the lowest one rather than after it, for the clock's sake."""
    if len(bits) < 2:
        return Const(0, 1)
    if len(bits) <= 4:
        return Cat(bits[n] & bits[:n].any() for n in range(1, len(bits))).any()
    groups = [bits[n : n + 4] for n in range(0, len(bits), 4)]
    return Cat(*(_several(group) for group in groups), _several(Cat(group.any() for group in groups))).any()
