"""The dispatcher: one request after the other is obeyed and answered; the gates of `spikeloom.link.device`."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2
from spikeloom.link import FailureCode, Kind, Statistics
from spikeloom.link.bodies import VERSION
from spikeloom.link.messages import LOAD_BYTES, READ_BYTES

from .crc import CRC_BITS, CRC_BYTES
from .receiver import header_layout
from .spec import BYTE_BITS, LinkSpec

KIND_BITS = BYTE_BITS // 2


class Dispatcher(wiring.Component):
    """Takes requests, feeds samples to the core, collects its results, and writes the replies.

    One request at a time. A byte of a sample takes three cycles and what the core stalls, one of a reply three
    and what the sender stalls. `identify` ends whatever is under way: the reply to it is the next one.

    Parameters
    ----------
    spec : LinkSpec

    Members
    -------
    i, position, byte, identify, sequence : the other side of those of `FrameReceiver`.
    o : Out(stream), bytes of replies, `last` marks the last of each.
    o_sample : Out(stream), bytes of samples.
    sent : In, bytes of the sample that have come.
    collect, done : Out(1), In(1), the other side of those of `ResultStore`.
    address, result : Out, In(8), of a byte of the result, and the byte, one cycle later.
    index, count : Out, In(8), of a byte of the statistics, and the byte.
    moves : In(1), the core moves on.
    clear : Out(1), reset the core and everything that holds a part of a sample; high for one cycle.
    forget : Out(1), clear the statistics; high for one cycle.
    begin : Out(1), a sample begins; high for one cycle.
    o_access, accessed, refused, crc : the other side of `i`, `done`, `refused` and `crc` of `MemoryAccess`; used only
        where the identity has memories.
    """

    def __init__(self, *, spec: LinkSpec) -> None:
        self.spec = spec
        identity = spec.identity
        super().__init__(
            {
                "i": In(stream.Signature(header_layout(spec))),
                "position": Out(spec.position_bits),
                "byte": In(BYTE_BITS),
                "identify": In(1),
                "sequence": In(BYTE_BITS),
                "o": Out(stream.Signature(data.StructLayout({"data": BYTE_BITS, "last": 1}))),
                "o_sample": Out(stream.Signature(BYTE_BITS)),
                "sent": In(range(identity.sample_bytes)),
                "collect": Out(1),
                "done": In(1),
                "address": Out(ceil_log2(identity.result_bytes)),
                "result": In(BYTE_BITS),
                "index": Out(ceil_log2(Statistics.FORMAT.size)),
                "count": In(BYTE_BITS),
                "moves": In(1),
                **{name: Out(1) for name in ("clear", "forget", "begin")},
                "o_access": Out(stream.Signature(data.StructLayout({"data": BYTE_BITS, "last": 1, "read": 1}))),
                **{"accessed": In(1), "refused": In(1), "crc": In(CRC_BITS)},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m, talk = Module(), Module()
        # What outlives an IDENTIFY is here, all else in `talk`, which it resets.
        self.open, self.greet = Signal(), Signal()
        self.expected, self.asked = Signal(BYTE_BITS), Signal(BYTE_BITS)
        self.take, self.advance, self.greeted, self.cleared = Signal(), Signal(), Signal(), Signal()
        with m.If(self.greeted):
            m.d.sync += self.greet.eq(0)
        with m.If(self.take):
            m.d.sync += self.asked.eq(self.i.payload.sequence)
        with m.If(self.advance):
            m.d.sync += self.expected.eq(self.i.payload.sequence + 1)
        with m.If(self.identify):
            m.d.sync += [self.open.eq(1), self.greet.eq(1)]
            m.d.sync += [self.asked.eq(self.sequence), self.expected.eq(self.sequence + 1)]
        m.d.comb += self.clear.eq(self.identify | self.cleared)
        self._talk(talk)
        m.submodules.talk = ResetInserter(self.identify)(talk)
        return m

    def _talk(self, m: Module) -> None:
        """One request after the other."""
        self.kind, self.code = Signal(KIND_BITS), Signal(KIND_BITS)  # of the reply
        self.place = Signal(self.spec.length_bits)  # in the payload of request or reply
        self.held, self.final, self.known_result = Signal(), Signal(), Signal()
        self.sent_then = Signal(range(self.spec.identity.sample_bytes + self.spec.identity.frame_bytes + 1))
        m.d.sync += self.sent_then.eq(self.sent + self.i.payload.length)  # behind the request that waits
        self.offset = Signal(READ_BYTES * BYTE_BITS)  # that READ asks for
        self.fetched, self.loaded = Signal(BYTE_BITS), Signal(self.o.payload.shape())
        m.d.comb += [self.position.eq(self.place), self.index.eq(self.place), self.o_sample.payload.eq(self.fetched)]
        m.d.comb += [self.o_access.payload.data.eq(self.fetched), self.o.payload.eq(self.loaded)]
        m.d.sync += self.i.ready.eq(0)  # for one cycle where a reply begins
        # found a cycle before they are looked at, when all that they depend on is there
        self.last, self.stale = Signal(), Signal()
        m.d.sync += self.last.eq(self.place + 1 == self.i.payload.length)
        m.d.sync += self.stale.eq(self.i.payload.sequence != self.expected)
        self.told, self.counted = Signal(BYTE_BITS), Signal(BYTE_BITS)  # of the place, late as out of a memory
        m.d.sync += self.counted.eq(self.count)
        if self.spec.told is None:
            m.d.sync += self.told.eq(Array(self.spec.identity.payload())[self.place])
        else:
            m.d.comb += self.told.eq(self._told(m, self.spec.told))
        expired = self._watch(m)
        with m.FSM(init="Await"):
            with m.State("Await"):
                m.d.sync += self.place.eq(0)
                with m.If(self.greet):
                    m.d.comb += self.greeted.eq(1)
                    self._answer(m, Kind.IDENTITY)
                with m.Elif(self.i.valid):
                    m.d.comb += self.take.eq(1)
                    m.d.sync += self.held.eq(1)
                    m.next = "Judge"
            with m.State("Judge"):
                self._judge(m)
            with m.State("Fetch"):
                m.next = "Load"
            with m.State("Load"):
                m.d.sync += self.fetched.eq(self.byte)
                m.next = "Take"
            with m.State("Take"):
                self._take_byte(m)
                with m.If(expired):
                    self._give_up(m)
            with m.State("Collect"):
                m.d.comb += [self.collect.eq(1), self.waiting.eq(1)]
                with m.If(self.done):
                    m.d.sync += [self.known_result.eq(1), self.address.eq(0)]
                    self._answer(m, Kind.RESULT)
                with m.Elif(expired):
                    self._give_up(m)
            with m.State("Access"):
                m.d.comb += self.waiting.eq(1)
                with m.If(self.accessed & self.refused):
                    self._fail(m, FailureCode.UNSUPPORTED)
                with m.Elif(self.accessed & (self.i.payload.kind == Kind.LOAD)):
                    self._answer(m, Kind.ACK)
                with m.Elif(self.accessed):
                    self._answer(m, Kind.CRC)
                with m.Elif(expired):
                    self._give_up(m)
            self._send(m)

    def _watch(self, m: Module) -> Signal:
        """The watchdog: high when something was waited for too long."""
        self.waiting, expired = Signal(), Signal()
        cycles = Signal(exact_log2(self.spec.identity.watchdog_cycles) + 1)
        m.d.comb += expired.eq(self.waiting & cycles[-1])
        m.d.sync += cycles.eq(cycles + 1)
        with m.If(~self.waiting | self.moves):
            m.d.sync += cycles.eq(0)
        return expired

    def _answer(self, m: Module, kind: Kind) -> None:
        m.d.sync += [self.kind.eq(kind), self.place.eq(0)]
        m.next = "LoadKind"

    def _fail(self, m: Module, code: FailureCode) -> None:
        m.d.sync += self.code.eq(code)
        self._answer(m, Kind.ERROR)

    def _give_up(self, m: Module) -> None:
        """The core does not move on."""
        m.d.comb += self.cleared.eq(1)
        m.d.sync += self.known_result.eq(0)
        self._fail(m, FailureCode.WATCHDOG)

    def refusals(self) -> tuple[tuple[Value, FailureCode], ...]:
        """What keeps a request from being looked at, whatever it is; the first one is told."""
        request = self.i.payload
        return (
            (~request.known, FailureCode.VERSION),
            (~self.open, FailureCode.CLOSED),
            (self.stale, FailureCode.SEQUENCE),
        )

    def _judge(self, m: Module) -> None:
        """What becomes of a request."""
        request, memories = self.i.payload, self.spec.identity.memories
        begun = self.sent != 0
        refused = Signal()
        for condition, code in reversed(self.refusals()):  # the first one counts
            with m.If(condition):
                m.d.comb += refused.eq(1)
                self._fail(m, code)
        with m.If(~refused):
            m.d.comb += self.advance.eq(1)
            with m.Switch(request.kind):
                with m.Case(Kind.RESET):
                    with m.If(request.length == 0):
                        m.d.comb += [self.cleared.eq(1), self.forget.eq(1)]
                        m.d.sync += self.known_result.eq(0)
                        self._answer(m, Kind.ACK)
                    with m.Else():
                        self._fail(m, FailureCode.LENGTH)
                with m.Case(Kind.STATISTICS):
                    with m.If(request.length == 0):
                        self._answer(m, Kind.COUNTS)
                    with m.Else():
                        self._fail(m, FailureCode.LENGTH)
                with m.Case(Kind.SAMPLE):
                    fine = (request.length != 0) & (self.sent_then <= self.spec.identity.sample_bytes)
                    m.d.comb += self.begin.eq(fine & ~begun)
                    m.d.sync += self.final.eq(self.sent_then == self.spec.identity.sample_bytes)
                    self._fetch(m, fine)
                with m.Case(Kind.READ):
                    self._fetch(m, request.length == READ_BYTES)
                for kind, fine in ((Kind.LOAD, request.length > LOAD_BYTES), (Kind.CHECKSUM, request.length == 1)):
                    with m.Case(kind):
                        if memories:
                            self._fetch(m, fine)
                            with m.If(fine & begun):
                                self._fail(m, FailureCode.BUSY)
                        else:
                            self._fail(m, FailureCode.UNSUPPORTED)
                with m.Case(Kind.IDENTIFY):
                    self._fail(m, FailureCode.LENGTH)
                with m.Default():
                    self._fail(m, FailureCode.KIND)

    def _fetch(self, m: Module, fine: Any) -> None:
        """Go through the payload, if its length is one that may be."""
        with m.If(fine):
            m.next = "Fetch"
        with m.Else():
            self._fail(m, FailureCode.LENGTH)

    def _take_byte(self, m: Module) -> None:
        """A byte of the payload goes where it belongs."""
        request, access = self.i.payload, self.o_access.payload
        sample, read = request.kind == Kind.SAMPLE, request.kind == Kind.READ
        taken = Signal()
        m.d.comb += [
            self.waiting.eq(1),
            self.o_sample.valid.eq(sample),
            self.o_access.valid.eq(~sample & ~read),
            access.last.eq(self.last),
            access.read.eq(request.kind == Kind.CHECKSUM),
            taken.eq(Mux(sample, self.o_sample.ready, read | self.o_access.ready)),
        ]
        with m.If(taken):
            m.d.sync += [self.place.eq(self.place + 1), self.offset.eq(Cat(self.offset, self.fetched)[BYTE_BITS:])]
            with m.If(~self.last):
                m.next = "Fetch"
            with m.Elif(read):
                m.next = "Look"
            with m.Elif(~sample):
                m.next = "Access"
            with m.Elif(self.final):
                m.d.sync += self.known_result.eq(0)
                m.next = "Collect"
            with m.Else():
                self._answer(m, Kind.ACK)

    def _send(self, m: Module) -> None:
        """The reply."""
        reply = self.o.payload
        with m.State("Look"):  # where in the result READ wants to begin
            m.d.sync += self.address.eq(self.offset)
            with m.If(self.offset >= self.spec.identity.result_bytes):
                self._fail(m, FailureCode.LENGTH)
            with m.Elif(~self.known_result):
                self._fail(m, FailureCode.NO_RESULT)
            with m.Else():
                self._answer(m, Kind.RESULT)
        with m.State("LoadKind"):
            m.d.sync += [self.loaded.data.eq(self.kind | VERSION << KIND_BITS), self.loaded.last.eq(0)]
            m.next = "SendKind"
        with m.State("SendKind"):
            m.d.comb += self.o.valid.eq(1)
            with m.If(self.o.ready):
                m.d.sync += [self.i.ready.eq(self.held), self.held.eq(0)]
                m.d.sync += [self.loaded.data.eq(self.asked), self.loaded.last.eq(self.kind == Kind.ACK)]
                m.next = "SendSequence"
        with m.State("SendSequence"):
            m.d.comb += self.o.valid.eq(1)
            with m.If(self.o.ready):
                m.next = "FetchReply"
                with m.If(reply.last):
                    m.next = "Await"
        with m.State("FetchReply"):
            m.next = "LoadReply"
        with m.State("LoadReply"):
            self._load_reply(m)
            m.next = "SendPayload"
        with m.State("SendPayload"):
            m.d.comb += self.o.valid.eq(1)
            with m.If(self.o.ready):
                m.d.sync += [self.place.eq(self.place + 1), self.address.eq(self.address + 1)]
                m.next = "FetchReply"
                with m.If(reply.last):
                    m.next = "Await"

    def _load_reply(self, m: Module) -> None:
        """A byte of the reply's payload, which has had a cycle to come out of its memory."""
        identity, loaded = self.spec.identity, self.loaded
        with m.Switch(self.kind):
            with m.Case(Kind.IDENTITY):
                m.d.sync += [loaded.data.eq(self.told), loaded.last.eq(self.place == len(identity.payload()) - 1)]
            with m.Case(Kind.RESULT):
                ends = (self.address == identity.result_bytes - 1) | (self.place == identity.frame_bytes - 1)
                m.d.sync += [loaded.data.eq(self.result), loaded.last.eq(ends)]
            with m.Case(Kind.COUNTS):
                m.d.sync += [loaded.data.eq(self.counted), loaded.last.eq(self.place == Statistics.FORMAT.size - 1)]
            with m.Case(Kind.CRC):
                byte = self.crc.word_select(self.place[: ceil_log2(CRC_BYTES)], BYTE_BITS)
                m.d.sync += [loaded.data.eq(byte), loaded.last.eq(self.place == CRC_BYTES - 1)]
            with m.Case(Kind.ERROR):
                expected = Mux(self.open, self.expected, self.asked)
                m.d.sync += [loaded.data.eq(Mux(self.place == 0, self.code, expected)), loaded.last.eq(self.place == 1)]

    def _told(self, m: Module, contents: bytes) -> Value:
        """The byte at `place`, which is read while the reply is fetched."""
        m.submodules.identity = memory = Memory(
            shape=BYTE_BITS, depth=len(contents), init=contents, attrs={"ram_style": "block"}
        )
        read = memory.read_port()
        m.d.comb += read.addr.eq(self.place)
        return read.data
