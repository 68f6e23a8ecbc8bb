"""A simulated design as a board: the bare core, compiled by CXXRTL, without a serial line."""

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

import numpy as np
from spikeloom import SpikeloomError
from spikeloom.encoding import as_samples
from spikeloom.link import Identity, Statistics
from spikeloom_host import Answers, Target

from .cxxrtl import Model
from .design import Design
from .vectors import vectors

CHUNK_SAMPLES = 64


class SimulatedBoard:
    """A `spikeloom_host.Board` in this process, samples one behind the other; use as a context manager.

    Parameters
    ----------
    design : Design

    Raises
    ------
    ToolError
        Compilation failed.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self.target = Target.of(design.network, design.manifest)
        self._statistics = Statistics()
        self._model: Model | None = Model(design)

    def __enter__(self) -> "SimulatedBoard":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the simulation."""
        if self._model is not None:
            self._model.__exit__(None, None, None)
            self._model = None

    def identify(self) -> Identity:
        """The identity of its build."""
        return self.target.identity

    def infer(self, x: np.ndarray, on_samples: Callable[[int], None] | None = None) -> Answers:
        """See `spikeloom_host.Board.infer`; SpikeloomError where the design hangs or breaks a rule of its streams."""
        source = self.design.network.inputs[0]
        x = as_samples(source.name, x, source.shape)
        potentials, classes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for start in range(0, len(x), CHUNK_SAMPLES):
            chunk = x[start : start + CHUNK_SAMPLES]
            self._run(chunk, potentials, classes)
            if on_samples:
                on_samples(start + len(chunk))
        return self.target.answers(np.concatenate(potentials), np.concatenate(classes))

    def statistics(self) -> Statistics:
        """Cycles and events of the last sample, and samples; `cycles` is what it added to those before it."""
        return self._statistics

    def reset(self) -> None:
        """Back to the state after power-on."""
        self._live.configure()
        self._statistics = Statistics()

    @property
    def _live(self) -> Model:
        if self._model is None:
            raise SpikeloomError(
                f"Build '{self.design.folder}': its simulation must be open, and was closed; make another"
            )
        return self._model

    def _run(self, x: np.ndarray, potentials: list[np.ndarray], classes: list[np.ndarray]) -> None:
        stimulus = vectors(self.design, x)
        seen = self._live.run(stimulus)
        if seen.fault:
            raise SpikeloomError(
                f"Build '{self.design.folder}': must answer {len(x)} samples, and does not: {seen.fault}"
            )
        words = seen.beats["o"].words
        port = self.design.ports["o"]
        bits = port.fields["potential"][1]
        values = port.field(words, "potential")
        potentials.append(np.where(values >> bits - 1 & 1, values - (1 << bits), values))
        classes.append(seen.beats["o_class"].words.astype(np.int64))
        ends = seen.beats["o_class"].cycles[len(self.target.readouts) - 1 :: len(self.target.readouts)]
        began = ends[-2] if len(ends) > 1 else seen.beats["i"].cycles[0]
        self._statistics = replace(
            self._statistics,
            cycles=int(ends[-1] - began),
            events=len(stimulus.sample(len(x) - 1)) - 1,
            samples=self._statistics.samples + len(x),
        )
