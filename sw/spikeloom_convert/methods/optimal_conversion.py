"""Optimal conversion: IF neurons, thresholds by the largest activations, and half a step of rounding."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..float_network import FloatLayer
from ..response import Rectified, Remaining
from ..spiking import FloatNeuron
from .method import Synchronous

_MOST_VALUES = 1 << 22  # of a layer that a percentile is taken of


@dataclass(frozen=True)
class OptimalConversion(Synchronous):
    """IF neurons with soft reset give y = theta/T clip(floor(T u / theta), 0, T) (Eq. 7). A layer's theta is its
    largest activation on the calibration samples (Algorithm 1), which the threshold ReLU bounds (Eq. 2), and theta/(2T)
    is added to the bias (Eq. 15), so that the floor rounds.

    Parameters
    ----------
    shift : add theta/(2T).
    percentile : of the activations that theta is, 100 being the largest, as in Algorithm 1.

    In a deep network of threshold ReLUs behind batch norm theta/(2T) in every step comes too late: a neuron lags half a
    spike behind until the last step, and errors grow layer by layer. Method `qcfs` takes the same models and has
    theta/2 there at the start, which is the same shift in Eq. 5; see docs/decisions/0039.

    Theta is made a multiple of 2T units of potential, else the shift would drift over the time steps.

    Of a recurrent layer (appendix A.4) one time step of the model is one of the network, u comes with what the step
    before left, and theta is the bound of its threshold ReLU, or its largest activation. The shift is that of T = 1,
    theta/2; it is no part of what is left, so that the threshold is lower by it: y[t] = theta where u[t] >= theta/2.

    Ref: Deng & Gu, Optimal Conversion of Conventional Artificial Neural Networks to Spiking Neural Networks, ICLR 2021.
    """

    NAME: ClassVar = "optimal-conversion"
    ACCEPTS: ClassVar = {Rectified: "ReLU, ReLU6, Hardtanh(0, a), ThresholdReLU", Remaining: "ThresholdRNN"}

    shift: bool = True
    percentile: float = 100.0

    def violations(self) -> list[str]:
        """What is wrong with the values of the options."""
        return (
            [] if 50 < self.percentile <= 100 else [f"percentile must lie above 50, up to 100, not {self.percentile:g}"]
        )

    def neuron(self, layer: FloatLayer, activations: torch.Tensor, timesteps: int) -> FloatNeuron:
        """One theta for the layer."""
        clip = layer.response.clip if isinstance(layer.response, Remaining) else None
        largest = clip or threshold(layer, activations, self.percentile)
        theta = np.full(layer.shape[0], largest)
        if isinstance(layer.response, Remaining):
            fire = theta / 2 if self.shift else None
            return FloatNeuron(theta, theta, fire_pos=fire, growth=layer.response.tau, multiple=2)
        shift = theta / (2 * timesteps) if self.shift else None
        return FloatNeuron(theta, theta, shift=shift, multiple=2 * timesteps)


def threshold(layer: FloatLayer, activations: torch.Tensor, percentile: float) -> float:
    """A percentile of the activations, or how far the drive may go in a layer that was never active."""
    values = activations.flatten()
    if percentile == 100:
        largest = float(values.max())
    else:
        largest = float(np.percentile(values[:: -(-len(values) // _MOST_VALUES)].numpy(), percentile))
    return largest if largest > 0 else float(activations.max()) or layer.clip or 1.0
