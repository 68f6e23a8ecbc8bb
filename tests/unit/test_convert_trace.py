"""Tracing: every layer that is not supported is refused by its path, and the caller's model stays as it is."""

import copy
import threading
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from convert_models import pixels
from spikeloom.errors import InvalidData, InvalidNetwork, UnsupportedLayer
from spikeloom_convert.reading.trace import trace
from torch import nn

SAMPLES = pixels(2, 1, 8, 8) / 255.0
INSTEAD = (
    "Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d, ReLU, ReLU6, Hardtanh(0, a), AvgPool2d, MaxPool2d, Flatten, "
    "additions and torch.cat"
)
LAYERS = {
    "MaxPool2d, dilation": (nn.MaxPool2d(2, dilation=2), "dilation must be 1, not (2, 2)"),
    "MaxPool2d, indices": (nn.MaxPool2d(2, return_indices=True), "return_indices must be off"),
    "FractionalMaxPool2d": (nn.FractionalMaxPool2d(2, 3), "is not supported; use MaxPool2d"),
    "GELU": (nn.GELU(), "is not supported; use ReLU, ReLU6 or Hardtanh(0, a)"),
    "GroupNorm": (nn.GroupNorm(1, 4), "is not supported; use BatchNorm1d or BatchNorm2d as modules"),
    "ConvTranspose2d": (nn.ConvTranspose2d(4, 4, 3), "is not supported; use Conv2d"),
    "Hardtanh": (nn.Hardtanh(), "must clip to 0..a, not -1.0..1.0; use Hardtanh(0, a) or ReLU"),
    "Conv2d, mode": (
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        "padding_mode must be 'zeros', not 'circular'",
    ),
    "BatchNorm2d": (
        nn.BatchNorm2d(4, track_running_stats=False),
        "must have running statistics; make it with track_running_stats=True and train it",
    ),
    "AvgPool2d, padding": (
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        "count_include_pad must be on where there is padding; use count_include_pad=True",
    ),
    "AvgPool2d, ceil": (
        nn.AvgPool2d(4, ceil_mode=True),
        "ceil_mode must be off where the windows do not fit the image; use ceil_mode=False",
    ),
    "AdaptiveAvgPool2d": (
        nn.AdaptiveAvgPool2d((3, 4)),
        "output size must divide (6, 6), not (3, 4): its windows would overlap; use (3, 2)",
    ),
    "Linear": (nn.Linear(6, 3), "must get samples of shape (F,), not (4, 6, 6); put nn.Flatten() before it"),
    "Unflatten": (nn.Unflatten(2, (2, 3)), "must flatten to (N, 144), not reshape (4, 6, 6) to (4, 2, 3, 6)"),
    "Softmax": (nn.Softmax(dim=2), "dim must be 1, the outputs, not 2; use dim=1, or leave a last one out"),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "message"), LAYERS.values(), ids=LAYERS.keys())
def test_a_layer_that_is_not_supported_is_refused_by_its_path(layer: nn.Module, message: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Identity(), layer)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.features(x)

    with pytest.raises(UnsupportedLayer) as error:
        trace(Net(), SAMPLES)
    assert str(error.value) == f"Layer 'features.3' ({type(layer).__name__}): {message}"


