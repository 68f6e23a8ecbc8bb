"""The lanes' weights: read a row, rotate it to the cells it belongs to, shift it to its time step's weight."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import row_layout
from .rom import rom_image
from .spec import CoreSpec
from .tables import Codes, WalkTables
from .words import operation_layout, potentials_layout


class Lanes(wiring.Component):
    """Weight memory, rotation and shifters: `addends` follow `operation` by `spec.weight_latency` cycles, one row a
    cycle.

    A spike of a growth-2 train at time step t of T weighs 2^(T-t): the lane adds w << (T-t), so events may come in
    any order (the potentials are sums). Shifters invert a negative spike's addends bit by bit, and the cells add the
    one. Multipliers, where the device has one for every lane, do all this at once, and add whole codes by rows.

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
    plane : In, a bit a lane; codes : In, a code a lane, which multipliers take whole; one cycle before the addends.
    digit : In, which digit of a row's weights this is.
    addends : Out, a row of what to add.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec, self.tables = spec, tables
        super().__init__(
            {
                "operation": In(operation_layout(spec, tables)),
                "empty": In(1),
                "by_rows": In(1),
                "digit": In(range(len(spec.digit_range))),
                "plane": In(spec.plan.lanes),
                "codes": In(spec.plan.lanes * spec.code_bits),
                "addends": Out(potentials_layout(spec)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan, spec = self.spec.plan, self.spec
        layout = row_layout(plan.weight_bits, plan.lanes)
        m.submodules.weights = memory = Memory(
            shape=layout, depth=len(spec.weight_rows), init=rom_image(spec.weight_rows)
        )
        read = memory.read_port()
        row = Signal(layout, reset_less=True)
        m.d.comb += read.addr.eq(self.operation.weight)
        m.d.sync += row.eq(read.data)
        weights: list[Value] = [row[lane].as_unsigned() for lane in range(plan.lanes)]
        if plan.grid != (1, 1):
            weights = self._rotate(m, weights)
        products = self._multiply(m, weights) if plan.multiply else self._shift(m, weights)
        m.d.comb += [self.addends[lane].eq(product) for lane, product in enumerate(products)]
        return m

    def _shift(self, m: Module, weights: list[Value]) -> list[Value]:
        """Weights to the left, inverted for negative spikes, or nothing where the plane has a zero."""
        spec = self.spec
        negative = self._delay(m, "negative", self.operation.negative) if spec.signed else Const(0, 1)
        late = spec.shifts - 1 - self.operation.shift if spec.signed else self.operation.shift
        shift = self._delay(m, "shift", late[: len(self.operation.shift)])
        silent = self._delay(m, "empty", self.empty)
        masked = self._delay(m, "by_rows", self.by_rows) if spec.adds_rows else Const(0, 1)
        products = []
        for lane, weight in enumerate(weights):
            if spec.signed:  # what comes in from the right is inverted too
                low = Cat(negative.replicate(spec.shifts - 1), weight ^ negative.replicate(len(weight)))
                shifted = low.as_signed() >> shift
            else:
                shifted = weight.as_signed() << shift
            product = Signal(signed(spec.plan.weight_bits + spec.shifts - 1), name=f"product_{lane}", reset_less=True)
            # what a negative operation leaves out comes to nothing once the cells have added one
            nothing = (negative & masked).replicate(len(product)).as_signed() if spec.adds_signed_rows else 0
            m.d.sync += product.eq(Mux(~silent & (self.plane[lane] | ~masked), shifted, nothing))
            products.append(product)
        return products

    def _multiply(self, m: Module, weights: list[Value]) -> list[Value]:
        """Weights times a power of two, or minus that, or times the codes of a row."""
        spec, bits = self.spec, self.spec.plan.weight_bits
        digits = len(spec.digit_range)
        power = Signal(spec.shifts, name="power")
        factor = Signal(signed(spec.shifts + 1), name="factor")
        by_rows = self._delay(m, "by_rows", self.by_rows, last=False)
        m.d.comb += power.eq(1 << self._delay(m, "shift", self.operation.shift, last=False))
        negative = self._delay(m, "negative", self.operation.negative, last=False)
        with m.If(self._delay(m, "empty", self.empty, last=False) | by_rows):
            m.d.sync += factor.eq(0)
        with m.Else():
            m.d.sync += factor.eq(Mux(negative, -power, power))
        used = []  # which digit of a row's weights
        number = self._delay(m, "digit", self.digit, last=False)
        for digit in range(digits if spec.adds_rows else 0):
            flag = Signal(name=f"digit_{digit}")
            m.d.sync += flag.eq(by_rows & (number == digit))
            used.append(flag)
        products = []
        for lane, weight in enumerate(weights):
            product = Signal(signed(bits + spec.factor_bits), name=f"product_{lane}", reset_less=True)
            own: Value = factor
            if used:
                code = self.codes[lane * spec.code_bits : (lane + 1) * spec.code_bits]
                placed = [Cat(Const(0, bits * n), code & flag.replicate(len(code))) for n, flag in enumerate(used)]
                own = Cat(factor, factor[-1].replicate(spec.factor_bits))[: spec.factor_bits]
                for value in placed:
                    own = own | value
                own = own[: spec.factor_bits].as_signed()
            m.d.sync += product.eq(weight.as_signed() * own)
            products.append(product)
        return products

    def _delay(self, m: Module, name: str, value: Value, *, last: bool = True) -> Value:
        """A value of the operation as it is one cycle before the addends, or a cycle earlier still."""
        for stage in range(1, self.spec.weight_latency - (not last)):
            held = Signal(value.shape(), name=f"{name}_{stage}")
            m.d.sync += held.eq(value)
            value = held
        return value

    def _rotate(self, m: Module, weights: list[Value]) -> list[Value]:
        """Move the weights of every cell from its slot, registered."""
        gy, gx = self.spec.plan.grid
        width = self.spec.plan.width
        cells = [[Cat(*weights[(a * gx + b) * width :][:width]) for b in range(gx)] for a in range(gy)]
        # what each cell takes is decided a cycle before it is needed
        early = Signal.like(self.operation.rotation_y), Signal.like(self.operation.rotation_x)
        m.d.sync += [early[0].eq(self.operation.rotation_y), early[1].eq(self.operation.rotation_x)]
        picks_y, picks_x = (self._picks(m, axis, early) for axis in range(2))
        bits = len(weights[0])
        found: list[Value] = []
        for a in range(gy):
            for b in range(gx):
                along_x = []
                for source, _ in picks_y[a][b]:
                    along_x.append((source, _choose([(cells[source][at], flag) for at, flag in picks_x[source][b]])))
                flags = dict(picks_y[a][b])
                rotated = Signal(width * bits, name=f"rotated_{a}_{b}", reset_less=True)
                m.d.sync += rotated.eq(_choose([(value, flags[source]) for source, value in along_x]))
                found += [rotated[lane * bits : (lane + 1) * bits] for lane in range(width)]
        return found

    def _picks(self, m: Module, axis: int, early: tuple[Value, Value]) -> list[list[list[tuple[int, Value]]]]:
        """For each cell the rows (axis 0) or columns (1) its weights may come from, each with a flag that says so in
        the rotation's cycle.
        """
        flags: dict[tuple[Codes, ...], Value] = {}
        found = []
        for cells in self.tables.sources(axis):
            line = []
            for sources in cells:
                picks: list[tuple[int, Value]] = []
                for source, codes in sorted(sources.items()):
                    if codes not in flags:
                        flags[codes] = Signal(name=f"pick_{axis}_{len(flags)}")
                        m.d.sync += flags[codes].eq(Cat(*(_meets(early, pair) for pair in codes)).any())
                    picks.append((source, flags[codes]))
                line.append(picks)
            found.append(line)
        return found


def _meets(codes: tuple[Value, Value], wanted: Codes) -> Value:
    """Whether the codes along y and x are these; None: any."""
    return Cat(*(code == value for code, value in zip(codes, wanted, strict=True) if value is not None)).all()


def _choose(options: list[tuple[Value, Value]]) -> Value:
    """The value whose flag is set; the last one where none is."""
    chosen = options[-1][0]
    for value, flag in reversed(options[:-1]):
        chosen = Mux(flag, value, chosen)
    return chosen
