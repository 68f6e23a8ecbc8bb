"""Models as other people write them: one style each, tiny, for 3x12x12 samples where nothing else is said."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune, weight_norm

Forward = Callable[[Any, torch.Tensor], Any]
Maker = Callable[[], nn.Module]


def written(forward: Forward, **members: Callable[[], Any]) -> Maker:
    """A module with these members, made anew each time, and this forward pass."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, make in members.items():
                setattr(self, name, make())

        def forward(self, x: torch.Tensor) -> Any:
            return forward(self, x)

    return Net


def conv(inputs: int = 3, outputs: int = 4, kernel: int = 3, **options: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(inputs, outputs, kernel, **options)


def linear(inputs: int = 4, outputs: int = 5) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(inputs, outputs)


def parameter(*shape: int) -> Callable[[], nn.Parameter]:
    return lambda: nn.Parameter(torch.randn(shape) / 3)


def headed(features: Forward, **members: Callable[[], Any]) -> Maker:
    """Features of a convolution `c`, or of other members, averaged over the image and classified by `f`."""
    members = {"c": conv(), "f": linear(), **members}
    return written(lambda s, x: s.f(features(s, x).mean((2, 3))), **members)


def flattened(flatten: Callable[[torch.Tensor], torch.Tensor]) -> Maker:
    """A LeNet with its own way to flatten."""
    return written(
        lambda s, x: s.f(flatten(F.relu(F.max_pool2d(s.c(x), kernel_size=2)))), c=conv(), f=linear(4 * 5 * 5)
    )


def reduced(reduce: Callable[[torch.Tensor], torch.Tensor]) -> Maker:
    """A network with its own way to pool over the whole image."""
    return written(lambda s, x: s.f(reduce(F.relu(s.c(x)))), c=conv(), f=linear())


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(400, 5))


