"""StepReLU: graded spikes, one time step, and a leaky readout over repeats of the input."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..float_network import FloatLayer
from ..response import Rectified, Stepped
from ..spiking import FloatNeuron
from .method import Synchronous


@dataclass(frozen=True)
class StepReLUMethod(Synchronous):
    """A neuron whose potential exceeds theta = -b fires once a time step, with the value V - theta + gamma (Eq. 3), and
    is reset to 0; a silent one keeps its potential (Eq. 6). One time step is the whole inference (Eq. 9). With more,
    the input is repeated, and the readout adds kappa^(T-t) times what it hears (Eq. 14), kappa = 1 - 2^-leak.

    Parameters
    ----------
    spike_bits : bits of a spike's value, sent as a binary number.
    leak : 0 for a readout that keeps everything, else s of kappa = 1 - 2^-s.

    Left to choose: how large a value the bits reach is found on the calibration samples, by the least squared error.
    Behind a ReLU gamma is 0; a clip is the largest value.

    Ref: StepReLU (membrane potential encoding and leakage).
    """

    NAME: ClassVar = "steprelu"
    ACCEPTS: ClassVar = {Stepped: "StepReLU", Rectified: "ReLU, ReLU6, Hardtanh(0, a), ThresholdReLU"}

    spike_bits: int = 8
    leak: int = 0

    def violations(self) -> list[str]:
        """What is wrong with the values of the options."""
        found = []
        if not 1 <= self.spike_bits <= 16:
            found.append(f"spike_bits must lie in 1..16, not {self.spike_bits}")
        if not 0 <= self.leak <= 15:
            found.append(f"leak must lie in 0..15, not {self.leak}")
        return found

    @property
    def readout_growth(self) -> float:
        """kappa."""
        return 1.0 - 2.0**-self.leak if self.leak else 1.0

    def neuron(self, layer: FloatLayer, activations: torch.Tensor, timesteps: int) -> FloatNeuron:
        """Its threshold is the bias, whose mean over the borders is taken where it differs there."""
        gamma = layer.response.gamma if isinstance(layer.response, Stepped) else 0.0
        one = np.ones(layer.shape[0])
        return FloatNeuron(
            one,
            one,
            -layer.bias.mean((1, 2)),
            gamma=gamma * one,
            reset_kind="hard",
            spike_bits=self.spike_bits,
            most=math.inf if layer.clip is None else layer.clip,
            biased=False,
        )
