"""The wrapper: the core that was simulated, as Verilog, between AXI4-Stream ports, with registers behind AXI4-Lite."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, ResetInserter, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from spikeloom import DoesNotFit
from spikeloom.errors import listed
from spikeloom.link import Identity
from spikeloom.network import Input

from ..core.encoder import PIXEL_BITS, PixelEncoder
from ..link.serial import VerilogCore
from ..link.spec import LinkSpec
from .answers import Answers
from .bank import RegisterBank
from .lite import PORTS
from .meter import COUNTERS, Meter
from .packets import BEAT_BITS, PIXELS, EventPackets, PixelPackets
from .registers import MAGIC, MOST_READOUTS, REGISTERS, VERSION

LEAST_IN_FLIGHT = 16
CLEAR_CYCLES = 3  # the core is reset in the second one


@dataclass(frozen=True)
class WrapperSpec:
    """What the wrapper has to know of a build.

    Members
    -------
    link : LinkSpec, of which the streams of the core are; there is no line.
    module : name of the core's Verilog module.
    neurons, timesteps, code : of the input.
    signed : events have a sign.
    pixels : samples come as pixels, not as events.
    build_id : 64 bits.
    in_flight : samples on their way at most.
    """

    link: LinkSpec
    module: str
    neurons: int
    timesteps: int
    code: str
    signed: bool
    pixels: bool
    build_id: int
    in_flight: int

    @classmethod
    def of(cls, source: Input, manifest: Mapping[str, Any], build_id: int) -> "WrapperSpec":
        """The wrapper of a build, from its input and its manifest.

        Raises
        ------
        DoesNotFit
            A potential or the readouts do not fit the streams and registers.
        """
        bits, readouts = manifest["readout"]["potential_bits"], len(manifest["readout"]["outputs"])
        found = []
        if bits > BEAT_BITS:
            found.append(f"potentials must have at most {BEAT_BITS} bits, not {bits}")
        if readouts > MOST_READOUTS:
            found.append(f"readouts must be at most {MOST_READOUTS}, not {readouts}")
        if found:
            raise DoesNotFit(f"Wrapper 'axi': {listed(found)}; use --wrapper streams")
        channels, height, width = source.shape
        return cls(
            link=LinkSpec.of(manifest, clock_hz=0),
            module=manifest["top"],
            neurons=channels * height * width,
            timesteps=source.timesteps,
            code=source.code,
            signed="negative" in manifest["input"]["fields"],
            pixels=not source.signed and source.timesteps <= PIXEL_BITS,
            build_id=build_id,
            in_flight=max(LEAST_IN_FLIGHT, 1 << (2 * len(manifest["cores"]) + 1).bit_length()),
        )

    def packets(self) -> PixelPackets | EventPackets:
        """What takes the packets of samples."""
        if self.pixels:
            return PixelPackets(neurons=self.neurons)
        digits = self.timesteps + (self.code == "naf")
        return EventPackets(neurons=self.neurons, digits=digits, negative=self.signed)

    @property
    def form(self) -> Identity:
        """Widths and sizes of the core's streams."""
        return self.link.identity

    @property
    def constants(self) -> dict[str, int]:
        """Values of the registers that are constants."""
        return {
            "MAGIC": MAGIC,
            "VERSION": VERSION,
            "BUILD_ID_LOW": self.build_id & 0xFFFF_FFFF,
            "BUILD_ID_HIGH": self.build_id >> 32,
            "INPUTS": self.neurons,
            "INPUT_BEATS": -(-self.neurons // PIXELS) if self.pixels else 0,
            "OUTPUTS": sum(self.form.outputs),
            "FORMAT": REGISTERS["FORMAT"].pack(
                events=int(not self.pixels),
                timesteps=self.timesteps,
                potential_bits=self.form.potential_bits,
                readouts=len(self.form.outputs),
            ),
        }


class AxiWrapper(wiring.Component):
    """A core in a SoC.

    A sample is a packet on `s_axis`, its answer a packet on `m_axis`, in the same order; see `packets` and `answers`.
    One clock, `aclk`; `aresetn` is synchronous and low for at least one cycle. Outputs are registers but for
    `s_axis_tready`, which looks at events before it takes them.

    Parameters
    ----------
    spec : WrapperSpec
    core : Component with `link.device.core_signature(spec.link)`; the Verilog module where None.

    Members
    -------
    aclk, aresetn : In(1)
    s_axis_tdata, _tkeep, _tlast, _tvalid, _tready : samples.
    m_axis_tdata, _tkeep, _tuser, _tlast, _tvalid, _tready : answers; TUSER is whether the sample was bad (bit 0), and
        with the last potential of a readout its class (from bit 1 on).
    s_axil_... : registers, see `lite.PORTS`.
    """

    def __init__(self, *, spec: WrapperSpec, core: wiring.Component | None = None) -> None:
        self.spec = spec
        self.core = VerilogCore(spec=spec.link, module=spec.module) if core is None else core
        self.packets = spec.packets()
        self.answers = Answers(bits=spec.form.potential_bits, outputs=spec.form.outputs)
        bits = self.packets.i.payload.data.shape().width
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "s_axis_tdata": In(bits),
                "s_axis_tkeep": In(bits // 8),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "m_axis_tdata": Out(BEAT_BITS),
                "m_axis_tkeep": Out(BEAT_BITS // 8),
                "m_axis_tuser": Out(1 + spec.form.class_bits),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                **{f"s_axil_{name}": member for name, member in PORTS.items()},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules.core, m.submodules.packets, m.submodules.answers = self.core, self.packets, self.answers
        bank = RegisterBank(readouts=len(self.spec.form.outputs), constants=self.spec.constants)
        m.submodules.bank = bank
        clear, clear_left = Signal(), Signal(range(CLEAR_CYCLES + 1), init=CLEAR_CYCLES)
        reset, restart = bank.control[0], bank.control[1]
        with m.If(reset):
            m.d.sync += [clear_left.eq(CLEAR_CYCLES), self.packets.restart.eq(restart)]
        with m.Elif(clear):
            m.d.sync += clear_left.eq(clear_left - 1)
        m.d.comb += [
            clear.eq(clear_left != 0),
            self.core.clear.eq(clear_left == CLEAR_CYCLES),
            bank.clear.eq(clear),
            self.packets.clear.eq(clear),
            self.answers.clear.eq(clear),
        ]
        meter = Meter(depth=self.spec.in_flight)
        m.submodules.meter = ResetInserter(clear)(meter)
        self._connect_input(m, meter, clear)
        self._connect_output(m, meter)
        self._connect_registers(m, bank, meter)
        return m

    def _connect_input(self, m: Module, meter: Meter, clear: Signal) -> None:
        """From `s_axis` to the core's events."""
        packets, spec = self.packets, self.spec
        beat, opened = packets.i.payload, Signal()
        events = packets.o
        if spec.pixels:
            encoder = PixelEncoder(neurons=spec.neurons, timesteps=spec.timesteps, code=spec.code, pixels=PIXELS)
            m.submodules.encoder = ResetInserter(clear)(encoder)
            connect(m, packets.o, encoder.i)
            events = encoder.o
        sent = Signal()
        m.d.comb += [
            opened.eq(meter.room & ~clear),
            beat.data.eq(self.s_axis_tdata),
            beat.keep.eq(self.s_axis_tkeep),
            beat.last.eq(self.s_axis_tlast),
            packets.i.valid.eq(self.s_axis_tvalid & opened),
            self.s_axis_tready.eq(packets.i.ready & opened),
            self.core.i.valid.eq(events.valid & ~clear),
            self.core.i.payload.eq(events.payload),
            events.ready.eq(self.core.i.ready & ~clear),
            sent.eq(self.core.i.valid & self.core.i.ready),
            meter.began.eq(packets.began),
            meter.ended.eq(packets.ended),
            meter.ended_bad.eq(packets.bad),
            meter.took_event.eq(sent & ~events.payload.end),
            meter.input_stall.eq(self.s_axis_tvalid & ~self.s_axis_tready),
        ]

    def _connect_output(self, m: Module, meter: Meter) -> None:
        """From the core's potentials and classes to `m_axis`."""
        answers = self.answers
        connect(m, self.core.o, answers.i)
        connect(m, self.core.o_class, answers.i_class)
        beat = answers.o.payload
        m.d.comb += [
            self.m_axis_tdata.eq(beat.data),
            self.m_axis_tkeep.eq(~0),
            self.m_axis_tuser.eq(Cat(beat.bad, beat["class"])),
            self.m_axis_tlast.eq(beat.last),
            self.m_axis_tvalid.eq(answers.o.valid),
            answers.o.ready.eq(self.m_axis_tready),
            answers.known.eq(meter.known),
            answers.bad.eq(meter.bad),
            meter.left.eq(answers.left),
            meter.done.eq(answers.done),
            meter.output_stall.eq(self.m_axis_tvalid & ~self.m_axis_tready),
        ]

    def _connect_registers(self, m: Module, bank: RegisterBank, meter: Meter) -> None:
        """From what is going on to what software reads."""
        packets, answers = self.packets, self.answers
        for name, member in PORTS.items():
            inner, outer = getattr(bank, name), getattr(self, f"s_axil_{name}")
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        status = {
            "busy": packets.receiving | answers.answering | (meter.in_flight != 0),
            "receiving": packets.receiving,
            "discarding": packets.discarding,
            "answering": answers.answering,
            "in_flight": meter.in_flight,
        }
        for field in REGISTERS["STATUS"].fields:
            m.d.comb += bank.status[field.low : field.low + field.width].eq(status[field.name])
        for field in REGISTERS["ERRORS"].fields:
            m.d.comb += bank.errors[field.low].eq(getattr(packets, field.name))
        for name in (*COUNTERS, "cycles"):
            m.d.comb += getattr(bank, name).eq(getattr(meter, name))
        for number, class_ in enumerate(answers.classes):
            m.d.comb += getattr(bank, f"class{number}").eq(class_)
