"""The link as a whole: bytes of a line on one side, the streams of a core on the other."""

from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..core.layouts import event_layout, potential_layout
from .dispatcher import Dispatcher
from .feeder import SampleFeeder
from .memories import MemoryAccess, load_ports
from .receiver import FrameReceiver
from .results import ResultStore
from .sender import FrameSender
from .spec import BYTE_BITS, LinkSpec
from .statistics import LOSSES, Counters


def core_signature(spec: LinkSpec) -> wiring.Signature:
    """Ports of a core: the streams of the generated design, and `clear`, which resets it; see `load_ports`, too."""
    identity = spec.identity
    negative = identity.code_signed or spec.code == "naf"
    return wiring.Signature(
        {
            "clear": In(1),
            "i": In(stream.Signature(event_layout(identity.neurons, spec.digits, negative=negative))),
            "o": Out(stream.Signature(potential_layout(identity.potential_bits))),
            "o_class": Out(stream.Signature(identity.class_bits)),
            **(load_ports() if identity.memories else {}),
        }
    )


class LinkDevice(wiring.Component):
    """A core's end of the link, the gates of `spikeloom.link.Device`.

    Frames are taken while others are obeyed and answered, one at a time. A byte from the line in nine cycles, a byte of
    a sample in four cycles and those of its events, a byte to the line in twelve cycles; so that a serial line of four
    cycles a bit, 40 a byte, is kept busy both ways. `i` never stalls for longer than that.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    i : In(stream), bytes of the line.
    line_error : In(1), high for one cycle where the line lost a byte.
    o : Out(stream), bytes for the line.
    last_class : Out, class of the last sample.
    core : the other side of a core, see `core_signature`.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        super().__init__(
            {
                "i": In(stream.Signature(BYTE_BITS)),
                "line_error": In(1),
                "o": Out(stream.Signature(BYTE_BITS)),
                "last_class": Out(spec.identity.class_bits),
                "core": In(core_signature(spec)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec, core = self.spec, flipped(self.core)
        clear = Signal()
        m.submodules.receiver = receiver = FrameReceiver(spec=spec)
        m.submodules.sender = sender = FrameSender(spec=spec)
        m.submodules.dispatcher = talk = Dispatcher(spec=spec)
        m.submodules.counters = counters = Counters(spec=spec)
        feeder, results = SampleFeeder(spec=spec), ResultStore(spec=spec)
        m.submodules.feeder = ResetInserter(clear)(feeder)
        m.submodules.results = ResetInserter(clear)(results)
        connect(m, flipped(self.i), receiver.i)
        connect(m, receiver.o, talk.i)
        connect(m, talk.o, sender.i)
        connect(m, sender.o, flipped(self.o))
        connect(m, talk.o_sample, feeder.i)
        connect(m, feeder.o, core.i)
        connect(m, core.o, results.i_potential)
        connect(m, core.o_class, results.i_class)
        # a cycle late, for the clock's sake: what comes next begins later still
        m.d.sync += [clear.eq(talk.clear), sender.drop.eq(receiver.identify)]
        moves = feeder.o.valid & feeder.o.ready | results.moves
        if spec.identity.memories:
            access = MemoryAccess()
            m.submodules.access = ResetInserter(clear)(access)
            connect(m, talk.o_access, access.i)
            connect(m, access.o_load, core.i_load)
            connect(m, core.o_load, access.i_load)
            m.d.comb += [talk.accessed.eq(access.done), talk.refused.eq(access.refused), talk.crc.eq(access.crc)]
            moves |= access.moves
        m.d.comb += [
            receiver.line_error.eq(self.line_error),
            receiver.position.eq(talk.position),
            talk.byte.eq(receiver.byte),
            talk.identify.eq(receiver.identify),
            talk.sequence.eq(receiver.sequence),
            core.clear.eq(talk.clear),
            talk.sent.eq(feeder.sent),
            results.collect.eq(talk.collect),
            results.address.eq(talk.address),
            talk.done.eq(results.done),
            talk.result.eq(results.byte),
            talk.moves.eq(moves),
            counters.clear.eq(talk.forget),
            counters.begin.eq(talk.begin),
            counters.finish.eq(results.done),
            counters.abort.eq(talk.clear),
            counters.event.eq(feeder.o.valid & feeder.o.ready & ~feeder.o.payload.end),
            counters.index.eq(talk.index),
            talk.count.eq(counters.byte),
            self.last_class.eq(results.last_class),
            *(getattr(counters, name).eq(getattr(receiver, name)) for name in LOSSES),
        ]
        return m
