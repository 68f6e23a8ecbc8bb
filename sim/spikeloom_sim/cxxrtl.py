"""Runs a compiled design: events in, captures out, millions of cycles a second."""

import ctypes
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from spikeloom import ToolError
from spikeloom_hw.core.layouts import access_layout, answer_layout

from .capture import STATES, Capture, Words, pieces_of
from .compiled import compile_library
from .design import Design
from .vectors import Vectors

SLICE_CYCLES = 1 << 18  # a call into the library returns after so many, to notice an interrupt
SETTLE_CYCLES = 64
LOAD_PATIENCE_CYCLES = 1000
ACCESS, ANSWER = ({name: field.offset for name, field in layout} for layout in (access_layout(), answer_layout()))
NOTHING = np.zeros(0, np.uint64)
_HANDLE, _INT, _POINTER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p
_RESULTS = {
    "sim_new": _HANDLE, "sim_free": None, "sim_fault": ctypes.c_char_p, "sim_cycle": _INT, "sim_clear": None,
    "sim_memories": ctypes.c_char_p, "sim_image": None, "sim_configure": None, "sim_stalls": None, "sim_reset": None,
    "sim_run": ctypes.c_int, "sim_load": _INT, "sim_beats": _INT, "sim_words": _INT, "sim_states": _INT,
}  # fmt: skip


