"""The walker turns events into the rows they touch: which potentials, which weights, shifted by how much."""

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .layouts import spike_layout
from .rom import rom
from .skid import Skid
from .spec import CoreSpec
from .tables import WalkTables
from .words import operation_layout, record_layout, step_layout


class Walker(wiring.Component):
    """Walks the passes in which an event lands, and the rows of channels in each.

    Tables say for every channel, row and column of the source where its events land; the next pass is a constant away
    in both memories, so there is neither multiplier nor divider. Events that land nowhere are dropped.

    Latency three cycles from `i` to the first operation; one a cycle after that, no bubble between events; stalls as
    `ready` does. Behind an end mark nothing is taken until `proceed`.

    Parameters
    ----------
    spec : CoreSpec
    tables : WalkTables

    Members
    -------
    i : In(stream), events, see `spike_layout`.
    step : In, the present word of the program.
    run : In(1), events may be taken.
    o, valid, ready : an operation for the lanes, see `operation_layout`; taken when both flags are high.
    record : Out, the event for the store, one cycle; see `record_layout`.
    ended : Out(1), the end mark has arrived and all operations before it are taken.
    proceed : In(1), forget the end mark.
    """

    def __init__(self, *, spec: CoreSpec, tables: WalkTables) -> None:
        self.spec, self.tables = spec, tables
        events = spike_layout(spec.walked_shape, spec.walked_digits, negative=spec.signed, none=spec.announced_any)
        super().__init__(
            {
                "i": In(stream.Signature(events)),
                "step": In(step_layout(spec, tables)),
                "run": In(1),
                "o": Out(operation_layout(spec, tables)),
                "valid": Out(1),
                "ready": In(1),
                "record": Out(record_layout(spec)),
                "ended": Out(1),
                "proceed": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = self._look_up(m)
        if self.spec.plan.stored:
            self._record(m, found)
        job = self._add_up(m, found)
        self._walk(m, job)
        return m

    def _stage(self, m: Module, name: str, valid: Value, ready: Value, values: dict[str, Value]) -> dict[str, Value]:
        """A pipeline register with valid and ready: takes `values` when it is empty or being emptied."""
        held: dict[str, Value] = {key: Signal(value.shape(), name=f"{name}_{key}") for key, value in values.items()}
        held["valid"] = Signal(name=f"{name}_valid")
        held["ready"] = Signal(name=f"{name}_ready")
        m.d.comb += ready.eq(~held["valid"] | held["ready"])
        with m.If(ready):
            m.d.sync += held["valid"].eq(valid)
            m.d.sync += [held[key].eq(value) for key, value in values.items()]
        return held

    def _look_up(self, m: Module) -> dict[str, Value]:
        """First stage: the tables."""
        event, step = self.i.payload, self.step
        several = len(self.spec.steps) > 1
        closed = Signal()
        ready = Signal()
        take = Signal()
        open_ = self.run & step.walk & ~closed
        m.d.comb += [self.i.ready.eq(ready & open_), take.eq(self.i.valid & open_)]
        if several:  # the words behind an end mark belong to the next step, and it is not here yet
            with m.If(self.proceed):
                m.d.sync += closed.eq(0)
            with m.Elif(take & ready & event.end):
                m.d.sync += closed.eq(1)
        values = {
            "end": event.end,
            "c": event.c,
            "shift": self._difference(step.shift, event.step, step.binary),
            "weighs": self._difference(step.top, event.step, step.binary),
        }
        if self.spec.signed:
            values["negative"] = event.negative
        if self.spec.announced_any:
            values["none"] = event.none
        held = self._stage(m, "lookup", take, ready, values)
        for name, coordinate in (("c", event.c), ("y", event.y), ("x", event.x)):
            entries = rom(m, f"table_{name}", self.tables.fields(name), step[f"table_{name}"] + coordinate, ready)
            held |= {f"{name}_{key}": value for key, value in entries.items()}
        return held

    def _difference(self, top: Value, timestep: Value, binary: Value) -> Value:
        """Shift of a spike: the first one's, less one each time step if they weigh powers of two."""
        return (top - Mux(binary, timestep, 0))[: len(top)]

    def _record(self, m: Module, found: dict[str, Value]) -> None:
        """Tell the store of the event that leaves the first stage."""
        lane = ceil_log2(self.spec.plan.store_width)
        m.d.sync += [
            self.record.valid.eq(found["valid"] & found["ready"] & self.step.store),
            self.record.end.eq(found["end"]),
            self.record.lane.eq(found["c"][:lane]),
            self.record.place.eq(self.step.store_base + found["y_place"] + found["x_place"] + found["c"][lane:]),
            self.record.weighs.eq(found["weighs"]),
            self.record.none.eq(found.get("none", 0)),
            self.record.negative.eq(found.get("negative", 0)),
        ]

    def _add_up(self, m: Module, found: dict[str, Value]) -> dict[str, Value]:
        """Second stage: first row and first weight row of the event."""
        lands = found["y_lands"] & found["x_lands"] & ~found.get("none", Value.cast(0))[0:1].any()
        o = self.o
        values = {
            "end": found["end"],
            "row": (found["c_row"] + found["y_row"] + found["x_row"])[: len(o.row)],
            "weight": (found["c_weight"] + found["y_weight"] + found["x_weight"])[: len(o.weight)],
            "rotation_y": (found["y_rotation"] | found["c_rotation_y"])[: len(o.rotation_y)],
            "rotation_x": (found["x_rotation"] | found["c_rotation_x"])[: len(o.rotation_x)],
            "last_y": found["y_last"],
            "last_x": found["x_last"],
            "masks_y": found["y_masks"],
            "masks_x": found["x_masks"],
            "shift": found["shift"],
        }
        if self.spec.signed:
            values["negative"] = found["negative"]
        return self._pass(m, "job", found["valid"] & (found["end"] | lands), found["ready"], values)

    def _pass(self, m: Module, name: str, valid: Value, ready: Value, values: dict[str, Value]) -> dict[str, Value]:
        """As `_stage`, but `ready` is a register: much of what feeds the walker hangs on it."""
        m.submodules[name] = skid = Skid(layout=data.StructLayout({key: len(value) for key, value in values.items()}))
        m.d.comb += [skid.i.payload[key].eq(value) for key, value in values.items()]
        m.d.comb += [skid.i.valid.eq(valid), ready.eq(skid.i.ready)]
        return {key: skid.o.payload[key] for key in values} | {"valid": skid.o.valid, "ready": skid.o.ready}

    def _walk(self, m: Module, job: dict[str, Value]) -> None:
        """Third stage: one operation a cycle."""
        step, o = self.step, self.o
        cells_y, cells_x = self.spec.plan.grid
        # where the present line and the present pass began
        line_row = Signal.like(o.row)
        line_weight = Signal.like(o.weight)
        place_row = Signal.like(o.row)
        left_y = Signal.like(job["last_y"])
        left_x = Signal.like(job["last_x"])
        last_x = Signal.like(job["last_x"])
        masks_y = Signal.like(job["masks_y"])
        masks_x = Signal.like(job["masks_x"])
        all_x = Signal.like(job["masks_x"])
        left_group = Signal.like(step.last_group)
        last = Signal()  # nothing is left
        one_group = step.last_group == 0
        take = Signal()
        m.d.comb += [
            o.mask_y.eq(masks_y[:cells_y]),
            o.mask_x.eq(masks_x[:cells_x]),
            self.ended.eq(job["valid"] & job["end"] & ~self.valid),
            take.eq(Mux(self.valid, last & self.ready, ~self.ended | self.proceed)),
            job["ready"].eq(take & (~(job["valid"] & job["end"]) | self.proceed)),
        ]
        next_line = (line_row - step.stride_y, line_weight + step.weight_line)
        next_row = place_row - step.stride_x
        with m.If(take):
            m.d.sync += [
                self.valid.eq(job["valid"] & ~job["end"]),
                o.shift.eq(job["shift"]),
                o.rotation_y.eq(job["rotation_y"]),
                o.rotation_x.eq(job["rotation_x"]),
                left_y.eq(job["last_y"]),
                left_x.eq(job["last_x"]),
                last_x.eq(job["last_x"]),
                masks_y.eq(job["masks_y"]),
                masks_x.eq(job["masks_x"]),
                all_x.eq(job["masks_x"]),
                left_group.eq(step.last_group),
                last.eq((job["last_y"] == 0) & (job["last_x"] == 0) & one_group),
                o.row.eq(job["row"]),
                place_row.eq(job["row"]),
                line_row.eq(job["row"]),
                o.weight.eq(job["weight"]),
                line_weight.eq(job["weight"]),
            ]
            if self.spec.signed:
                m.d.sync += o.negative.eq(job["negative"])
        with m.Elif(self.valid & self.ready):
            m.d.sync += [o.weight.eq(o.weight + 1), left_group.eq(step.last_group)]
            with m.If(left_group != 0):
                m.d.sync += [left_group.eq(left_group - 1), o.row.eq(o.row + 1)]
                m.d.sync += last.eq((left_group == 1) & (left_x == 0) & (left_y == 0))
            with m.Elif(left_x != 0):
                m.d.sync += [left_x.eq(left_x - 1), masks_x.eq(masks_x >> cells_x)]
                m.d.sync += [o.row.eq(next_row), place_row.eq(next_row)]
                m.d.sync += last.eq((left_x == 1) & (left_y == 0) & one_group)
            with m.Else():
                m.d.sync += [left_y.eq(left_y - 1), left_x.eq(last_x), masks_y.eq(masks_y >> cells_y)]
                m.d.sync += [masks_x.eq(all_x), o.row.eq(next_line[0]), place_row.eq(next_line[0])]
                m.d.sync += last.eq((left_y == 1) & (last_x == 0) & one_group)
                m.d.sync += [line_row.eq(next_line[0]), o.weight.eq(next_line[1]), line_weight.eq(next_line[1])]
