"""Models as other people write them that take some rows, columns or time steps of what a layer gives."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from outside_models import Forward, Maker, conv, headed, linear, written
from torch import nn
from torch.nn.utils import weight_norm


class Chomp1d(nn.Module):
    """Takes off the end what the padding has added there."""

    def __init__(self, chomp_size: int) -> None:
        super().__init__()
        self.chomp_size = chomp_size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, : -self.chomp_size].contiguous()


class TemporalBlock(nn.Module):
    """Two causal convolutions, dilated, beside a shortcut. Ref: Bai et al., 2018."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, dropout: float = 0.2) -> None:
        super().__init__()
        padding = (kernel - 1) * dilation
        self.conv1 = weight_norm(nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation))
        self.chomp1, self.relu1, self.dropout1 = Chomp1d(padding), nn.ReLU(), nn.Dropout(dropout)
        self.conv2 = weight_norm(nn.Conv1d(outputs, outputs, kernel, padding=padding, dilation=dilation))
        self.chomp2, self.relu2, self.dropout2 = Chomp1d(padding), nn.ReLU(), nn.Dropout(dropout)
        self.net = nn.Sequential(
            self.conv1, self.chomp1, self.relu1, self.dropout1, self.conv2, self.chomp2, self.relu2, self.dropout2
        )
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TCN(nn.Module):
    """Blocks of growing dilation, and a linear layer on the last time step."""

    def __init__(self, inputs: int, outputs: int, channels: tuple[int, ...], kernel: int = 3) -> None:
        super().__init__()
        sizes = zip((inputs, *channels), channels, strict=False)
        self.network = nn.Sequential(*(TemporalBlock(*size, kernel, 2**i) for i, size in enumerate(sizes)))
        self.linear = nn.Linear(channels[-1], outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.network(x)[:, :, -1])


def row(inputs: int = 3, outputs: int = 4, kernel: int = 3, **options: Any) -> Callable[[], nn.Module]:
    """A Conv1d."""
    return lambda: nn.Conv1d(inputs, outputs, kernel, **options)


def sequence(features: Forward, **members: Callable[[], Any]) -> Maker:
    """Features of a Conv1d `c` on a sequence, or of other members, averaged over time and classified by `f`."""
    return written(lambda s, x: s.f(features(s, x).mean(2)), **{"c": row(padding=2), "f": linear(), **members})


def stepped(step: Callable[[torch.Tensor], torch.Tensor], features: int = 4) -> Maker:
    """A causal layer of which one step, or a few, are classified."""
    return written(lambda s, x: s.f(step(F.relu(s.c(x)[:, :, :-2])).flatten(1)), c=row(padding=2), f=linear(features))


