"""The examples: what they train converts without loss."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from spikeloom import Conv2d, Diagonal, Network, golden
from spikeloom.datasets import ENVIRONMENT, InvalidData, load
from spikeloom_convert import convert
from spikeloom_convert.models import load_state

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "residual",
        pytest.param("max pooling", marks=pytest.mark.slow),
        pytest.param("depthwise separable", marks=pytest.mark.slow),
        pytest.param("sequence", marks=pytest.mark.slow),
    ],
)
def test_small_models_convert_without_loss(name: str) -> None:
    small, data, test = example("small_models"), load("digits", "train"), load("digits", "test")
    x = small.shown(name, data.x)
    model = small.prepared(small.models(8)[name], x, data.labels, epochs=6)
    result = small.compared(model, x, data.labels, small.shown(name, test.x), test.labels)
    assert result.ann > 0.85
    assert result.snn[6, 8] >= result.ann - 0.005  # two of 364 samples
    assert result.snn[4, 8] >= result.ann - 0.03


def untrained() -> Network:
    """ResNet-20 with random weights and statistics, converted from random images."""
    resnet, rng = example("resnet20"), np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = resnet.resnet20()
        model.train()
        model(torch.rand(8, 3, 32, 32))
    return convert(model, rng.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8), timesteps=4)


def test_resnet_has_a_convolution_and_a_diagonal_connection_into_every_second_population() -> None:
    network = untrained()
    assert len(network.populations) == 20
    assert len(network.populations[0].neuron.initial) == 9  # its normalisation lies before padding
    for population in network.populations[2:-1:2]:
        first, second = network.incoming(population.name)
        assert isinstance(first.geometry, Conv2d)
        stride = 2 if population.name in ("layer2_0_conv2", "layer3_0_conv2") else 1
        assert second.geometry == Diagonal((stride, stride), population.shape[0] // 4 if stride == 2 else 0)
        assert second.weight_bits == 8
    assert all(population.activity > 0 for population in network.populations[:-1])


@pytest.mark.slow
def test_trained_resnet_loses_next_to_nothing() -> None:
    try:
        data, test = load("cifar10", "train"), load("cifar10", "test").head(1000)
    except InvalidData as error:
        pytest.skip(f"no CIFAR-10: {error}")
    # where the data lie, the weights may do too
    weights = Path(os.environ[ENVIRONMENT]) / "models" / "resnet20_cifar10.safetensors"
    if not weights.exists():
        pytest.skip(f"no weights: {weights}")
    model = example("resnet20").resnet20()
    model.load_state_dict(load_state(weights), strict=False)
    model.eval()
    with torch.no_grad():
        ann = model(torch.from_numpy(test.x / np.float32(255))).argmax(1).numpy()
    network = convert(model, data.x, labels=data.labels, timesteps=6, weight_bits=6, input_timesteps=8)
    snn = golden.evaluate(network, test.x).argmax(1)
    assert (snn == test.labels).mean() >= (ann == test.labels).mean() - 0.01
