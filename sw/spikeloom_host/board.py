"""What a board can do, whatever it is made of; and the golden model as a board."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from spikeloom import Network
from spikeloom.encoding import as_samples, encode, event_counts
from spikeloom.link import Identity, Statistics

OnSamples = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network makes of N samples, by the name of each readout.

    Members
    -------
    potentials : int64 [N, outputs].
    classes : int64 [N], index of the largest potential, the lowest of equal ones.
    """

    potentials: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]

    def mismatches(self, other: "Answers") -> int:
        """Integers, potentials and classes, that differ from those of another board for the same samples."""
        pairs = [(self.potentials, other.potentials), (self.classes, other.classes)]
        return sum(int((mine[name] != theirs[name]).sum()) for mine, theirs in pairs for name in mine)


class Board(Protocol):
    """Something that runs one network on samples; a context manager that closes itself.

    All calls raise `SpikeloomError`, one at a serial port `LinkError` within its timeout; after that the next call
    starts afresh.
    """

    def identify(self) -> Identity:
        """What it is and which build it holds."""

    def infer(self, x: np.ndarray, on_samples: OnSamples | None = None) -> Answers:
        """Run samples, (N, C, H, W), (N, C, L) or (N, F) as `spikeloom.encoding.encode` takes them.

        `on_samples` is called with the number of samples that are done.
        """

    def statistics(self) -> Statistics:
        """What was counted since the last reset."""

    def reset(self) -> None:
        """Back to the state after power-on."""

    def close(self) -> None:
        """Let go of it; may be called twice."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class Closing:
    """A context manager that closes itself."""

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, eq=False)
class Target:
    """What a board should hold.

    Members
    -------
    network : Network
    identity : of the build; its `clock_hz` does not count.
    readouts : names of the readouts, in the order in which they answer.
    """

    network: Network
    identity: Identity
    readouts: tuple[str, ...]

    @classmethod
    def of(cls, network: Network, manifest: Mapping[str, Any]) -> "Target":
        """Target of a build, from its network and its manifest."""
        return cls(network, Identity.of(manifest), tuple(manifest["readout"]["populations"]))

    def codes(self, x: np.ndarray) -> np.ndarray:
        """Codes [N, neurons] of samples, in order of address; InvalidData where they are none."""
        codes = encode(self.network.inputs[0], x)
        return codes.reshape(len(codes), self.identity.neurons)

    def answers(self, potentials: np.ndarray | Sequence[Sequence[int]], classes: np.ndarray | Sequence[Any]) -> Answers:
        """Answers of [N, all outputs] potentials and [N, readouts] classes, in the order in which they came."""
        edges = np.cumsum(self.identity.outputs)
        rows = np.asarray(potentials, np.int64).reshape(-1, edges[-1])
        columns = np.asarray(classes, np.int64).reshape(-1, len(edges))
        parts = np.split(rows, edges[:-1], axis=1)
        return Answers(
            dict(zip(self.readouts, parts, strict=True)), dict(zip(self.readouts, columns.T.copy(), strict=True))
        )


class GoldenBoard(Closing):
    """The golden model as a board: what every other must answer.

    Parameters
    ----------
    target : Target
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._statistics = Statistics()

    def identify(self) -> Identity:
        """The identity of the build it stands for."""
        return self.target.identity

    def infer(self, x: np.ndarray, on_samples: OnSamples | None = None) -> Answers:
        """Run samples through `golden.evaluate`."""
        from spikeloom import golden  # brings PyTorch, which a host of a board does without

        source = self.target.network.inputs[0]
        x = as_samples(source.name, x, source.shape)
        found = golden.evaluate(self.target.network, x)
        potentials = found if isinstance(found, dict) else {self.target.readouts[0]: found}
        ordered = [potentials[name] for name in self.target.readouts]
        classes = np.stack([part.argmax(1) for part in ordered], 1)
        if len(x):
            events = int(event_counts(self.target.codes(x[-1:]), source.code).sum())
            samples = self._statistics.samples + len(x)
            self._statistics = replace(self._statistics, samples=samples, events=events)
        if on_samples:
            on_samples(len(x))
        return self.target.answers(np.concatenate(ordered, 1), classes)

    def statistics(self) -> Statistics:
        """Samples and events; it has no cycles and loses no frames."""
        return self._statistics

    def reset(self) -> None:
        """Forget what was counted."""
        self._statistics = Statistics()