# on sequences of 3 channels and 13 steps
SEQUENCES: dict[str, Maker] = {
    "the reference TCN": lambda: TCN(3, 5, (6, 6)),
    "the reference TCN, wider from block to block": lambda: TCN(3, 5, (4, 6), 2),
    "the reference TCN, deeper than the sequence": lambda: TCN(3, 5, (4, 4, 4), 4),
    "cropped behind": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-2])),
    "cropped behind by less than the padding": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-1])),
    "cropped behind by more than the padding": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-5])),
    "cropped ahead": sequence(lambda s, x: F.relu(s.c(x)[:, :, 2:])),
    "cropped ahead by more than the padding": sequence(lambda s, x: F.relu(s.c(x)[:, :, 5:])),
    "cropped on both sides": sequence(lambda s, x: F.relu(s.c(x)[:, :, 1:-3])),
    "cropped to the size of the samples": sequence(lambda s, x: F.relu(s.c(x)[:, :, : x.shape[2]])),
    "cropped without padding": sequence(lambda s, x: F.relu(s.c(x)[..., 3:-2]), c=row()),
    "cropped twice": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-1][:, :, 1:-1])),
    "cropped by narrow": sequence(lambda s, x: F.relu(s.c(x).narrow(2, 0, 13))),
    "cropped by narrow from the end": sequence(lambda s, x: F.relu(torch.narrow(s.c(x), -1, -4, 4))),
    "cropped by padding with less than nothing": sequence(lambda s, x: F.relu(F.pad(s.c(x), (0, -2)))),
    "cropped and padded at once": sequence(lambda s, x: F.relu(s.d(F.pad(x, (2, -2)))), d=row()),
    "cropped by a module": sequence(lambda s, x: F.relu(s.p(s.c(x))), p=lambda: nn.ConstantPad1d((-1, -2), 0.0)),
    "a stride": sequence(lambda s, x: F.relu(s.c(x)[:, :, 1:-1]), c=row(stride=2, padding=2)),
    "a stride that leaves a rest": sequence(
        lambda s, x: F.relu(s.c(x)[:, :, :-1]), c=row(kernel=2, stride=3, padding=1)
    ),
    "a step": sequence(lambda s, x: F.relu(s.c(x)[:, :, 1:-2:2])),
    "a step and a stride": sequence(lambda s, x: F.relu(s.c(x)[:, :, 1::3]), c=row(stride=2, padding=2)),
    "an even kernel": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-3]), c=row(kernel=4, padding=3)),
    "an even kernel of the same size": sequence(
        lambda s, x: F.relu(s.c(x)[:, :, 2:-1]), c=row(kernel=4, padding="same")
    ),
    "a dilation": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-6]), c=row(dilation=3, padding=6)),
    "groups": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-2]), c=row(3, 6, groups=3, padding=2), f=linear(6)),
    "batch norm between": sequence(lambda s, x: F.relu(s.n(s.c(x)[:, :, :-2])), n=lambda: nn.BatchNorm1d(4)),
    "batch norm ahead": sequence(lambda s, x: F.relu(s.n(s.c(x))[:, :, :-2]), n=lambda: nn.BatchNorm1d(4)),
    "a shift ahead of the padding": sequence(lambda s, x: F.relu(s.c(x - 0.5)[:, :, 1:-2])),
    "a shift ahead of the padding, one side": sequence(
        lambda s, x: F.relu(s.c(F.pad(x - 0.5, (1, 2)))[:, :, 1:]), c=row()
    ),
    "a sum": sequence(lambda s, x: F.relu((s.c(x) + s.d(x))[:, :, 1:-2]), d=row(kernel=1, padding=1)),
    "a sum with activations": sequence(
        lambda s, x: F.relu((s.d(a := F.relu(s.c(x))) + a)[:, :, 1:-2]), d=row(4, 4, padding=1)
    ),
    "a sum with activations, every second step": sequence(
        lambda s, x: F.relu((s.d(a := F.relu(s.c(x))) + a)[:, :, ::2]), d=row(4, 4, padding=1)
    ),
    "a sum of crops": sequence(lambda s, x: F.relu(s.c(x)[:, :, :-2] + s.d(x)), d=row(kernel=1)),
    "activations added to crops": sequence(
        lambda s, x: F.relu(s.c(a := F.relu(s.d(x)))[:, :, :-2] + a), c=row(4, 4, padding=2), d=row()
    ),
    "crops added": sequence(
        lambda s, x: F.relu((a := F.relu(s.c(x)))[:, :, 2:] + a[:, :, :-2] - a[:, :, 1:-1])
    ),
    "a maximum": sequence(lambda s, x: F.relu(F.max_pool1d(s.c(x)[:, :, :-2], 2))),
    "an average": sequence(lambda s, x: F.relu(F.avg_pool1d(s.c(x)[:, :, :-2], 3))),
    "an average before": sequence(lambda s, x: F.relu(F.avg_pool1d(s.c(x), 3)[:, :, 1:-1])),
    "leaky": sequence(lambda s, x: F.leaky_relu(s.c(x)[:, :, :-2], 0.2)),
    "of the samples": sequence(lambda s, x: F.relu(s.d(x[:, :, 2:-3])), d=row()),
    "of the samples, with a stride": sequence(lambda s, x: F.relu(s.d(x[:, :, 2:-3])), d=row(kernel=2, stride=3)),
    "behind the activation": sequence(lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, :, :-2])), d=row(4, 4)),
    "behind the activation, ahead of padding": sequence(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, :, :-2])), d=row(4, 4, padding=2)
    ),
    "behind the activation, ahead of padding, shifted": sequence(
        lambda s, x: F.relu(s.d(s.n(F.relu(s.c(x)))[:, :, 1:-2])), d=row(4, 4, padding=1), n=lambda: nn.BatchNorm1d(4)
    ),
    "behind the activation, ahead of padding and a sum": sequence(
        lambda s, x: F.relu(s.d(a := F.relu(s.c(x))[:, :, :-2]) + a), d=row(4, 4, padding=1)
    ),
    "behind two activations, ahead of padding": sequence(
        lambda s, x: F.relu(s.d(F.relu6(F.relu(s.c(x)))[:, :, :-2])), d=row(4, 4, padding=2)
    ),
    "leaky, ahead of padding": sequence(
        lambda s, x: F.relu(s.d(F.leaky_relu(s.c(x), 0.2)[:, :, :-2])), d=row(4, 4, padding=2)
    ),
    "ahead of any maxima": sequence(
        lambda s, x: F.relu(s.d(F.max_pool1d(F.relu(s.c(x))[:, :, 1:-1], 3, 2, 1))), d=row(4, 4)
    ),
    "behind the activation, padded on the other side": sequence(
        lambda s, x: F.relu(s.d(F.pad(F.relu(s.c(x))[:, :, :-2], (2, 0)))), d=row(4, 4)
    ),
    "behind the activation, every second step padded": sequence(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, :, 1::2])), d=row(4, 4, padding=1)
    ),
    "behind the activation, every third step padded, shifted": sequence(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, :, 1::3] - 0.5)), d=row(4, 4, stride=2, padding=2)
    ),
    "behind the activation, shifted": sequence(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, :, 1:-2] * 2 - 0.5)), d=row(4, 4)
    ),
    "behind the activation, normalised and cropped": sequence(
        lambda s, x: F.relu(s.d(s.n(F.relu(s.c(x)))[:, :, 3:])), d=row(4, 4), n=lambda: nn.BatchNorm1d(4)
    ),
    "behind the activation, joined": sequence(
        lambda s, x: F.relu(s.d(torch.cat([F.relu(s.c(x))[:, :, :-2], x, F.relu(s.e(x))[:, :, 1::2]], 1))),
        d=row(9, 4), c=row(padding=2), e=row(3, 2, 1, padding=7),
    ),
    "behind the activation, channels too": sequence(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, 1:3, 2:-1])), d=row(2, 4)
    ),
    "behind the activation, channels of zeros": sequence(
        lambda s, x: F.relu(s.d(F.pad(F.relu(s.c(x)), (0, 0, 1, 1))[:, :, 2:-1])), d=row(6, 4)
    ),
    "behind a maximum": sequence(lambda s, x: F.relu(s.d(F.max_pool1d(F.relu(s.c(x)), 2)[:, :, 1:-1])), d=row(4, 4)),
    "behind an average": sequence(lambda s, x: F.relu(s.d(F.avg_pool1d(F.relu(s.c(x)), 2)[:, :, 1:-1])), d=row(4, 4)),
    "behind an average of maxima": sequence(
        lambda s, x: F.relu(s.d(F.avg_pool1d(F.max_pool1d(F.relu(s.c(x)), 2), 2)[:, :, 1:])), d=row(4, 4, 2)
    ),
    "ahead of a maximum": sequence(lambda s, x: F.relu(s.d(F.max_pool1d(F.relu(s.c(x))[:, :, 2:-3], 2))), d=row(4, 4)),
    "ahead of maxima that overlap": sequence(
        lambda s, x: F.relu(s.d(F.max_pool1d(F.relu(s.c(x))[:, :, 4:-1], 3, 2))), d=row(4, 4, 2)
    ),
    "ahead of maxima beyond the border": sequence(
        lambda s, x: F.relu(s.d(F.max_pool1d(F.relu(s.c(x))[:, :, :-2], 3, 2, ceil_mode=True))), d=row(4, 4, 2)
    ),
    "ahead of an average": sequence(
        lambda s, x: F.relu(s.d(F.avg_pool1d(F.relu(s.c(x))[:, :, 1:-3], 2))), d=row(4, 4)
    ),
    "ahead of an average that leaves a rest": sequence(
        lambda s, x: F.relu(s.d(F.avg_pool1d(F.relu(s.c(x))[:, :, 2:-3], 3))), d=row(4, 4, 2)
    ),
    "ahead of two averages": sequence(
        lambda s, x: F.relu(s.d(F.avg_pool1d(F.avg_pool1d(F.relu(s.c(x))[:, :, 1:-2], 2), 3))), d=row(4, 4, 2)
    ),
    "ahead of an average that overlaps": sequence(
        lambda s, x: F.relu(s.d(F.avg_pool1d(F.relu(s.c(x))[:, :, 1:-2], 3, 1))), d=row(4, 4)
    ),
    "leaky, behind": sequence(lambda s, x: F.relu(s.d(F.leaky_relu(s.c(x), 0.2)[:, :, 1:-2])), d=row(4, 4)),
    "ahead of a linear layer": stepped(lambda x: x[:, :, 3:-2], 32),
    "ahead of a linear layer, with a step": stepped(lambda x: x[:, :, 3:-1:3], 12),
    "ahead of a linear layer, steps by channels": stepped(lambda x: x[:, :, 3:-2].transpose(1, 2), 32),
    "ahead of a linear layer, averaged": stepped(lambda x: F.avg_pool1d(x[:, :, 3:-1], 4), 8),
    "the last step": stepped(lambda x: x[:, :, -1]),
    "the last step as a slice": stepped(lambda x: x[:, :, -1:]),
    "the last step by its axis": stepped(lambda x: x.select(2, -1)),
    "the last step by select, as a function": stepped(lambda x: torch.select(x, -1, 12)),
    "the first step": stepped(lambda x: x[:, :, 0]),
    "a middle step": stepped(lambda x: x[..., 6]),
    "the last step of a sum": written(lambda s, x: s.f(s.c(x)[:, :, -1]), c=row(), f=linear()),
    "the last step of a maximum": stepped(lambda x: F.max_pool1d(x, 2)[:, :, -1]),
    "the last step, leaky": written(lambda s, x: s.f(F.leaky_relu(s.c(x), 0.1)[:, :, -1]), c=row(), f=linear()),
    "the last step of some channels": stepped(lambda x: x[:, 1:3, -1], 2),
    "the last step, with others beside it": stepped(lambda x: torch.cat([x[:, :, -1], x[:, :, 2]], 1), 8),
    "the last step at the end": written(lambda s, x: F.relu(s.c(x))[:, :, -1], c=row(padding=2)),
    "the last step of potentials at the end": written(lambda s, x: s.c(x)[:, :, -1], c=row(padding=2)),
}  # fmt: skip

