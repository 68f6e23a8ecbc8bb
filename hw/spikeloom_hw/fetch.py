"""The fetch: adds to potentials what their neurons start a sample with, and brings their thresholds."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .layouts import biased_layout, slot_layout
from .rom import rom, width_of
from .spec import CoreSpec


class Fetch(wiring.Component):
    """Adds `initial`, once a sample, and looks the thresholds up. Latency two cycles, one slot a cycle.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), see `slot_layout`.
    base : In, first thresholds of the layer.
    o : Out(stream), see `biased_layout`.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        rows = spec.neuron_rows
        super().__init__(
            {
                "i": In(stream.Signature(slot_layout(spec.plan.bits, spec.slot, spec.scanned_shape))),
                "base": In(max(1, width_of(rows["theta0"] * 0 + len(rows["theta0"]) - 1))),
                "o": Out(stream.Signature(biased_layout(spec.plan.bits, spec.slot, spec.scanned_shape))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, i, o = self.spec, self.i, self.o
        slot = ceil_log2(spec.slot)
        advance = Signal()
        found = rom(m, "neurons", spec.neuron_rows, self.base + i.payload.neuron.c[slot:], advance)
        valid = Signal()
        held = Signal(i.payload.shape(), reset_less=True)
        m.d.comb += [advance.eq(~o.valid | o.ready), i.ready.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid.eq(i.valid),
                held.eq(i.payload),
                o.valid.eq(valid),
                o.payload.neuron.eq(held.neuron),
                o.payload.last.eq(held.last),
            ]
            for n in range(spec.slot):
                m.d.sync += o.payload.potentials[n].eq(held.potentials[n] + _signed(found[f"initial{n}"], spec.plan.bits))
                m.d.sync += o.payload.thetas[n].eq(found[f"theta{n}"])
        return m


def _signed(value: Value, bits: int) -> Value:
    """A value that was wrapped to so many bits."""
    return value.as_signed() if len(value) == bits else value
