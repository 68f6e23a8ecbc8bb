"""Recurrent layers to train with, of neurons that keep what they do not send; `trace` knows them.

    u[t] = W x[t] + b + R y[t-1] + tau * (u[t-1] - y[t-1])        y[t] = f(u[t])        u[0] = y[0] = 0

f is a threshold ReLU, min(max(u, 0), bound). What it leaves of u is the hidden state: attenuated by tau, it is added
to the next pre-activation. The spiking neuron does the same with y[t] = bound or 0, in one time step for every one of
the sequence. R, from a layer to itself, is ours; without it (`lateral` false) the layer is the paper's.

Ref: Deng & Gu, appendix A.4; what it leaves open is in docs/decisions/0028-recurrent-networks.md.
"""

import torch
from torch import nn

from .activations import ThresholdReLU
from .response import Remaining


class ThresholdRNN(nn.Module):
    """A recurrent layer, sequences (N, T, F), or grey images (N, 1, T, F) row by row, to sequences (N, T, O).

    Parameters
    ----------
    inputs, outputs : F, O.
    activation : f, a ThresholdReLU (default: of bound 1) or a ReLU. Its bound sets how much of u one spike takes away:
        small beside u, most of y is 0 or the bound, which spikes can say; the rest stays in the hidden state.
    tau : 1, 0, or 1 - 2^-s with s in 1..15, which shifts can do.
    lateral : the layer hears what it sent one step ago.

    Raises
    ------
    ValueError
        Another tau, naming the nearest; another kind of activation function.
    """

    def __init__(
        self, inputs: int, outputs: int, activation: nn.Module | None = None, *, tau: float = 0.5, lateral: bool = False
    ) -> None:
        super().__init__()
        self.activation = ThresholdReLU() if activation is None else activation
        if not isinstance(self.activation, ThresholdReLU | nn.ReLU):
            kind = type(activation).__name__
            raise ValueError(f"ThresholdRNN: activation must be a ThresholdReLU or a ReLU, not {kind}")
        self.tau = _attenuation(tau)
        self.forward_weights = nn.Linear(inputs, outputs)
        self.lateral_weights = nn.Linear(outputs, outputs, bias=False) if lateral else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """All time steps, one behind the other; ValueError where samples are no sequences."""
        if x.ndim != 3 and not (x.ndim == 4 and x.shape[1] == 1):
            expected = "sequences (N, T, F) or grey images (N, 1, T, F)"
            raise ValueError(f"ThresholdRNN: must get {expected}, not {tuple(x.shape)}")
        drive = self.forward_weights(x[:, 0] if x.ndim == 4 else x)
        left = sent = torch.zeros_like(drive[:, 0])
        steps = []
        for step in drive.unbind(1):
            u = step + self.tau * left
            if self.lateral_weights is not None:
                u = u + self.lateral_weights(sent)
            sent = self.activation(u)
            left = u - sent
            steps.append(sent)
        return torch.stack(steps, 1)

    def response(self) -> Remaining:
        """What it does in evaluation."""
        plain = not isinstance(self.activation, ThresholdReLU) or bool(self.activation.plain)
        return Remaining(None if plain else float(self.activation.bound), self.tau)  # type: ignore[arg-type]  # torch: a module or a tensor

    def extra_repr(self) -> str:
        """Its parameters, for people."""
        return f"tau={self.tau:g}"


class MeanOverTime(nn.Module):
    """Sequences (N, T, F) to their means (N, F): what the readout of a recurrent network hears."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The means."""
        return x.mean(1)


def _attenuation(tau: float) -> float:
    known = (1.0, *(1.0 - 2.0**-shift for shift in range(16)))
    if not isinstance(tau, int | float) or isinstance(tau, bool) or not 0 <= tau <= 1:
        raise ValueError(f"ThresholdRNN: tau must lie in 0..1, not {tau!r}")
    if tau not in known:
        nearest = min(known, key=lambda item: abs(item - tau))
        expected = "1, 0 or 1 - 2^-s with s in 1..15"
        raise ValueError(f"ThresholdRNN: tau must be {expected}, not {tau!r}; the nearest is {nearest:g}")
    return float(tau)
