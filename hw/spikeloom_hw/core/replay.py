"""Replay of stored codes: whole rows for diagonal connections, bit plane by bit plane."""

from amaranth.hdl import Array, Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .layouts import SPREAD
from .scan import Scan
from .spec import CoreSpec
from .tables import WalkTables
from .words import operation_layout, scan_layout, step_layout


class RowReplay(wiring.Component):
    """Adds a diagonal connection: gathers a row of codes from the store, then one operation a bit of the codes (and a
    digit of the weights), in which the lanes add their weight where their code has a one. Lanes with multipliers take
    all bits at once.

    Gathering takes a cycle a word and six more; operations are offered until they are taken.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    step : In, the present word of the program.
    start : In(1), begin the step's rows.
    busy : Out(1), not all rows are added.
    read, address : Out, read the store; `word` In, in the next cycle.
    valid, operation : Out, an operation; `ready` In(1) takes it.
    offers : Out(1), `valid` of the next cycle.
    digit : Out, the operation's digit of the weights.
    plane, codes : Out, a bit a lane one cycle before the operation's addends, and a code a lane two cycles before.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec = spec
        self.layout = step_layout(spec, tables)
        super().__init__(
            {
                "step": In(self.layout),
                "start": In(1),
                "busy": Out(1),
                "read": Out(1),
                "address": Out(ceil_log2(spec.plan.store_words)),
                "word": In(data.ArrayLayout(spec.code_bits, spec.plan.store_width)),
                "valid": Out(1),
                "offers": Out(1),
                "operation": Out(operation_layout(spec, tables)),
                "ready": In(1),
                "digit": Out(range(len(spec.digit_range))),
                "plane": Out(spec.plan.lanes),
                "codes": Out(spec.plan.lanes * spec.code_bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, step = self.spec.plan, self.step
        layout = scan_layout(self.layout, "rows_scan_")
        m.submodules.scan = scan = Scan(spec=self.spec, slot=plan.store_width, layout=layout)
        m.d.comb += [scan.layer[name].eq(step[f"rows_scan_{name}"]) for name, _ in layout]
        gathering = Signal()
        complete = Signal()  # the row's last word is asked for
        final = Signal()  # the row is the last one
        arrived, codes = self._gather(m, scan, gathering)
        words = plan.lanes // plan.store_width
        missing = Signal(range(words + 1))
        done = self._operate(m, codes)
        m.d.comb += [scan.start.eq(self.start), scan.advance.eq(gathering), complete.eq(gathering & scan.row_end)]
        m.d.sync += self.valid.eq(self.offers)
        m.d.comb += self.offers.eq(self.valid & ~done)
        with m.If(arrived):
            m.d.sync += missing.eq(missing - 1)
            m.d.comb += self.offers.eq(missing == 1)
        with m.If(complete):
            m.d.sync += [gathering.eq(0), final.eq(scan.last)]
        with m.If(self.start | (done & ~final)):
            m.d.sync += [gathering.eq(1), missing.eq(words)]
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), final.eq(0)]
        with m.Elif(done & final):
            m.d.sync += self.busy.eq(0)
        return m

    def _gather(self, m: Module, scan: Scan, gathering: Value) -> tuple[Value, Signal]:
        """From places to codes: returns (a word arrives, the row's codes)."""
        plan, step, neuron = self.spec.plan, self.step, scan.neuron
        lane = ceil_log2(plan.store_width)
        channel = Signal(len(neuron.c) + 1)
        lies = Signal()
        m.d.comb += [
            channel.eq(neuron.c - step.rows_offset),
            lies.eq(scan.live & ~channel[-1] & (channel[:-1] < step.rows_channels)),
        ]
        valid = [Signal(name=f"valid_{stage}") for stage in range(4)]
        exists = [Signal(name=f"exists_{stage}") for stage in range(4)]
        line, column, word = (Signal.like(self.address, name=name) for name in ("line", "column", "channel_word"))
        m.d.sync += [
            line.eq(step.rows_base + neuron.y * step.rows_y),
            column.eq(neuron.x * step.rows_x),
            word.eq(channel[lane:-1]),
            valid[0].eq(gathering),
            exists[0].eq(lies),
            self.address.eq(line + column + word),
            *(later.eq(sooner) for later, sooner in zip(valid[1:], valid, strict=False)),
            *(later.eq(sooner) for later, sooner in zip(exists[1:], exists, strict=False)),
        ]
        m.d.comb += self.read.eq(valid[1])
        codes = Signal(plan.lanes * self.spec.code_bits, reset_less=True)
        size = plan.store_width * self.spec.code_bits
        arriving = Signal(size, reset_less=True)
        m.d.sync += arriving.eq(self.word)
        following = Cat(codes[size:], arriving & exists[3].replicate(size))
        part = plan.width * self.spec.code_bits
        for cell in range(plan.lanes // plan.width):  # each has a flag of its own, as for what `Lanes` spreads
            shifts = Signal(name=f"{SPREAD}shifts_{cell}")
            m.d.sync += shifts.eq(valid[2])
            with m.If(shifts):
                m.d.sync += codes[cell * part :][:part].eq(following[cell * part :][:part])
        return valid[3], codes

    def _operate(self, m: Module, codes: Signal) -> Value:
        """Bit planes of a gathered row, most significant first, for each digit of the weights; true when all are
        taken.
        """
        step, operation, bits = self.step, self.operation, self.spec.code_bits
        bit = Signal(range(bits))
        digit = Signal.like(step.rows_digit)
        weight = Signal.like(operation.weight)  # of the row's first digit
        group = Signal.like(step.rows_group)
        done = Signal()
        shifts = Array(step[f"rows_shift{n}"] for n in range(len(self.spec.digit_range)))
        m.d.comb += [
            operation.weight.eq(weight + digit),
            self.digit.eq(digit),
            self.codes.eq(codes),
            operation.mask_y.eq(~0),
            operation.mask_x.eq(~0),
            operation.shift.eq(shifts[digit] + bit),
            # the first bit of a signed code counts against the others
            operation.negative.eq(step.rows_signed & (bit == step.rows_bit)),
            done.eq(self.valid & self.ready & (bit == 0) & (digit == step.rows_digit)),
        ]
        with m.If(self.start):
            m.d.sync += [
                bit.eq(step.rows_bit),
                digit.eq(0),
                weight.eq(step.rows_weight),
                group.eq(0),
                operation.row.eq(0),
            ]
        with m.Elif(self.valid & self.ready):
            m.d.sync += bit.eq(bit - 1)
            with m.If(bit == 0):
                m.d.sync += [bit.eq(step.rows_bit), digit.eq(digit + 1)]
            with m.If(done):
                m.d.sync += [digit.eq(0), operation.row.eq(operation.row + 1), group.eq(group + 1)]
                m.d.sync += weight.eq(weight + step.rows_digit + 1)
                with m.If(group == step.rows_group):
                    m.d.sync += [group.eq(0), weight.eq(step.rows_weight)]
        if self.spec.plan.multiply:
            return done
        # the plane is wanted later than the operation: a cycle in its register, the rest by waiting
        late: Value = bit
        for stage in range(self.spec.weight_latency - 1):
            held = Signal.like(bit, name=f"bit_{stage}")
            m.d.sync += held.eq(late)
            late = held
        for lane in range(self.spec.plan.lanes):
            code = codes[lane * bits : (lane + 1) * bits]
            m.d.sync += self.plane[lane].eq(Array(code[n] for n in range(bits))[late])
        return done
