"""Models in the styles that people write: each folds into its own outputs, or is refused by the module's name."""

import math
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from convert_models import seeded
from folding import names, same
from outside_axes import AXES, AXES_SHAPES, GREY, GREY_SHAPES
from outside_models import SHAPES, STYLES, conv, headed, linear, small, written
from spikeloom import golden
from spikeloom.errors import InvalidData, InvalidNetwork, SpikeloomError, UnsupportedLayer
from spikeloom_convert import convert
from spikeloom_convert.folding.prepare import checked, prepare
from spikeloom_convert.reading.trace import trace
from spikeloom_convert.samples import check
from torch import nn

IMAGES = np.random.default_rng(0).random((6, 3, 12, 12))
ACTIVATION = "ReLU, ReLU6 or Hardtanh(0, a)"
DATA = "forward must be a fixed chain of layers, not depend on its data"


@pytest.mark.parametrize("style", [*STYLES, *AXES])
def test_a_model_from_outside_folds_into_its_own_outputs(style: str) -> None:
    same((STYLES | AXES)[style], *(SHAPES | AXES_SHAPES).get(style, (3, 12, 12)))


@pytest.mark.parametrize("style", GREY)
def test_grey_samples_may_have_their_channel_where_the_model_has_it(style: str) -> None:
    x, made = np.random.default_rng(0).random((40, *GREY_SHAPES[style])), seeded(GREY[style])
    same(made.double(), *GREY_SHAPES[style])
    network = convert(made, x, timesteps=8, weight_bits=8, mean=0.5)
    with torch.no_grad():
        expected = made(torch.from_numpy(x) - 0.5).numpy()
    potentials = golden.evaluate(network, x) * network.readouts[0].scale
    assert ((potentials - expected) ** 2).mean() < 1e-3 * expected.var()
    assert np.array_equal(
        golden.evaluate(network, x.reshape(40, *network.inputs[0].shape)), golden.evaluate(network, x)
    )


def test_what_a_view_sees_is_not_changed_in_place_without_a_word() -> None:
    def forward(s, x: torch.Tensor) -> torch.Tensor:
        y = s.c(x)
        part = y[:, :, 1:4]
        F.leaky_relu_(y, 0.1)
        return F.relu(part)

    with pytest.raises(UnsupportedLayer) as error:
        same(headed(forward), 3, 12, 12)
    assert str(error.value) == (
        "Model 'Net' (call of leaky_relu_): must not change in place what 'getitem' sees a part of; leave inplace out"
    )


def test_inference_mode_around_a_conversion_changes_nothing() -> None:
    model = small()
    with torch.inference_mode():
        inside = convert(model, IMAGES, timesteps=4)
        made_inside = convert(seeded(small), IMAGES, timesteps=4)
    assert inside.digest == convert(model, IMAGES, timesteps=4).digest
    assert made_inside.digest == convert(seeded(small), IMAGES, timesteps=4).digest


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_any_precision_are_converted(dtype: torch.dtype) -> None:
    network = convert(small().to(dtype), IMAGES, timesteps=8, weight_bits=8)
    assert golden.evaluate(network, IMAGES).shape == (6, 5)


def test_padding_on_one_side_becomes_a_rim_of_zeros_in_the_kernel() -> None:
    layer = same(STYLES["padded on one side"], 3, 12, 12).layers[0]
    geometry, weights = layer.incoming[0].geometry, layer.incoming[0].weights
    assert (geometry.padding, geometry.kernel) == ((1, 1), (4, 4))
    assert not weights[:, :, 0].any()
    assert not weights[:, :, :, 0].any()


def test_1x1_layers_without_an_activation_between_them_are_one() -> None:
    network = same(STYLES["inverted residuals"], 3, 12, 12)
    assert names(network)[1:3] == ["conv1_conv_0_0", "conv1_conv_1_0"]
    assert any("composed with" in note for note in network.notes)


def test_a_sum_of_activations_is_a_population_where_a_kernel_follows() -> None:
    network = same(STYLES["activations added without a ReLU"], 3, 12, 12)
    assert [(layer.name, layer.fires) for layer in network.layers] == [
        ("c", True), ("e", True), ("add", True), ("d", True), ("f", False),
    ]  # fmt: skip
    assert network.notes == (
        "Model 'Net' (call of add) has a population of its own: Layer 'd' (Conv2d) follows without a ReLU",
    )


