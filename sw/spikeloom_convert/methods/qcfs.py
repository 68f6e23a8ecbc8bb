"""QCFS and noisy quantisation: IF neurons that begin at half their trained threshold."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..float_network import FloatLayer, FloatNetwork
from ..response import RELU, Rectified, Staircase
from ..spiking import FloatNeuron
from .method import Synchronous
from .optimal_conversion import threshold


@dataclass(frozen=True)
class QCFSMethod(Synchronous):
    """IF neurons with soft reset, theta = lambda as trained, and v(0) = theta/2 (Eq. 7), so that the mean of the spikes
    times theta is lambda clip(floor(u L / lambda + 1/2) / L, 0, 1) (Eq. 6) with L = T, but for the residual error,
    which comes from spikes that arrive unevenly (Eq. 9).

    Left to choose: a plain ReLU has the largest activation on the calibration samples as its theta.

    Ref: Bu et al., QCFS, ICLR 2022, as in Huang et al., Converting High-Performance and Low-Latency SNNs through
    Explicit Modelling of Residual Error in ANNs.
    """

    NAME: ClassVar[str] = "qcfs"
    ACCEPTS: ClassVar = {Staircase: "QCFS or NoisyQuantized", Rectified: "ReLU, ReLU6, Hardtanh(0, a), ThresholdReLU"}

    def neuron(self, layer: FloatLayer, activations: torch.Tensor, timesteps: int) -> FloatNeuron:
        """One theta for the layer."""
        bound = layer.clip if layer.clip is not None else threshold(layer, activations, 100.0)
        theta = np.full(layer.shape[0], bound)
        return FloatNeuron(theta, theta, initial=theta / 2, multiple=2)

    def notes(self, network: FloatNetwork) -> tuple[str, ...]:
        """That plain ReLUs have no trained threshold."""
        firing = [layer.response for layer in network.layers if layer.fires]
        plain = firing.count(RELU)
        if not plain:
            return ()
        return (
            f"the network was not trained for method {self.NAME}, {plain} of its {len(firing)} activations are ReLU: "
            f"use method spikeconverter, or train it with QCFS or NoisyQuantized",
        )


@dataclass(frozen=True)
class NoisyQuantizedMethod(QCFSMethod):
    """The neurons of QCFS; what differs is the training, which adds noise of the deviation of the residual error to
    every activation (Eq. 13), see `spikeloom_convert.activations.NoisyQuantized` and `spikeloom_convert.train`.
    """

    NAME: ClassVar[str] = "noisy-quantized"