CALLS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    "max_pool2d": (lambda x: F.max_pool2d(x, 2, dilation=2), "dilation must be 1, not (2, 2)"),
    "relu": (
        lambda x: torch.relu(x.view(len(x), 2, 2, 6, 6)),
        "must take images, not channels in groups (2, 2, 6, 6); reshape them back first",
    ),
    "mul": (lambda x: x * x, "must take a constant, not another activation; use additions or torch.cat"),
    "cumsum": (lambda x: x.cumsum(1), f"is not supported; use {INSTEAD}"),
    "cat": (lambda x: torch.cat([x, x], 2), "dim must be 1, the channels, not 2"),
    "concat": (
        lambda x: torch.concat([x, torch.ones(2, 4, 6, 6)], 1),
        "must join results of layers only, not constants; pad with zeros by F.pad",
    ),
    "stack": (lambda x: torch.stack([x, x], 1), "is not supported; use torch.cat over the channels and slices"),
    "chunk": (lambda x: x.chunk(2, 2)[0], "must split the channels, dim=1"),
    "getitem": (
        lambda x: x[:, ::2],
        "must be slices of channels without a step, and of rows and columns, x[:, a:b, c:d:s, e:f:t]",
    ),
    "pad": (
        lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
        "must add zeros to channels, rows and columns, not mode 'reflect'; use padding of the next layer",
    ),
    "dropout": (lambda x: F.dropout(x), "is active in evaluation too; pass training=self.training, or use nn.Dropout"),
    "clamp": (lambda x: x.clamp(-1, 1), "must clip to 0..a, not -1..1; use Hardtanh(0, a) or ReLU"),
    "mean": (lambda x: x.mean(1), "must average over height and width, dim=(2, 3); use AdaptiveAvgPool2d(1)"),
    "sum": (lambda x: x / x.sum(), "must keep samples apart, not turn (2, 4, 6, 6) into ()"),
    "truediv": (
        lambda x: 1 / x,
        "must have one constant that keeps the shape; use a BatchNorm or fold it into a layer",
    ),
    "sub": (
        lambda x: x - torch.arange(6.0),
        "a constant must be the same at every place of a channel; give it the shape (1, C, 1, 1)",
    ),
    "permute": (
        lambda x: x.permute(0, 2, 3, 1),
        "must give the axes of (4, 6, 6) in their own order, not moved to (6, 6, 4); put them back first, or flatten "
        "them for a Linear; samples are stored as (N, C, H, W) or (N, C, L)",
    ),
    "view": (lambda x: x.view(1, -1), "must keep samples apart, not turn (2, 4, 6, 6) into (1, 288)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_not_supported_is_refused_by_the_module_that_makes_it(name: str) -> None:
    call, message = CALLS[name]

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return call(self.conv(x))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.block(x)

    with pytest.raises(UnsupportedLayer) as error:
        trace(Net(), SAMPLES)
    assert str(error.value) == f"Layer 'block' (call of {name}): {message}"


def test_control_flow_on_data_is_refused() -> None:
    class Flow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedLayer) as error:
        trace(Flow(), SAMPLES)
    assert str(error.value) == (
        "Model 'Flow': forward must be a fixed chain of layers, not depend on its data "
        "(bool of a tensor); decide by shapes, or remove it"
    )


def test_outputs_that_are_no_tensors_are_refused() -> None:
    class Named(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, str]:
            return x, "x"

    with pytest.raises(UnsupportedLayer) as error:
        trace(Named(), SAMPLES)
    assert str(error.value) == "Model 'Named': must return a tensor, or a tuple or a dict of tensors, not tuple"


def test_an_output_that_does_not_depend_on_the_samples_is_refused() -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(2, 3)

    with pytest.raises(UnsupportedLayer) as error:
        trace(Constant(), SAMPLES)
    assert str(error.value) == "Model 'Constant': must return what its layers give, not something else"


def test_every_operation_names_those_whose_results_it_takes() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            first = self.a(x).relu()
            both = torch.cat([first, self.b(first)], 1)
            both += F.pad(x[:, :, ::1], (0, 0, 0, 0, 1, 2))
            return {"late": both, "early": first}

    traced = trace(Two(), SAMPLES)
    assert [(type(item).__name__, item.inputs) for item in traced.operations] == [
        ("Convolution", (-1,)), ("Rectify", (0,)), ("Convolution", (1,)), ("Concatenate", (1, 2)),
        ("PadChannels", (-1,)), ("Add", (3, 4)),
    ]  # fmt: skip
    assert traced.outputs == {"late": 5, "early": 1}


