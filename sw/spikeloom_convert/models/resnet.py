"""Residual networks for CIFAR-10, their normalisation inside: pixels in 0..1 go in, ten logits come out."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .layered import Activation, made

# of the training images of CIFAR-10, by channel
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut past them; a block that halves the image doubles the channels.

    The shortcut of such a block takes every second row and column and adds channels of zeros, half of them ahead
    (option A). Ref: He et al., Deep Residual Learning for Image Recognition, section 4.2.
    """

    def __init__(self, channels: int, outputs: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = made(activation)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = made(activation)
        self.stride, self.added = stride, outputs - channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, O, H/stride, W/stride)."""
        out = self.act1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stride > 1:
            ahead = self.added // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, ahead, self.added - ahead))
        return self.act2(out + x)


class ResNet(nn.Module):
    """A 3x3 convolution, stages of blocks, a global mean, a linear layer.

    Parameters
    ----------
    blocks : of every stage.
    maps : of every stage; from the second on, each halves the image.
    activation : makes the function behind every convolution.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, blocks: int, maps: Sequence[int], activation: Activation = None) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, maps[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps[0])
        self.act1 = made(activation)
        for number, outputs in enumerate(maps, 1):
            before = maps[max(number - 2, 0)]
            first = Block(before, outputs, 1 if number == 1 else 2, activation)
            rest = (Block(outputs, outputs, 1, activation) for _ in range(blocks - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        self.stages = len(maps)
        self.linear = nn.Linear(maps[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 3, H, W) in 0..1."""
        x = self.act1(self.bn1(self.conv1((x - self.mean) / self.std)))
        for number in range(1, self.stages + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.linear(x.mean((2, 3)))
