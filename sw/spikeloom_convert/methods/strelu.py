"""stReLU: signed spikes, which carry negative activations, and thresholds on both sides of zero."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..float_network import FloatLayer
from ..response import Leaky, Rectified, Symmetric
from ..spiking import FloatNeuron
from .method import Synchronous
from .optimal_conversion import threshold


@dataclass(frozen=True)
class STReLU(Synchronous):
    """IF neurons that fire -1, 0 or +1 and are reset by theta = V_th, the bound of the activation function (Eq. 10).
    The potential is to stay within +-theta/2 (Eq. 11), so a neuron fires from there on: the mean of its spikes is
    clip(round(T u / theta) / T, -1, 1) (Eq. 15) where the input is steady. Behind a threshold ReLU (Eq. 22) spikes are
    0 or +1, and only the positive threshold is at half. Behind an atLeakyReLU (Eq. 21) a negative spike is worth as
    much as a positive one, but adds 1/alpha; both are fired at what their resets take, as from half of it a negative
    spike would leave enough for positive ones. The mean of the spikes ends at -1 then, not at -1/alpha, which no drive
    above -1/alpha reaches. Ahead of the first layer values are analogue, and readouts do not fire.

    Left to choose: a plain ReLU, which the paper does not take, has the largest activation on the calibration samples
    as its theta.

    Ref: Han et al., Symmetric-threshold ReLU for Fast and Nearly Lossless ANN-SNN Conversion, 2023.
    """

    NAME: ClassVar = "strelu"
    ACCEPTS: ClassVar = {
        Symmetric: "SymmetricThresholdReLU",
        Leaky: "AsymmetricThresholdLeakyReLU",
        Rectified: "ThresholdReLU, ReLU6, Hardtanh(0, a), ReLU",
    }

    def neuron(self, layer: FloatLayer, activations: torch.Tensor, timesteps: int) -> FloatNeuron:
        """One theta for the layer."""
        bound = layer.clip if layer.clip is not None else threshold(layer, activations, 100.0)
        theta = np.full(layer.shape[0], bound)
        if isinstance(layer.response, Rectified):
            return FloatNeuron(theta, theta, theta / 2, multiple=2)
        if isinstance(layer.response, Leaky):
            added = theta / layer.response.alpha
            return FloatNeuron(theta, theta, theta, -added, signed=True, reset_neg=added)
        return FloatNeuron(theta, theta, theta / 2, -theta / 2, signed=True, multiple=2)
