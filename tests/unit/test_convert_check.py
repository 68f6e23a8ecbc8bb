"""Inspection: every node is listed with what becomes of it, and all that is not supported, not only the first."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from outside_models import SHAPES, STYLES, conv, headed, linear, small, written
from spikeloom.errors import InvalidData, InvalidNetwork, SpikeloomError, UnsupportedLayer
from spikeloom_convert import ModelReport, inspect_model
from spikeloom_convert.folding.inspection import sample_shape
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.models import digits_cnn, mnist_mlp
from spikeloom_convert.samples import check
from test_convert_outside import FOLDS, REFUSED
from torch import nn


def inspected(model: nn.Module, *shape: int) -> ModelReport:
    return inspect_model(model, check(np.random.default_rng(0).random((4, *(shape or (3, 12, 12))))))


def lines(report: ModelReport) -> list[tuple[str, str, str, str]]:
    return [(node.module, node.kind, node.status, node.becomes or node.hint) for node in report.nodes]


def test_every_node_of_a_chain_is_listed_in_order_with_its_shapes() -> None:
    report = inspected(digits_cnn(), 1, 8, 8)
    assert report.convertible
    assert lines(report) == [
        ("conv1", "Conv2d", "ok", "population 'conv1' of 8x8x8 = 512 neurons"),
        ("relu1", "ReLU", "ok", "thresholds of population 'conv1'"),
        ("pool1", "AvgPool2d", "ok", "average pooling on the connection to 'conv2'"),
        ("conv2", "Conv2d", "ok", "population 'conv2' of 16x4x4 = 256 neurons"),
        ("relu2", "ReLU", "ok", "thresholds of population 'conv2'"),
        ("flatten", "Flatten", "dropped", "addresses are in its order already"),
        ("fc", "Linear", "ok", "readout 'fc' of 10x1x1 = 10 neurons"),
    ]
    assert [(node.node, node.shape_in, node.shape_out) for node in report.nodes[2:4]] == [
        ("pool1", (8, 8, 8), (8, 4, 4)), ("conv2", (8, 4, 4), (16, 4, 4)),
    ]  # fmt: skip
    assert (report.parameters, report.macs) == (3818, 8 * 9 * 64 + 8 * 16 * 9 * 16 + 2560)
    assert report.neurons == {"conv1": 512, "conv2": 256, "fc": 10}


def test_what_is_folded_merged_padded_and_joined_is_told_apart() -> None:
    def forward(s, x: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def]
        branches = F.relu(s.n(s.c(x)) + s.d(F.pad(x, (1, 1, 1, 1)))), s.m(x)
        x = F.dropout(torch.cat(branches, 1), training=s.training)
        return F.log_softmax(s.f(x.mean((2, 3))), 1)

    layers = {"n": lambda: nn.BatchNorm2d(4), "m": lambda: nn.BatchNorm2d(3)}
    model = written(forward, c=conv(padding=1), d=conv(), f=linear(7), **layers)()
    assert lines(inspected(model)) == [
        ("c", "Conv2d", "folded", "connections into 'd'"),
        ("n", "BatchNorm2d", "folded", "folded into 'd'"),
        ("", "pad", "ok", "padding on the connection to 'd'"),
        ("d", "Conv2d", "ok", "population 'd' of 4x12x12 = 576 neurons"),
        ("", "add", "folded", "folded into 'd'"),
        ("", "relu", "ok", "thresholds of population 'd'"),
        ("m", "BatchNorm2d", "folded", "folded into the weights of 'f'"),
        ("", "cat", "ok", "channels side by side on the connection to 'f'"),
        ("", "dropout", "dropped", "nothing to do in evaluation"),
        ("", "mean", "ok", "average pooling on the connection to 'f'"),
        ("f", "Linear", "ok", "readout 'f' of 5x1x1 = 5 neurons"),
        ("", "log_softmax", "dropped", "keeps the order of the outputs"),
    ]


def test_maxima_ahead_of_a_relu_and_populations_of_activations_alone_are_named() -> None:
    model = written(
        lambda s, x: s.f(F.relu(F.relu(F.max_pool2d(s.c(x), 2)) - s.p(x)).flatten(1)),
        c=conv(3, 3, padding=1), p=lambda: nn.AvgPool2d(2), f=linear(108),
    )  # fmt: skip
    assert lines(inspected(model()))[1:5] == [
        ("", "max_pool2d", "ok", "max pooling on the connections from 'c'"),
        ("", "relu", "ok", "thresholds of population 'c'"),
        ("p", "AvgPool2d", "ok", "average pooling on the connection to 'add'"),
        ("", "sub", "ok", "population 'add' of 3x6x6 = 108 neurons"),
    ]


def test_all_problems_are_listed_and_what_follows_them_is_inspected_on() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Sigmoid(), nn.MaxPool2d(2, dilation=3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3),
        nn.GELU(), nn.Flatten(), nn.Linear(16, 5),
    )  # fmt: skip
    report = inspected(model)
    assert not report.convertible
    assert [(node.module, node.hint) for node in report.nodes if node.status == "unsupported"] == [
        ("1", "must be the last layer, not ahead of Layer '2' (MaxPool2d); use ReLU, ReLU6 or Hardtanh(0, a)"),
        ("2", "dilation must be 1, not (3, 3)"),
        ("5", "is not supported; use ReLU, ReLU6 or Hardtanh(0, a)"),
    ]
    assert len(report.problems) == 3
    assert report.problems[1] == "Layer '5' (GELU): is not supported; use ReLU, ReLU6 or Hardtanh(0, a)"
    assert report.problems[2].startswith("Layer '1' (Sigmoid): must be the last layer")
    assert report.nodes[0].becomes == "a population of 4x10x10 = 400 neurons"
    assert report.nodes[-1].becomes == "readout 'fc7' of 5x1x1 = 5 neurons"


def test_features_in_another_order_and_a_last_sigmoid_are_said_to_be_gone() -> None:
    model = written(
        lambda s, x: torch.sigmoid(s.f(F.relu(s.c(x)).permute(0, 2, 3, 1).flatten(1))), c=conv(), f=linear(400)
    )
    report = inspected(model())
    assert report.convertible
    assert lines(report)[2:] == [
        ("", "permute", "dropped", "the same values in other axes"),
        ("", "flatten", "folded", "folded into the weights of 'f'"),
        ("f", "Linear", "ok", "readout 'f' of 5x1x1 = 5 neurons"),
        ("", "sigmoid", "dropped", "keeps the order of the outputs"),
    ]


def test_values_that_a_model_asks_for_are_listed_where_it_does() -> None:
    model = headed(lambda s, x: F.relu(s.c(x)) * x.max().item() if x.mean() > 0 else x)
    assert [(node.kind, node.status) for node in inspected(model()).nodes] == [
        ("bool of a tensor", "unsupported"), ("Conv2d", "ok"), ("relu", "ok"), ("item of a tensor", "unsupported"),
        ("mul", "folded"), ("mean", "ok"), ("Linear", "ok"),
    ]  # fmt: skip


def test_a_model_that_cannot_be_traced_to_its_end_is_listed_as_far_as_that() -> None:
    model = headed(lambda s, x: F.relu(s.c(x)) if torch.is_tensor(s.c(x)) else torch.stack(x))
    report = inspected(model())
    assert [(node.kind, node.status) for node in report.nodes] == [("Conv2d", "ok"), ("forward", "unsupported")]
    assert len(report.problems) == 1


def test_what_comes_from_something_unsupported_is_no_problem_of_its_own() -> None:
    model = written(
        lambda s, x: s.f(s.r(x.flatten(2))[0][:, -1]), r=lambda: nn.GRU(144, 4, batch_first=True), f=linear()
    )
    report = inspected(model())
    assert report.problems == (
        "Layer 'r' (GRU): is not supported; use ThresholdRNN of spikeloom_convert.recurrent, "
        "or Conv1d over the whole sequence",
    )
    assert [node.hint for node in report.nodes if node.kind == "getitem"] == [
        "comes from what is not supported before it", "",
    ]  # fmt: skip


def test_a_model_that_gives_other_outputs_than_its_layers_is_not_convertible() -> None:
    model = small()
    model[2].register_forward_hook(lambda module, inputs, output: output * 2)
    (problem,) = inspected(model).problems
    assert problem.startswith("Model 'Sequential': must give the outputs its layers say, not others (up to ")


@pytest.mark.parametrize("style", STYLES)
def test_what_converts_is_found_convertible(style: str) -> None:
    report = inspected(STYLES[style](), *SHAPES.get(style, (3, 12, 12)))
    assert report.problems == ()
    assert {node.status for node in report.nodes} <= {"ok", "folded", "dropped"}
    assert "what follows" not in str(report.nodes)


@pytest.mark.parametrize("make", [make for make, _ in (*REFUSED.values(), *FOLDS.values())], ids=[*REFUSED, *FOLDS])
def test_what_convert_refuses_is_found_with_the_same_words(make) -> None:  # type: ignore[no-untyped-def]
    samples = check(np.random.default_rng(0).random((4, 3, 12, 12)))
    with pytest.raises(SpikeloomError) as error:
        prepare(make(), samples, None, None)
    assert str(error.value) in inspect_model(make(), samples).problems


def test_models_of_which_nothing_can_be_listed_raise() -> None:
    broken = small()
    with torch.no_grad():
        broken[0].weight[0] = float("nan")
    with pytest.raises(InvalidNetwork):
        inspected(broken)
    with pytest.raises(InvalidData):
        inspected(small(), 3, 12, 13)
    with pytest.raises(UnsupportedLayer):
        inspected(written(lambda s, x: {"deep": (s.m(x), x)}, m=small)())


def test_a_model_without_weights_is_not_convertible() -> None:
    assert inspected(nn.Flatten()).problems == ("Model 'Flatten': must hold at least one Linear or Conv2d layer",)


def test_the_shape_of_a_sample_is_known_where_a_linear_layer_comes_first() -> None:
    assert sample_shape(mnist_mlp()) == (784,)
    assert sample_shape(digits_cnn()) is None
    assert sample_shape(nn.Flatten()) is None
