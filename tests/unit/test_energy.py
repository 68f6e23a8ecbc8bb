"""Energy: multiplications counted one by one, and the figures of the paper's table."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from random_graphs import random_graph
from random_networks import random_network
from spikeloom import Conv2d, Dense, Diagonal, Network
from spikeloom.energy import energy, macs
from spikeloom_convert.folding.relay import with_relay


def counted(network: Network) -> dict[str, int]:
    """Multiplications of every connection: what PyTorch's layers sum up of ones, weighted with ones."""
    found = {}
    for item in network.connections:
        geometry, shape = item.geometry, network.source(item.source).shape
        if isinstance(geometry, Diagonal):
            found[item.name] = 0
            continue
        image = torch.ones(1, *geometry.pooled(shape), dtype=torch.float64)
        ones = torch.ones(item.weights.shape, dtype=torch.float64)
        if isinstance(geometry, Dense):
            total = F.linear(image.flatten(1), ones).sum()
        else:
            assert isinstance(geometry, Conv2d)
            total = F.conv2d(image, ones, None, geometry.stride, geometry.padding, 1, geometry.groups).sum()
        found[item.name] = int(total)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_multiplications_equal_those_that_meet_a_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for network in (random_network(rng), random_graph(rng)):
        assert macs(network) == counted(network)


def test_a_relay_multiplies_nothing() -> None:
    network = random_graph(np.random.default_rng(0))
    relayed = with_relay(network)
    assert relayed is not network
    assert sum(macs(relayed).values()) == sum(macs(network).values())


# Ref: stReLU, Table 5, whose SOPs are millions, as its own energies and shares say, not the thousands of its head.
TABLE_5 = {
    "Net1": (2.39, 1.14, 11.01, 0.88, 0.80),
    "Net2": (1.41, 1.02, 6.49, 0.78, 1.20),
    "Net3": (5.08, 2.91, 23.38, 2.24, 0.96),
    "Net4": (4.80, 23.51, 22.06, 18.10, 8.20),
    "Net5": (610.08, 14807.00, 2806.39, 11401.39, 40.63),
    "Net6": (313.48, 8132.60, 1442.00, 6262.10, 43.43),
}


@pytest.mark.parametrize("row", TABLE_5.values(), ids=TABLE_5)
def test_energy_is_that_of_the_papers_table(row: tuple[float, ...]) -> None:
    ann_macs, snn_sops, ann, snn, share = row
    found = energy(round(ann_macs * 1e6), snn_sops * 1e6)
    assert found.ratio is not None
    # the operations are given to two digits behind the point, so are the energies
    got = (found.ann_pj / 1e6, found.snn_pj / 1e5, 100 * found.ratio)
    assert got == pytest.approx((ann, snn, share), abs=0.03)


def test_nothing_is_compared_with_a_model_that_multiplies_nothing() -> None:
    assert energy(0, 7.0).ratio is None
