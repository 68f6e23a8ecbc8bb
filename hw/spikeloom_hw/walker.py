"""The walker turns events into the rows they touch: which potentials, which weights, shifted by how much."""

import numpy as np
from amaranth.hdl import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for, ceil_log2

from .layouts import spike_layout
from .spec import CoreSpec

DRAIN_CYCLES = 3  # from the last row's issue until its sum is written


def lookup(table: np.ndarray, index: Value) -> Value:
    """A constant table in logic: table[index]."""
    width = bits_for(int(table.max()))
    if len(table) == 1 or (table == table[0]).all():
        return Const(int(table[0]), width)
    return Array(Const(int(entry), width) for entry in table)[index]


class Walker(wiring.Component):
    """Walks the kernel positions where an event lands, and the channel groups at each.

    Every axis of the source has a table: how often a coordinate lands, with which kernel index and output first; the
    next position is a constant away in both memories, so there is neither multiplier nor divider. Events that land
    nowhere are dropped.

    Latency three cycles from `i` to the first row; one row a cycle after that, no bubble between events. After an end
    mark the walker waits until the lanes are drained, then holds `finish` until `swap`.

    Parameters
    ----------
    spec : CoreSpec

    Members
    -------
    i : In(stream), events, see `spike_layout`.
    hold : In(1), take no events (banks are being cleared).
    valid, row, weight_row, shift : Out, a row to accumulate: bank row, weight row, left shift of the weights.
    finish : Out(1), the sample is complete in the bank.
    swap : In(1), the bank was handed over.
    """

    def __init__(self, *, spec: CoreSpec) -> None:
        self.spec = spec
        self.shifts = spec.source_timesteps if spec.source_growth == 2.0 else 1
        super().__init__(
            {
                "i": In(stream.Signature(spike_layout(spec.source_shape, spec.source_timesteps))),
                "hold": In(1),
                "valid": Out(1),
                "row": Out(ceil_log2(spec.plan.rows)),
                "weight_row": Out(ceil_log2(len(spec.weight_rows))),
                "shift": Out(ceil_log2(self.shifts)),
                "finish": Out(1),
                "swap": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        looked_up = self._look_up(m)
        job = self._add_up(m, looked_up)
        self._walk(m, job)
        return m

    def _stage(self, m: Module, name: str, valid: Value, ready: Value, values: dict[str, Value]) -> dict[str, Signal]:
        """A pipeline register with valid and ready: takes `values` when it is empty or being emptied."""
        held = {key: Signal(value.shape(), name=f"{name}_{key}") for key, value in values.items()}
        held["valid"] = Signal(name=f"{name}_valid")
        held["ready"] = Signal(name=f"{name}_ready")
        m.d.comb += ready.eq(~held["valid"] | held["ready"])
        with m.If(ready):
            m.d.sync += held["valid"].eq(valid)
            m.d.sync += [held[key].eq(value) for key, value in values.items()]
        return held

    def _look_up(self, m: Module) -> dict[str, Signal]:
        """First stage: the tables."""
        spec, event = self.spec, self.i.payload
        (stride_c, stride_y, stride_x), (bank_y, bank_x) = spec.weight_strides, spec.bank_strides
        vertical, horizontal = spec.axes
        values = {
            "end": event.end,
            "weight_c": event.c * stride_c,
            "weight_y": lookup(vertical.first * stride_y, event.y),
            "weight_x": lookup(horizontal.first * stride_x, event.x),
            "row_c": lookup(spec.first_group, event.c),
            "row_y": lookup(vertical.output * bank_y, event.y),
            "row_x": lookup(horizontal.output * bank_x, event.x),
            "count_y": lookup(vertical.count, event.y),
            "count_x": lookup(horizontal.count, event.x),
            "shift": (self.shifts - 1 - event.step)[: ceil_log2(self.shifts)],
        }
        return self._stage(m, "lookup", self.i.valid, self.i.ready, values)

    def _add_up(self, m: Module, found: dict[str, Signal]) -> dict[str, Signal]:
        """Second stage: first row and first weight row of the event."""
        lands = (found["count_y"] != 0) & (found["count_x"] != 0)
        values = {
            "end": found["end"],
            "row": (found["row_c"] + found["row_y"] + found["row_x"])[: len(self.row)],
            "weight_row": (found["weight_c"] + found["weight_y"] + found["weight_x"])[: len(self.weight_row)],
            "last_y": (found["count_y"] - 1)[: len(found["count_y"])],
            "last_x": (found["count_x"] - 1)[: len(found["count_x"])],
            "shift": found["shift"],
        }
        return self._stage(m, "job", found["valid"] & (found["end"] | lands), found["ready"], values)

    def _walk(self, m: Module, job: dict[str, Signal]) -> None:
        """Third stage: one row a cycle."""
        spec = self.spec
        (_, stride_y, stride_x), (bank_y, bank_x) = spec.weight_strides, spec.bank_strides
        vertical, horizontal = spec.axes
        # where the present line and the present position began
        line_row = Signal.like(self.row)
        line_weight = Signal.like(self.weight_row)
        place_row = Signal.like(self.row)
        place_weight = Signal.like(self.weight_row)
        left_y = Signal.like(job["last_y"])
        left_x = Signal.like(job["last_x"])
        last_x = Signal.like(job["last_x"])
        left_group = Signal(range(spec.reach))
        last = Signal()
        take = Signal()
        m.d.comb += [
            last.eq((left_y == 0) & (left_x == 0) & (left_group == 0)),
            take.eq(~self.hold & ~self._ending(m, job) & (~self.valid | last)),
            job["ready"].eq(take),
        ]
        for_next_line = (line_row - bank_y, line_weight + vertical.stride * stride_y)
        for_next_place = (place_row - bank_x, place_weight + horizontal.stride * stride_x)

        def start(row: Value, weight: Value) -> list:
            return [self.row.eq(row), self.weight_row.eq(weight), place_row.eq(row), place_weight.eq(weight)]

        with m.If(take):
            m.d.sync += [
                self.valid.eq(job["valid"] & ~job["end"]),
                self.shift.eq(job["shift"]),
                left_y.eq(job["last_y"]),
                left_x.eq(job["last_x"]),
                last_x.eq(job["last_x"]),
                left_group.eq(spec.reach - 1),
                line_row.eq(job["row"]),
                line_weight.eq(job["weight_row"]),
                *start(job["row"], job["weight_row"]),
            ]
        with m.Elif(self.valid & last):
            m.d.sync += self.valid.eq(0)
        with m.Elif(left_group != 0):
            m.d.sync += [
                left_group.eq(left_group - 1),
                self.row.eq(self.row + 1),
                self.weight_row.eq(self.weight_row + 1),
            ]
        with m.Else():
            m.d.sync += left_group.eq(spec.reach - 1)
            with m.If(left_x != 0):
                m.d.sync += [left_x.eq(left_x - 1), *start(*for_next_place)]
            with m.Else():
                m.d.sync += [
                    left_x.eq(last_x),
                    left_y.eq(left_y - 1),
                    line_row.eq(for_next_line[0]),
                    line_weight.eq(for_next_line[1]),
                    *start(*for_next_line),
                ]

    def _ending(self, m: Module, job: dict[str, Signal]) -> Signal:
        """After an end mark: wait for the lanes, then for the swap."""
        ending = Signal()
        drain = Signal(range(DRAIN_CYCLES + 1))
        m.d.comb += self.finish.eq(ending & (drain == 0))
        with m.If(job["ready"] & job["valid"] & job["end"]):
            m.d.sync += [ending.eq(1), drain.eq(DRAIN_CYCLES)]
        with m.Elif(ending):
            m.d.sync += drain.eq(Mux(drain == 0, 0, drain - 1))
            with m.If(self.swap):
                m.d.sync += ending.eq(0)
        return ending
