"""What is asked of a trace, checked before any work is done, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from spikeloom import SpikeloomError

from .files import SUFFIXES

SAMPLES, NEURONS = 2, 64  # traced where nobody says how many


@dataclass(frozen=True)
class TraceRequest:
    """A waveform to write.

    Parameters
    ----------
    path : the file; .fst or .vcd. Its layouts lie beside it, .gtkw and .sucl.
    samples : samples to record: the first ones, or from the first that differs from the golden model.
    neurons : neurons of each layer that have lines of their own.

    Raises
    ------
    SpikeloomError
        Another suffix, a folder that is not there, or numbers below one.
    """

    path: Path
    samples: int = SAMPLES
    neurons: int = NEURONS

    def __post_init__(self) -> None:
        if self.path.suffix not in SUFFIXES:
            raise SpikeloomError(
                f"Trace '{self.path}': must end in {' or '.join(SUFFIXES)}, not '{self.path.suffix}'; name it so"
            )
        if not self.path.parent.is_dir():
            raise SpikeloomError(f"Trace '{self.path}': folder '{self.path.parent}' must exist; make it first")
        for name in ("samples", "neurons"):
            if getattr(self, name) < 1:
                raise SpikeloomError(f"Trace '{self.path}': {name} must be at least 1, not {getattr(self, name)}")

    @property
    def gtkw(self) -> Path:
        """Layout for GTKWave."""
        return self.path.with_suffix(".gtkw")

    @property
    def surfer(self) -> Path:
        """Layout for Surfer."""
        return self.path.with_suffix(".sucl")


@dataclass(frozen=True)
class Traced:
    """A waveform that was written; plain values, ready for JSON.

    `samples` recorded, from `first_sample` on, of the pass `what`; `first_cycle` and `last_cycle` of the record;
    `signals` in the file; `marker_cycle` the cycle in which the first integer that differs shows, or in which a design
    that hangs was given up.
    """

    file: str
    gtkwave: str
    surfer: str
    what: str
    first_sample: int
    samples: int
    first_cycle: int
    last_cycle: int
    signals: int
    marker_cycle: int | None = None
