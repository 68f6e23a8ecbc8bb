"""Two banks of potentials: the lanes fill one while the generator empties the other, then they swap."""

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .layouts import row_layout, slot_layout
from .spec import CoreSpec


def rom_image(rows: np.ndarray) -> list[list[int]]:
    """Rows of integers as initial contents of a memory of `row_layout` words."""
    return [[int(value) for value in row] for row in rows]


class Bank(wiring.Component):
    """One bank: a block RAM with a read and a write port; a row read while it is written may come out as anything.

    The lanes forward such sums and never use what was read. `no_rw_check` says so to Yosys, which otherwise adds a
    bypass as wide as the row (measured: 587 flip-flops and 308 LUTs for 288 bits).

    Latency of a read: one cycle.

    Parameters
    ----------
    rows, lanes, bits : sizes.

    Members
    -------
    r_en, r_row, r_data : read port, `r_data` valid in the cycle after `r_en`.
    w_en, w_row, w_data : write port.
    """

    def __init__(self, *, rows: int, lanes: int, bits: int) -> None:
        self.rows, self.lanes, self.bits = rows, lanes, bits
        layout = row_layout(bits, lanes)
        super().__init__(
            {
                "r_en": In(1),
                "r_row": In(ceil_log2(rows)),
                "r_data": Out(layout),
                "w_en": In(1),
                "w_row": In(ceil_log2(rows)),
                "w_data": In(layout),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.data = memory = Memory(
            shape=row_layout(self.bits, self.lanes), depth=self.rows, init=[], attrs={"no_rw_check": 1}
        )
        read = memory.read_port()
        write = memory.write_port()
        m.d.comb += [
            read.addr.eq(self.r_row),
            read.en.eq(self.r_en),
            self.r_data.eq(read.data),
            write.addr.eq(self.w_row),
            write.en.eq(self.w_en),
            write.data.eq(self.w_data),
        ]
        return m


class _Banks(wiring.Component):
    """What both kinds of banks have in common: the ports and the row register that the generator empties.

    Parameters
    ----------
    spec : CoreSpec
    width : potentials in a slot, divides the lanes.

    Members
    -------
    valid, row : In, a row the lanes will add to (stage 0).
    addends : In, what they add, two cycles later (stage 2).
    swap : In(1), hand the filled bank over; only while `busy` is low.
    busy : Out(1), the handed-over bank still holds potentials.
    clearing : Out(1), after reset: the banks are being initialised, rows are not taken.
    filled : Out(1), which bank is being filled.
    o : Out(stream), the handed-over potentials in scan order, see `slot_layout`.
    """

    def __init__(self, *, spec: CoreSpec, width: int) -> None:
        self.spec, self.width = spec, width
        plan = spec.plan
        self.layout = row_layout(plan.bits, plan.lanes)
        self.slots = plan.lanes // width
        super().__init__(
            {
                "valid": In(1),
                "row": In(ceil_log2(plan.rows)),
                "addends": In(self.layout),
                "swap": In(1),
                "busy": Out(1),
                "clearing": Out(1),
                "filled": Out(1),
                "o": Out(stream.Signature(slot_layout(plan.bits, width))),
            }
        )

    def row_register(self, m: Module, *, load: Value, row: data.View, last_row: Value) -> tuple[Signal, Signal]:
        """Shift register that hands out a row slot by slot: returns (holds a row, takes a row in this cycle)."""
        held = Signal(self.layout, reset_less=True)
        last = Signal()
        full = Signal()
        left = Signal(range(self.slots))
        at_end = Signal()
        free = Signal()
        step = len(held.as_value()) // self.slots
        m.d.comb += [
            self.o.valid.eq(full),
            self.o.payload.potentials.eq(held.as_value()[:step]),
            self.o.payload.last.eq(last & at_end),
            free.eq(~full | (self.o.ready & at_end)),
        ]
        with m.If(free):
            m.d.sync += [full.eq(load), left.eq(self.slots - 1), at_end.eq(self.slots == 1)]
        with m.Elif(self.o.ready):
            m.d.sync += [left.eq(left - 1), at_end.eq(left == 1), held.eq(held.as_value() >> step)]
        with m.If(free & load):
            m.d.sync += [held.eq(row), last.eq(last_row)]
        return full, free


class RegisterBanks(_Banks):
    """A population of one row: the accumulators are registers and the row register is the second bank.

    One row a cycle, no bubble; the swap takes the cycle of `swap`.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec = self.spec
        initial = rom_image(spec.initial_rows)[0]
        accumulator = Signal(self.layout, init=initial, attrs={"keep": 1})  # observed by benches
        adding = Signal(2)
        m.d.sync += adding.eq(Cat(self.valid, adding))
        full, _ = self.row_register(m, load=self.swap, row=accumulator, last_row=Const(1))
        m.d.comb += self.busy.eq(full)
        for lane in range(spec.plan.lanes):
            with m.If(self.swap):
                m.d.sync += accumulator[lane].eq(initial[lane])
            with m.Elif(adding[1]):
                m.d.sync += accumulator[lane].eq(accumulator[lane] + self.addends[lane])
        return m


class MemoryBanks(_Banks):
    """A population of several rows: two memories, read-modify-write pipelined with bypass.

    Stage 0 reads the row, stage 1 registers it, stage 2 adds and writes: a row a cycle with no bubble, even for the
    same row again and again, since a sum still on its way is forwarded. The generator reads each row of the other
    bank once, as fast as its row register empties, and leaves the initial potentials behind. After reset both
    banks are initialised, one row a cycle.
    """

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.spec.plan
        banks = [Bank(rows=plan.rows, lanes=plan.lanes, bits=plan.bits) for _ in range(2)]
        m.submodules.bank0, m.submodules.bank1 = banks

        sums, sum_row, sum_valid = self._accumulate(m, Mux(self.filled, banks[1].r_data, banks[0].r_data))
        fetch, row, restore, restored_row, initial = self._drain(m, Mux(self.filled, banks[0].r_data, banks[1].r_data))
        for index, bank in enumerate(banks):
            filling = (self.filled == index) & ~self.clearing
            m.d.comb += [
                bank.r_en.eq(Mux(filling, self.valid, fetch)),
                bank.r_row.eq(Mux(filling, self.row, row)),
                bank.w_en.eq(Mux(filling, sum_valid, restore)),
                bank.w_row.eq(Mux(filling, sum_row, restored_row)),
                bank.w_data.eq(Mux(filling, sums, initial)),
            ]
        with m.If(self.swap):
            m.d.sync += self.filled.eq(~self.filled)
        return m

    def _accumulate(self, m: Module, read: Value) -> tuple[data.View, Signal, Signal]:
        """The lanes' side: returns the sums, their row, and whether they are to be written."""
        rows = [Signal.like(self.row, name=f"row_{stage}") for stage in (1, 2)]
        valid = [Signal(name=f"valid_{stage}") for stage in (1, 2)]
        sums, last_sums, potentials = (
            Signal(self.layout, name=name, reset_less=True) for name in ("sums", "last_sums", "potentials")
        )
        # a row still in stage 1 or 2 is not in the memory when stage 0 reads it
        after_one = Signal()
        after_one_late = Signal()
        after_two = Signal()
        m.d.sync += [
            rows[0].eq(self.row),
            rows[1].eq(rows[0]),
            valid[0].eq(self.valid),
            valid[1].eq(valid[0]),
            after_one.eq(valid[0] & (rows[0] == self.row)),
            after_one_late.eq(after_one),
            after_two.eq(valid[1] & (rows[1] == self.row)),
            potentials.eq(Mux(after_two, last_sums.as_value(), read)),
            last_sums.eq(sums),
        ]
        for lane in range(self.spec.plan.lanes):
            potential = Mux(after_one_late, last_sums[lane], potentials[lane])
            m.d.comb += sums[lane].eq(potential + self.addends[lane])
        return sums, rows[1], valid[1]

    def _drain(self, m: Module, read: Value) -> tuple[Signal, Signal, Signal, Signal, Value]:
        """The generator's side: returns (fetch, row) to read and (restore, row, initial potentials) to write."""
        plan = self.spec.plan
        initialising = Signal(init=1)
        fetch = Signal()
        row = Signal(range(plan.rows))
        scanning = Signal()
        fetched = Signal()
        fetched_row = Signal.like(row)
        fetched_last = Signal()
        restore = Signal()
        load = Signal()
        full, free = self.row_register(m, load=load, row=data.View(self.layout, read), last_row=fetched_last)
        initial = self._initial(m, fetch)
        m.d.comb += [
            self.clearing.eq(initialising),
            load.eq(fetched & ~initialising),
            restore.eq(fetched & (free | initialising)),
            fetch.eq(scanning & (~fetched | restore)),
            self.busy.eq(scanning | fetched | full | initialising),
        ]
        with m.If(fetch):
            m.d.sync += [fetched.eq(1), fetched_row.eq(row), fetched_last.eq(row == plan.rows - 1), row.eq(row + 1)]
            with m.If(row == plan.rows - 1):
                m.d.sync += [scanning.eq(0), row.eq(0)]
        with m.Elif(restore):
            # the first scan after reset is the one that initialises both banks
            m.d.sync += [fetched.eq(0), initialising.eq(0)]
        with m.If(self.swap | (initialising & ~fetched & ~scanning)):
            m.d.sync += scanning.eq(1)
        return fetch, row, restore, fetched_row, initial

    def _initial(self, m: Module, fetch: Value) -> Value:
        """Initial potentials of the row fetched last: a constant, or a memory of a row a channel group."""
        spec = self.spec
        image = rom_image(spec.initial_rows)
        if all(row == image[0] for row in image):
            return Const(image[0], self.layout).as_value()
        m.submodules.offsets = memory = Memory(shape=self.layout, depth=spec.plan.groups, init=image)
        read = memory.read_port()
        group = Signal(range(spec.plan.groups))
        with m.If(fetch):
            m.d.sync += group.eq(Mux(group == spec.plan.groups - 1, 0, group + 1))
        m.d.comb += [read.addr.eq(group), read.en.eq(fetch)]
        return read.data.as_value()


def potential_banks(spec: CoreSpec, width: int) -> _Banks:
    """The banks that suit the population: registers for one row, memories for more."""
    return (RegisterBanks if spec.plan.rows == 1 else MemoryBanks)(spec=spec, width=width)
