"""The networks that the benchmarks use: trained here, on MNIST, once, and kept in the cache."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from spikeloom import Network, datasets
from spikeloom.datasets import Data
from spikeloom_convert import convert
from spikeloom_convert.training import train
from spikeloom_hw.toolchain import cache_dir
from torch import nn

from ..output import working

VALIDATION = 5000  # last training images, kept from training to choose the epoch


@dataclass(frozen=True)
class Recipe:
    """How a benchmark network is trained.

    Parameters
    ----------
    name : of the network, and of its file.
    layers : one string a layer, see `build`.
    epochs : passes over the training images.
    """

    name: str
    layers: tuple[str, ...]
    epochs: int


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("mnist_mlp", ("flatten", "784-128", "relu", "128-10"), 12),
        Recipe("mnist_cnn", ("1c16", "relu", "pool", "16c32", "relu", "pool", "flatten", "1568-10"), 4),
        Recipe("mnist_mlp_bn", ("flatten", "784-300", "bn300", "relu", "300-100", "bn100", "relu", "100-10"), 8),
        Recipe("mnist_strided", ("1c8s2", "relu", "8c16", "relu", "flatten", "3136-10"), 4),
    )
}


def build(recipe: Recipe) -> nn.Module:
    """The untrained module: `AcB` is a 3x3 convolution with padding 1, `AcBs2` 5x5 with stride 2, `A-B` is dense."""
    modules: list[nn.Module] = []
    for layer in recipe.layers:
        if layer in ("flatten", "relu", "pool"):
            modules.append({"flatten": nn.Flatten, "relu": nn.ReLU, "pool": lambda: nn.AvgPool2d(2)}[layer]())
        elif layer.startswith("bn"):
            modules.append(nn.BatchNorm1d(int(layer[2:])))
        elif "c" in layer:
            inputs, outputs = (int(part) for part in layer.removesuffix("s2").split("c"))
            strided = layer.endswith("s2")
            modules.append(nn.Conv2d(inputs, outputs, 5 if strided else 3, 2 if strided else 1, 2 if strided else 1))
        else:
            inputs, outputs = (int(part) for part in layer.split("-"))
            modules.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*modules)


class Bench:
    """The data, the trained networks and their conversions, made when first asked for.

    Parameters
    ----------
    data_dir : folder with the MNIST files.
    seed : start of every random choice.
    """

    def __init__(self, data_dir: str | None, seed: int = 0) -> None:
        self.seed = seed
        self.train: Data = datasets.load("mnist", "train", data_dir)
        self.test: Data = datasets.load("mnist", "test", data_dir)

    def trained(self, name: str) -> nn.Module:
        """The trained module, from the cache where it was trained before."""
        recipe = RECIPES[name]
        torch.manual_seed(self.seed)
        model = build(recipe)
        code = json.dumps([recipe.layers, recipe.epochs, self.seed, len(self.train.x)])
        path = cache_dir() / "bench" / f"{name}-{hashlib.sha256(code.encode()).hexdigest()[:12]}.safetensors"
        if path.is_file():
            model.load_state_dict(load_file(path))
            return model.eval()
        assert self.train.y is not None
        x, y = self.train.x, self.train.y
        with working(f"training {name}") as progress:
            train(
                model, x[:-VALIDATION], y[:-VALIDATION], x[-VALIDATION:], y[-VALIDATION:],
                epochs=recipe.epochs, seed=self.seed, progress=progress,
            )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), path)
        return model.eval()

    def converted(self, name: str, timesteps: int, weight_bits: int) -> Network:
        """The spiking network of a trained module."""
        with working(f"converting {name}") as progress:
            return convert(
                self.trained(name), self.train.x, labels=self.train.y, timesteps=timesteps, weight_bits=weight_bits,
                seed=self.seed, name=name, progress=progress,
            )  # fmt: skip

    def ann_accuracy(self, name: str) -> float:
        """Accuracy of the float network on the 10,000 test images."""
        with torch.inference_mode():
            logits = [self.trained(name)(chunk) for chunk in self.floats().split(1000)]
        return float((torch.cat(logits).argmax(1).numpy() == self.test.y).mean())

    def floats(self) -> torch.Tensor:
        """Test images as the float network sees them, [N, 1, 28, 28]."""
        return torch.from_numpy(self.test.x.astype(np.float32)) / 255


def write(folder: Path, name: str, content: dict) -> None:
    """Write one result file."""
    from spikeloom.storage import write_whole

    write_whole(folder / f"{name}.json", (json.dumps(content, indent=1) + "\n").encode())
