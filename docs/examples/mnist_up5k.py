"""MNIST on an iCE40UP5K, 8c5s2-10: half a minute of training, 4-bit weights, all of it in the 120 kbit of the device.

    python mnist_up5k.py mnist_up5k.safetensors --data-dir data
    spikeloom convert mnist_up5k:mnist_up5k --weights mnist_up5k.safetensors --calibration mnist --data-dir data \
        --method spikeconverter --timesteps 4 --weight-bits 4 -o mnist_up5k.loom
    spikeloom generate mnist_up5k.loom --board icebreaker -o build
"""

import argparse
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file
from spikeloom import datasets
from spikeloom.datasets import Data
from spikeloom_convert.training import train
from torch import nn

VALIDATION = 5000  # last training images, kept from training to choose the epoch
COPIES = 2  # of every training image, moved by up to a pixel


def mnist_up5k() -> nn.Module:
    """A 5x5 convolution of eight channels that takes every second position, and a linear layer.

    The stride is what makes it fit: 1152 potentials, and 46 kbit of weights behind them.
    """
    layers = OrderedDict(
        conv=nn.Conv2d(1, 8, 5, stride=2), relu=nn.ReLU(), flatten=nn.Flatten(), fc=nn.Linear(8 * 12 * 12, 10)
    )
    return nn.Sequential(layers)


def moved(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images (N, C, H, W) moved by -1, 0 or 1 pixel in each direction; their borders are black."""
    result = np.empty_like(x)
    steps = rng.integers(-1, 2, (len(x), 2))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            chosen = (steps == (dy, dx)).all(1)
            result[chosen] = np.roll(x[chosen], (dy, dx), (2, 3))
    return result


def trained(data: Data, *, epochs: int = 8, seed: int = 0) -> nn.Module:
    """The network, trained on the images and moved copies of them."""
    assert data.y is not None
    x, y = data.x[:-VALIDATION], data.y[:-VALIDATION]
    rng = np.random.default_rng(seed)
    x = np.concatenate([x, *(moved(x, rng) for _ in range(COPIES))])
    torch.manual_seed(seed)
    model = mnist_up5k()
    train(
        model, x, np.tile(y, COPIES + 1), data.x[-VALIDATION:], data.y[-VALIDATION:],
        epochs=epochs, seed=seed, batch=128, learning_rate=3e-3,
    )  # fmt: skip
    return model


def main() -> None:
    """Train and save the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="safetensors file to write")
    parser.add_argument("--data-dir", help="folder with mnist/ [SPIKELOOM_DATA]")
    args = parser.parse_args()
    save_file(trained(datasets.load("mnist", "train", args.data_dir)).state_dict(), args.weights)


if __name__ == "__main__":
    main()