class Model:
    """A design in this process, compiled by CXXRTL; use as a context manager.

    Parameters
    ----------
    design : Design
    library : what `compile_library` gave; compiled now where None.

    Raises
    ------
    ToolError
        Compilation failed, or the library lacks something the manifest names.
    """

    def __init__(self, design: Design, library: Path | None = None) -> None:
        self.design = design
        self._hang: str | None = None
        self._library = ctypes.CDLL(str(library or compile_library(design)))
        for name, result in _RESULTS.items():
            getattr(self._library, name).restype = result
        self._handle = _HANDLE(self._library.sim_new("\n".join(_probes(design)).encode()))
        if fault := self._text("sim_fault"):
            raise ToolError(f"Build '{design.folder}': the compiled design must have a {fault}; generate it again")
        self._load_memories()
        self.configure()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._library.sim_free(self._handle)

    @property
    def cycle(self) -> int:
        """Cycles since the start."""
        return int(self._library.sim_cycle(self._handle))

    def configure(self, mutant: int = 0) -> None:
        """Back to the state after configuration; `mutant` selects one of those compiled in, 0 none."""
        self._library.sim_configure(self._handle, ctypes.c_uint32(mutant))
        self.clear()

    def reset(self, cycles: int = 1) -> None:
        """Hold `rst` for some cycles and forget what was seen."""
        self._library.sim_reset(self._handle, _INT(cycles))
        self.clear()

    def stall(self, seed: int) -> None:
        """Pause all three ports at random from now on; seed 0: never."""
        self._library.sim_stalls(self._handle, ctypes.c_uint64(seed))

    def clear(self) -> None:
        """Forget what was seen."""
        self._library.sim_clear(self._handle)
        self._hang = None

    def send(
        self,
        beats: np.ndarray,
        *,
        classes: int = 0,
        limit: int | None = None,
        on_slice: Callable[[int], None] | None = None,
    ) -> bool:
        """Send beats uint64 [B] until all are taken and `classes` class beats were seen since the last clear.

        Ends early after `limit` cycles, where the design hangs, and where more classes come; returns whether it got to
        the end. `on_slice` is called every quarter of a million cycles with the class beats seen.
        """
        beats = np.ascontiguousarray(beats, np.uint64)
        sent, patience, sample = _INT(0), self.design.patience_cycles, self.design.sample_cycles
        left = limit
        while self._hang is None and left != 0:
            slice_cycles = SLICE_CYCLES if left is None else min(left, SLICE_CYCLES)
            code = self._library.sim_run(
                self._handle, beats.ctypes.data_as(_POINTER), _INT(len(beats)), ctypes.byref(sent), _INT(classes),
                _INT(slice_cycles), _INT(patience), _INT(sample),
            )  # fmt: skip
            left = None if left is None else left - slice_cycles
            if code == 0:
                return True
            if code == 2:
                self._hang = f"nothing moved for {patience} cycles up to cycle {self.cycle}"
            if code == 3:
                self._hang = f"no sample moved on for {sample} cycles up to cycle {self.cycle}"
            if code == 4:
                self._hang = f"more classes than samples up to cycle {self.cycle}"
            if on_slice:
                on_slice(len(self._beats(2).cycles))
        return False

    def run(
        self,
        stimulus: Vectors,
        *,
        seed: int | None = None,
        alone: int = 0,
        abort_cycles: int | None = None,
        on_samples: Callable[[int], None] | None = None,
    ) -> Capture:
        """Reset, send samples until all are out, and hand over what was seen; see `cocotb_run.run`."""
        self.stall(0 if seed is None else seed + 1)
        self.reset()
        if abort_cycles is not None:
            self.send(stimulus.beats, classes=len(self.design.readouts) * len(stimulus), limit=abort_cycles)
            self.reset()
        started, each = self.cycle, len(self.design.readouts)
        for n in range(min(alone, len(stimulus))):
            self.send(stimulus.sample(n), classes=each * (n + 1))
        if alone < len(stimulus):
            told = None if on_samples is None else lambda beats: on_samples(beats // each)
            self.send(stimulus.sample(alone, len(stimulus)), classes=each * len(stimulus), on_slice=told)
        self.send(NOTHING, classes=each * len(stimulus) + 1, limit=SETTLE_CYCLES)  # for beats that should not be there
        return replace(self.capture(), cycles=self.cycle - started)

    def load(self, memory: int, address: int, data: bytes) -> bool:
        """Write into a parameter memory of a loadable design, see `spikeloom.program.parameters`; False: it is refused.

        Between samples: nothing else moves meanwhile.
        """
        beats = [_beat(memory=memory, address=address, data=byte) for byte in data]
        beats[-1] |= _beat(last=1)
        (answer,) = self._exchange(beats)
        return not answer >> ANSWER["refused"] & 1

    def read_back(self, memory: int) -> bytes | None:
        """All bytes of a parameter memory; None: there is no such memory."""
        answers = self._exchange([_beat(memory=memory, read=1, last=1)])
        return None if answers[-1] >> ANSWER["refused"] & 1 else bytes(answer & 0xFF for answer in answers)

    def _exchange(self, beats: list[int]) -> list[int]:
        """What `o_load` answers to beats of `i_load`, up to the last one."""
        sent, room = np.array(beats, np.uint64), 1 + sum(item.depth * item.words * 5 for item in self.design.parameters)
        answers = np.zeros(room, np.uint64)
        came = self._library.sim_load(
            self._handle, sent.ctypes.data_as(_POINTER), _INT(len(sent)), ctypes.c_uint64(1 << ANSWER["last"]),
            answers.ctypes.data_as(_POINTER), _INT(room), _INT(LOAD_PATIENCE_CYCLES),
        )  # fmt: skip
        if not 0 < came <= room:
            raise ToolError(f"Build '{self.design.folder}': must answer to a load, and does not; generate it again")
        return [int(answer) for answer in answers[:came]]

    def capture(self) -> Capture:
        """What was seen since the last clear; copies."""
        names = [stream.name for stream in self.design.streams]
        beats = {name: self._beats(index) for index, name in enumerate(names)}
        swaps, retires, states, visits = {}, {}, {}, {}
        for index, core in enumerate(self.design.cores):
            swaps[core.name] = self._words(index, 0, (core.memories, core.rows, pieces_of(core.row_bits)))
            if core.spike:
                retires[core.name] = self._words(index, 1, (pieces_of(core.retire_bits),))
            if core.visited:
                visits[core.name] = self._words(index, 2, (pieces_of(core.visit_bits),))
            if core.states:
                states[core.name] = self._states(index)
        return Capture(beats, swaps, retires, self.cycle, self._hang or self._broken_rule(names), states, visits)

    def _text(self, function: str) -> str:
        return bytes(getattr(self._library, function)(self._handle)).decode()

    def _broken_rule(self, names: list[str]) -> str | None:
        if not (fault := self._text("sim_fault")):
            return None
        what, stream, cycle = fault.split()
        return broken_rule(names[int(stream)], what, int(cycle))

    def _beats(self, stream: int) -> Words:
        words, cycles = _POINTER(), _POINTER()
        size = self._library.sim_beats(self._handle, _INT(stream), ctypes.byref(words), ctypes.byref(cycles))
        return Words(copied(words, ctypes.c_uint64, size), copied(cycles, ctypes.c_int64, size))

    def _words(self, core: int, kind: int, shape: tuple[int, ...]) -> Words:
        words, cycles, size = _POINTER(), _POINTER(), _INT()
        records = self._library.sim_words(
            self._handle, _INT(core), ctypes.c_int(kind), ctypes.byref(words), ctypes.byref(cycles), ctypes.byref(size)
        )
        found = copied(words, ctypes.c_uint32, size.value).reshape(records, *shape)
        return Words(found, copied(cycles, ctypes.c_int64, records))

    def _states(self, core: int) -> np.ndarray:
        counts = _POINTER()
        size = self._library.sim_states(self._handle, _INT(core), ctypes.byref(counts))
        return copied(counts, ctypes.c_int64, size).reshape(-1, len(STATES))

    def _load_memories(self) -> None:
        """Hand over the contents of the memories that have a file, which is named after its memory's place."""
        files = set(self.design.manifest["memories"])
        for line in self._text("sim_memories").splitlines():
            path, depth, width = line.split("\t")
            name = re.sub(r"[^\w.]", "", f"{path.replace(' ', '_')}.mem")
            if name in files:
                words = read_memory(self.design.folder / name, int(depth), int(width))
                self._library.sim_image(self._handle, path.encode(), words.ctypes.data_as(_POINTER))
                files.remove(name)
        # Yosys makes a register of a memory of one word; it starts with 0, as such memories do that are written first
        files = {name for name in files if set((self.design.folder / name).read_text().strip()) != {"0"}}
        if files:
            raise ToolError(
                f"Build '{self.design.folder}': each memory file must belong to a memory, not {sorted(files)}; "
                "generate it again"
            )


def _beat(**values: int) -> int:
    """A beat of `i_load`."""
    return sum(value << ACCESS[name] for name, value in values.items())


def broken_rule(stream: str, what: str, cycle: int) -> str:
    """Sentence for a stream that did not hold still while it waited."""
    return f"stream '{stream}': {what} must hold until the beat is taken, but changed before cycle {cycle}"


def read_memory(path: Path, depth: int, width: int) -> np.ndarray:
    """Words of a $readmemb file, uint32 [depth, pieces], lowest piece first."""
    text = re.sub(rb"//[^\n]*", b"", path.read_bytes()).split()
    if len(text) != depth or any(len(word) != width for word in text):
        raise ToolError(f"Memory '{path}': must hold {depth} words of {width} bits; generate the build again")
    bits = np.frombuffer(b"".join(text), np.uint8).reshape(depth, width)[:, ::-1] & 1
    padded = np.zeros((depth, 32 * pieces_of(width)), np.uint8)
    padded[:, :width] = bits
    return np.ascontiguousarray(np.packbits(padded, axis=1, bitorder="little").view("<u4"))


def copied(pointer: ctypes.c_void_p, kind: type, size: int) -> np.ndarray:
    """What lies at a pointer into the library, which may move it later."""
    if size == 0:
        return np.zeros(0, np.dtype(kind))
    return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(kind)), (size,)).copy()


def _probes(design: Design) -> list[str]:
    """The lines that the driver wants to know what to observe."""

    def line(kind: str, *paths: str | None) -> str:
        return "\t".join([kind, *("-" if path is None else path.replace(".", " ") for path in paths)])

    return [
        *(line("stream", stream.valid, stream.ready, stream.payload) for stream in design.streams),
        *(
            line(
                "core",
                str(core.rows if core.filled else 0),
                *(core.swap, core.filled, core.retire_valid, core.retire_remainder, core.visit_valid, core.visited),
                *(core.states or [None] * len(STATES)),
                *core.banks,
            )
            for core in design.cores
        ),
    ]
