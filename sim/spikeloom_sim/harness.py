"""The Verilog around a design under cocotb: gathers everything a bench watches into one word a cycle.

Reading a signal through a simulator's interface costs microseconds, so the bench reads one word instead of dozens. It
is sampled at the rising edge with the values before it, so that it says what was transferred at that edge, and
whether the simulator calls the bench before or after its registers change makes no difference. Banks are copied at the
same edge. The design itself is what ships; it is observed by hierarchical names.
"""

import re
from dataclasses import dataclass

from .capture import STATE_BITS
from .design import Core, Design, Stream

TOP = "spikeloom_bench"
_PLAIN = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Slot:
    """Where a stream or core sits in the word: offset of its flags, and of its payload of `width` bits.

    A stream has two flags: taken, waits. A core has swap, and retire where it fires; its payload is the remainders.
    Where it integrates, another flag and `visit_width` bits of what it visits follow.
    """

    name: str
    offset: int
    width: int
    visit_width: int = 0


@dataclass(frozen=True)
class Harness:
    """Verilog text, and the layout of its word `seen` of `width` bits, lowest first."""

    text: str
    width: int
    streams: tuple[Slot, ...]
    cores: tuple[Slot, ...]


def harness(design: Design) -> Harness:
    """Write the harness of a design."""
    parts: list[str] = []
    streams, cores, offset = [], [], 0

    for stream in design.streams:
        valid, ready, payload = _signals(stream, design)
        streams.append(Slot(stream.name, offset, stream.width))
        parts += [f"{valid} & {ready} & ~rst", f"{valid} & ~{ready} & ~rst"]
        parts += [f"{payload} & {{{stream.width}{{{valid}}}}}"] if stream.width else []  # idle ones may be unknown
        offset += 2 + stream.width
    for core in design.cores:
        firing = core.retire_bits if core.retire_valid else 0
        cores.append(Slot(core.name, offset, firing, core.visit_bits if core.visited else 0))
        parts.append(f"{_path(core.swap)} & ~rst")
        offset += 1
        if core.retire_valid and core.retire_remainder:
            retire = _path(core.retire_valid)
            parts += [f"{retire} & ~rst", f"{_path(core.retire_remainder)} & {{{core.retire_bits}{{{retire}}}}}"]
            offset += 1 + core.retire_bits
        if core.visit_valid and core.visited:
            visit = _path(core.visit_valid)
            parts += [f"{visit} & ~rst", f"{_path(core.visited)} & {{{core.visit_bits}{{{visit}}}}}"]
            offset += 1 + core.visit_bits
    lines = [
        "// Written by spikeloom_sim.harness for one simulation.",
        f"module {TOP}(clk, rst, i__valid, i__payload, o__ready, o_class__ready, seen);",
        "  input clk, rst, i__valid, o__ready, o_class__ready;",
        f"  input [{design.ports['i'].width - 1}:0] i__payload;",
        f"  output reg [{offset - 1}:0] seen = 0;",
        *_wires(design),
        f"  always @(posedge clk) seen <= {{{', '.join(f'({part})' for part in reversed(parts))}}};",
        *(line for index, core in enumerate(design.cores) for line in (*_bank(index, core), *_states(index, core))),
        "endmodule",
    ]
    return Harness("\n".join(lines) + "\n", offset, tuple(streams), tuple(cores))


def bank_name(index: int) -> str:
    """Name of the copy of a core's bank: a register for one row, an array for more, memory after memory."""
    return f"bank_{index}"


def states_name(index: int) -> str:
    """Name of a register with the cycles that a core spent in each of its states up to its last swap."""
    return f"states_{index}"


def _wires(design: Design) -> list[str]:
    """The design and the wires at its ports."""
    outputs = {"i__ready": 1, "o__valid": 1, "o__payload": design.ports["o"].width, "o_class__valid": 1}
    outputs["o_class__payload"] = design.ports["o_class"].width
    names = ["clk", "rst", "i__valid", "i__payload", "o__ready", "o_class__ready", *(n for n in outputs if outputs[n])]
    # nothing is loaded here
    idle = ("i_load__valid", "i_load__payload", "o_load__ready") if design.manifest["contents"] == "loadable" else ()
    pins = [*(f".{name}({name})" for name in names), *(f".{name}(0)" for name in idle)]
    return [
        *(f"  wire [{width - 1}:0] {name};" for name, width in outputs.items() if width),
        f"  {design.manifest['top']} dut({', '.join(pins)});",
    ]


def _bank(index: int, core: Core) -> list[str]:
    """The copy of a core's bank at its swap."""
    name, swap = bank_name(index), _path(core.swap)
    if core.filled is None:
        return [
            f"  reg [{core.row_bits - 1}:0] {name} = 0;",
            f"  always @(posedge clk) if ({swap}) {name} <= {_path(core.banks[0])};",
        ]
    row, words = f"row_{index}", core.memories * core.rows
    single = words == 1
    copies = [
        # a blocking assignment reads the memory before its own writes of this edge, which are non-blocking, arrive
        f"      {name}{'' if single else f'[{memory * core.rows} + {row}]'} = "
        f"{_path(path)}[2 * {row} + {_path(core.filled)}];"
        for memory, path in enumerate(core.banks)
    ]
    return [
        f"  reg [{core.row_bits - 1}:0] {name}{' = 0' if single else f' [0:{words - 1}]'};",
        f"  integer {row};",
        f"  always @(posedge clk) if ({swap})",
        f"    for ({row} = 0; {row} < {core.rows}; {row} = {row} + 1) begin",
        *copies,
        "    end",
    ]


def _states(index: int, core: Core) -> list[str]:
    """Counters of the states of a core, and their copy at its swap."""
    if not core.states:
        return []
    counters = [f"count_{index}_{state}" for state in range(len(core.states))]
    return [
        f"  reg [{STATE_BITS * len(counters) - 1}:0] {states_name(index)} = 0;",
        *(f"  reg [{STATE_BITS - 1}:0] {counter} = 0;" for counter in counters),
        "  always @(posedge clk) begin",
        *(
            f"    {counter} = {counter} + ({_path(state)} === 1'b1);"
            for counter, state in zip(counters, core.states, strict=True)
        ),
        f"    if ({_path(core.swap)}) {states_name(index)} = {{{', '.join(reversed(counters))}}};",
        "  end",
    ]


def _signals(stream: Stream, design: Design) -> tuple[str, str, str]:
    """Valid, ready and payload of a stream as the harness names them."""
    if stream.name in design.ports:
        return stream.valid, stream.ready, stream.payload
    return _path(stream.valid), _path(stream.ready), _path(stream.payload)


def _path(path: str) -> str:
    """Hierarchical name below the design, escaped where it must be."""
    return ".".join(part if _PLAIN.fullmatch(part) else f"\\{part} " for part in ("dut", *path.split(".")))
