"""Cells: memories of potentials, each with its own address and the adders of its lanes."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.program.program import FOLD

from .layouts import row_layout
from .spec import CoreSpec
from .tables import WalkTables
from .words import operation_layout, potentials_layout


class Adders(wiring.Component):
    """The adders of a cell: what is forwarded or what was read, plus the addends; combinational.

    A component of its own, so that synthesis can map it by its name: on ECP5 the choice between the two costs nothing,
    since a look-up table of a carry chain has inputs left for it (see `bitstream.primitives`).

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    again : In(1), add to `last_sums` rather than to `potentials`.
    last_sums, potentials : In
    addends, negative : In, what to add; inverted addends of a negative spike need one more.
    sums : Out
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        layout = row_layout(spec.plan.bits, spec.plan.width)
        super().__init__(
            {
                "again": In(1),
                "last_sums": In(layout),
                "potentials": In(layout),
                "addends": In(layout),
                "negative": In(1),
                "sums": Out(layout),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        negative = self.negative if self.spec.inverts else None
        for lane in range(self.spec.plan.width):
            potential = Mux(self.again, self.last_sums[lane], self.potentials[lane])
            m.d.comb += self.sums[lane].eq(add(potential, self.addends[lane], negative))
        return m


class Cell(wiring.Component):
    """A block RAM with both banks of a cell, and a read-modify-write pipeline with bypass.

    Stage 0 reads the row, stage 1 registers it (a block RAM's output comes late in its cycle), stage 2 adds and
    writes: a row a cycle with no bubble, even for the same row again and again. The sum of the operation before is
    forwarded to the adders, that of the one before that to the register. A row read while it is written may come out
    as anything and is never used: `no_rw_check` says so to Yosys, which otherwise adds a bypass as wide as the row.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    valid, row : In, a row to add to; its lowest bit is the bank (stage 0).
    empty : In(1), leave zeros there instead (stage 0).
    potentials : Out, the row that was read; emptied : Out(1), and is emptied (stage 1).
    addends, negative : In, what to add; inverted addends of a negative spike need one more (stage 2).
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        self.layout = row_layout(spec.plan.bits, spec.plan.width)
        super().__init__(
            {
                "valid": In(1),
                "row": In(ceil_log2(2 * spec.plan.rows)),
                "empty": In(1),
                "potentials": Out(self.layout),
                "emptied": Out(1),
                "addends": In(self.layout),
                "negative": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.spec.plan
        m.submodules.data = memory = Memory(shape=self.layout, depth=2 * plan.rows, init=[], attrs={"no_rw_check": 1})
        m.submodules.adders = adders = Adders(spec=self.spec)
        read = memory.read_port()
        write = memory.write_port()
        row_1, row_2 = (Signal.like(self.row, name=name) for name in ("row_1", "row_2"))
        valid_1 = Signal()
        valid_2 = Signal()
        empty = Signal()
        near = Signal()  # the operation before has the same row
        far = Signal()  # so has the one before that
        again = Signal()
        held, last_sums = (Signal(self.layout, name=name, reset_less=True) for name in ("held", "last_sums"))
        m.d.sync += [
            row_1.eq(self.row),
            row_2.eq(row_1),
            valid_1.eq(self.valid),
            valid_2.eq(valid_1),
            empty.eq(self.empty & self.valid),
            near.eq(valid_1 & (row_1 == self.row)),
            far.eq(valid_2 & (row_2 == self.row)),
            again.eq(near & ~empty),
            last_sums.eq(adders.sums),
        ]
        for lane in range(plan.width):
            potential = Mux(far, last_sums[lane], read.data[lane]).as_unsigned()
            m.d.sync += held[lane].eq((potential & ~empty.replicate(plan.bits)).as_signed())
        m.d.comb += [
            read.addr.eq(self.row),
            read.en.eq(self.valid),
            self.potentials.eq(read.data),
            self.emptied.eq(empty),
            adders.again.eq(again),
            adders.last_sums.eq(last_sums),
            adders.potentials.eq(held),
            adders.addends.eq(self.addends),
            adders.negative.eq(self.negative),
            write.addr.eq(row_2),
            write.en.eq(valid_2),
            write.data.eq(adders.sums),
        ]
        return m


def add(potential: Value, addend: Value, negative: Value | None) -> Value:
    """Potential plus addend; plus one where `negative`, by way of a carry into the lowest bit."""
    if negative is None:
        return potential + addend
    return (Cat(Const(1, 1), potential) + Cat(negative, addend))[1:]


class Cells(wiring.Component):
    """All cells of a core: finds each cell's row from the operation's, adds, and reads whole rows for the generator.

    Operations are taken at any rate; addends come `spec.weight_latency` cycles later, the row that was read one cycle
    before them.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    valid, operation : In, what to add.
    bank : In(1), where.
    empty : In(1), read the row and leave zeros behind.
    stride_y, stride_x : In, rows between blocks.
    addends : In
    potentials : Out, a row of all cells; emptied : Out, a bit a cell, it is emptied.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec, self.tables = spec, tables
        self.row_latency = spec.weight_latency - 1
        row = ceil_log2(spec.plan.rows)
        super().__init__(
            {
                "valid": In(1),
                "operation": In(operation_layout(spec, tables)),
                "bank": In(1),
                "empty": In(1),
                "stride_y": In(row),
                "stride_x": In(row),
                "addends": In(potentials_layout(spec)),
                "potentials": Out(potentials_layout(spec)),
                "emptied": Out(spec.plan.grid[0] * spec.plan.grid[1]),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bits = self.spec.plan.width * self.spec.plan.bits
        rows = self._rows(m)
        negative: Value = self.operation.negative & self.spec.inverts
        for stage in range(self.spec.weight_latency):
            held = Signal(name=f"negative_{stage}")
            m.d.sync += held.eq(negative)
            negative = held
        for number, (row, valid, empty) in enumerate(rows):
            m.submodules[f"cell{number}"] = cell = Cell(spec=self.spec)
            part = slice(number * bits, (number + 1) * bits)
            m.d.comb += [
                cell.valid.eq(valid),
                cell.row.eq(row),
                cell.empty.eq(empty),
                cell.addends.eq(self.addends.as_value()[part]),
                self.potentials.as_value()[part].eq(cell.potentials.as_value()),
                cell.negative.eq(negative),
                self.emptied[number].eq(cell.emptied),
            ]
        return m

    def _rows(self, m: Module) -> list[tuple[Value, Value, Value]]:
        """Row, valid and empty of every cell, in the cycle in which it is read."""
        gy, gx = self.spec.plan.grid
        operation = self.operation
        row, bank, empty = Signal.like(operation.row), Signal(), Signal()
        if (gy, gx) == (1, 1):
            valid = Signal()
            m.d.sync += [row.eq(operation.row), bank.eq(self.bank), empty.eq(self.empty)]
            m.d.sync += valid.eq(self.valid & (operation.mask_y & operation.mask_x | self.empty))
            return [(Cat(bank, row), valid, empty)]
        operation, valid_0, empty_0, bank_0 = Signal.like(operation), Signal(), Signal(), Signal()
        m.d.sync += [
            operation.eq(self.operation),
            valid_0.eq(self.valid),
            empty_0.eq(self.empty),
            bank_0.eq(self.bank),
        ]
        # the four rows that an operation may touch, then each cell takes its own
        higher = {}
        for up in (0, 1):
            for right in (0, 1):
                higher[up, right] = Signal.like(operation.row, name=f"row_{up}{right}")
                m.d.sync += higher[up, right].eq(
                    operation.row + (self.stride_y if up else 0) + (self.stride_x if right else 0)
                )
        ups = self._flags(m, "up", operation.rotation_y, self.tables.higher(0))
        rights = self._flags(m, "right", operation.rotation_x, self.tables.higher(1))
        folds = self.tables.folds(1)
        folded = Signal()
        if folds:
            m.d.sync += folded.eq(Cat(*(operation.rotation_x == code for code in folds)).any())
        valid_1, empty_1, bank_1 = Signal(), Signal(), Signal()
        mask_y = Signal(gy)
        mask_x = Signal(gx)
        m.d.sync += [
            valid_1.eq(valid_0),
            empty_1.eq(empty_0),
            bank_1.eq(bank_0),
            mask_y.eq(operation.mask_y | empty_0.replicate(gy)),
            mask_x.eq(operation.mask_x | empty_0.replicate(gx)),
            bank.eq(bank_1),
            empty.eq(empty_1),
        ]
        found: list[tuple[Value, Value, Value]] = []
        for a in range(gy):
            for b in range(gx):
                own = Signal.like(operation.row, name=f"cell_row_{a}_{b}")
                valid = Signal(name=f"cell_valid_{a}_{b}")
                up, right = ups[a][b], rights[a][b]
                m.d.sync += own.eq(
                    Mux(up, Mux(right, higher[1, 1], higher[1, 0]), Mux(right, higher[0, 1], higher[0, 0]))
                )
                lands = valid_1 & mask_y[a] & mask_x[b]
                if folds and (a, b) == (gy - 1, gx - 1):
                    lands = lands & ~folded
                elif folds:
                    y, x, _ = FOLD[a * gx + b]
                    lands = Mux(folded, valid_1 & mask_y[y] & mask_x[x], lands)
                m.d.sync += valid.eq(lands)
                # bank and flag are different in every cell, or Yosys would keep one for all
                late, late_bank = Signal.like(own, name=f"cell_read_{a}_{b}"), Signal(name=f"cell_bank_{a}_{b}")
                late_valid, late_empty = Signal(name=f"cell_reads_{a}_{b}"), Signal(name=f"cell_empties_{a}_{b}")
                m.d.sync += [late.eq(own), late_bank.eq(bank & valid), late_valid.eq(valid)]
                m.d.sync += late_empty.eq(empty & valid)
                found.append((Cat(late_bank, late), late_valid, late_empty))
        return found

    def _flags(self, m: Module, name: str, code: Value, wanted: list[list[tuple[int, ...]]]) -> list[list[Value]]:
        """A flag a cell, at the rotation codes that are wanted, registered; equal ones are shared."""
        flags: dict[tuple[int, ...], Value] = {(): Const(0, 1)}
        for numbers in (numbers for line in wanted for numbers in line):
            if numbers not in flags:
                flags[numbers] = Signal(name=f"{name}_{len(flags)}")
                m.d.sync += flags[numbers].eq(Cat(*(code == number for number in numbers)).any())
        return [[flags[numbers] for numbers in line] for line in wanted]
