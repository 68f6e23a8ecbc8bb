"""The lanes' weights: read a row, rotate it to the cells it belongs to, shift it to its time step's weight."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .layouts import SPREAD, row_layout
from .loading import any_of, bus_ports, loadable_memory
from .rom import memory_attributes, rom_image
from .spec import CoreSpec
from .tables import Codes, WalkTables
from .words import operation_layout, potentials_layout


class Lanes(wiring.Component):
    """Weight memory, rotation and shifters: `addends` follow `operation` by `spec.weight_latency` cycles, one row a
    cycle.

    A spike of a growth-2 train at time step t of T weighs 2^(T-t): the lane adds w << (T-t), so events may come in
    any order (the potentials are sums). Shifters invert a negative spike's addends bit by bit, and the cells add the
    one. Multipliers, where the device has one for every lane, do all this at once, and add whole codes by rows.

    Rotation takes two steps, first along the rows of the grid, then along its columns. In each, every cell has a
    register for each place its weights may come from, and all but one of them are reset: what is left for look-up
    tables is an OR, half of a multiplexer. The first registers are also those that a block RAM wants behind it, whose
    output comes late in its cycle. A multiplier has registers before and behind it.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    operation : In, what to read and how to move it.
    empty : In(1), add nothing.
    by_rows : In(1), lanes add only where `plane` has a one.
    plane : In, a bit a lane, one cycle before the addends; codes : In, a code a lane, which multipliers take whole, two
        cycles before the addends.
    digit : In, which digit of a row's weights this is.
    addends : Out, a row of what to add.
    bus, loaded : see `bus_ports`.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec, self.tables = spec, tables
        super().__init__(
            {
                **bus_ports(spec.bus),
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
        plan = self.spec.plan
        found: list[Value] = []
        words: list[Value] = []  # that are read back
        for line in range(plan.grid[0]):  # a memory for each row of cells, since an address does not get far in a cycle
            found += self._read(m, line, words)
        if self.spec.bus:
            m.d.comb += self.loaded.eq(any_of(words))
        weights = [value.as_unsigned() for value in found]
        if plan.grid == (1, 1):
            row = Signal(row_layout(plan.weight_bits, plan.lanes), reset_less=True)
            m.d.sync += row.eq(Cat(*weights))
            weights = [row[lane].as_unsigned() for lane in range(plan.lanes)]
        else:
            weights = self._rotate(m, weights)
        products = self._multiply(m, weights) if plan.multiply else self._shift(m, weights)
        m.d.comb += [self.addends[lane].eq(product) for lane, product in enumerate(products)]
        return m

    def _read(self, m: Module, line: int, words: list[Value]) -> list[Value]:
        """Weights of a row of cells, in the cycle after their address."""
        plan, rows, address = self.spec.plan, self.spec.weight_rows, self.operation.weight
        width = plan.lanes // plan.grid[0]
        layout = row_layout(plan.weight_bits, width)
        name = "weights" if plan.grid[0] == 1 else f"weights{line}"
        image = rom_image(rows[:, line * width : (line + 1) * width])
        spread = "" if plan.grid == (1, 1) else f"{SPREAD}weight_{line}"
        if bus := self.spec.bus:
            own = bus.memories[self.spec.memory + line]
            init = [layout.const(row).as_value().value for row in image]
            row, word = loadable_memory(m, name, own, self.bus, init=init, address=address, spread=spread)
            words.append(word)
            return [layout(row[: layout.size])[lane] for lane in range(width)]
        memory = Memory(
            shape=layout,
            depth=plan.parameter_depth(len(rows)),
            init=image,
            attrs=memory_attributes(plan.contents),
        )
        m.submodules[name] = memory
        read = memory.read_port()
        if spread:
            held = Signal.like(address, name=spread)
            m.d.sync += held.eq(address)
            address = held
        m.d.comb += read.addr.eq(address)
        return [read.data[lane] for lane in range(width)]

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
        """Weights times a power of two, or minus that, or times the codes of a row; factors registered."""
        spec, bits = self.spec, self.spec.plan.weight_bits
        digits = len(spec.digit_range)
        ahead = 2 if spec.plan.grid == (1, 1) else 3
        power = Signal(spec.shifts, name="power")
        factor = Signal(signed(spec.shifts + 1), name="factor")
        by_rows = self._delay(m, "by_rows", self.by_rows, ahead=ahead)
        m.d.comb += power.eq(1 << self._delay(m, "shift", self.operation.shift, ahead=ahead))
        negative = self._delay(m, "negative", self.operation.negative, ahead=ahead)
        with m.If(self._delay(m, "empty", self.empty, ahead=ahead) | by_rows):
            m.d.sync += factor.eq(0)
        with m.Else():
            m.d.sync += factor.eq(Mux(negative, -power, power))
        used = Signal(digits if spec.adds_rows else 0)  # which digit of a row's weights
        number = self._delay(m, "digit", self.digit, ahead=ahead)
        m.d.sync += used.eq(Cat(by_rows & (number == digit) for digit in range(len(used))))
        told = [(factor, used)] * (spec.plan.grid[0] * spec.plan.grid[1])
        if len(told) > 1:
            for cell, (one, other) in enumerate(told):
                own_factor = Signal.like(one, name=f"{SPREAD}factor_{cell}")
                own_used = Signal.like(other, name=f"{SPREAD}used_{cell}")
                m.d.sync += [own_factor.eq(one), own_used.eq(other)]
                told[cell] = own_factor, own_used
        products = []
        for lane, weight in enumerate(weights):
            product = Signal(signed(bits + spec.factor_bits), name=f"product_{lane}", reset_less=True)
            own = Signal(signed(spec.factor_bits), name=f"{SPREAD}factor_of_{lane}", reset_less=True)
            factor, used = told[lane // spec.plan.width]
            code = self.codes[lane * spec.code_bits : (lane + 1) * spec.code_bits]
            value: Value = Cat(factor, factor[-1].replicate(spec.factor_bits))[: spec.factor_bits]
            for n, flag in enumerate(used):
                value = value | Cat(Const(0, bits * n), code & flag.replicate(len(code)))
            m.d.sync += own.eq(value[: spec.factor_bits].as_signed())
            m.d.sync += product.eq(weight.as_signed() * own)
            products.append(product)
        return products

    def _delay(self, m: Module, name: str, value: Value, *, ahead: int = 0) -> Value:
        """A value of the operation as it is one cycle before the addends, or so many cycles earlier still."""
        for stage in range(1, self.spec.weight_latency - ahead):
            held = Signal(value.shape(), name=f"{name}_{stage}")
            m.d.sync += held.eq(value)
            value = held
        return value

    def _rotate(self, m: Module, weights: list[Value]) -> list[Value]:
        """Move the weights of every cell from its slot as it leaves the memory; registered."""
        gy, gx = self.spec.plan.grid
        width = self.spec.plan.width
        cells = [[Cat(*weights[(a * gx + b) * width :][:width]) for b in range(gx)] for a in range(gy)]
        now = self.operation.rotation_y, self.operation.rotation_x
        late = now
        for stage in (1, 2):
            held = Signal.like(now[0], name=f"rotation_y_{stage}"), Signal.like(now[1], name=f"rotation_x_{stage}")
            m.d.sync += [later.eq(sooner) for later, sooner in zip(held, late, strict=True)]
            late = held
        drops_x, drops_y = self._drops(m, 1, now), self._drops(m, 0, late)
        along_x = []
        for a in range(gy):
            line = []
            for b in range(gx):
                options = []
                for at, flag in drops_x[a][b]:
                    own = Signal(name=f"{SPREAD}drop_{a}_{b}_{at}")
                    m.d.sync += own.eq(flag)
                    options.append((cells[a][at], own))
                line.append(self._pick(m, f"x_{a}_{b}", options))
            along_x.append(line)
        found: list[Value] = []
        for a in range(gy):
            for b in range(gx):
                moved = self._pick(m, f"y_{a}_{b}", [(along_x[at][b], flag) for at, flag in drops_y[a][b]])
                rotated = Signal(len(moved), name=f"rotated_{a}_{b}", reset_less=True)
                m.d.sync += rotated.eq(moved)
                bits = len(moved) // width
                found += [rotated[lane * bits : (lane + 1) * bits] for lane in range(width)]
        return found

    def _pick(self, m: Module, name: str, options: list[tuple[Value, Value]]) -> Value:
        """The value whose flag says that it is not dropped, a cycle later."""
        found: Value = Const(0, len(options[0][0]))
        for number, (value, drop) in enumerate(options):
            held = Signal(len(value), name=f"{name}_{number}", reset_less=True)
            m.d.sync += held.eq(Mux(drop, 0, value) if len(options) > 1 else value)
            found = found | held
        return found

    def _drops(self, m: Module, axis: int, now: tuple[Value, Value]) -> list[list[list[tuple[int, Value]]]]:
        """For each cell the rows (axis 0) or columns (1) its weights may come from, each with a flag that says that
        they do not, in the cycle after the codes.
        """
        flags: dict[tuple[Codes, ...], Value] = {}
        found = []
        for cells in self.tables.sources(axis):
            line = []
            for sources in cells:
                picks: list[tuple[int, Value]] = []
                for source, codes in sorted(sources.items()):
                    if codes not in flags:
                        flags[codes] = Signal(name=f"drop_{axis}_{len(flags)}")
                        m.d.sync += flags[codes].eq(~Cat(*(_meets(now, pair) for pair in codes)).any())
                    picks.append((source, flags[codes]))
                line.append(picks)
            found.append(line)
        return found


def _meets(codes: tuple[Value, Value], wanted: Codes) -> Value:
    """Whether the codes along y and x are these; None: any."""
    return Cat(*(code == value for code, value in zip(codes, wanted, strict=True) if value is not None)).all()
