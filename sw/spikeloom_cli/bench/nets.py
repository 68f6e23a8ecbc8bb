"""The networks that the benchmarks use: trained here, on MNIST, once, and kept in the cache."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from spikeloom import Network, datasets
from spikeloom.datasets import Data
from spikeloom_convert import convert
from spikeloom_convert.models import mlp, mnist_cnn, mnist_mlp
from spikeloom_convert.training import train
from spikeloom_hw.toolchain import cache_dir
from torch import nn

from ..output import working

VALIDATION = 5000  # last training images, kept from training to choose the epoch


def mnist_strided() -> nn.Module:
    """8c5s2-16c3-10 on 1x28x28."""
    layers = (nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2304, 10))
    return nn.Sequential(*layers)


def mnist_mlp_bn() -> nn.Module:
    """784-300-100-10 with batch norm."""
    return mlp(784, 300, 100, 10, batch_norm=True)


RECIPES: dict[str, tuple[Callable[[], nn.Module], int]] = {  # factory, epochs
    "mnist_mlp": (mnist_mlp, 12),
    "mnist_cnn": (mnist_cnn, 4),
    "mnist_mlp_bn": (mnist_mlp_bn, 8),
    "mnist_strided": (mnist_strided, 4),
}


class Bench:
    """The data, the trained networks and their conversions, made when first asked for.

    Parameters
    ----------
    data_dir : folder with the MNIST files.
    seed : start of every random choice.
    """

    def __init__(self, data_dir: str | None, seed: int = 0) -> None:
        self.seed, self.data_dir = seed, data_dir
        self.train: Data = datasets.load("mnist", "train", data_dir)
        self.test: Data = datasets.load("mnist", "test", data_dir)

    def trained(self, name: str) -> nn.Module:
        """The trained module, from the cache where it was trained before."""
        factory, epochs = RECIPES[name]
        torch.manual_seed(self.seed)
        model = factory()
        assert self.train.y is not None
        x, y = self.train.x, self.train.y

        def learn() -> nn.Module:
            with working(f"training {name}") as progress:
                train(
                    model, x[:-VALIDATION], y[:-VALIDATION], x[-VALIDATION:], y[-VALIDATION:],
                    epochs=epochs, seed=self.seed, batch=128, learning_rate=3e-3, progress=progress,
                )  # fmt: skip
            return model

        return kept(name, f"{model} {epochs} {self.seed} {len(x)}", model, learn)

    def converted(self, name: str, timesteps: int, weight_bits: int, code: str = "plain") -> Network:
        """The spiking network of a trained module."""
        with working(f"converting {name}") as progress:
            return convert(
                self.trained(name), self.train.x, labels=self.train.y, timesteps=timesteps, weight_bits=weight_bits,
                seed=self.seed, code=code, name=name, progress=progress,
            )  # fmt: skip

    def ann_accuracy(self, name: str) -> float:
        """Accuracy of the float network on the 10,000 test images."""
        model = self.trained(name)
        with torch.inference_mode():
            logits = [model(chunk) for chunk in self.floats().split(1000)]
        return float((torch.cat(logits).argmax(1).numpy() == self.test.y).mean())

    def floats(self) -> torch.Tensor:
        """Test images as the float network sees them, [N, 1, 28, 28]."""
        return torch.from_numpy(self.test.x.astype(np.float32)) / 255


def kept(name: str, code: str, model: nn.Module, learn: Callable[[], nn.Module]) -> nn.Module:
    """A module trained by `learn`, or what it gave before: from the cache, into `model`, where `code` is the same."""
    path = cache_dir() / "bench" / f"{name}-{hashlib.sha256(code.encode()).hexdigest()[:12]}.safetensors"
    if path.is_file():
        model.load_state_dict(load_file(path))
        return model.eval()
    model = learn()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path)
    return model.eval()


def write(folder: Path, name: str, content: dict) -> None:
    """Write one result file."""
    from spikeloom.storage import write_whole

    write_whole(folder / f"{name}.json", (json.dumps(content, indent=1) + "\n").encode())
