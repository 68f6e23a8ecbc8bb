"""Small random models for the conversion's tests."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)  # these models are so small that threads would only wait for each other

Shape = tuple[int, ...]


def seeded(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """A model with random weights, and random statistics in its batch norms, in float64 and evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.normal_(0.0, 0.3)
                module.running_var.uniform_(0.5, 2.0)
                if module.affine:
                    nn.init.uniform_(module.weight, 0.5, 1.5)
                    nn.init.normal_(module.bias, 0.0, 0.3)
    return model.double().eval()


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Random uint8 samples."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def random_chain(rng: np.random.Generator) -> tuple[nn.Module, Shape]:
    """A random supported model of up to five blocks, and the shape of its samples."""
    channels, size = int(rng.integers(1, 4)), int(rng.integers(9, 14))
    shape = (channels, size, size + int(rng.integers(0, 3)))
    layers: list[nn.Module] = []
    height, width = shape[1:]
    shifted = False  # a batch norm behind a ReLU lies ahead

    def rectify() -> None:
        layers.append([nn.ReLU(), nn.ReLU6(), nn.Hardtanh(0, 0.7)][rng.integers(3)])

    for _ in range(int(rng.integers(1, 4))):
        kernel, stride = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        padding = 0 if shifted else int(rng.integers(0, 2))
        if min(height, width) + 2 * padding < kernel:
            break
        groups = channels if rng.random() < 0.3 else 1
        outputs = channels * int(rng.integers(1, 3))
        bias = bool(rng.random() < 0.7)
        layers.append(nn.Conv2d(channels, outputs, kernel, stride, padding, groups=groups, bias=bias))
        channels, shifted = outputs, False
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        if rng.random() < 0.5:
            layers.append(nn.BatchNorm2d(channels, affine=bool(rng.random() < 0.7)))
        if rng.random() < 0.3 and min(height, width) >= 2:
            layers.append(nn.AvgPool2d(2))
            height, width = height // 2, width // 2
        rectify()
        if rng.random() < 0.4 and min(height, width) >= 2:
            window = (2, 1) if rng.random() < 0.5 else (2, 2)
            layers.append(nn.AvgPool2d(window, divisor_override=3 if rng.random() < 0.3 else None))
            height, width = height // 2, width // window[1]
        if rng.random() < 0.3:
            layers.append(nn.BatchNorm2d(channels))
            shifted = True
        layers.append(nn.Dropout2d(0.5))
    if rng.random() < 0.3:
        layers.append(nn.AdaptiveAvgPool2d(1))
        height, width = 1, 1
    layers.append(nn.Flatten())
    features = channels * height * width
    for _ in range(int(rng.integers(0, 3))):
        layers.append(nn.Linear(features, 7))
        features = 7
        if rng.random() < 0.7:
            layers.append(nn.BatchNorm1d(7))
        rectify()
    layers += [nn.Identity(), nn.Linear(features, 5)]
    if rng.random() < 0.3:
        layers.append(nn.Linear(5, 4))
    return nn.Sequential(*layers), shape
