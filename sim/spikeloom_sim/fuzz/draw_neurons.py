"""Random neurons: growth, length and code of a train, signs, thresholds and resets of their own, graded spikes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from spikeloom import Neuron, Silent

GROWTHS = (1.5, 1.25, 0.5, 0.75, 1 - 2.0**-5)  # those that no sum of a train stands for


@dataclass(frozen=True)
class Neurons:
    """Draws the neurons of one population.

    Parameters
    ----------
    rng : of what every network has.
    own : of what only some kinds of networks have, so that the others stay what they are.
    kinds : see `draw.KINDS`.
    timesteps : of a train, at most.
    together : time steps of all populations of a synchronous network, None of a two-phase one.
    """

    rng: np.random.Generator
    own: np.random.Generator
    kinds: frozenset[str]
    timesteps: int
    together: int | None = None

    def firing(self, reach: float, initial: np.ndarray) -> Neuron:
        """Neurons whose thresholds are of the size of their potentials, `reach`; `initial` int64 [B, C]."""
        rng, channels = self.rng, initial.shape[1]
        growth, steps = (1.0, 2.0, 2.0)[int(rng.integers(3))], min(int(rng.integers(1, 7)), self.timesteps)
        if "growth 1" not in self.kinds:
            growth = 2.0
        if self.together is not None:
            growth, steps = 1.0, self.together
        if "other growths" in self.kinds and self.own.random() < 0.5:
            growth = GROWTHS[int(self.own.integers(len(GROWTHS)))]
        scale = reach / (1 if growth > 1 or self.together is not None else steps)
        theta = np.maximum(1, (rng.uniform(0.1, 1.5, (1, channels)) * scale).astype(np.int64))
        if rng.random() < 0.3:
            theta[:] = theta[0, 0]
        drive = self.drive(reach, channels)
        if self.together is not None and self._now("graded", 0.3):
            gamma = self.own.integers(0, int(theta.max()) + 1, theta.shape)
            graded: dict[str, Any] = {
                "reset_kind": "hard",
                "step_gamma": gamma,
                "step_bits": int(self.own.integers(1, 7)),
            }
            return Neuron(steps, growth, theta, initial, drive=drive, **graded)
        more = self._thresholds(theta)
        naf = self.together is None and growth == 2.0 and "naf" in self.kinds and rng.random() < 0.3
        if naf and not more:  # its digits follow from the finished code, which a sweep does not have
            more["code"] = "naf"
        return Neuron(steps, growth, theta, initial, drive=drive, **more)

    def readout(self, reach: float, initial: np.ndarray) -> Silent:
        """Neurons that never fire; leaky ones now and then in a synchronous network."""
        growth = 1.0
        if self.together is not None and self._now("other growths", 0.5):
            growth = (0.5, 0.75, 1 - 2.0**-5)[int(self.own.integers(3))]
        return Silent(initial, growth=growth, drive=self.drive(reach, initial.shape[1]))

    def drive(self, reach: float, channels: int) -> np.ndarray | None:
        """What is added every time step of a synchronous network, half of the time."""
        if self.together is None or self.own.random() < 0.5:
            return None
        most = int(reach) // 4 + 1
        return self.own.integers(-most, most + 1, (1, channels))

    def _thresholds(self, theta: np.ndarray) -> dict[str, Any]:
        """Signs, a hard reset, thresholds and amounts that are not theta: those of the kinds, 40 % of the time each."""
        found: dict[str, Any] = {}
        if self._now("signed"):
            found["signed"] = True
        if self._now("hard resets"):
            found["reset_kind"] = "hard"
        if self._now("thresholds"):
            names = ["fire_pos", *(["fire_neg"] if "signed" in found else [])]
            for name in (*names, *([] if "reset_kind" in found else ["reset"])):
                drawn = np.maximum(1, (self.own.uniform(0.3, 2.0, theta.shape) * theta).astype(np.int64))
                found[name] = -drawn if name == "fire_neg" else drawn
            if self.together is not None and "fire_neg" in found and "reset" in found:
                found["reset_neg"] = found["reset"] + self.own.integers(0, 5, theta.shape)
        return found

    def _now(self, kind: str, share: float = 0.4) -> bool:
        return kind in self.kinds and bool(self.own.random() < share)
