"""Networks by name: what they consist of, what they cost, and that every one trains and converts."""

import re

import pytest
import torch
from convert_models import pixels
from spikeloom.errors import InvalidNetwork
from spikeloom_convert import NETWORKS, convert
from spikeloom_convert.activations import QCFS, SymmetricThresholdReLU
from spikeloom_convert.models.layered import layered
from spikeloom_convert.models.networks import net2, resnet20, vgg
from torch import nn

# parameters and multiplications, counted by hand from the papers' notation
COSTS = {
    "net1": (784 * 1200 + 1200 + 1200 * 1200 + 1200 + 12010, 784 * 1200 + 1200 * 1200 + 12000),
    "net2": (12 * 26 + 64 * 301 + 10250, 12 * 25 * 576 + 64 * 300 * 64 + 10240),
    "net3": (6400 * 785 + 64010, 6400 * 784 + 64000),
    "net4": (32 * 26 + 64 * 801 + 1024 * 1025 + 10250, 32 * 25 * 576 + 64 * 800 * 64 + 1024 * 1024 + 10240),
}


@pytest.mark.parametrize("name", COSTS)
def test_networks_of_the_first_table_have_their_size(name: str) -> None:
    assert NETWORKS[name].cost() == COSTS[name]


@pytest.mark.parametrize(("name", "parameters"), [("vgg", 14_987_210), ("resnet20", 269_722)])
def test_full_width_is_that_of_the_papers(name: str, parameters: int) -> None:
    with torch.device("meta"):
        model = NETWORKS[name].make(width=1.0)
    assert sum(value.numel() for value in model.parameters()) == parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_takes_its_samples_and_any_activation(name: str) -> None:
    own = NETWORKS[name]
    if own.recurrent:
        assert own.make()(torch.rand(2, *own.shape)).shape == (2, 10)
        return
    width = None if own.width is None else 0.0625
    model = own.make(activation=SymmetricThresholdReLU, width=width)
    kinds = [type(module) for module in model.modules()]
    assert nn.ReLU not in kinds
    weighted = sum(kind in (nn.Conv2d, nn.Linear) for kind in kinds)
    assert kinds.count(SymmetricThresholdReLU) == weighted - 1
    assert model(torch.rand(2, *own.shape)).shape == (2, 10)


def test_no_two_layers_share_an_activation_function() -> None:
    model = net2(activation=QCFS)
    assert model.act1.bound is not model.act2.bound


@pytest.mark.parametrize("name", ["vgg", "resnet20"])
def test_deep_networks_convert(name: str) -> None:
    model = NETWORKS[name].make(width=0.0625, activation=QCFS)
    model.train()
    with torch.no_grad():
        model(torch.rand(8, 3, 32, 32))
    network = convert(model, pixels(12, 3, 32, 32), method="qcfs", timesteps=2)
    assert len(network.populations) == {"vgg": 15, "resnet20": 20}[name]


def test_seeds_give_weights_and_leave_the_random_state() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, second, other = (resnet20(seed, width=0.25).conv1.weight for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_full_resnet_takes_the_weights_that_others_trained() -> None:
    names = [name for name in resnet20(width=1.0).state_dict() if not name.endswith("num_batches_tracked")]
    assert len(names) == 97
    assert {re.sub(r"\d", "0", name).rpartition(".")[0] for name in names} == {
        "conv0", "bn0", "layer0.0.conv0", "layer0.0.bn0", "linear",
    }  # fmt: skip


def test_width_leaves_a_few_maps_and_the_outputs() -> None:
    model = vgg(width=0.01)
    assert {module.out_channels for module in model.modules() if isinstance(module, nn.Conv2d)} == {4, 5}
    assert model.fc15.out_features == 10


@pytest.mark.parametrize(
    ("topology", "said"),
    [
        ("12c5-x2-10", "must be items like 12c5, p2 and 100 between dashes, the outputs last"),
        ("", "must be items like 12c5, p2 and 100 between dashes, the outputs last"),
        ("12c5-p2", "must be items like 12c5, p2 and 100 between dashes, the outputs last"),
        ("0c5-10", "must be items like 12c5, p2 and 100 between dashes, the outputs last"),
        ("4c3-p2-4c3-4c3-10", "4c3 must follow an image that it fits into, not 1x1"),
        ("4c3-p7-10", "p7 must follow an image that it fits into, not 6x6"),
        ("100-p2-10", "p2 must follow an image that it fits into, not vectors"),
    ],
)
def test_notation_that_is_none_is_refused(topology: str, said: str) -> None:
    with pytest.raises(InvalidNetwork) as error:
        layered(topology, (1, 8, 8))
    assert str(error.value) == f"Topology '{topology}': {said}"
