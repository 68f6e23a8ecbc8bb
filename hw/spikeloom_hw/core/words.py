"""Words inside a core: its program, the operations of its lanes, and what its store is told."""

from functools import cache

import numpy as np
from amaranth.lib import data
from amaranth.utils import ceil_log2
from spikeloom import Neuron
from spikeloom.geometry import Diagonal
from spikeloom.program.visits import Visit
from spikeloom.windows import SINGLE

from .layouts import row_layout
from .phases import Step
from .rom import width_of
from .scan import scan_fields
from .spec import CoreSpec
from .tables import WalkTables

Image = dict[str, np.ndarray]
INTEGRATE = (
    "recalls", "growth", "stays", "state", "keeps_input", "adds_input", "input", "clamps", "signed", "fires", "hard",
    "graded", "keeps",
)  # fmt: skip
_ROWS = ("active", "base", "y", "x", "offset", "channels", "weight", "group", "digit", "bit", "signed")


def program_image(spec: CoreSpec, tables: WalkTables) -> Image:
    """The program, int64 [steps] by field.

    `external`: events come from the port, not from the queue. `table_c`, `table_y`, `table_x`: first entries.
    `last_group`: rows of channels a pass, less one. `weight_line`: weight rows between lines of passes. `stride_y`,
    `stride_x`: bank rows between blocks. `shift`, `top`: of the first time step's spikes, with the connection's own
    shift and without; `binary`: spikes of later steps weigh half as much each. `store`, `store_base`: keep the
    events' codes. `first`: of its phase; `last`: then swap. Prefix `rows`: see `_rows`; `read`: see `_read`; `drain`:
    see `_drain`.
    """
    words = []
    for number, step in enumerate(spec.steps):
        first = number == 0 or spec.steps[number - 1].last
        word = (
            {"first": int(first)}
            | _fill(spec, tables, step)
            | _rows(spec, step, number)
            | _read(spec, step)
            | _drain(spec, step)
        )
        words.append(word)
    return {key: np.array([word[key] for word in words], np.int64) for key in words[0]}


@cache
def step_layout(spec: CoreSpec, tables: WalkTables) -> data.StructLayout:
    """Layout of a word of the program."""
    return data.StructLayout({key: max(1, width_of(values)) for key, values in program_image(spec, tables).items()})


def _fill(spec: CoreSpec, tables: WalkTables, step: Step) -> dict[str, int]:
    train, events = step.train, step.events
    bases = tables.bases(step) if train else dict.fromkeys("cyx", 0)
    strides, line = ((0, 0), 0) if events is None else (events.bank_strides, events.weight_strides[1])
    top = spec.top_shift(train) if train else 0
    return {
        "external": int(step.phase == 0 and not step.replayed),
        "walk": int(train is not None),
        **{f"table_{name}": first for name, first in bases.items()},
        "last_group": events.reach - 1 if events else 0,
        "weight_line": line,
        "stride_y": strides[0],
        "stride_x": strides[1],
        "shift": top + (events.connection.shift if events else 0),
        "top": top,
        "binary": int(train is not None and spec.binary(train)),
        "store": int(step.stored is not None),
        "store_base": step.stored.base if step.stored else 0,
        "last": int(step.last),
    }


