"""The fetch: adds to potentials what their neurons start a sample with, and brings their thresholds."""

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2
from spikeloom.program.levels import SWEPT

from .layouts import biased_layout, slot_layout
from .loading import bus_ports, loadable_memory
from .rom import rom, width_of
from .spec import CoreSpec


class Fetch(wiring.Component):
    """Adds `initial`, once a sample, and looks the thresholds up. Latency two cycles, three where initial potentials
    depend on the position; one slot a cycle.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), see `slot_layout`.
    base : In, first levels of the layer.
    borders : In(1), they depend on the position.
    border_y, border_x : In, first entries of the layer's rows and columns in the tables of borders.
    o : Out(stream), see `biased_layout`.
    bus, loaded : see `bus_ports`.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        rows = spec.neuron_rows
        super().__init__(
            {
                **bus_ports(spec.bus),
                "i": In(stream.Signature(slot_layout(spec.plan.bits, spec.slot, spec.scanned_shape))),
                "base": In(max(1, width_of(rows["theta0"] * 0 + len(rows["theta0"]) - 1))),
                "borders": In(1),
                "border_y": In(max(1, (len(spec.border_tables[0]) - 1).bit_length())),
                "border_x": In(max(1, (len(spec.border_tables[1]) - 1).bit_length())),
                "o": Out(
                    stream.Signature(
                        biased_layout(spec.plan.bits, spec.slot, spec.scanned_shape, levels=spec.integrates)
                    )
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        spec, i, o = self.spec, self.i, self.o
        advance = Signal()
        payload, came = i.payload, i.valid
        address = self.base + payload.neuron.c[ceil_log2(spec.slot) :]
        if any(spec.has_borders(phase) for phase in range(len(spec.populations))):
            payload, came, address = self._skip(m, advance, address)
        found = self._levels(m, address, advance)
        valid = Signal()
        held = Signal(i.payload.shape(), reset_less=True)
        m.d.comb += [advance.eq(~o.valid | o.ready), i.ready.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid.eq(came),
                held.eq(payload),
                o.valid.eq(valid),
                o.payload.neuron.eq(held.neuron),
                o.payload.last.eq(held.last),
            ]
            for n in range(spec.slot):
                m.d.sync += o.payload.potentials[n].eq(
                    held.potentials[n] + _signed(found[f"initial{n}"], spec.plan.bits)
                )
                m.d.sync += o.payload.thetas[n].eq(found[f"theta{n}"])
                for level in SWEPT if spec.integrates else ():
                    m.d.sync += o.payload[f"{level}s"][n].eq(_signed(found[f"{level}{n}"], spec.plan.bits))
        return m

    def _levels(self, m: Module, address: Value, enable: Value) -> dict[str, Value]:
        """Words of the levels, in the cycle after their address."""
        spec, rows, widths = self.spec, self.spec.neuron_rows, self.spec.level_widths
        if spec.bus and widths:
            own = spec.bus.memories[spec.memory + spec.plan.grid[0]]
            layout = data.StructLayout(widths)
            init = [
                layout.const({key: int(rows[key][n]) for key in widths}).as_value().value
                for n in range(len(rows["initial0"]))
            ]
            row, word = loadable_memory(m, "neurons", own, self.bus, init=init, address=address, enable=enable)
            m.d.comb += self.loaded.eq(word)
            found = layout(row[: layout.size])
            return {key: found[key] if key in widths else Const(0, 1) for key in rows}
        depth = spec.plan.parameter_depth(len(rows["initial0"]))
        return rom(m, "neurons", rows, address, enable, widths, depth)

    def _skip(self, m: Module, advance: Value, address: Value) -> tuple[data.View, Value, Value]:
        """A stage that finds the words of the position's border class."""
        rows, columns = self.spec.border_tables
        neuron = self.i.payload.neuron
        held = Signal(self.i.payload.shape(), name="border_slot", reset_less=True)
        valid = Signal(name="border_valid")
        plain = Signal.like(address, name="border_address")
        skips = [
            rom(m, f"border_{axis}", {"skip": table}, base + at, advance)["skip"]
            for axis, table, base, at in (
                ("y", rows, self.border_y, neuron.y),
                ("x", columns, self.border_x, neuron.x),
            )
        ]
        with m.If(advance):
            m.d.sync += [held.eq(self.i.payload), valid.eq(self.i.valid), plain.eq(address)]
        return held, valid, plain + Mux(self.borders, skips[0] + skips[1], 0)


def _signed(value: Value, bits: int) -> Value:
    """A value that was wrapped to so many bits."""
    return value.as_signed() if len(value) == bits else value