def test_features_in_another_order_only_move_columns_of_weights() -> None:
    plain, moved = (same(style, 3, 12, 12) for style in (STYLES["flatten by keyword"], AXES["flatten of rows"]))
    columns = np.arange(100).reshape(4, 5, 5).transpose(1, 0, 2).ravel()
    of = [network.layers[-1].incoming[0].weights for network in (plain, moved)]
    assert (of[1][:, columns] == of[0]).all()
    assert (of[1] != of[0]).any()


def test_repeated_channels_are_one_connection() -> None:
    (connection,) = same(STYLES["grey repeated"], 1, 12, 12).layers[0].incoming
    assert connection.weights.shape == (4, 1, 3, 3)


def test_grey_images_without_a_channel_are_run_as_they_were_calibrated() -> None:
    images = np.random.default_rng(0).random((12, 12, 10))
    network = convert(STYLES["grey images"](), images)
    assert network.inputs[0].shape == (1, 12, 10)
    assert (golden.evaluate(network, images) == golden.evaluate(network, images[:, None])).all()


def test_images_are_flattened_for_a_model_that_makes_images_of_vectors() -> None:
    model = seeded(AXES["pitch of a window"])
    vectors = np.random.default_rng(0).random((9, 40))
    flat, images = check(vectors), check(vectors.reshape(9, 1, 40, 1))
    prepared = prepare(model, images, None, None)
    assert prepared.network.input_shape == (1, 40, 1)
    assert (prepared.logits(images)[0] == prepare(model, flat, None, None).logits(flat)[0]).all()


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(1)])
def test_classes_and_checks_are_of_what_stands_ahead_of_a_sigmoid_that_hides_it(last: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 9), last).eval()
    with torch.no_grad():
        model[3].weight *= 2000
        model[3].bias += 400
    samples = check(IMAGES)
    prepared = prepare(model, samples, None, None)
    logits = model[:4](torch.from_numpy(IMAGES).float()).detach().double().numpy()
    np.testing.assert_allclose(prepared.outputs(samples)[0], logits, rtol=1e-4)
    assert (prepared.outputs(samples, ended=True)[0] == 1.0).any()
    bias = prepared.network.layers[-1].bias
    other = replace(
        prepared.network.layers[-1], bias=bias + 0.2 * np.abs(logits).max() * (np.arange(9) == 3)[:, None, None]
    )
    with pytest.raises(SpikeloomError, match="must give the outputs its layers say"):
        checked(
            replace(prepared, network=replace(prepared.network, layers=(*prepared.network.layers[:-1], other))), samples
        )


