"""The lanes' weights: read a row, rotate it to the cells it belongs to, shift it to its time step's weight."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import row_layout
from .rom import rom_image
from .spec import CoreSpec
from .tables import WalkTables
from .words import operation_layout, potentials_layout


class Lanes(wiring.Component):
    """Weight memory, rotation and shifters: `addends` follow `operation` by `spec.weight_latency` cycles, one row a cycle.

    A spike of a growth-2 train at time step t of T weighs 2^(T-t): the lane adds w << (T-t), so events may come in
    any order (the potentials are sums). A negative spike's addends are inverted bit by bit; the cells add the one.

    Rotation takes two multiplexers, first along the rows of the grid, then along its columns. The weights are
    registered before: a block RAM's output comes late in its cycle.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    operation : In, what to read and how to move it.
    empty : In(1), add nothing.
    by_rows : In(1), lanes add only where `plane` has a one.
    plane : In, a bit a lane; one cycle before the addends.
    addends : Out, a row of what to add.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec, self.tables = spec, tables
        super().__init__(
            {
                "operation": In(operation_layout(spec, tables)),
                "empty": In(1),
                "by_rows": In(1),
                "plane": In(spec.plan.lanes),
                "addends": Out(potentials_layout(spec)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, spec = self.spec.plan, self.spec
        layout = row_layout(plan.weight_bits, plan.lanes)
        m.submodules.weights = memory = Memory(shape=layout, depth=len(spec.weight_rows), init=rom_image(spec.weight_rows))
        read = memory.read_port()
        row = Signal(layout, reset_less=True)
        m.d.comb += read.addr.eq(self.operation.weight)
        m.d.sync += row.eq(read.data)
        weights: list[Value] = [row[lane].as_unsigned() for lane in range(plan.lanes)]
        if plan.grid != (1, 1):
            weights = self._rotate(m, weights)
        negative = self._delay(m, "negative", self.operation.negative) if spec.signed else Const(0, 1)
        shift = self._delay(m, "shift", spec.shifts - 1 - self.operation.shift if spec.signed else self.operation.shift)
        silent = self._delay(m, "empty", self.empty)
        masked = self._delay(m, "by_rows", self.by_rows) if plan.stored else Const(0, 1)
        products = Signal(row_layout(plan.weight_bits + spec.shifts - 1, plan.lanes), reset_less=True)
        for lane, weight in enumerate(weights):
            adds = ~silent & (self.plane[lane] | ~masked)
            if spec.signed:  # what comes in from the right is inverted too
                low = Cat(negative.replicate(spec.shifts - 1), weight ^ negative.replicate(len(weight)))
                shifted = low.as_signed() >> shift
            else:
                shifted = weight.as_signed() << shift
            m.d.sync += products[lane].eq(Mux(adds, shifted, 0))
            m.d.comb += self.addends[lane].eq(products[lane])
        return m

    def _delay(self, m: Module, name: str, value: Value) -> Value:
        """A value of the operation as it is one cycle before the addends."""
        width = len(self.operation.shift) if name == "shift" else len(value)
        for stage in range(1, self.spec.weight_latency):
            held = Signal(width, name=f"{name}_{stage}")
            m.d.sync += held.eq(value)
            value = held
        return value

    def _rotate(self, m: Module, weights: list[Value]) -> list[Value]:
        """Move the weights of every cell from its slot, registered."""
        gy, gx = self.spec.plan.grid
        width = self.spec.plan.width
        cells = [[Cat(*weights[(a * gx + b) * width :][:width]) for b in range(gx)] for a in range(gy)]
        # what each cell takes is decided a cycle before it is needed
        picks_x = self._picks(m, 1, self.operation.rotation_x)
        picks_y = self._picks(m, 0, self.operation.rotation_y)
        bits = len(weights[0])
        found: list[Value] = []
        for a in range(gy):
            for b in range(gx):
                along_x = []
                for source, _ in picks_y[a][b]:
                    along_x.append((source, _choose([(cells[source][at], flag) for at, flag in picks_x[0][b]])))
                flags = dict(picks_y[a][b])
                rotated = Signal(width * bits, name=f"rotated_{a}_{b}", reset_less=True)
                m.d.sync += rotated.eq(_choose([(value, flags[source]) for source, value in along_x]))
                found += [rotated[lane * bits : (lane + 1) * bits] for lane in range(width)]
        return found

    def _picks(self, m: Module, axis: int, code: Value) -> list[list[list[tuple[int, Value]]]]:
        """For each cell the rows (axis 0) or columns (1) its weights may come from, each with a flag that says so in the
        rotation's cycle. Columns are the same for all rows."""
        gy, gx = self.spec.plan.grid
        rotations = self.tables.rotations[axis]
        early = Signal.like(code, name=f"rotation_{axis}_1")
        m.d.sync += early.eq(code)
        flags: dict[tuple[int, ...], Value] = {}
        found = []
        for a in range(gy if axis == 0 else 1):
            line = []
            for b in range(gx):
                picks: list[tuple[int, Value]] = []
                for source in sorted({moved[a][b] for moved, _ in rotations}):
                    chosen = tuple(number for number, (moved, _) in enumerate(rotations) if moved[a][b] == source)
                    if chosen not in flags:
                        flags[chosen] = Signal(name=f"pick_{axis}_{len(flags)}")
                        m.d.sync += flags[chosen].eq(Cat(*(early == number for number in chosen)).any())
                    picks.append((source, flags[chosen]))
                line.append(picks)
            found.append(line)
        return found


def _choose(options: list[tuple[Value, Value]]) -> Value:
    """The value whose flag is set; the last one where none is."""
    chosen = options[-1][0]
    for value, flag in reversed(options[:-1]):
        chosen = Mux(flag, value, chosen)
    return chosen
