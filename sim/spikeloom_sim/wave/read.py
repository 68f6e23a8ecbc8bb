"""Reads waveforms back, FST or VCD, as viewers do."""

from pathlib import Path
from typing import Any

import numpy as np
from spikeloom import SpikeloomError

from .line import CYCLE_NS


class Waveform:
    """A waveform file.

    Parameters
    ----------
    path : FST or VCD.

    Raises
    ------
    SpikeloomError
        The file is not there, or no waveform.
    """

    def __init__(self, path: str | Path) -> None:
        import pywellen

        path = Path(path)
        if not path.is_file():
            raise SpikeloomError(f"Waveform '{path}': must be a file; write one with spikeloom simulate --trace")
        try:
            file = pywellen.Waveform(str(path))
        except RuntimeError as error:
            why = " ".join(str(error).split())
            raise SpikeloomError(
                f"Waveform '{path}': must be FST or VCD, not damaged ({why}); write it again"
            ) from None
        self.path = path
        self._vars: dict[str, Any] = {var.full_name: var for var in file.all_vars()}

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of all signals."""
        return tuple(self._vars)

    @property
    def layers(self) -> tuple[str, ...]:
        """The input and the populations, along the chain."""
        return tuple(
            dict.fromkeys(
                name.split(".")[1] for name in self.names if name.startswith("layers.") and name.count(".") > 1
            )
        )

    def neurons(self, layer: str, kind: str) -> tuple[str, ...]:
        """Names of the `potential` or the `spike` of each neuron of a layer that has one."""
        return tuple(name for name in self.names if name.startswith(f"layers.{layer}.{kind}."))

    def width(self, name: str) -> int:
        """Bits of a signal."""
        return int(self._find(name).bitwidth)

    def signed(self, name: str) -> bool:
        """Whether a signal is shown as a signed decimal."""
        return bool(self._find(name).var_type == "Integer")

    def changes(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Cycles int64 [n] in which a signal changes, and what it is from then on, int64 [n] or, where wider, objects.

        A change at half a cycle counts to that cycle.
        """
        var = self._find(name)
        pairs = [(int(time), int(value)) for time, value in var.tv]
        width = self.width(name)
        top = 1 << (width - 1) if self.signed(name) else 1 << width
        values = [value - (1 << width) if value >= top else value for _, value in pairs]
        kind = np.int64 if width < 64 or self.signed(name) else object
        return np.array([time // CYCLE_NS for time, _ in pairs], np.int64), np.array(values, kind)

    def at(self, name: str, cycles: np.ndarray) -> np.ndarray:
        """Values of a signal in cycles."""
        when, values = self.changes(name)
        return values[np.searchsorted(when, cycles, side="right") - 1]

    def _find(self, name: str) -> Any:
        if name not in self._vars:
            raise SpikeloomError(f"Waveform '{self.path}': must have a signal '{name}'; see its names")
        return self._vars[name]