# on images of 3 channels, 12 rows and 12 columns
IMAGES: dict[str, Maker] = {
    "rows and columns": headed(lambda s, x: F.relu(s.c(x)[:, :, 1:-2, 3:-1]), c=conv(padding=2)),
    "columns": headed(lambda s, x: F.relu(s.c(x)[..., 2:]), c=conv(padding=(0, 2))),
    "rows with a stride": headed(lambda s, x: F.relu(s.c(x)[:, :, 1:]), c=conv(stride=(2, 1), padding=1)),
    "of the samples": headed(lambda s, x: F.relu(s.c(x[:, :, 2:-2, 1:-4]))),
    "a transposed image's border": headed(lambda s, x: F.relu(F.pad(s.c(x), (-1, -1, -2, 0)))),
    "a module that cuts": headed(lambda s, x: F.relu(s.c(s.p(x))), p=lambda: nn.ZeroPad2d(-1)),
    "a module that cuts and pads": headed(lambda s, x: F.relu(s.c(s.p(x))), p=lambda: nn.ZeroPad2d((-1, 2, 1, -3))),
    "every second place from the second": headed(
        lambda s, x: F.relu(s.d(F.relu(s.c(x))[:, :, 1::2, ::3])), d=conv(4, 4)
    ),
    "a U-Net's crop": headed(
        lambda s, x: F.relu(s.d(torch.cat([(a := F.relu(s.c(x)))[:, :, 2:-2, 2:-2], F.relu(s.e(a))], 1))),
        d=conv(8, 4), e=conv(4, 4, 5),
    ),
    "one row": written(lambda s, x: s.f(F.relu(s.c(x))[:, :, -1].flatten(1)), c=conv(), f=linear(40)),
    "one column": written(lambda s, x: s.f(F.relu(s.c(x))[:, :, :, 0].flatten(1)), c=conv(), f=linear(40)),
    "one row as a sequence": written(
        lambda s, x: s.f(F.relu(s.d(F.relu(s.c(x))[:, :, 4])).mean(2)), c=conv(), d=row(4, 4), f=linear()
    ),
    "one place": written(lambda s, x: s.f(F.relu(s.c(x))[:, :, 4, 5]), c=conv(), f=linear()),
    "places ahead of a linear layer": written(
        lambda s, x: s.f(F.relu(s.c(x))[:, :, 1:5, 2:4].flatten(1)), c=conv(), f=linear(32)
    ),
    "places of averages": written(
        lambda s, x: s.f(F.avg_pool2d(F.relu(s.c(x)), 2)[:, :, 1:3, 2:].flatten(1)), c=conv(), f=linear(24)
    ),
    "averages of places": headed(
        lambda s, x: F.relu(s.d(F.avg_pool2d(F.relu(s.c(x))[:, :, 1:-1], (2, 1)))), d=conv(4, 4)
    ),
}  # fmt: skip
