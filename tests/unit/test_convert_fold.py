"""Folding: the float network of a model gives the model's own outputs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import random_chain, seeded
from folding import folded, names, same
from spikeloom.errors import InvalidNetwork, UnsupportedLayer
from spikeloom.geometry import Conv2d, Dense
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.samples import check
from torch import nn

LAYERS = {
    "linear": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU()],
    "no bias": lambda: [nn.Conv2d(2, 3, 3, bias=False), nn.ReLU()],
    "stride": lambda: [nn.Conv2d(2, 3, 3, stride=(2, 1)), nn.ReLU()],
    "padding": lambda: [nn.Conv2d(2, 3, 3, padding=(1, 2)), nn.ReLU()],
    "same": lambda: [nn.Conv2d(2, 3, (3, 5), padding="same"), nn.ReLU()],
    "valid": lambda: [nn.Conv2d(2, 3, (2, 4), padding="valid"), nn.ReLU()],
    "dilation": lambda: [nn.Conv2d(2, 3, 3, stride=2, padding=(2, 3), dilation=(2, 3)), nn.ReLU()],
    "dilation, same": lambda: [nn.Conv2d(2, 3, (2, 3), padding="same", dilation=(2, 3)), nn.ReLU()],
    "groups": lambda: [nn.Conv2d(2, 6, 3, groups=2), nn.ReLU()],
    "batch norm": lambda: [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()],
    "batch norm without gain": lambda: [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False), nn.ReLU()],
    "batch norm first": lambda: [nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.ReLU()],
    "batch norm behind ReLU": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3)],
    "batch norm behind ReLU, groups": lambda: [
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(),
    ],
    "ReLU6": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU6()],
    "Hardtanh": lambda: [nn.Conv2d(2, 3, 3), nn.Hardtanh(0, 0.3)],
    "average pooling": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2)],
    "average pooling with a rest": lambda: [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.AvgPool2d((2, 3))],
    "two poolings": lambda: [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.AvgPool2d(2), nn.AvgPool2d((1, 2))],
    "divisor": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2, divisor_override=3)],
    "harmless ceil mode": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True)],
    "adaptive pooling to 1": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)],
    "adaptive pooling to a divisor": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d((None, 2))],
    "pooling of the samples": lambda: [nn.AvgPool2d(2), nn.Conv2d(2, 3, 3), nn.ReLU()],
    "pooling between batch norm and layer": lambda: [
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.AvgPool2d(2), nn.Conv2d(3, 3, 2), nn.ReLU(),
    ],
    "dropout and identity": lambda: [nn.Dropout2d(), nn.Conv2d(2, 3, 3), nn.Identity(), nn.ReLU(), nn.Dropout(0.9)],
    "pooling before ReLU": lambda: [nn.Conv2d(2, 3, 3), nn.AvgPool2d(2), nn.ReLU()],
    "pooling before ReLU, everything": lambda: [
        nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(4), nn.AvgPool2d((2, 1), divisor_override=3),
        nn.BatchNorm2d(4), nn.ReLU(),
    ],
    "maximum": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 3, 2), nn.ReLU()],
    "maximum with a rest": lambda: [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d((2, 3))],
    "maximum of a maximum": lambda: [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d((1, 2))],
    "maximum before ReLU": lambda: [nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU()],
    "maximum behind batch norm": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.MaxPool2d(2)],
    "maximum of the samples": lambda: [nn.MaxPool2d(2), nn.Conv2d(2, 3, 3), nn.ReLU()],
    "adaptive maximum": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveMaxPool2d((2, 3))],
    "average of a maximum": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)],
    "average of a maximum, convolved": lambda: [
        nn.Conv2d(2, 3, 2), nn.ReLU(), nn.MaxPool2d((1, 2)), nn.AvgPool2d((2, 1)), nn.Conv2d(3, 4, 2), nn.ReLU(),
    ],
    "depthwise": lambda: [
        nn.Conv2d(2, 2, 3, padding=1, groups=2), nn.BatchNorm2d(2), nn.ReLU6(), nn.Conv2d(2, 5, 1), nn.ReLU6(),
    ],
    "ReLU of a shifted activation": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.ReLU()],
    "shift ahead of padding": lambda: [
        nn.BatchNorm2d(2), nn.Conv2d(2, 4, 5, stride=2, padding=2), nn.ReLU(), nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, (3, 2), padding=(1, 0), groups=2), nn.AvgPool2d(2), nn.ReLU(),
    ],
    "ReLU twice": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.ReLU()],
    "ReLU of samples that are not negative": lambda: [nn.ReLU(), nn.Conv2d(2, 3, 3), nn.ReLU6(), nn.ReLU()],
    "ReLU, then ReLU6": lambda: [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Hardtanh(0, 0.2)],
}  # fmt: skip


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
def test_every_layer_folds_exactly(layers) -> None:
    def make() -> nn.Module:
        body = nn.Sequential(*layers())
        with torch.no_grad():
            features = body.eval()(torch.zeros(1, 2, 8, 8)).numel()
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(features, 5))

    for seed in range(3):
        same(make, 2, 8, 8, seed=seed)


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_fold_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chain, shape = random_chain(rng)
    same(lambda: chain, *shape, seed=seed)


def test_the_size_identity_of_merged_pooling_holds_for_every_remainder() -> None:
    for size in range(6, 14):
        for stride, window, padding in ((1, 2, 0), (2, 2, 1), (1, 3, 1), (3, 2, 2), (2, 3, 0)):
            if (size + 2 * padding - 3) // stride + 1 < window:
                continue
            make = nn.Sequential(
                nn.Conv2d(1, 2, 3, stride, padding), nn.AvgPool2d(window), nn.ReLU(), nn.Conv2d(2, 3, 1)
            )
            network = same(make.double().eval(), 1, size, size + 1)
            merged = network.layers[0].incoming[0].geometry
            side = 3 + (window - 1) * stride
            assert merged == Conv2d((side, side), (stride * window, stride * window), (padding, padding))


def test_linear_layers_without_activation_become_one() -> None:
    network = same(
        lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3)), 6
    )
    assert [layer.incoming[0].weights.shape for layer in network.layers] == [(9, 6), (3, 9)]
    assert network.notes == ("Layer '2' (Linear) composed with Layer '0' (Linear): no activation between them",)


def test_softmax_at_the_end_is_dropped_with_a_note() -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=-1)))
    network = folded(model, np.random.default_rng(0).random((2, 6)))
    assert network.notes == ("Layer '1' (Softmax) dropped: it keeps the order of the outputs",)
    assert len(network.layers) == 1


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.LogSigmoid(), nn.LogSoftmax(1)])
def test_what_keeps_the_order_of_the_outputs_is_dropped_and_the_model_still_checked(last: nn.Module) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(6, 4), last))
    samples = check(np.random.default_rng(0).random((9, 6)))
    prepared = prepare(model, samples, None, None)
    assert prepared.network.notes == (f"Layer '1' ({type(last).__name__}) dropped: it keeps the order of the outputs",)
    with torch.no_grad():
        logits = model[0](torch.from_numpy(samples.seen)).numpy()
    assert np.abs(prepared.logits(samples)[0] - logits).max() < 1e-10
    last.register_forward_hook(lambda module, inputs, output: output / 2)
    with pytest.raises(InvalidNetwork, match="must give the outputs its layers say"):
        prepare(model, samples, None, None)


def test_a_convolution_can_be_the_readout() -> None:
    make = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = same(make.double().eval(), 1, 8, 8)
    assert network.layers[-1].shape == (10, 1, 1)
    assert not network.layers[-1].fires


class Nested(nn.Module):
    """Everything that can be written in more than one way."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict({"Stem": nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))})
        self.second = nn.Conv2d(4, 4, 2)
        self.hidden, self.head = nn.Linear(16, 6), nn.Linear(6, 3)
        self.act = nn.ReLU(inplace=True)
        self.register_buffer("mean", torch.tensor([0.4]).reshape(1, 1, 1, 1))

    def forward(self, x: torch.Tensor, extra: torch.Tensor | None = None, double: bool = False) -> torch.Tensor:
        x = (x - self.mean) / 0.25
        x = -(1 - self.features["Stem"](x)) * 2 + 1.0
        x = self.act(x)
        x = F.avg_pool2d(torch.relu(x), 2)
        x = self.act(self.second(x)).clamp(min=0, max=0.6)
        if double:
            x = x * 2
        x = F.dropout(x, 0.5, training=self.training)
        x = x.view(x.size(0), -1)
        x = F.relu6(self.hidden(x)).unsqueeze(-1).squeeze(-1).contiguous().reshape(x.shape[0], 6)
        return F.log_softmax(self.head(x), dim=1)


