"""One core: the lanes accumulate a sample into one bank while the generator empties the other into events."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from .banks import potential_banks
from .generator import Generator
from .lanes import Lanes
from .layouts import class_bits, potential_layout, row_layout, spike_layout
from .queue import EventQueue
from .readout import ReadoutUnit
from .spec import CoreSpec
from .walker import Walker


class Core(wiring.Component):
    """A layer in gates: events in, events (or readout potentials) out.

    `i` -> walker -> lanes -> banks -> generator -> queue -> `o`. Throughput one row of `lanes` SOPs a cycle; zeros
    cost nothing. A sample ends with an end mark; then the banks swap as soon as the generator has emptied the other
    one (about six cycles in all), and the next sample accumulates while this one is generated. After reset a core
    with several rows initialises its banks first, rows + 2 cycles.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), events of the source, see `spike_layout`.
    o : Out(stream), events of the population; a readout sends potentials (`potential_layout`) instead.
    o_class : Out(stream), readouts only: index of the largest potential.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        self.fires = spec.plan.generate_width > 0
        shape, plan = spec.population.shape, spec.plan
        ports = {"i": In(stream.Signature(spike_layout(spec.source_shape, spec.source_timesteps)))}
        if self.fires:
            ports["o"] = Out(stream.Signature(spike_layout(shape, spec.neuron.timesteps)))
        else:
            ports["o"] = Out(stream.Signature(potential_layout(plan.bits)))
            ports["o_class"] = Out(stream.Signature(class_bits(shape[0])))
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, plan = self.spec, self.spec.plan
        m.submodules.walker = walker = Walker(spec=spec)
        m.submodules.lanes = lanes = Lanes(spec=spec, shifts=walker.shifts)
        m.submodules.banks = banks = potential_banks(spec, plan.generate_width or 1)
        # Benches observe these by name; `keep` preserves it in the Verilog, synthesis drops what nothing reads.
        keep = {"keep": 1}
        probe_swap = Signal(attrs=keep)
        probe_filled = Signal(attrs=keep)
        swap = walker.finish & ~banks.busy
        m.d.comb += [
            probe_swap.eq(swap),
            probe_filled.eq(banks.filled),
            walker.swap.eq(swap),
            banks.swap.eq(swap),
            walker.hold.eq(banks.clearing),
            lanes.weight_row.eq(walker.weight_row),
            lanes.shift.eq(walker.shift),
            banks.addends.eq(lanes.addends),
        ]
        # the weights take a cycle longer than the potentials
        m.d.sync += [banks.valid.eq(walker.valid), banks.row.eq(walker.row)]
        connect(m, wiring.flipped(self.i), walker.i)
        if not self.fires:
            m.submodules.readout = readout = ReadoutUnit(spec=spec)
            connect(m, banks.o, readout.i)
            connect(m, readout.o, wiring.flipped(self.o))
            connect(m, readout.o_class, wiring.flipped(self.o_class))
            return m
        m.submodules.generator = generator = Generator(spec=spec)
        m.submodules.queue = queue = EventQueue(spec=spec)
        probe_retire = Signal(attrs=keep)
        probe_remainder = Signal(row_layout(plan.bits, plan.generate_width), attrs=keep)
        probe_spike_valid = Signal(attrs=keep)
        probe_spike_ready = Signal(attrs=keep)
        probe_spike_payload = Signal(self.o.payload.shape(), attrs=keep)
        m.d.comb += [
            probe_retire.eq(generator.retire),
            probe_remainder.eq(generator.remainder),
            queue.skip.eq(generator.retire),
            probe_spike_valid.eq(self.o.valid),
            probe_spike_ready.eq(self.o.ready),
            probe_spike_payload.eq(self.o.payload),
        ]
        connect(m, banks.o, generator.i)
        connect(m, generator.o, queue.i)
        connect(m, queue.o, wiring.flipped(self.o))
        return m
