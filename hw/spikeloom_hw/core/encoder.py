"""The encoder: a stream of pixels becomes the events of their trains, one a cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2, exact_log2

from .codes import train_of
from .expander import Expander, word_layout
from .layouts import event_layout, pixel_layout

PIXEL_BITS = 8
MAX_TIMESTEPS = 16
LEAST_DEPTH = 4


class PixelEncoder(wiring.Component):
    """Codes pixels as growth-2 trains and sends their spikes as events; the gates of `spikeloom.encoding.encode`.

    A pixel p of `bits` bits, eight as a rule, has the code p >> (bits-T), or p << (T-bits) where there are more time
    steps; a signed one has T+1 bits, its code in two's complement (the least value counts as 0). Words of pixels
    without a spike are dropped before the queue, so that the scan runs ahead of the lanes, across the end of a sample,
    too. A word a cycle while the queue has room; an event a cycle, no bubble while the queue holds a word. Latency four
    cycles from the first word with a spike. `o` may stall at any time; `i` stalls while the queue is full. Events of a
    word are sent by time step, then by address; the end mark takes a cycle of its own.

    Parameters
    ----------
    neurons : pixels of a sample, C*H*W.
    timesteps : T, 1..16.
    code : "plain", T bits, most significant first, or "naf", their minimal-weight code of T+1 digits.
    pixels : in a word.
    depth : words with spikes that the queue holds, at least 4; or 0: no queue, and two cycles more a word with spikes.
    bits : of a pixel.
    signed : pixels have a sign; with code "plain" only.

    Members
    -------
    i : In(stream), ceil(neurons/pixels) words a sample in order of address, see `pixel_layout`; pixels of the last
        word that are beyond the sample do not count.
    o : Out(stream), events, see `event_layout`: with the sign in minimal-weight code. The address of an end mark says
        nothing.

    Raises
    ------
    ValueError
        Naming every parameter that is out of range.
    """

    def __init__(
        self,
        *,
        neurons: int,
        timesteps: int,
        code: str = "plain",
        pixels: int = 4,
        depth: int = 32,
        bits: int = PIXEL_BITS,
        signed: bool = False,
    ) -> None:
        _check(neurons, timesteps, code, pixels, depth, bits, signed)
        self.neurons, self.timesteps, self.code, self.pixels, self.depth = neurons, timesteps, code, pixels, depth
        self.bits, self.signs = bits, signed  # of pixels
        self.signed = signed or code == "naf"  # events
        self.digits = timesteps + (code == "naf")
        super().__init__(
            {
                "i": In(stream.Signature(pixel_layout(bits, pixels))),
                "o": Out(stream.Signature(event_layout(neurons, self.digits, negative=self.signed))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # the lowest bits of a word's address are known where a word has a power of two of pixels
        known = exact_log2(self.pixels) if self.pixels & (self.pixels - 1) == 0 else 0
        first = Signal(ceil_log2(self.neurons))
        tag = first[known:]
        layout = word_layout(self.digits, self.pixels, len(tag), signed=self.signed)
        m.submodules.expander = expander = Expander(
            digits=self.digits, width=self.pixels, tag=len(tag), signed=self.signed
        )
        coded = Signal(layout)
        spikes, negatives = self._trains()
        m.d.comb += [coded.spikes.eq(spikes), coded.tag.eq(tag), coded.last.eq(self.i.payload.last)]
        if self.signed:
            m.d.comb += coded.negatives.eq(negatives)
        (self._queue if self.depth else self._direct)(m, coded, expander)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += first.eq(first + self.pixels)
            with m.If(self.i.payload.last):
                m.d.sync += first.eq(0)
        event, sent = self.o.payload, expander.o.payload
        address = Cat(sent.neuron, sent.tag) if known == len(sent.neuron) else sent.neuron + sent.tag
        m.d.comb += [
            self.o.valid.eq(expander.o.valid),
            expander.o.ready.eq(self.o.ready),
            event.address.eq(address),
            event.step.eq(sent.step),
            event.end.eq(sent.end),
        ]
        if self.signed:
            m.d.comb += event.negative.eq(sent.negative)
        return m

    def _queue(self, m: Module, coded: Signal, expander: Expander) -> None:
        """Words with spikes wait between scan and expander."""
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=coded.shape().size, depth=self.depth)
        word = Signal(coded.shape())
        came, room = Signal(), Signal()
        # `room` is a register: two words may be on their way when the queue fills up
        m.d.sync += [room.eq(fifo.level <= self.depth - 3), came.eq(self.i.valid & room), word.eq(coded)]
        m.d.comb += [
            self.i.ready.eq(room),
            fifo.w_data.eq(word),
            fifo.w_en.eq(came & ((word.spikes != 0) | word.last)),
            expander.i.payload.as_value().eq(fifo.r_data),
            expander.i.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(expander.i.ready),
        ]

    def _direct(self, m: Module, coded: Signal, expander: Expander) -> None:
        """One word with spikes waits."""
        held, word = Signal(), Signal(coded.shape())
        m.d.comb += [self.i.ready.eq(~held), expander.i.payload.eq(word), expander.i.valid.eq(held)]
        with m.If(held & expander.i.ready):
            m.d.sync += held.eq(0)
        with m.If(self.i.valid & ~held):
            m.d.sync += [word.eq(coded), held.eq((coded.spikes != 0) | coded.last)]

    def _trains(self) -> tuple[Cat, Cat]:
        """(spikes, signs) of the pixels at `i`: bit t*pixels + n is pixel n's at time step t."""
        beyond = self.neurons % self.pixels  # pixels of the last word that count, 0: all
        trains = []
        for number in range(self.pixels):
            pixel = self.i.payload.pixels[number]
            if beyond and number >= beyond:
                pixel = masked(pixel, self.i.payload.last)
            spikes, negatives = train_of(
                self._code(pixel),
                lengths=(self.digits,),
                length=Const(self.digits - 1),
                digits=self.digits,
                minimal_weight=self.code == "naf",
            )
            trains.append((spikes, [pixel[-1]] * len(spikes) if self.signs else negatives))
        return tuple(Cat(*(train[sign][t] for t in range(self.digits) for train in trains)) for sign in (0, 1))

    def _code(self, pixel: Value) -> Value:
        """The code of a pixel, T bits, or its size where it has a sign."""
        if self.signs:
            return Mux(pixel[-1], -pixel, pixel)[: self.timesteps]
        surplus = self.bits - self.timesteps
        return pixel[surplus:] if surplus >= 0 else Cat(Const(0, -surplus), pixel)


def masked(pixel: Value, last: Value) -> Value:
    """A pixel that is beyond the end of a sample in its last word: black there."""
    return Mux(last, 0, pixel)


def _check(neurons: int, timesteps: int, code: str, pixels: int, depth: int, bits: int, signed: bool) -> None:
    found = []
    ranges = (
        ("neurons", neurons, 1, None), ("timesteps", timesteps, 1, MAX_TIMESTEPS), ("pixels", pixels, 1, None),
        ("depth", depth or LEAST_DEPTH, LEAST_DEPTH, None), ("bits", bits, 1, None),
    )  # fmt: skip
    for name, value, least, most in ranges:
        if not isinstance(value, int) or value < least or (most is not None and value > most):
            wanted = f"of at least {least}" if most is None else f"in {least}..{most}"
            found.append(f"{name} must be an integer {wanted}, not {value!r}")
    if code not in ("plain", "naf"):
        found.append(f"code must be plain or naf, not {code!r}")
    if signed and (code == "naf" or bits != timesteps + 1):
        found.append(f"signed must be with code plain and {timesteps + 1} bits, not {code} and {bits}")
    if found:
        raise ValueError(f"Encoder: {'; '.join(found)}")
