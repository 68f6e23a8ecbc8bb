"""ResNet-20 for CIFAR-10, its normalisation inside: pixels in 0..1 go in, ten logits come out.

    spikeloom convert resnet20:resnet20 --weights resnet20_cifar10.safetensors --calibration cifar10 \
        --method spikeconverter --timesteps 6 --input-timesteps 8 --weight-bits 6 -o resnet20.loom

With fewer than eight bits of the pixels half of the error is the input's: five time steps lose half a point more. With
five, a third of what is left comes from the first layer; `--layer-timesteps conv1=8` makes its trains as fine. With
five or four time steps and no more, `--layer-neurons conv1=2 --layer-neurons '*_conv2=2'` gives two neurons to each
activation that a residual addition repeats, and so twice the levels.

Ref: He et al., Deep Residual Learning for Image Recognition, section 4.2, shortcuts of option A.
"""

import torch
import torch.nn.functional as F
from torch import nn

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut past them; a block that halves the image doubles the channels.

    The shortcut of such a block takes every second row and column and adds channels of zeros, half of them ahead.
    """

    def __init__(self, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.added = stride, outputs - channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to (N, O, H/stride, W/stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.added:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.added // 2, self.added // 2))
        return F.relu(out + x)


class ResNet(nn.Module):
    """A 3x3 convolution, three stages of blocks with 16, 32 and 64 channels, a global mean, a linear layer."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1), persistent=False)
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, 1, blocks)
        self.layer2 = _stage(16, 32, 2, blocks)
        self.layer3 = _stage(32, 64, 2, blocks)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 3, 32, 32) in 0..1."""
        out = F.relu(self.bn1(self.conv1((x - self.mean) / self.std)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return self.linear(out.mean((2, 3)))


def _stage(channels: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    first = Block(channels, outputs, stride)
    return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))


def resnet20() -> nn.Module:
    """Three blocks a stage: twenty layers with weights."""
    return ResNet(3)
