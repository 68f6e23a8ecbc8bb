"""The network of the boards' demo: scikit-learn's digits, small enough for nearly every board."""

import torch
from spikeloom import Network, datasets
from spikeloom_convert import convert
from spikeloom_convert.training import train
from torch import nn

from ...output import working

NAME = "digits_mlp"


def digits(seed: int = 0) -> Network:
    """A 64-32-10 network, T=4, 6-bit weights; trained in seconds, the same for the same seed."""
    data, validation = datasets.load("digits", "train"), datasets.load("digits", "validation")
    assert data.y is not None
    assert validation.y is not None
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with working("training the digits"):
        train(model, data.x, data.y, validation.x, validation.y, epochs=30, seed=seed)
        return convert(model, data.x, labels=data.y, timesteps=4, weight_bits=6, seed=seed, name=NAME)
