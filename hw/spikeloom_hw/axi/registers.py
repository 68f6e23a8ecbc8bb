"""The registers of the AXI wrapper: one definition, which gates, manifest, benches and the documentation read."""

from collections.abc import Iterator
from dataclasses import dataclass

DATA_BITS = 32
ADDRESS_BITS = 8
MAGIC = int.from_bytes(b"LOOM", "little")
VERSION = 1 << 16  # major in the upper half
MOST_READOUTS = 32
FIRST_CLASS = 0x80

# how a register behaves: what software may do with it
ACCESS = {
    "constant": "read",
    "status": "read",
    "counter": "read",
    "flags": "read, write 1 to clear",
    "command": "write",
}


@dataclass(frozen=True)
class Field:
    """Bits low .. low + width - 1 of a register."""

    name: str
    low: int
    width: int
    text: str

    @property
    def bits(self) -> str:
        """The bits as data sheets write them: 7:0."""
        return str(self.low) if self.width == 1 else f"{self.low + self.width - 1}:{self.low}"


@dataclass(frozen=True)
class Register:
    """A word of 32 bits at a byte offset.

    Members
    -------
    name : in capitals.
    offset : in bytes.
    kind : "constant" of a build; "status" of this moment; "counter", modulo 2^32; "flags", each set by the hardware and
        cleared by writing 1 to it; "command", does what it says where a 1 is written, and reads 0.
    text : what it is.
    fields : bits with a name; none where the whole word is one number.
    """

    name: str
    offset: int
    kind: str
    text: str
    fields: tuple[Field, ...] = ()

    def field(self, name: str) -> Field:
        """Field of a name; KeyError where there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def pack(self, **values: int) -> int:
        """The word with these fields, the others zero."""
        return sum(value << self.field(name).low for name, value in values.items())

    def unpack(self, word: int) -> dict[str, int]:
        """Fields of a word by name."""
        return {field.name: word >> field.low & (1 << field.width) - 1 for field in self.fields}


_CONSTANTS: tuple[tuple[str, str, tuple[Field, ...]], ...] = (
    ("MAGIC", f'0x{MAGIC:08X}, the letters "LOOM" in memory', ()),
    (
        "VERSION",
        "of this list of registers: a larger minor one has more of them, another major one other ones",
        (Field("minor", 0, 16, "minor version, 0"), Field("major", 16, 16, "major version, 1")),
    ),
    ("BUILD_ID_LOW", "lower half of the build id in the manifest", ()),
    ("BUILD_ID_HIGH", "upper half of it", ()),
    ("INPUTS", "pixels of a sample, or neurons of the input where `events` is set", ()),
    ("INPUT_BEATS", "beats of a sample on `s_axis`; 0: any number", ()),
    ("OUTPUTS", "beats of an answer on `m_axis`: potentials of all readouts", ()),
    (
        "FORMAT",
        "what the streams carry",
        (
            Field("events", 0, 1, "`s_axis` carries events, not pixels"),
            Field("timesteps", 8, 8, "time steps of the input's train"),
            Field("potential_bits", 16, 8, "bits of a potential before it is extended to 32"),
            Field("readouts", 24, 8, "number of readouts"),
        ),
    ),
)
_OTHERS: tuple[tuple[str, str, str, tuple[Field, ...]], ...] = (
    (
        "CONTROL",
        "command",
        "what is done where a 1 is written",
        (
            Field("reset", 0, 1, "forget every sample, zero the counters, flags and classes"),
            Field("restart", 1, 1, "with `reset`: the next beat of `s_axis` begins a sample, whatever came before"),
        ),
    ),
    (
        "STATUS",
        "status",
        "what is going on",
        (
            Field("busy", 0, 1, "a sample is on its way: its first beat is in, the last of its answer is not out"),
            Field("receiving", 1, 1, "a packet has begun on `s_axis` and has not ended"),
            Field("discarding", 2, 1, "what is left of that packet is thrown away"),
            Field("answering", 3, 1, "a packet has begun on `m_axis` and has not ended"),
            Field("in_flight", 8, 8, "samples that are in whole, and whose answer is not"),
        ),
    ),
    (
        "ERRORS",
        "flags",
        "what was wrong with packets on `s_axis`",
        (
            Field("short", 0, 1, "a packet ended too early, or had bytes missing"),
            Field("long", 1, 1, "a packet went on beyond the sample"),
            Field("wrong_event", 2, 1, "an event had an address or a time step that does not exist"),
        ),
    ),
    ("SAMPLES", "counter", "answers that went out", ()),
    ("BAD_SAMPLES", "counter", "those among them that are marked as wrong", ()),
    ("CYCLES", "status", "cycles of the last sample, from its first beat in to the last of its answer out", ()),
    ("EVENTS", "counter", "events that the core took", ()),
    ("INPUT_STALLS", "counter", "cycles in which a beat waited on `s_axis`", ()),
    ("OUTPUT_STALLS", "counter", "cycles in which a beat waited on `m_axis`", ()),
)


def _registers() -> Iterator[Register]:
    offset = 0
    for name, text, fields in _CONSTANTS:
        yield Register(name, offset, "constant", text, fields)
        offset += 4
    for name, kind, text, fields in _OTHERS:
        yield Register(name, offset, kind, text, fields)
        offset += 4


REGISTERS = {register.name: register for register in _registers()}


def register_map(readouts: int) -> tuple[Register, ...]:
    """All registers of a build: `REGISTERS`, and the class of each of its readouts."""
    classes = (
        Register(f"CLASS{number}", FIRST_CLASS + 4 * number, "status", f"last class of readout {number}")
        for number in range(readouts)
    )
    return (*REGISTERS.values(), *classes)


def table() -> str:
    """The registers as a table in Markdown, as docs/reference/axi.md has it."""
    rows = ["| offset | register | bits | access | what it is |", "|---|---|---|---|---|"]
    for register in REGISTERS.values():
        access = ACCESS[register.kind]
        rows.append(f"| 0x{register.offset:02X} | `{register.name}` | 31:0 | {access} | {register.text} |")
        rows += [f"| | `{field.name}` | {field.bits} | | {field.text} |" for field in register.fields]
    rows.append(f"| 0x{FIRST_CLASS:02X} + 4n | `CLASSn` | 31:0 | read | last class of readout n |")
    return "\n".join(rows)
