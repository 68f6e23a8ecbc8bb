"""The chain: one core a layer, connected by spike streams; the top of every generated design."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect
from spikeloom import Dense, DoesNotFit
from spikeloom.program.parameters import parameter_memories
from spikeloom.program.program import Program
from spikeloom.windows import SINGLE

from .core import Core, input_layout
from .decoder import EventDecoder
from .inbox import Inbox
from .layouts import access_layout, answer_layout, event_layout
from .loading import LoadBus, Loader, any_of
from .spec import CoreSpec

MOST_MEMORIES = 255  # that can be loaded: their number is a byte, and there is one more for the identity


def core_specs(program: Program) -> tuple[CoreSpec, ...]:
    """Specifications of the cores of a program, in the order of the chain.

    Raises
    ------
    DoesNotFit
        A core cannot store what the one before it sends, or there are more memories to load than have numbers.
    """
    network, specs = program.network, []
    memories = parameter_memories(network, program.cores) if program.contents == "loadable" else ()
    bus, memory = LoadBus(memories) if memories else None, 0
    if len(memories) > MOST_MEMORIES:
        raise DoesNotFit(
            f"Network '{network.name}': must have at most {MOST_MEMORIES} memories that can be loaded, not "
            f"{len(memories)}; use fewer cores"
        )
    for position, plan in enumerate(program.cores):
        stores = any(item.source == plan.source for item in plan.stored)
        incoming = network.incoming(plan.layers[0].population)
        plain = all(isinstance(item.geometry, Dense) and item.geometry.windows == SINGLE for item in incoming)
        following = program.cores[position + 1] if position + 1 < len(program.cores) else None
        heard = following is not None and any(item.source == following.source for item in following.stored)
        announce = following.store_width if following and heard else 0
        if announce and (plan.width % announce or announce % plan.generate_width):
            raise DoesNotFit(
                f"Core '{plan.name}': {announce} codes, a word of the next core's store, must be a part of its width "
                f"and whole slots, not of {plan.width} lanes and {plan.generate_width} a slot; "
                "use `spikeloom.placing.place.agreed`"
            )
        specs.append(CoreSpec(network, plan, position == 0 and plain and not stores, announce, bus, memory))
        memory += plan.grid[0] + 1
    return tuple(specs)


class Chain(wiring.Component):
    """A whole network: events of samples in, readout potentials and classes out.

    Every core works on another sample, so the busiest one sets the pace. Where it pays, a train waits before a core.

    Parameters
    ----------
    program : Program

    Members
    -------
    i : In(stream), input events in any order within a sample, each sample closed by an end mark; `event_layout`.
    o : Out(stream), potentials of the readout in order of address; `potential_layout`.
    o_class : Out(stream), index of the largest potential of each sample; ties go to the lowest index.
    i_load, o_load : In(stream), Out(stream), where parameters can be loaded, between samples: see `Loader`.
    """

    def __init__(self, *, program: Program) -> None:
        self.program = program
        source = program.network.inputs[0]
        channels, height, width = source.shape
        self.specs = core_specs(program)
        self.cores = tuple(Core(spec=spec) for spec in self.specs)
        self.timesteps = self.specs[0].digits(source.name)
        self.negative = self.specs[0].signed_train(source.name)
        loads = {"i_load": In(stream.Signature(access_layout())), "o_load": Out(stream.Signature(answer_layout()))}
        super().__init__(
            {
                **(loads if self.specs[0].bus else {}),
                "i": In(
                    stream.Signature(event_layout(channels * height * width, self.timesteps, negative=self.negative))
                ),
                "o": Out(stream.Signature(self.cores[-1].o.payload.shape())),
                "o_class": Out(stream.Signature(self.cores[-1].o_class.payload.shape())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first = self.specs[0]
        m.submodules.decoder = decoder = EventDecoder(
            shape=first.source_shape, timesteps=self.timesteps, negative=self.negative
        )
        connect(m, wiring.flipped(self.i), decoder.i)
        events: stream.Interface = decoder.o
        for spec, core in zip(self.specs, self.cores, strict=True):
            m.submodules[spec.plan.name] = core
            taken = core.i
            if spec.plan.inbox:
                m.submodules[f"{spec.plan.name}_inbox"] = inbox = Inbox(spec=spec)
                connect(m, inbox.o, core.i)
                taken = inbox.i
            m.d.comb += [taken.valid.eq(events.valid), events.ready.eq(taken.ready)]
            m.d.comb += [taken.payload[name].eq(events.payload[name]) for name, _ in input_layout(spec)]
            events = core.o
        if first.bus:
            m.submodules.loader = loader = Loader(bus=first.bus)
            connect(m, wiring.flipped(self.i_load), loader.i)
            connect(m, loader.o, wiring.flipped(self.o_load))
            m.d.comb += loader.loaded.eq(any_of([core.loaded for core in self.cores]))
            m.d.comb += [core.bus.eq(loader.o_bus) for core in self.cores]
        connect(m, events, wiring.flipped(self.o))
        connect(m, self.cores[-1].o_class, wiring.flipped(self.o_class))
        return m
