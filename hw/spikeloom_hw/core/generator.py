"""The generator: the integrate-and-fire units that turn accumulated potentials into spike trains."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from spikeloom import Neuron
from spikeloom.bounds import potential_bounds

from .codes import minimal
from .layouts import biased_layout, row_layout, train_layout
from .spec import CoreSpec


class Generator(wiring.Component):
    """Fires all time steps of a neuron in a pipeline: clamp, then T times (compare, subtract theta, grow).

    For growth 2 this is a restoring division by theta, so any integer threshold requantises exactly; growth 1 is a
    plain IF neuron. A layer with fewer steps than the pipeline has passes the last ones unchanged.

    Latency T + 1 cycles; one slot of `generate_width` neurons a cycle; the whole pipeline waits while `o` is stalled
    with something to say. Slots without a spike are dropped unless they are the last of a sample, or announced.

    Ref: SpikeConverter, Algorithm 1 (phase II), Eq. 10.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), see `biased_layout`; where potentials have signs, their spikes and remainders have them too.
    digits : In, time steps of the layer, less one; constant while a layer is generated, as are the next ones.
    binary : In(1), it has growth 2.
    announce : In(1), a silent slot at the start of a word of `announced_channels` is not dropped.
    minimal : In(1), the layer's trains are sent in minimal-weight code.
    o : Out(stream), trains, see `train_layout`.
    retire : Out(1), a slot leaves the pipeline, silent ones too.
    remainder : Out, its potentials after the last reset.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        plan = spec.plan
        self.steps = spec.fired_steps
        self.layers = sorted({spec.generated(item) for item in spec.firing})  # time steps, growth 2 or not
        super().__init__(
            {
                "i": In(
                    stream.Signature(
                        biased_layout(plan.bits, plan.generate_width, spec.scanned_shape, signs=spec.integrates)
                    )
                ),
                "digits": In(max(1, (self.steps - 1).bit_length())),
                "binary": In(1),
                "announce": In(1),
                "minimal": In(1),
                "o": Out(
                    stream.Signature(
                        train_layout(
                            spec.queued_digits, plan.generate_width, spec.sent_shape, signed=spec.queues_signed
                        )
                    )
                ),
                "retire": Out(1),
                "remainder": Out(row_layout(plan.bits, plan.generate_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, plan = self.spec, self.spec.plan
        advance = Signal()

        def register(name: str, values: list[Value], **options: bool) -> list[Value]:
            held = [Signal(value.shape(), name=f"{name}_{n}", **options) for n, value in enumerate(values)]
            with m.If(advance):
                m.d.sync += [signal.eq(value) for signal, value in zip(held, values, strict=True)]
            return list(held)

        payload = self.i.payload
        thetas: list[Value] = [payload.thetas[n] for n in range(plan.generate_width)]
        (valid,) = register("clamp_valid", [self.i.valid])
        tag: Value
        signs = payload.signs if spec.integrates else Const(0, plan.generate_width)
        tag = Cat(payload.last, payload.neuron.as_value(), signs)
        tag, *thetas = register("clamp_theta", [tag, *thetas], reset_less=True)
        clamped = [self._clamp(payload.potentials[n], payload.thetas[n]) for n in range(plan.generate_width)]
        potentials = register("clamp", clamped, reset_less=True)
        trains: list[Value] = []
        for step in range(self.steps):
            fired = []
            active = self._active(step)
            for n, (potential, theta) in enumerate(zip(potentials, thetas, strict=True)):
                difference = Signal(plan.bits + 1, name=f"difference{step}_{n}")
                m.d.comb += difference.eq(potential - theta)
                fire = ~difference[-1] & active
                left = Mux(fire, difference[:-1], potential)[: plan.bits]
                fired.append(fire)
                potentials[n] = self._grow(left, step)
            spikes = Cat(*trains, *fired)
            if step == self.steps - 1:
                announced = self.announce & self._word_start(tag)
                (speaks,) = register("speaks", [valid & (spikes.any() | tag[0] | announced)])
            (valid,) = register(f"step{step}_valid", [valid])
            last = step == self.steps - 1
            tag, train, *potentials = register(f"step{step}", [tag, spikes, *potentials], reset_less=True)
            thetas = [] if last else register(f"theta{step}", thetas, reset_less=True)
            trains = [train]
        o = self.o.payload
        neuron, came = Signal(payload.neuron.shape()), Signal(plan.generate_width)
        m.d.comb += [
            self.o.valid.eq(speaks),
            o.spikes.eq(trains[0] if not spec.queues_signed else self._send(m, trains[0], came)),
            Cat(o.last, neuron.as_value(), came).eq(tag),
            o.neuron.c.eq(neuron.c),
            o.neuron.y.eq(neuron.y),
            o.neuron.x.eq(neuron.x),
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance),
            self.retire.eq(valid & advance),
            *(
                self.remainder[n].eq(Mux(came[n], -left, left) if spec.integrates else left)
                for n, left in enumerate(potentials)
            ),
        ]
        return m

    def _send(self, m: Module, train: Value, came: Value) -> Value:
        """Spikes of the train that is sent where some of them are negative; drives the signs."""
        width, digits = self.spec.plan.generate_width, self.spec.queued_digits
        spikes: list[list[Value]] = []
        signs: list[list[Value]] = []
        for n in range(width):
            fired = [train[step * width + n] for step in range(self.steps)]
            # a shorter train's code comes shifted up, and so do its digits
            plus, minus = minimal(Cat(*reversed(fired)))
            none = [Const(0, 1)] * digits
            both = [*((plus | minus)[bit] for bit in reversed(range(self.steps + 1))), *none]
            down = [*(minus[bit] for bit in reversed(range(self.steps + 1))), *none]
            plain = [*fired, *none]
            spikes.append([Mux(self.minimal, both[t], plain[t]) for t in range(digits)])
            signs.append([Mux(self.minimal, down[t], plain[t] & came[n]) for t in range(digits)])
        m.d.comb += self.o.payload.negatives.eq(Cat(*(sign[t] for t in range(digits) for sign in signs)))
        return Cat(*(spike[t] for t in range(digits) for spike in spikes))

    def _word_start(self, tag: Value) -> Value:
        """Whether a slot is the first of a word of the receiver's store."""
        if not self.spec.announces_any:
            return Const(0, 1)
        channel = tag[1 : 1 + len(self.i.payload.neuron.c)]
        return channel[: (self.spec.announced_channels - 1).bit_length()] == 0

    def _active(self, step: int) -> Value:
        """Whether the present layer still fires at this time step."""
        return Const(1, 1) if all(step < digits for digits, _ in self.layers) else self.digits >= step

    def _clamp(self, potential: Value, theta: Value) -> Value:
        """Clamp to [0, ceiling*theta]; the upper end only where the proven bound can reach it."""
        bits = self.spec.plan.bits
        positive = Mux(potential.as_signed()[-1], 0, potential.as_unsigned()[: bits - 1])
        bounds = potential_bounds(self.spec.network)
        if (
            not self.spec.integrates
            and self.spec.plan.contents == "fixed"
            and all(
                (bounds[item.name][1] <= item.neuron.ceiling * item.neuron.theta[0]).all()
                for item in self.spec.firing
                if isinstance(item.neuron, Neuron)
            )
        ):
            return positive[: bits - 1]
        ceiling = self._ceiling(theta)
        over = (potential.as_signed() - ceiling) > 0
        return Mux(over, ceiling, positive)[: bits - 1]

    def _ceiling(self, theta: Value) -> Value:
        bits = self.spec.plan.bits
        factors = {max(2, digits) for digits, doubles in self.layers if not doubles}
        ceiling = (theta << 1)[: bits - 1]
        for factor in factors:  # of growth 1: as many thresholds as time steps
            chosen = ~self.binary & (self.digits == factor - 1) if factor > 2 else Const(0, 1)
            ceiling = Mux(chosen, (theta * factor)[: bits - 1], ceiling)
        return ceiling

    def _grow(self, potential: Value, step: int) -> Value:
        """Growth after a time step: doubled, but not after the layer's last step."""
        grows = [doubles and step < digits - 1 for digits, doubles in self.layers]
        if not any(grows):
            return potential
        doubled = (potential << 1)[: self.spec.plan.bits]
        return doubled if all(grows) else Mux(self.binary & (self.digits > step), doubled, potential)