def _rows(spec: CoreSpec, step: Step, number: int) -> dict[str, int]:
    """A diagonal connection by rows: `rows_active`; `rows_base` of the source's codes; store words between source
    positions that target neighbours hear: `rows_y`, `rows_x`; `rows_offset`: channel offset; `rows_channels` of the
    source; `rows_weight`: first weight row; `rows_group`: rows of channels, less one; `rows_digit`, `rows_bit`:
    digits of a weight and bits of a code that are added one by one, less one; `rows_signed`: the first of these bits
    is subtracted; `rows_shift<d>`: shift of the last bit with digit d; `rows_scan_...`: the target.
    """
    rows = step.rows
    digits = len(spec.digit_range)
    if rows is None:
        layer = spec.plan.layers[step.phase]
        plain = dict.fromkeys(_ROWS, 0)
        shifts, scan = [0] * digits, scan_fields(layer, spec.plan.store_width) if spec.plan.stored else {}
    else:
        geometry, source = rows.connection.geometry, spec.network.source(rows.connection.source).shape
        assert isinstance(geometry, Diagonal)  # no other is added by rows
        words = -(-source[0] // spec.plan.store_width)
        plain = {
            "active": 1,
            "base": spec.region(rows.connection.source).base,
            "y": geometry.stride[0] * source[2] * words,
            "x": geometry.stride[1] * words,
            "offset": geometry.channel_offset,
            "channels": source[0],
            "weight": spec.row_bases[number],
            "digit": len(rows.shifts) - 1,
            "bit": 0 if spec.plan.multiply else spec.code_bits_of(rows.connection.source) - 1,
            "signed": int(spec.network.sender(rows.connection.source).signed),
        }
        shifts = [*rows.shifts, *[0] * (digits - len(rows.shifts))]
        scan = scan_fields(rows.layer, spec.plan.store_width)
        plain["group"] = rows.layer.groups - 1
    # every place of a row is filled, whether a neuron lies there or not
    scan |= dict.fromkeys(("row_slot", "last_slot"), spec.plan.lanes // spec.plan.store_width - 1)
    found = {f"rows_{key}": value for key, value in plain.items()}
    found |= {f"rows_shift{digit}": shift for digit, shift in enumerate(shifts)}
    return found | {f"rows_scan_{key}": value for key, value in scan.items()}


def _read(spec: CoreSpec, step: Step) -> dict[str, int]:
    """A stored train as events: `read_active`; `read_base`: where the first window begins, which may be before the
    region, and so, as all addresses, modulo the store's; `read_words` a position, less one; `read_line`: words of a
    source row; `read_last_y`, `read_last_x`: positions less one; `read_pool_y`, `read_pool_x`: max pooling window, less
    one; `read_beside`, `read_below`: words from the last word of a position to the window beside it, from a line to the
    window below; `read_digits`: of the train, less one; `read_minimal`: in minimal-weight code; `read_signed`: codes
    have a sign. Where windows reach beyond a border: `read_stride_y`, `read_stride_x`: rows and columns between
    windows; `read_ahead_y`, `read_ahead_x`: those by which the first one begins early; `read_high`, `read_wide`: size
    of the source.
    """
    keys = (
        "active",
        "base",
        "words",
        "line",
        "last_y",
        "last_x",
        "pool_y",
        "pool_x",
        "beside",
        "below",
        "digits",
        "minimal",
        "signed",
        *(("stride_y", "stride_x", "ahead_y", "ahead_x", "high", "wide") if spec.reads_beyond else ()),
    )
    if not step.replayed or step.train is None:
        return {f"read_{key}": 0 for key in keys}
    windows = (step.events.connection.geometry.max_windows if step.events else None) or SINGLE
    channels, height, width = spec.network.source(step.train).shape
    high, wide = windows.outputs(height, width)
    words = -(-channels // spec.plan.store_width)
    values = {
        "active": 1,
        "base": (spec.region(step.train).base - (windows.ahead[0] * width + windows.ahead[1]) * words)
        % (1 << ceil_log2(spec.plan.store_words)),
        "words": words - 1,
        "line": width * words,
        "last_y": high - 1,
        "last_x": wide - 1,
        "pool_y": windows.size[0] - 1,
        "pool_x": windows.size[1] - 1,
        "beside": (windows.stride[1] - 1) * words + 1,
        "below": windows.stride[0] * width * words,
        "digits": spec.digits(step.train) - 1,
        "minimal": int(spec.network.sender(step.train).code == "naf"),
        "signed": int(spec.network.sender(step.train).signed),
        "stride_y": windows.stride[0],
        "stride_x": windows.stride[1],
        "ahead_y": windows.ahead[0],
        "ahead_x": windows.ahead[1],
        "high": height,
        "wide": width,
    }
    return {f"read_{key}": values[key] for key in keys}


def _drain(spec: CoreSpec, step: Step) -> dict[str, int]:
    """The layer that the generator visits meanwhile: `drain_scan_...`; `drain_row`: its rows, less one;
    `drain_neuron`: its first levels; `drain_borders`: these depend on the position, by way of tables from
    `drain_border_y` and `drain_border_x` on; `drain_digits` of its codes, less one; `drain_minimal`: sent in minimal-
    weight code; `drain_binary`: growth 2; `drain_out`: to the port rather than to the lanes; `drain_reads`: a readout
    with `drain_outputs`, less one; `drain_announce`: silent words too. More where potentials are integrated: see
    `_integrate`.
    """
    visit = step.drained
    layer = spec.plan.layers[visit.layer]
    population = spec.populations[visit.layer]
    fires = population in spec.firing
    digits, binary = spec.generated(population) if fires else (1, False)
    values = {
        "row": layer.rows - 1,
        "neuron": spec.neuron_base(visit),
        "borders": int(spec.has_borders(visit.layer)),
        "border_y": spec.border_bases(visit.layer)[0],
        "border_x": spec.border_bases(visit.layer)[1],
        "digits": digits - 1,
        "minimal": int(fires and spec.network.sender(population.name).code == "naf"),
        "binary": int(binary),
        "out": int(visit.layer == len(spec.plan.layers) - 1),
        "reads": int(not fires),
        "outputs": 0 if fires else population.shape[0] - 1,
        "announce": int(spec.announces(visit.layer)),
        **{f"scan_{key}": value for key, value in scan_fields(layer, spec.slot).items()},
    }
    if spec.integrates:
        values |= _integrate(spec, visit)
    return {f"drain_{key}": value for key, value in values.items()}


def _integrate(spec: CoreSpec, visit: Visit) -> dict[str, int]:
    """What a visit does with a potential, see `Integrate`: `recalls`, `growth` (which of the core's), `state`: first
    word of what `stays`; `keeps_input`, `adds_input`, `input`: likewise; `clamps`; `signed`: negative ones fire too;
    `fires` one time step, `hard`: which leaves 0, `graded`: and sends what lies above a level; `keeps`: nothing leaves.
    """
    neuron = spec.populations[visit.layer].neuron
    return {
        "recalls": int(visit.recalls),
        "growth": spec.growths.index(visit.growth) if visit.recalls else 0,
        "stays": int(spec.state_base(visit.layer + 1) > spec.state_base(visit.layer)),
        "state": spec.state_base(visit.layer),
        "keeps_input": int(visit.keeps_input),
        "adds_input": int(visit.adds_input),
        "input": spec.input_base(visit.layer),
        "clamps": int(visit.clamps),
        "signed": int(isinstance(neuron, Neuron) and neuron.signed),
        "fires": int(visit.action == "fire"),
        "hard": int(isinstance(neuron, Neuron) and neuron.reset_kind == "hard"),
        "graded": int(isinstance(neuron, Neuron) and neuron.step_bits > 0),
        "keeps": int(visit.action == "keep"),
    }


def scan_layout(layout: data.StructLayout, prefix: str) -> data.StructLayout:
    """Layout of a layer's scan fields, taken from the program's."""
    return data.StructLayout(
        {
            key.removeprefix(prefix): field.width
            for key, field in layout
            if isinstance(key, str) and key.startswith(prefix)
        }
    )


def operation_layout(spec: CoreSpec, tables: WalkTables) -> data.StructLayout:
    """An operation of the lanes: rows of potentials and weights, rotations of the weights, shift, cells it goes to."""
    gy, gx = spec.plan.grid
    rotations_y, rotations_x = tables.rotations
    return data.StructLayout(
        {
            "row": ceil_log2(spec.plan.rows),
            "weight": ceil_log2(len(spec.weight_rows)),
            "rotation_y": ceil_log2(len(rotations_y)),
            "rotation_x": ceil_log2(len(rotations_x)),
            "mask_y": gy,
            "mask_x": gx,
            "shift": ceil_log2(spec.shifts),
            "negative": 1,
        }
    )


def record_layout(spec: CoreSpec) -> data.StructLayout:
    """An event for the store: word, lane in the word, shift of what it adds; `end` after the last one."""
    return data.StructLayout(
        {
            "valid": 1,
            "end": 1,
            "none": 1,
            "negative": 1,
            "place": ceil_log2(max(spec.plan.store_words, 1)),
            "lane": ceil_log2(spec.plan.store_width),
            "weighs": ceil_log2(max(spec.walked_digits, 2)),
        }
    )


def visit_layout(layout: data.StructLayout) -> data.StructLayout:
    """Layout of the fields that say what a visit does with potentials, taken from the program's."""
    return data.StructLayout({name: layout[f"drain_{name}"].width for name in INTEGRATE})


def potentials_layout(spec: CoreSpec) -> data.ArrayLayout:
    """A row of potentials: all cells, row-major."""
    return row_layout(spec.plan.bits, spec.plan.lanes)