ENDED: dict[str, Callable[[], nn.Module]] = {
    "flattened by the number of samples": written(
        lambda s, x: F.softmax(s.f(F.relu(s.c(x)).view(x.size(0), -1)), 1), c=conv(), f=linear(400)
    ),
    "in its own order": written(
        lambda s, x: torch.sigmoid(s.f(F.relu(s.c(x)).permute(0, 3, 2, 1).contiguous().view(x.shape[0], -1))),
        c=conv(), f=linear(400),
    ),
    "behind an axis of one": written(
        lambda s, x: F.log_softmax(
            s.f(F.avg_pool1d(F.relu(s.c(x)).flatten(2), 100).permute(0, 2, 1).view(x.size(0), 1, 4)), dim=2
        ), c=conv(), f=linear(),
    ),
    "without a layer behind": written(
        lambda s, x: F.softmax(F.adaptive_avg_pool2d(s.c(x), 1).reshape(len(x), -1), 1), c=conv(3, 5)
    ),
    "two outputs": written(
        lambda s, x: (F.softmax(s.f(a := F.relu(s.c(x)).view(x.size(0), -1)), 1), s.g(a)), c=conv(), f=linear(400),
        g=linear(400, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 5, 41])
@pytest.mark.parametrize("make", ENDED)
def test_models_that_write_down_how_many_samples_there_are_may_end_in_a_sigmoid(make: str, count: int) -> None:
    model, x = seeded(ENDED[make]), np.random.default_rng(0).random((count, 3, 12, 12))
    prepared = prepare(model, check(x), None, None)
    got = prepared.outputs(check(x))
    for found, expected in zip(got, prepared.logits(check(x)), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    assert len(convert(model, x).readouts) == len(got)


def test_samples_go_through_at_once_where_a_model_does_not_care_how_many_there_are() -> None:
    free = written(lambda s, x: F.softmax(s.f(F.relu(s.c(x)).flatten(1)), 1), c=conv(), f=linear(400))
    assert trace(seeded(free), IMAGES).logits.any_number
    assert not any(trace(seeded(make), IMAGES).logits.any_number for make in ENDED.values())


@pytest.mark.parametrize(
    "shape", [lambda x: x.squeeze(1), lambda x: x.view(-1), lambda x: x[:, 0], lambda x: x.flatten()]
)
def test_one_answer_a_sample_may_lose_its_axis_ahead_of_a_sigmoid(
    shape: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    model = written(lambda s, x: torch.sigmoid(shape(s.f(F.relu(s.c(x)).flatten(1)))), c=conv(), f=linear(400, 1))
    network = prepare(seeded(model), check(IMAGES), None, None).network
    assert [layer.shape for layer in network.layers] == [(4, 10, 10), (1, 1, 1)]
    with pytest.raises(SpikeloomError, match="Labels: must be left out where a model has one output"):
        convert(seeded(model), IMAGES, labels=np.arange(6) % 2)


REFUSED = {
    "dropout that stays, of moved axes": (
        written(lambda s, x: s.f(F.dropout(F.relu(s.c(x)).permute(0, 2, 3, 1), 0.5).flatten(1)), c=conv(),
                f=linear(400)),
        "Model 'Net' (call of dropout): is active in evaluation too; pass training=self.training, or use nn.Dropout"),
    "one more row of another kind": (
        headed(lambda s, x: F.relu(s.d(F.relu(s.c(x)))), d=conv(4, 4, 2, padding="same", padding_mode="circular")),
        "Layer 'd' (Conv2d): padding_mode must be 'zeros', not 'circular'"),
    "axes moved for a kernel": (
        headed(lambda s, x: F.relu(s.d(F.relu(s.c(x)).transpose(2, 3))), d=conv(4, 4)),
        "Layer 'd' (Conv2d): must take the axes of (4, 10, 10) in their own order, not moved to (4, 10, 10); put them "
        "back first, or flatten them for a Linear; samples are stored as (N, C, H, W) or (N, C, L)"),
    "gelu": (headed(lambda s, x: F.gelu(s.c(x))), f"Model 'Net' (call of gelu): is not supported; use {ACTIVATION}"),
    "where": (headed(lambda s, x: torch.where(s.c(x) > 0, s.c(x), 0)),
              f"Model 'Net' (call of gt): is not supported; use {ACTIVATION}, or LeakyReLU"),
    "attention": (written(lambda s, x: s.f(F.scaled_dot_product_attention(x, x, x).flatten(1)), f=linear(432)),
                  "Model 'Net' (call of scaled_dot_product_attention): is not supported; use Linear and Conv2d"),
    "attention as a module": (
        written(lambda s, x: s.f(s.a(x.flatten(2), x.flatten(2), x.flatten(2))[0].flatten(1)), f=linear(432),
                a=lambda: nn.MultiheadAttention(144, 2, batch_first=True)),
        "Layer 'a' (MultiheadAttention): is not supported; use Linear and Conv2d"),
    "recurrence": (written(lambda s, x: s.f(s.r(x.flatten(2))[0][:, -1]), r=lambda: nn.GRU(144, 4, batch_first=True),
                           f=linear()), "Layer 'r' (GRU): is not supported; use "
                           "ThresholdRNN of spikeloom_convert.recurrent, or Conv1d over the whole sequence"),
    "a branch on values": (headed(lambda s, x: F.relu(s.c(x if x.mean() > 0 else -x))),
                           f"Model 'Net': {DATA} (bool of a tensor); decide by shapes, or remove it"),
    "a number from values": (headed(lambda s, x: F.relu(s.c(x)) * x.max().item()),
                             f"Model 'Net': {DATA} (item of a tensor); decide by shapes, or remove it"),
    "an array from values": (headed(lambda s, x: F.relu(s.c(x)) * float(np.asarray(x).max())),
                             f"Model 'Net': {DATA} (numpy of a tensor); decide by shapes, or remove it"),
    "assignment": (headed(lambda s, x: (x.__setitem__(0, 0), F.relu(s.c(x)))[1]),
                   f"Model 'Net': {DATA} (assignment to a part of a tensor); compute the whole of it, with "
                   "torch.cat, or ReLU, ReLU6 or Hardtanh(0, a) where values are chosen"),
    "samples one by one": (written(lambda s, x: torch.stack([s.f(s.c(r[None]).mean((2, 3)))[0] for r in x]), c=conv(),
                                   f=linear()),
                           "Model 'Net' (call of getitem): must keep samples apart, not turn (2, 3, 12, 12) into "
                           "(3, 12, 12)"),
    "a root from values": (headed(lambda s, x: F.relu(s.c(x)) * math.sqrt(x.mean())),
                           f"Model 'Net': {DATA} (sqrt of a tensor); decide by shapes, or remove it"),
    "a whole tensor from values": (headed(lambda s, x: F.relu(s.c(x)) + torch.tensor(x.mean())),
                                   "Model 'Net': forward must be a fixed chain of layers that torch.fx can trace "
                                   "(len() of a 0-d tensor)"),
    "repeated places": (headed(lambda s, x: F.relu(s.c(x.repeat(1, 1, 2, 2)))),
                        "Model 'Net' (call of repeat): must repeat channels only, not turn (3, 12, 12) into "
                        "(3, 24, 24)"),
    "flipped places": (headed(lambda s, x: F.relu(s.c(x.flip(2)))),
                       "Model 'Net' (call of flip): is not supported; use a 1x1 Conv2d"),
    "places as channels": (headed(lambda s, x: F.relu(s.c(F.pixel_unshuffle(x, 2))), c=conv(12)),
                           "Model 'Net' (call of pixel_unshuffle): is not supported; use Conv2d whose stride is the "
                           "factor"),
    "classes": (written(lambda s, x: s.m(x).argmax(1), m=small),
                "Model 'Net' (call of argmax): is not supported; use the outputs it is taken of, which keep the order"),
    "another call": (headed(lambda s, x: s.c(x if torch.is_tensor(x) else torch.stack(x))),
                     "Model 'Net': forward must be a fixed chain of layers that torch.fx can trace (stack(): argument "
                     "'tensors' (position 1) must be tuple of Tensors, not Tensor)"),
    "an argument nobody knows": (headed(lambda s, x: torch.add(F.softmax(s.c(x), 1, dtype=x.dtype), 1, out=None)),
                                 "Model 'Net' (call of add): must have one constant that keeps the shape; use a "
                                 "BatchNorm or fold it into a layer"),
    "statistics of the batch": (headed(lambda s, x: F.batch_norm(s.c(x), None, None, training=True)),
                                "Model 'Net' (call of batch_norm): must use running statistics, not those of the "
                                "batch; pass training=self.training"),
    "weights first": (written(lambda s, x: s.w @ x.flatten(1).reshape(2, 432, 1), w=lambda: torch.ones(5, 432)),
                      "Model 'Net' (call of matmul): must take what the layer before it gives first, and weights as "
                      "the second argument"),
    "a padding that is not zero": (headed(lambda s, x: F.relu(s.c(F.pad(x, (1, 1, 1, 1), value=0.5)))),
                                   "Model 'Net' (call of pad): must add zeros to channels, rows and columns, not 0.5; "
                                   "use padding of the next layer"),
    "a module that pads otherwise": (headed(lambda s, x: F.relu(s.c(s.p(x))), p=lambda: nn.ConstantPad2d(1, 2.0)),
                                     "Layer 'p' (ConstantPad2d): must pad with zeros, not 2.0; use ZeroPad2d"),
    "a module that cuts all": (headed(lambda s, x: F.relu(s.c(s.p(x))), p=lambda: nn.ZeroPad2d((-12, 4, 0, 0))),
                               "Layer 'p' (ZeroPad2d): must leave something of (3, 12, 12), not crop all of it by "
                               "(0, 0, -12, 4)"),
    "channels cut by padding": (headed(lambda s, x: F.relu(s.c(F.pad(x, (0, 0, 0, 0, -1, 1))))),
                                "Model 'Net' (call of pad): must add zeros to channels, rows and columns, not "
                                "(0, 0, 0, 0, -1, 1); use padding of the next layer"),
    "rows by a list": (headed(lambda s, x: F.relu(s.c(x)[:, :, [0, 2, 5]])),
                       "Model 'Net' (call of getitem): must be slices of channels without a step, and of rows and "
                       "columns, x[:, a:b, c:d:s, e:f:t]"),
    "axes in another order": (written(lambda s, x: s.d(F.relu(s.c(x)).permute(0, 2, 3, 1)), c=conv(), d=conv(10)),
                              "Layer 'd' (Conv2d): must take the axes of (4, 10, 10) in their own order, not moved to "
                              "(10, 10, 4); put them back first, or flatten them for a Linear; samples are stored as "
                              "(N, C, H, W) or (N, C, L)"),
    "channels for samples": (written(lambda s, x: s.f(F.relu(s.c(x)).permute(1, 0, 2, 3).flatten(1)), c=conv(3, 2),
                                     f=linear(200)),
                             "Model 'Net' (call of permute): must keep samples apart, not turn (2, 2, 10, 10) into "
                             "(2, 2, 10, 10)"),
    "another threshold": (headed(lambda s, x: s.t(s.c(x)), t=lambda: nn.Threshold(1, 0)),
                          "Layer 't' (Threshold): must be Threshold(0, 0), not (1, 0); use ReLU"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_by_its_place_with_the_nearest_that_works(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedLayer) as error:
        trace(make(), IMAGES)
    assert str(error.value) == message


HINTED = {
    "the larger": (torch.max, lambda a, b: a + F.relu(b - a)),
    "the smaller": (torch.min, lambda a, b: F.relu(a - F.relu(a - b))),
}


@pytest.mark.parametrize("which", HINTED)
def test_what_is_to_be_used_for_the_larger_and_the_smaller_of_two_is_the_same_and_folds(which: str) -> None:
    wanted, instead = HINTED[which]
    a, b = torch.rand(2, 100).double()
    assert torch.allclose(instead(a, b), wanted(a, b), atol=1e-15)
    make = written(
        lambda s, x: s.f(instead(F.relu(s.c(x)), F.relu(s.d(x))).flatten(1)), c=conv(), d=conv(), f=linear(400)
    )
    same(make, 3, 12, 12)


FOLDS = {
    "rows shuffled as channels": (
        written(lambda s, x: s.f(F.channel_shuffle(F.relu(s.c(x)).squeeze(1), 2).flatten(1)), c=conv(3, 1),
                f=linear(100)),
        "Model 'Net' (call of channel_shuffle): must take as many channels as the layer before it gives, 1, not 10"),
    "softmax of images": (
        written(lambda s, x: torch.softmax(s.c(x), 1), c=conv()),
        "Model 'Net' (call of softmax): must take outputs (N, F), not (4, 10, 10); flatten them"),
    "sigmoid": (headed(lambda s, x: torch.sigmoid(s.c(x))),
                f"Model 'Net' (call of sigmoid): must be the last layer, not ahead of Model 'Net' (call of mean); "
                f"use {ACTIVATION}"),
    "softmax of activations": (headed(lambda s, x: s.d(F.softmax(F.relu(s.c(x)), 1).flatten(1)[:, :, None, None]),
                                      d=conv(400, 4, 1)),
                               "Model 'Net' (call of softmax): must be the last layer, not ahead of Layer 'd' "
                               f"(Conv2d); use {ACTIVATION}"),
    "slices of features": (written(lambda s, x: s.f(F.relu(s.c(x)).flatten(1)[:, :50]), c=conv(), f=linear(50)),
                           "Model 'Net' (call of getitem): must be before Flatten; take channels of images, not "
                           "features"),
    "pooling": (headed(lambda s, x: F.relu(s.c(F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 2)))),
                "Model 'Net' (call of max_pool2d): must not follow zeros around images; pad for a Conv2d only"),
    "moved axes": (headed(lambda s, x: F.relu(s.c(F.relu(s.e(x.mean(2))).unsqueeze(1))), c=conv(1),
                          e=lambda: nn.Conv1d(3, 6, 3)),
                   "Layer 'c' (Conv2d): must get the axes of the layer before it, (6, 1, 10), not reshaped to "
                   "(1, 6, 10)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDS)
def test_what_does_not_fold_exactly_is_refused(name: str) -> None:
    make, message = FOLDS[name]
    with pytest.raises(UnsupportedLayer) as error:
        same(make, 3, 12, 12)
    assert str(error.value) == message


def test_a_forward_pass_that_wants_more_than_samples_is_refused() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return x + labels

    with pytest.raises(InvalidData) as error:
        trace(Net(), IMAGES)
    message = str(error.value)
    assert message.startswith("Model 'Net': forward must take the samples alone, all else by default (")
    assert message.endswith("missing 1 required positional argument: 'labels')")


def test_a_forward_pass_that_does_not_run_is_refused() -> None:
    with pytest.raises(InvalidNetwork) as error:
        trace(written(lambda s, x: s.nothing(x))(), IMAGES)
    assert str(error.value) == (
        "Model 'Net': forward must run, but raises AttributeError ('Net' object has no attribute 'nothing')"
    )


def test_scripts_within_a_model_are_refused_by_their_path() -> None:
    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model[2] = torch.jit.trace(nn.ReLU(), torch.zeros(1, 4, 10, 10))
    with pytest.raises(InvalidNetwork) as error:
        trace(model, IMAGES)
    assert str(error.value) == (
        "Model 'Sequential': '2' must be a plain module, not TorchScript; convert the model it was made from"
    )


def test_files_that_define_models_are_left_as_they_were() -> None:
    model = STYLES["checks of shapes"]()
    trace(model, IMAGES)
    assert "isinstance" not in type(model).forward.__globals__
