"""Train four small networks, convert each, and compare: what the converter takes beside plain chains of layers.

    python docs/examples/small_models.py             # MNIST where SPIKELOOM_DATA has it, otherwise digits

Max pooling, depthwise separable convolutions, residual blocks with a 1x1 shortcut, and convolutions over sequences.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from spikeloom import InvalidData, Network, golden
from spikeloom.datasets import Data, load
from spikeloom_convert import convert, train
from torch import nn

SETTINGS = ((6, 8), (4, 8))  # time steps, bits of a weight
MOST = 20_000  # training samples; more would only take longer


def convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A padded convolution with batch norm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class MaxPooling(nn.Module):
    """Convolutions with max pooling between them; the trains race through its windows digit by digit."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = convolution(1, 16), convolution(16, 32), convolution(32, 48)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(48, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 1, H, W) in 0..1."""
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.head(F.relu(self.conv3(x)).mean((2, 3)))


class DepthwiseSeparable(nn.Module):
    """Every 3x3 convolution sees one channel, 1x1 convolutions mix them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(1, 16, stride=2)
        self.depth1, self.point1 = convolution(16, 16, groups=16), convolution(16, 32, kernel=1)
        self.depth2, self.point2 = convolution(32, 32, stride=2, groups=32), convolution(32, 64, kernel=1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 1, H, W) in 0..1."""
        for layer in (self.stem, self.depth1, self.point1, self.depth2, self.point2):
            x = F.relu(layer(x))
        return self.head(x.mean((2, 3)))


class Residual(nn.Module):
    """Two residual blocks; the first halves the image, a 1x1 convolution is its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(1, 16)
        self.down1, self.down2, self.shortcut = (
            convolution(16, 32, stride=2),
            convolution(32, 32),
            convolution(16, 32, 1, 2),
        )
        self.same1, self.same2 = convolution(32, 32), convolution(32, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of images (N, 1, H, W) in 0..1."""
        x = F.relu(self.stem(x))
        x = F.relu(self.down2(F.relu(self.down1(x))) + self.shortcut(x))
        x = F.relu(self.same2(F.relu(self.same1(x))) + x)
        return self.head(x.mean((2, 3)))


class Sequence(nn.Module):
    """Convolutions over sequences: the rows of an image are the channels, its columns the time."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(rows, 48, 3, padding=1), nn.BatchNorm1d(48), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(48, 64, 3, padding=1), nn.BatchNorm1d(64), nn.ReLU(), nn.AvgPool1d(2),
            nn.Flatten(), nn.LazyLinear(10),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, 10) of sequences (N, C, L) in 0..1."""
        return self.layers(x)


@dataclass(frozen=True)
class Result:
    """Accuracy on the test samples: of the trained model, and of its spiking networks by (time steps, weight bits)."""

    ann: float
    snn: dict[tuple[int, int], float]


def models(rows: int) -> dict[str, Callable[[], nn.Module]]:
    """The four networks, for images of so many rows."""
    return {
        "max pooling": MaxPooling,
        "depthwise separable": DepthwiseSeparable,
        "residual": Residual,
        "sequence": lambda: Sequence(rows),
    }


def samples() -> tuple[Data, Data]:
    """Training and test samples: MNIST, or digits where there is none."""
    try:
        return load("mnist", "train"), load("mnist", "test")
    except InvalidData:
        return load("digits", "train"), load("digits", "test")


def prepared(make: Callable[[], nn.Module], x: np.ndarray, y: np.ndarray, epochs: int, seed: int = 0) -> nn.Module:
    """A trained model, the same for the same seed; a tenth of the samples chooses the epoch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        model(torch.zeros(2, *x.shape[1:]))  # gives the lazy layers their shape
    held = len(x) // 10
    train(model, x[held:], y[held:], x[:held], y[:held], epochs=epochs, seed=seed, batch=64, learning_rate=4e-3)
    return model


def compared(model: nn.Module, x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> Result:
    """Convert a model at every setting and measure."""
    with torch.no_grad():
        parts = torch.from_numpy(test_x / np.float32(255)).split(500)
        ann = torch.cat([model(part) for part in parts]).argmax(1).numpy()
    snn = {}
    for timesteps, bits in SETTINGS:
        network: Network = convert(model, x, labels=y, timesteps=timesteps, weight_bits=bits)
        snn[timesteps, bits] = float((golden.evaluate(network, test_x).argmax(1) == test_y).mean())
    return Result(float((ann == test_y).mean()), snn)


def shown(name: str, x: np.ndarray) -> np.ndarray:
    """Samples (N, 1, H, W) as a model takes them, (N, H, W) for sequences."""
    x = x if x.dtype == np.uint8 else np.round(x * 255).astype(np.uint8)
    return x[:, 0] if name == "sequence" else x


def main() -> None:
    """Train, convert and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]  # there is a docstring
    parser.add_argument("--epochs", type=int, default=0, help="default: 6 for MNIST, 20 for digits")
    epochs = parser.parse_args().epochs
    data, test = samples()
    order = np.random.default_rng(0).permutation(len(data))[:MOST]
    print(f"{data.name}: {len(order)} training and {len(test)} test samples")
    for name, make in models(data.x.shape[2]).items():
        x, y = shown(name, data.x[order]), data.labels[order]
        model = prepared(make, x, y, epochs or (6 if data.name == "mnist" else 20))
        result = compared(model, x, y, shown(name, test.x), test.labels)
        figures = ", ".join(
            f"T={timesteps} {bits} bits {100 * accuracy:.2f} % ({100 * (accuracy - result.ann):+.2f})"
            for (timesteps, bits), accuracy in result.snn.items()
        )
        print(f"{name:20} ANN {100 * result.ann:.2f} %; SNN {figures}", flush=True)


if __name__ == "__main__":
    main()
