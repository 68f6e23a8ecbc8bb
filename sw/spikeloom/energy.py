"""What an inference costs in energy: a network's synaptic operations against the multiplications of its model."""

from dataclasses import dataclass

from .geometry import Diagonal
from .measure import fan_out
from .network import Network

# Ref: stReLU, Table 5, Eq. 23 and 24: a 32-bit floating-point multiply-accumulate (Horowitz, 2014, 45 nm) against a
# synaptic operation of a neuromorphic chip; two technologies, so the ratio says how operations compare, no more.
MAC_PJ = 4.6
SOP_PJ = 0.077


@dataclass(frozen=True)
class Energy:
    """Of one inference: operations, picojoules, and the spiking network's share of what the model takes."""

    macs: int
    ann_pj: float
    sops: float
    snn_pj: float
    ratio: float | None


def energy(macs: int, sops: float) -> Energy:
    """The energy of so many multiply-accumulates and of so many synaptic operations; no ratio without the former."""
    ann, snn = MAC_PJ * macs, SOP_PJ * sops
    return Energy(int(macs), ann, sops, snn, snn / ann if macs else None)


def macs(network: Network) -> dict[str, int]:
    """Multiply-accumulates of one inference of the model, by connection of its folded layers.

    Counted exactly: weights that meet a value, so positions that land only; what is padded takes none. Average pooling
    takes one a window. Diagonal connections, which are residual additions and relays, multiply nothing. A recurrent
    network multiplies in every time step, but for its readouts, which take a mean over all of them.
    """
    found, silent = {}, {readout.population for readout in network.readouts}
    for item in network.connections:
        if isinstance(item.geometry, Diagonal):
            found[item.name] = 0
        else:
            steps = 1 if item.target in silent else max(network.inputs[0].sequence, 1)
            found[item.name] = steps * int(fan_out(network, item).sum()) // item.geometry.summed
    return found
