"""What the benchmarks of the papers share: data, training, accuracy, spiking networks at several time steps."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from spikeloom import Network, datasets
from spikeloom.datasets import Data
from spikeloom.energy import energy, macs
from spikeloom.measure import measure
from spikeloom.threads import single_threaded
from spikeloom_convert import convert, train_network
from spikeloom_hw.toolchain import cache_dir
from torch import nn

from ...output import working
from ..nets import Bench

MOST_CIFAR = 10_000  # training images of CIFAR-10, the same on every machine: two cores train no more in time
WEIGHT_BITS = 8
_CHUNK = 500


def data(bench: Bench, name: str) -> tuple[Data, Data]:
    """Training and test split of a data set."""
    train, test = (datasets.load(name, split, bench.data_dir) for split in ("train", "test"))
    return (train.head(min(len(train), MOST_CIFAR)) if name == "cifar10" else train), test


def trained(bench: Bench, network: str, train: Data, *, epochs: int, seed: int | None = None, **more: Any) -> nn.Module:
    """A network by name, trained; a second call finds it in the cache, and one that was killed goes on."""
    seed = bench.seed if seed is None else seed
    told = f"{network} {train.name} {len(train)} {epochs} {seed} {sorted(more.items())}"
    plain = "".join(letter if letter.isalnum() else "-" for letter in network)
    path = cache_dir() / "bench" / f"{plain}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    with working(f"training {network}, seed {seed}") as progress:
        result = train_network(
            network, train.x, train.labels, epochs=epochs, seed=seed, output=path, progress=progress, **more
        )
    return result.model.eval()


def accuracy(model: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """Part of the samples that a trained model is right about; uint8 is seen as x/255."""
    with torch.inference_mode(), single_threaded():
        parts = [model(part.float() / 255).argmax(1) for part in torch.from_numpy(x.copy()).split(_CHUNK)]
    return float((torch.cat(parts).numpy() == y).mean())


def spiking_accuracy(network: Network, x: np.ndarray, y: np.ndarray) -> float:
    """Part of the samples that a spiking network is right about, by the golden model."""
    found = measure(network, x, y).accuracy
    assert found is not None  # there are labels
    return found


def at_timesteps(
    bench: Bench, model: nn.Module, train: Data, test: Data, method: str, timesteps: Iterable[int], **more: Any
) -> list[dict[str, Any]]:
    """Accuracy, synaptic operations and energy of a model's spiking networks."""
    rows = []
    for steps in timesteps:
        network = converted(bench, model, train, method, steps, **more)
        with working(f"running {method}, T={steps}") as progress:
            result = measure(network, test.x, test.y, progress=progress)
        assert result.accuracy is not None
        spent = energy(sum(macs(network).values()), result.sops_per_inference)
        rows.append(
            {
                "timesteps": steps,
                "accuracy": result.accuracy,
                "sops": result.sops_per_inference,
                "spikes_per_neuron": result.spikes_per_neuron,
                "macs": spent.macs,
                "energy_ratio": spent.ratio,
            }
        )
    return rows


def converted(bench: Bench, model: nn.Module, train: Data, method: str, timesteps: int | None, **more: Any) -> Network:
    """A model's spiking network, with the input's eight bits; None: the time steps of a recurrent one's samples."""
    with working(f"converting by {method}, T={timesteps or 'that of the samples'}") as progress:
        return convert(
            model, train.x, labels=train.y, method=method, timesteps=timesteps, seed=bench.seed, progress=progress,
            **{"weight_bits": WEIGHT_BITS, "input_timesteps": 8} | more,
        )  # fmt: skip