def test_nested_modules_functions_and_constants_fold_exactly() -> None:
    model = seeded(Nested)
    x = np.random.default_rng(1).random((5, 1, 8, 8))
    network = folded(model, x)
    got = network.forward(torch.from_numpy(x))[0].log_softmax(1)
    with torch.no_grad():
        expected = model(torch.from_numpy(x))
    assert float((got - expected).abs().max()) < 1e-10
    assert names(network) == ["features_stem_0", "second", "hidden", "head"]
    assert network.layers[1].clip == 0.6
    assert network.layers[1].incoming[0].geometry == Conv2d((2, 2), pool=(2, 2))
    assert network.layers[2].incoming[0].geometry == Dense()


class GlobalMean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x.view(-1, 1, 8, 8)).relu_().mean(dim=(-2, -1)))


def test_flat_samples_may_be_folded_into_images_first() -> None:
    network = same(GlobalMean, 64)
    assert network.input_shape == (1, 8, 8)
    assert network.layers[1].incoming[0].geometry == Dense(pool=(6, 6))


def test_names_stay_apart_and_within_the_alphabet() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.Input = nn.Linear(4, 4)
            self.again = self.Input

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.again(torch.relu(self.Input(torch.relu(self.Input(x)))))

    assert names(same(Odd, 4)) == ["input_1", "input_2", "input_3"]


