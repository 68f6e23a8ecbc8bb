"""What was seen of a design while it ran: raw words and the cycles they were seen in, the same for every simulator."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

STATES = ("accumulating", "waiting", "draining", "program")  # what a core is at in a cycle
KINDS = ("beats", "swaps", "retires", "visits")  # of words
STATE_BITS = 32  # of a counter of cycles


@dataclass(frozen=True, eq=False)
class Words:
    """Words seen at certain cycles: `words` [n, ...], `cycles` int64 [n].

    A beat of a stream is one uint64; wider words are uint32 pieces, lowest first, in the last dimension.
    """

    words: np.ndarray
    cycles: np.ndarray


@dataclass(frozen=True, eq=False)
class Capture:
    """A run.

    Members
    -------
    beats : transfers of each stream (i, o, o_class, and each firing core's spikes by core name), uint64 [n].
    swaps : the bank of each core that was filled up to each swap, uint32 [n, memories, rows, pieces].
    retires : remainders of each firing core, uint32 [n, pieces].
    visits : of cores that integrate: what is left of the potentials of each slot that is visited, then these, uint32
        [n, pieces].
    states : cycles that each core spent in each of `STATES` up to each swap, int64 [n, states]; not every design
        shows them.
    cycles : length of the run.
    fault : why the run ended early or which rule a stream broke; None where all is well.
    """

    beats: dict[str, Words]
    swaps: dict[str, Words]
    retires: dict[str, Words]
    cycles: int = 0
    fault: str | None = None
    states: dict[str, np.ndarray] = field(default_factory=dict)
    visits: dict[str, Words] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write as .npz."""
        arrays: dict[str, np.ndarray] = {"cycles": np.array(self.cycles), "fault": np.array(self.fault or "")}
        for kind in KINDS:
            for name, record in getattr(self, kind).items():
                arrays |= {f"{kind}/{name}/words": record.words, f"{kind}/{name}/cycles": record.cycles}
        arrays |= {f"states/{name}": counts for name, counts in self.states.items()}
        np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy: names are any

    @classmethod
    def load(cls, path: Path) -> "Capture":
        """Read what `save` wrote."""
        kinds: dict[str, dict[str, Words]] = {kind: {} for kind in KINDS}
        states: dict[str, np.ndarray] = {}
        with np.load(path) as arrays:
            for key in arrays.files:
                kind, *rest = key.split("/")
                if kind == "states":
                    states[rest[0]] = arrays[key]
                elif len(rest) == 2 and rest[1] == "words":
                    kinds[kind][rest[0]] = Words(arrays[key], arrays[f"{kind}/{rest[0]}/cycles"])
            cycles, fault = int(arrays["cycles"]), str(arrays["fault"]) or None
            return cls(**kinds, cycles=cycles, fault=fault, states=states)


@dataclass(eq=False)
class Recorder:
    """Collects words one by one, as Python integers of any width."""

    pieces: int | None = None
    values: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)

    def done(self, *shape: int) -> Words:
        """The words so far, `shape` words a record: beats for `pieces` None, else uint32 pieces."""
        cycles = np.array(self.cycles, np.int64)
        if self.pieces is None:
            return Words(np.array(self.values, np.uint64), cycles)
        size = 4 * self.pieces
        raw = b"".join(value.to_bytes(size, "little") for value in self.values)
        return Words(np.frombuffer(raw, "<u4").reshape(len(cycles), *shape, self.pieces), cycles)


def pieces_of(bits: int) -> int:
    """Pieces of 32 bits that a word of `bits` takes."""
    return -(-bits // 32)


def lanes_of(words: np.ndarray, lanes: int, bits: int) -> np.ndarray:
    """Signed integers packed in words: int64 [..., lanes] of uint32 [..., pieces], lane 0 lowest, 64 bits at most."""
    offset = np.arange(lanes) * bits
    place, shift = offset // 32, (offset % 32).astype(np.uint64)
    padded = np.concatenate([words, np.zeros((*words.shape[:-1], 3), np.uint32)], -1).astype(np.uint64)
    low = padded[..., place] | padded[..., place + 1] << np.uint64(32)
    # shifted twice, since a shift by 64 is undefined where the offset is a multiple of 32
    value = low >> shift | padded[..., place + 2] << np.uint64(1) << (np.uint64(63) - shift)
    unused = np.uint64(64 - bits)
    return (value << unused).view(np.int64) >> np.int64(unused)
