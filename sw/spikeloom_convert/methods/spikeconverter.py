"""SpikeConverter: two phases, inverse-leaky neurons, thresholds of least expected conversion error."""

from dataclasses import dataclass
from typing import ClassVar

from spikeloom.errors import InvalidData

from ..float_network import FloatNetwork
from ..response import Rectified, Staircase
from ..samples import LEAST_SPLIT
from .method import Method


@dataclass(frozen=True)
class SpikeConverter(Method):
    """A population accumulates the whole trains of its sources, V = sum_i w_i sum_t X_i[t] k^(T-t) (Eq. 6), and then
    fires for T steps, Y[t] = V >= theta, V <- (V - theta Y[t]) k (Eq. 3 and 4'), its train being worth
    theta sum_t Y[t] k^(T-t) (Eq. 7). Theta is where E|U_in - U_out| is least (Eq. 13); k = 2 is best for every T.

    Left to choose were thresholds by channel or by layer and the power of the error, for which `convert` tries all
    (`calibrate.RULES`), and where theta is a multiple of 2^T, the rounding of the last digit is exact.

    Parameters
    ----------
    fine_tune : epochs in which weights, biases and thresholds follow the model's own logits on the calibration samples,
        without labels; the result is one more candidate.
    augment : shift and mirror the images meanwhile, as photographs may be.

    Ref: Liu et al., SpikeConverter, AAAI 2022.
    """

    NAME: ClassVar = "spikeconverter"
    SCHEDULE: ClassVar = "two-phase"
    ACCEPTS: ClassVar = {Rectified: "ReLU, ReLU6, Hardtanh(0, a), ThresholdReLU", Staircase: "QCFS"}

    fine_tune: int = 0
    augment: bool = False

    def require_tunable(self, network: FloatNetwork, samples: int) -> None:
        """InvalidData where there is too little to tune on, or nothing that can be shifted."""
        if self.fine_tune and samples < LEAST_SPLIT:
            raise InvalidData(f"Calibration: must have at least {LEAST_SPLIT} samples to fine_tune on, not {samples}")
        if self.fine_tune and self.augment and min(network.input_shape[1:]) == 1:
            raise InvalidData(
                f"Calibration: must be images (N, C, H, W) to augment, not samples of shape {network.input_shape}; "
                f"leave augment out"
            )

    def violations(self) -> list[str]:
        """What is wrong with the values of the options."""
        return [] if 0 <= self.fine_tune <= 1000 else [f"fine_tune must lie in 0..1000 epochs, not {self.fine_tune}"]