def test_a_layer_used_twice_counts_twice() -> None:
    shared = nn.Linear(4, 4)
    assert names(same(nn.Sequential(shared, nn.ReLU(), shared).double().eval(), 4)) == ["fc0", "fc0_2"]


REFUSED = {
    "nothing with weights": (
        [nn.Flatten()],
        "Model 'Sequential': must hold at least one Linear or Conv2d layer",
    ),
    "softmax in the middle": (
        [nn.Flatten(), nn.Linear(64, 3), nn.Softmax(1), nn.Linear(3, 3)],
        "Layer '2' (Softmax): must be the last layer, not ahead of Layer '3' (Linear); "
        "use ReLU, ReLU6 or Hardtanh(0, a)",
    ),
    "ReLU of features": (
        [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(72), nn.ReLU(), nn.Linear(72, 3)],
        "Layer '4' (ReLU): must be before Flatten; add and activate images, not their features",
    ),
    "maximum of an average": (
        [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2, 3)],
        "Layer '3' (MaxPool2d): must not follow average pooling without an activation between them",
    ),
    "batch norm by place": (
        [nn.Conv2d(1, 2, 3), nn.Flatten(), nn.BatchNorm1d(72), nn.ReLU(), nn.Linear(72, 3)],
        "Layer '2' (BatchNorm1d): must treat all places of a channel alike after Layer '0' (Conv2d); "
        "use BatchNorm2d before Flatten",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_folded_is_refused_by_name(layers: list[nn.Module], message: str) -> None:
    model = seeded(lambda: nn.Sequential(*layers))
    with pytest.raises(UnsupportedLayer) as error:
        folded(model, np.random.default_rng(0).random((2, 1, 8, 8)))
    assert str(error.value) == message


@pytest.mark.parametrize(
    "layers", [[nn.ReLU(), nn.BatchNorm2d(3), nn.MaxPool2d(2)], [nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU()]]
)
def test_maxima_take_batch_norms_with_factors_of_any_sign(layers: list[nn.Module]) -> None:
    model = seeded(lambda: nn.Sequential(nn.Conv2d(1, 3, 3), *layers, nn.Flatten(), nn.Linear(27, 3)))
    norm = next(layer for layer in model if isinstance(layer, nn.BatchNorm2d))
    for factor in (0, -0.5):
        with torch.no_grad():
            norm.weight[1] = factor
        same(model, 1, 8, 8)
