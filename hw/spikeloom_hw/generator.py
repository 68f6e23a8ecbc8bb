"""The generator: the integrate-and-fire units that turn accumulated potentials into spike trains."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from spikeloom.bounds import potential_bounds

from .banks import rom_image
from .layouts import row_layout, slot_layout, train_layout
from .spec import CoreSpec


class Generator(wiring.Component):
    """Fires all time steps of a neuron in a pipeline: clamp, then T times (compare, subtract theta, grow).

    For growth 2 this is a restoring division by theta, so any integer threshold requantises exactly; growth 1 is a
    plain IF neuron, 1 + 2^-s an iLIF neuron with an arithmetic shift.

    Latency T + 2 cycles; one slot of `generate_width` neurons a cycle; the whole pipeline waits while `o` is stalled
    with something to say. Slots without a spike are dropped unless they are the last of a sample.

    Ref: SpikeConverter, Algorithm 1 (phase II), Eq. 10.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), potentials in scan order, see `slot_layout`.
    o : Out(stream), trains, see `train_layout`.
    retire : Out(1), a slot leaves the pipeline, silent ones too.
    remainder : Out, its potentials after the last reset.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        plan = spec.plan
        super().__init__(
            {
                "i": In(stream.Signature(slot_layout(plan.bits, plan.generate_width))),
                "o": Out(stream.Signature(train_layout(spec.neuron.timesteps, plan.generate_width))),
                "retire": Out(1),
                "remainder": Out(row_layout(plan.bits, plan.generate_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        neuron = self.spec.neuron
        advance = Signal()
        valid, last = self.i.valid, self.i.payload.last
        potentials: list[Value] = [self.i.payload.potentials[n] for n in range(self.spec.plan.generate_width)]

        def register(name: str, values: list[Value]) -> list[Value]:
            held = [Signal(value.shape(), name=f"{name}_{n}", reset_less=True) for n, value in enumerate(values)]
            with m.If(advance):
                m.d.sync += [signal.eq(value) for signal, value in zip(held, values, strict=True)]
            return list(held)

        def flag(name: str, value: Value) -> Value:
            held = Signal(name=name)
            with m.If(advance):
                m.d.sync += held.eq(value)
            return held

        valid = flag("fetch_valid", valid)
        last, *potentials = register("fetch", [last, *potentials])
        thetas = self._thetas(m, self.i.valid & self.i.ready, advance)
        clamped = [self._clamp(potential, theta) for potential, theta in zip(potentials, thetas, strict=True)]
        valid = flag("clamp_valid", valid)
        last, *potentials = register("clamp", [last, *clamped])

        trains: list[Value] = []
        for step in range(neuron.timesteps):
            thetas = [
                theta if isinstance(theta, Const) else register(f"theta{step}_{n}", [theta])[0]
                for n, theta in enumerate(thetas)
            ]
            fired = []
            for n, (potential, theta) in enumerate(zip(potentials, thetas, strict=True)):
                difference = Signal(self.spec.plan.bits + 1, name=f"difference{step}_{n}")
                m.d.comb += difference.eq(potential - theta)
                fire = ~difference[-1]
                left = Mux(fire, difference[:-1], potential)[: self.spec.plan.bits]
                fired.append(fire)
                potentials[n] = left if step == neuron.timesteps - 1 else self._grow(left)
            spikes = Cat(*trains, *fired)
            if step == neuron.timesteps - 1:
                speaks = flag("speaks", valid & (spikes.any() | last))
            valid = flag(f"step{step}_valid", valid)
            last, train, *potentials = register(f"step{step}", [last, spikes, *potentials])
            trains = [train]

        m.d.comb += [
            self.o.valid.eq(speaks),
            self.o.payload.spikes.eq(trains[0]),
            self.o.payload.last.eq(last),
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance),
            self.retire.eq(valid & advance),
            *(self.remainder[n].eq(potential) for n, potential in enumerate(potentials)),
        ]
        return m

    def _thetas(self, m: Module, take: Value, advance: Value) -> list[Value]:
        """Thresholds of the slot taken last: constants, or a memory in scan order of the channels."""
        words, bits = self.spec.theta_words, self.spec.plan.bits - 1
        real = self.spec.neuron.theta[0]
        if (real == real[0]).all():
            return [Const(int(real[0]), bits)] * words.shape[1]
        m.submodules.theta = memory = Memory(
            shape=data.ArrayLayout(bits, words.shape[1]), depth=len(words), init=rom_image(words)
        )
        read = memory.read_port()
        slot = Signal(range(len(words)))
        with m.If(take):
            m.d.sync += slot.eq(Mux(slot == len(words) - 1, 0, slot + 1))
        m.d.comb += [read.addr.eq(slot), read.en.eq(advance)]
        return [Value.cast(read.data[n]) for n in range(words.shape[1])]

    def _clamp(self, potential: Value, theta: Value) -> Value:
        """Clamp to [0, ceiling*theta]; the upper end only where the proven bound can reach it."""
        neuron, bits = self.spec.neuron, self.spec.plan.bits
        high = potential_bounds(self.spec.network)[self.spec.plan.population][1]
        positive = Mux(potential.as_signed()[-1], 0, potential.as_unsigned()[: bits - 1])
        if (high <= neuron.ceiling * neuron.theta[0]).all():
            return positive[: bits - 1]
        ceiling = (theta * neuron.ceiling)[: bits - 1]
        over = (potential.as_signed() - ceiling) > 0
        return Mux(over, ceiling, positive)[: bits - 1]

    def _grow(self, potential: Value) -> Value:
        shift = self.spec.growth_shift
        if shift is None:
            return potential
        grown = potential << 1 if shift == 0 else potential + (potential >> shift)
        return grown[: self.spec.plan.bits]