def unit(inputs: int, outputs: int, kernel: int = 1, **options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


def shuffle(x: torch.Tensor, groups: int) -> torch.Tensor:
    """ShuffleNet's exchange of channels."""
    samples, channels, height, width = x.size()
    x = x.view(samples, groups, channels // groups, height, width)
    return torch.transpose(x, 1, 2).contiguous().view(samples, -1, height, width)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 beside a 1x1 shortcut, one ReLU for all."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle)
        self.conv2, self.bn2 = nn.Conv2d(middle, middle, 3, stride, 1, bias=False), nn.BatchNorm2d(middle)
        self.conv3, self.bn3 = nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        same = inputs == outputs and stride == 1
        self.downsample = (
            None if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Inverted(nn.Module):
    """MobileNetV2's block: expanded, depthwise, projected without an activation, added."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.added = stride == 1 and inputs == outputs
        projection = [nn.Conv2d(2 * inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        depthwise = unit(2 * inputs, 2 * inputs, 3, stride=stride, groups=2 * inputs)
        self.conv = nn.Sequential(unit(inputs, 2 * inputs), depthwise, *projection)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.added else self.conv(x)


class Fire(nn.Module):
    """SqueezeNet's block."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1, self.expand3 = nn.Conv2d(squeezed, expanded, 1), nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.act = nn.ReLU(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.squeeze(x))
        return torch.cat([self.act(self.expand1(x)), self.act(self.expand3(x))], dim=1)


class Dense(nn.ModuleDict):
    """DenseNet's block: batch norm, ReLU and convolution of all that was before."""

    def __init__(self, inputs: int, growth: int, count: int) -> None:
        super().__init__()
        for number in range(count):
            width = inputs + number * growth
            layers = [nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, growth, 3, padding=1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))

    def forward(self, x: torch.Tensor | list[torch.Tensor]) -> torch.Tensor:
        features = [x] if isinstance(x, torch.Tensor) else list(x)
        for layer in self.values():
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features, 1)


class Standardised(nn.Conv2d):
    """A convolution whose weights are standardised whenever it runs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, std = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        weight = (self.weight - mean) / (std + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


@dataclass
class Result:
    """What some models return."""

    logits: torch.Tensor
    loss: torch.Tensor | None = None


class Options(nn.Module):
    """A forward pass with arguments that have defaults."""

    def __init__(self) -> None:
        super().__init__()
        self.m = small()

    def forward(self, x: torch.Tensor, features: bool = False, *, scale: float | None = None, **rest: Any) -> Any:
        x = x * scale if scale else x
        return (self.m(x), x) if features or rest else self.m(x)


class Variadic(nn.Sequential):
    """A forward pass that takes any arguments."""

    def __init__(self) -> None:
        super().__init__(*small())

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs[0])


def checked(s: Any, x: torch.Tensor) -> torch.Tensor:
    """A forward pass that looks at its samples, by shapes only."""
    assert x.dim() == 4, "images, please"
    batch, channels, height, _ = x.shape
    if channels != 3 or len(x) != batch or not isinstance(x, torch.Tensor):
        raise ValueError(f"three channels, not {channels}")
    if height > 8 and not x.is_cuda:
        x = F.avg_pool2d(x.to(s.c.weight.dtype), 2)
    if s.training:
        x = x + torch.randn_like(x)
    s.seen = float(s.f.weight.abs().max()), x.sum() > 0  # a record, which nothing depends on
    return s.f(F.relu(s.c(x)).mean((2, 3)))


def in_place(s: Any, x: torch.Tensor) -> torch.Tensor:
    y = s.c(x)
    y.add_(s.d(x))
    F.relu(y, inplace=True)
    return s.f(y.mean((2, 3)))


def old_style(s: Any, x: torch.Tensor) -> torch.Tensor:
    x = F.relu(F.max_pool2d(s.c(x), 2))
    x = F.dropout(x.view(-1, 4 * 5 * 5), p=0.4, training=s.training)
    return s.f(x)


def pruned() -> nn.Module:
    model = small()
    prune.l1_unstructured(model[0], "weight", 0.3)
    prune.random_unstructured(model[4], "weight", 0.5)
    return model


def normalised() -> nn.Module:
    model = small()
    parametrizations.weight_norm(model[0])
    parametrizations.spectral_norm(model[4])
    return model


def normalised_of_old() -> nn.Module:
    import warnings

    model = small()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and in many a checkpoint
        weight_norm(model[0])
    return model


SHAPES: dict[str, tuple[int, ...]] = {
    "grey repeated": (1, 12, 12), "grey expanded": (1, 12, 12),
    "flat samples": (432,), "conv1d": (2, 20), "conv1d of flat samples": (20,), "grey images": (12, 10),
}  # fmt: skip
STYLES: dict[str, Maker] = {
    "bottlenecks": lambda: nn.Sequential(
        unit(3, 4, 3), Bottleneck(4, 2, 4), Bottleneck(4, 2, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5),
    ),
    "inverted residuals": lambda: nn.Sequential(
        unit(3, 4, 3, stride=2), Inverted(4, 4, 1), Inverted(4, 6, 2), unit(6, 8), nn.AvgPool2d(3), nn.Flatten(),
        nn.Linear(8, 5),
    ),
    "a projection that is pooled and classified": lambda: nn.Sequential(
        unit(3, 4, 3), Inverted(4, 6, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)
    ),
    "fire": lambda: nn.Sequential(Fire(3, 2, 4), Fire(8, 3, 4), nn.Dropout(), nn.Conv2d(8, 5, 1), nn.AvgPool2d(12)),
    "dense": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), Dense(4, 2, 3), nn.BatchNorm2d(10), nn.ReLU(), nn.AvgPool2d(12), nn.Flatten(),
        nn.Linear(10, 5),
    ),
    "a stem that pools": lambda: nn.Sequential(
        unit(3, 4, 7, stride=2), nn.MaxPool2d(3, 2, 1), Bottleneck(4, 2, 4), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, 5),
    ),
    "inception": headed(
        lambda s, x: (lambda y: torch.cat([y, F.relu(s.d(F.avg_pool2d(y, 3, 1, 1))), F.max_pool2d(y, 3, 1, 1)], 1))(
            F.relu(s.c(x))
        ), d=conv(4, 2, 1), f=linear(10),
    ),
    "network in network": lambda: nn.Sequential(
        unit(3, 6, 3), unit(6, 6), nn.MaxPool2d(3, 2, ceil_mode=True), unit(6, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
    "channels shuffled": headed(
        lambda s, x: F.relu(s.d(shuffle(F.relu(s.c(x)), 2))), c=conv(3, 6), d=conv(6, 4, groups=2)
    ),
    "channels shuffled by a module": headed(
        lambda s, x: F.relu(s.d(s.s(F.relu(s.c(x))))), c=conv(3, 6), d=conv(6, 4, groups=2),
        s=lambda: nn.ChannelShuffle(3),
    ),
    "shortcut padded with channels": headed(
        lambda s, x: F.relu(s.c(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 0))), c=conv(stride=2, padding=1)
    ),
    "shortcut of zeros beside it": headed(
        lambda s, x: F.relu(s.c(x) + torch.cat([s.p(x), torch.zeros_like(s.p(x))], 1)),
        c=conv(3, 6, stride=2, padding=1), p=lambda: nn.AvgPool2d(1, 2), f=linear(6),
    ),
    "layers in dicts and lists": written(
        lambda s, x: s.d["f"](F.relu([s.d["c"](x)][0]).mean((2, 3))),
        d=lambda: nn.ModuleDict({"c": nn.Conv2d(3, 4, 3), "f": nn.Linear(4, 5)}),
    ),
    "layers made in forward": written(
        lambda s, x: s.m[4:](nn.Flatten()(nn.ReLU()(s.m[:2](x)))), m=small
    ),
    "old style": written(old_style, c=conv(), f=linear(100)),
    "view with a number": flattened(lambda x: x.view(-1, 4 * 5 * 5)),
    "view of a size": flattened(lambda x: x.view(x.size(0), -1)),
    "view of a product": flattened(lambda x: x.view(-1, math.prod(x.size()[1:]))),
    "reshape of unpacked sizes": flattened(lambda x: (lambda n, c, h, w: x.reshape(n, c * h * w))(*x.shape)),
    "flatten by keyword": flattened(lambda x: torch.flatten(input=x, start_dim=1)),
    "flatten in two steps": flattened(lambda x: x.flatten(2).flatten(1)),
    "mean of mean": reduced(lambda x: x.mean(3).mean(2)),
    "mean of one side": reduced(lambda x: x.mean(2).mean(-1)),
    "mean of places": reduced(lambda x: x.view(*x.shape[:2], -1).mean(-1)),
    "sum": reduced(lambda x: x.sum((2, 3)) / 100),
    "maximum": reduced(lambda x: torch.amax(x, dim=(2, 3), keepdim=True).flatten(1)),
    "pool of all": reduced(lambda x: F.avg_pool2d(x, x.size()[2:])[:, :, 0, 0]),
    "squeezed": reduced(lambda x: F.adaptive_avg_pool2d(x, 1).squeeze()),
    "maximum with zeros": headed(lambda s, x: torch.maximum(s.c(x), torch.zeros_like(s.c(x)))),
    "threshold": headed(lambda s, x: F.threshold(s.t(s.c(x)), 0, 0), t=lambda: nn.Threshold(0, 0)),
    "clamps": headed(lambda s, x: s.c(x).clamp(min=0).clamp_(max=0.4, min=0)),
    "padded evenly": headed(lambda s, x: F.relu(s.c(F.pad(x, (1, 1, 1, 1))))),
    "padded on one side": headed(lambda s, x: F.relu(s.c(F.pad(x, (0, 1, 0, 1)))), c=conv(stride=2)),
    "padded twice": headed(lambda s, x: F.relu(s.c(F.pad(s.z(x), [2, 0]))), c=conv(padding=1),
                           z=lambda: nn.ZeroPad2d((0, 1, 3, 0))),
    "padded behind batch norm": headed(lambda s, x: F.relu(s.c(F.pad(s.b(F.relu(x)), (1, 0, 0, 1)))),
                                       b=lambda: nn.BatchNorm2d(3)),
    "same with an even kernel": headed(lambda s, x: F.relu(s.c(x)), c=conv(kernel=4, padding="same")),
    "split": headed(lambda s, x: (lambda a, b: F.relu(s.d(a)) + F.relu(b))(*F.relu(s.c(x)).chunk(2, 1)),
                    d=conv(2, 2, 1), f=linear(2)),
    "split by sizes": headed(lambda s, x: torch.split(F.relu(s.c(x)), [1, 3], dim=1)[-1], f=linear(3)),
    "channels in another order": headed(lambda s, x: F.relu(s.c(x[:, [2, 1, 0]].flip(1) + x.flip((1,)))), ),
    "grey repeated": headed(lambda s, x: F.relu(s.c(x.repeat(1, 3, 1, 1)))),
    "grey expanded": headed(lambda s, x: F.relu(s.c(x.expand(-1, 3, -1, -1)))),
    "activations added without a ReLU": headed(lambda s, x: F.relu(s.d(F.relu(s.c(x)) + F.relu(s.e(x)))), d=conv(4, 4),
                                               e=conv()),
    "scaled branch": headed(lambda s, x: F.relu(torch.add(s.c(x), s.d(x), alpha=0.3) - s.g * s.d(x)), d=conv(),
                            g=parameter(4, 1, 1)),
    "in place": written(in_place, c=conv(), d=conv(), f=linear()),
    "in place ahead of a shortcut": headed(lambda s, x: (lambda y: F.relu(s.d(s.r(y)) + y))(s.c(x)),
                                           d=conv(4, 4, 1), r=lambda: nn.ReLU(inplace=True)),
    "functional layers": headed(lambda s, x: F.relu(F.conv2d(x, s.w, bias=s.b, stride=2, padding=1)),
                                w=parameter(4, 3, 3, 3), b=parameter(4)),
    "functional batch norm": headed(
        lambda s, x: F.relu(F.batch_norm(s.c(x), s.n.running_mean, s.n.running_var, s.n.weight, s.n.bias, s.training)),
        n=lambda: nn.BatchNorm2d(4),
    ),
    "functional linear": written(lambda s, x: F.linear(torch.relu(x.flatten(1) @ s.v + s.b), s.w * 2),
                                 v=parameter(432, 4), b=parameter(4), w=parameter(5, 4)),
    "addmm": written(lambda s, x: torch.addmm(s.b, x.flatten(1), s.v.t()), v=parameter(5, 432), b=parameter(5)),
    "standardised weights": lambda: nn.Sequential(Standardised(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 5)),
    "pruned": pruned,
    "normalised weights": normalised,
    "normalised weights of old": normalised_of_old,
    "wrapped for devices": lambda: nn.DataParallel(small()),
    "wrapped within": written(lambda s, x: s.m(x), m=lambda: nn.DataParallel(small())),
    "pixels over 255, then normalised": written(
        lambda s, x: s.m((x / 255 - s.mean) / s.std),
        m=small, mean=lambda: torch.rand(1, 3, 1, 1), std=lambda: torch.rand(3, 1, 1) + 1,
    ),
    "normalised by new tensors": written(
        lambda s, x: s.m(x * 2 - torch.tensor([0.1, 0.2, 0.3], dtype=x.dtype).view(1, -1, 1, 1)), m=small
    ),
    "normalised channel by channel": written(
        lambda s, x: s.m(torch.cat([x[:, 0].unsqueeze(1) * 0.4, torch.unsqueeze(x[:, 1] - 0.2, 1), x[:, 2:]], 1)),
        m=small,
    ),
    "checks of shapes": written(checked, c=conv(), f=linear()),
    "a dict": written(lambda s, x: OrderedDict(logits=s.m(x), aux=None), m=small),
    "a dataclass": written(lambda s, x: Result(s.m(x)), m=small),
    "a tuple": written(lambda s, x: (s.m(x), s.f(x.mean((2, 3))), None), m=small, f=linear(3)),
    "a number": written(lambda s, x: s.f(F.relu(s.c(x)).mean((2, 3))).squeeze(-1), c=conv(), f=linear(4, 1)),
    "further arguments": Options,
    "any arguments": Variadic,
    "flat samples": written(lambda s, x: s.m(x.view(-1, 3, 12, 12)), m=small),
    "conv1d": lambda: nn.Sequential(
        nn.Conv1d(2, 4, 5, stride=2, padding=2), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2), nn.ZeroPad1d((1, 0)),
        nn.Conv1d(4, 6, 2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 5),
    ),
    "conv1d of flat samples": written(lambda s, x: s.f(F.relu(s.c(x.unsqueeze(1))).mean(-1)),
                                      c=lambda: nn.Conv1d(1, 4, 5, padding=2), f=linear()),
    "grey images": headed(lambda s, x: F.relu(s.c(x.unsqueeze(1))), c=conv(1)),
}  # fmt: skip