def test_compiled_models_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.trace(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), torch.zeros(1, 1, 8, 8))
    with pytest.raises(InvalidNetwork) as error:
        trace(model, SAMPLES)
    assert str(error.value) == (
        "Model 'TopLevelTracedModule': must be a plain module, not TorchScript; convert the model it was made from"
    )


def test_samples_of_another_shape_are_refused_with_both_sides() -> None:
    with pytest.raises(InvalidData) as error:
        trace(nn.Sequential(nn.Flatten(), nn.Linear(60, 3)), SAMPLES)
    assert str(error.value) == (
        "Calibration: samples must have the shape that model 'Sequential' takes, not (1, 8, 8) "
        "(mat1 and mat2 shapes cannot be multiplied (2x64 and 60x3))"
    )


@pytest.mark.parametrize(
    ("channels", "shape", "use"),
    [
        (1, (8, 8), "(N, 1, H, W), x[:, None]"),
        (1, (8, 8, 1), "(N, C, H, W), numpy.moveaxis(x, 3, 1)"),
        (3, (8, 8, 3), "(N, C, H, W), numpy.moveaxis(x, 3, 1)"),
    ],
)
def test_images_without_their_channel_or_with_it_last_are_refused_with_what_moves_it(
    channels: int, shape: tuple[int, ...], use: str
) -> None:
    with pytest.raises(InvalidData) as error:
        trace(nn.Sequential(nn.Conv2d(channels, 2, 3)), pixels(2, *shape) / 255.0)
    assert str(error.value) == (
        f"Calibration: samples must have the shape that model 'Sequential' takes, not {shape}; give images as {use}"
    )


def test_weights_that_are_no_numbers_are_refused_by_name() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3))
    with torch.no_grad():
        model[1].weight[0, :2] = float("nan")
        model[2].running_var[1] = float("inf")
    with pytest.raises(InvalidNetwork) as error:
        trace(model, SAMPLES)
    assert str(error.value) == (
        "Model 'Sequential': '1.weight' must be finite, not NaN or infinite (2 of 192 values); "
        "'2.running_var' must be finite, not NaN or infinite (1 of 3 values)"
    )


def test_weights_that_are_not_there_yet_are_refused() -> None:
    with pytest.raises(InvalidNetwork) as error:
        trace(nn.Sequential(nn.LazyLinear(3, bias=False)), SAMPLES)
    assert (
        str(error.value) == "Model 'Sequential': '0.weight' must be initialised; run one batch through the model first"
    )


def test_something_else_than_a_module_is_refused() -> None:
    with pytest.raises(InvalidNetwork) as error:
        trace(torch.relu, SAMPLES)  # type: ignore[arg-type]
    assert str(error.value) == "Model: must be a torch.nn.Module, not builtin_function_or_method"


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    model[1].lock = threading.Lock()
    with pytest.raises(InvalidNetwork) as error:
        trace(model, SAMPLES)
    assert str(error.value) == (
        "Model 'Sequential': must be copyable, but copy.deepcopy fails (TypeError); "
        "remove what holds files, locks or graphs of gradients from it"
    )


def test_the_callers_model_stays_as_it_is() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(72, 3)
    ).half()
    model[1].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[4].bias.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    traced = trace(model, SAMPLES)
    assert [module.training for module in model.modules()] == [True, True, False, True, True, True]
    assert [value.requires_grad for value in model.parameters()] == [True, True, True, True, True, False]
    assert bool((model[0].weight.grad == 1).all())
    assert all(value.dtype == before[name].dtype for name, value in model.state_dict().items())
    assert all(bool((value == before[name]).all()) for name, value in model.state_dict().items())
    assert not traced.model.training
    assert next(traced.model.parameters()).dtype == torch.float32


def test_warnings_of_the_model_stay_its_own() -> None:
    class Loud(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(64, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.softmax(self.head(x.flatten(1)))  # dim is missing: PyTorch warns

    assert len(trace(Loud(), SAMPLES).operations) == 3
