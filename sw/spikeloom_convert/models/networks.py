"""Networks by name: those of the papers, at widths that one processor core can train, and small ones of ours.

Every factory takes the seed of its weights and `activation`, which makes the function between the layers (None: ReLU).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from spikeloom.geometry import Shape
from torch import nn

from ..recurrent import MeanOverTime, ThresholdRNN
from .layered import Activation, chain, layered, made, scaled, seeded
from .resnet import ResNet

_CIFARNET = "128c3-256c3-p2-512c3-p2-1024c3-512c3-1024-512-10"
_NET5 = "128c3-128c3-p2-256c3-256c3-p2-512c3-512c3-p2-1024-10"
_VGG = "64c3-64c3-p2-128c3-128c3-p2-256c3-256c3-256c3-p2-512c3-512c3-512c3-p2-512c3-512c3-512c3-p2-512-10"


def digits_cnn(seed: int = 0, activation: Activation = None) -> nn.Module:
    """8c3-p2-16c3-10 on 1x8x8, padding 1; the network of the demo."""
    with seeded(seed):
        return chain(
            conv1=nn.Conv2d(1, 8, 3, padding=1),
            relu1=made(activation),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, padding=1),
            relu2=made(activation),
            flatten=nn.Flatten(),
            fc=nn.Linear(256, 10),
        )


def mnist_mlp(seed: int = 0, activation: Activation = None) -> nn.Module:
    """128-10 on 1x28x28."""
    return mlp(784, 128, 10, seed=seed, activation=activation)


def mnist_cnn(seed: int = 0, activation: Activation = None) -> nn.Module:
    """16c3-p2-32c3-p2-10 on 1x28x28, no padding."""
    with seeded(seed):
        return chain(
            conv1=nn.Conv2d(1, 16, 3),
            relu1=made(activation),
            pool1=nn.AvgPool2d(2),
            conv2=nn.Conv2d(16, 32, 3),
            relu2=made(activation),
            pool2=nn.AvgPool2d(2),
            flatten=nn.Flatten(),
            fc=nn.Linear(800, 10),
        )


def mnist_rnn(seed: int = 0, activation: Activation = None) -> nn.Module:
    """128-10 over the 28 rows of 1x28x28, one in each time step: a ThresholdRNN that hears itself, of tau 1/2.

    `activation`: a ThresholdReLU or a ReLU. Ref: Deng & Gu, appendix A.4, whose words are not images.
    """
    with seeded(seed):
        return chain(
            rnn=ThresholdRNN(28, 128, made(activation), tau=0.5, lateral=True),
            mean=MeanOverTime(),
            fc=nn.Linear(128, 10),
        )


def mlp(*sizes: int, batch_norm: bool = False, seed: int = 0, activation: Activation = None) -> nn.Module:
    """Fully connected layers of these sizes, the first being the values of a sample, with ReLU between them."""
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    with seeded(seed):
        for number in range(1, len(sizes)):
            layers[f"fc{number}"] = nn.Linear(sizes[number - 1], sizes[number])
            if number < len(sizes) - 1:
                if batch_norm:
                    layers[f"bn{number}"] = nn.BatchNorm1d(sizes[number])
                layers[f"relu{number}"] = made(activation)
    return chain(**layers)


def net1(seed: int = 0, activation: Activation = None) -> nn.Module:
    """1200-1200-10 on 1x28x28. Ref: stReLU, Table 1."""
    return layered("1200-1200-10", (1, 28, 28), activation, seed=seed)


def net2(seed: int = 0, activation: Activation = None) -> nn.Module:
    """12c5-p2-64c5-p2-10 on 1x28x28, no padding. Ref: stReLU, Table 1."""
    return layered("12c5-p2-64c5-p2-10", (1, 28, 28), activation, seed=seed)


def net3(seed: int = 0, activation: Activation = None) -> nn.Module:
    """6400-10 on 1x28x28. Ref: stReLU, Table 1."""
    return layered("6400-10", (1, 28, 28), activation, seed=seed)


def net4(seed: int = 0, activation: Activation = None) -> nn.Module:
    """32c5-p2-64c5-p2-1024-10 on 1x28x28, no padding. Ref: stReLU, Table 1."""
    return layered("32c5-p2-64c5-p2-1024-10", (1, 28, 28), activation, seed=seed)


def net5(seed: int = 0, activation: Activation = None, width: float = 0.125) -> nn.Module:
    """16c3-16c3-p2-32c3-32c3-p2-64c3-64c3-p2-128-10 on 3x32x32: an eighth of the paper's width, which is `width` 1.

    Padding 1, and batch norm ahead of every activation function. Ref: stReLU, Table 1.
    """
    return _normalised(_NET5, seed, activation, width)


def cifarnet(seed: int = 0, activation: Activation = None, width: float = 0.125) -> nn.Module:
    """16c3-32c3-p2-64c3-p2-128c3-64c3-128-64-10 on 3x32x32: an eighth of the paper's width, which is `width` 1.

    Padding 1, and batch norm ahead of every activation function, without which the paper needs 300 epochs; the last
    layer gives the ten outputs without voting. Ref: Deng & Gu, appendix A.1, after Wu et al.
    """
    return _normalised(_CIFARNET, seed, activation, width)


def vgg(seed: int = 0, activation: Activation = None, width: float = 0.25) -> nn.Module:
    """VGG-16 on 3x32x32 with 16, 32, 64, 128, 128 maps and 128 units: a quarter of the papers' width, which is 1:
    64c3-64c3-p2-128c3-128c3-p2-256c3-256c3-256c3-p2-512c3-512c3-512c3-p2-512c3-512c3-512c3-p2-512-10.

    Padding 1, and batch norm ahead of every activation function.
    """
    return _normalised(_VGG, seed, activation, width)


def resnet20(seed: int = 0, activation: Activation = None, width: float = 0.5) -> nn.Module:
    """ResNet-20 on 3x32x32 with stages of 8, 16, 32 maps: half of the paper's width, which is `width` 1.

    Shortcuts of option A, and the normalisation of CIFAR-10 inside. Ref: He et al., section 4.2.
    """
    with seeded(seed):
        return ResNet(3, [scaled(maps, width) for maps in (16, 32, 64)], activation)


def _normalised(topology: str, seed: int, activation: Activation, width: float) -> nn.Module:
    return layered(topology, (3, 32, 32), activation, padding=1, batch_norm=True, width=width, seed=seed)


@dataclass(frozen=True)
class NamedNetwork:
    """A network that `spikeloom train` knows by name.

    Parameters
    ----------
    factory : see above.
    data : name of the data set it is for.
    shape : (C, H, W) of a sample.
    activation : name of the function it is trained with if no other is asked for.
    text : what it is, on one line.
    seconds : an epoch of the whole training split took on one core of a cloud machine, validation not included.
    width : factor of the paper's maps and units it has if no other is asked for; None: it is as in the paper.
    augment : whether its images are shifted and mirrored in training.
    bound : lambda that QCFS starts with; without batch norm, drives are small at first. Of a recurrent network that of
        the threshold ReLU.
    recurrent : its layers are ThresholdRNN, which go with threshold ReLU and ReLU only.
    recipe : settings of `train_network` that it takes with its own activation function where no others are given. Those
        of stReLU's networks reach the paper's accuracies: docs/decisions/0040-recipes-of-named-networks.md.
    """

    factory: Callable[..., nn.Module]
    data: str
    shape: Shape
    activation: str
    text: str
    seconds: float
    width: float | None = None
    augment: bool = False
    bound: float = 1.0
    recurrent: bool = False
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def make(self, seed: int = 0, activation: Activation = None, width: float | None = None) -> nn.Module:
        """The network; `width` only where it has one."""
        given: dict[str, Any] = {} if width is None else {"width": width}
        return self.factory(seed=seed, activation=activation, **given)

    def cost(self) -> tuple[int, int]:
        """(parameters, multiplications of one sample)."""
        macs = 0

        def count(module: Any, inputs: Any, output: torch.Tensor) -> None:
            nonlocal macs
            macs += module.weight.numel() * output[0].numel() // len(module.weight)  # in as many places, or steps

        with torch.device("meta"):  # shapes without values
            model = self.make().eval()
            for module in model.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    module.register_forward_hook(count)
            model(torch.empty(1, *self.shape))
        return sum(value.numel() for value in model.parameters()), macs


_IMAGE, _PHOTO = (1, 28, 28), (3, 32, 32)
_NET5_TEXT = "16c3-16c3-p2-32c3-32c3-p2-64c3-64c3-p2-128-10"
_CIFARNET_TEXT = "16c3-32c3-p2-64c3-p2-128c3-64c3-128-64-10"
NETWORKS: dict[str, NamedNetwork] = {
    "digits_cnn": NamedNetwork(digits_cnn, "digits", (1, 8, 8), "relu", "8c3-p2-16c3-10", 0.1),
    "mnist_mlp": NamedNetwork(mnist_mlp, "mnist", _IMAGE, "relu", "128-10", 1),
    "mnist_cnn": NamedNetwork(mnist_cnn, "mnist", _IMAGE, "relu", "16c3-p2-32c3-p2-10", 11),
    "mnist_rnn": NamedNetwork(
        mnist_rnn, "mnist", _IMAGE, "trelu", "128-10, recurrent, row by row", 7, bound=0.25, recurrent=True
    ),
    "net1": NamedNetwork(net1, "mnist", _IMAGE, "strelu", "1200-1200-10", 13, recipe={"epochs": 12}),
    "net2": NamedNetwork(
        net2, "mnist", _IMAGE, "strelu", "12c5-p2-64c5-p2-10", 17,
        recipe={"epochs": 16, "learning_rate": 2e-3, "gain": 3.0, "smoothing": 0.1},
    ),
    "net3": NamedNetwork(
        net3, "fashion-mnist", _IMAGE, "strelu", "6400-10", 35,
        recipe={"epochs": 12, "batch": 256, "learning_rate": 1e-3, "gain": 8.0, "smoothing": 0.1},
    ),
    "net4": NamedNetwork(net4, "fashion-mnist", _IMAGE, "strelu", "32c5-p2-64c5-p2-1024-10", 41),
    "net5": NamedNetwork(net5, "cifar10", _PHOTO, "strelu", _NET5_TEXT, 75, 0.125, True, 2.0),
    "cifarnet": NamedNetwork(cifarnet, "cifar10", _PHOTO, "trelu", _CIFARNET_TEXT, 119, 0.125, True, 2.0),
    "vgg": NamedNetwork(vgg, "cifar10", _PHOTO, "qcfs", "VGG-16: 16, 32, 64, 128, 128 maps", 154, 0.25, True, 2.0),
    "resnet20": NamedNetwork(resnet20, "cifar10", _PHOTO, "qcfs", "ResNet-20: 8, 16, 32 maps", 139, 0.5, True, 2.0),
}  # fmt: skip
