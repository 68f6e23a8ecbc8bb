"""Models as other people write them that move axes: flattened in another order, or with axes added by an index."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from outside_models import Maker, conv, flattened, headed, linear, reduced, written
from torch import nn


def layer(x: torch.Tensor, weighted: Any, norm: Any, padding: tuple[int, ...]) -> torch.Tensor:
    """Of a pitch tracker: batch norm stands behind the ReLU, ahead of the pooling."""
    return F.max_pool2d(norm(F.relu(weighted(F.pad(x, padding)))), (2, 1), (2, 1))


def pitch(s: Any, x: torch.Tensor) -> torch.Tensor:
    """Crepe's style: sound as an image one place wide, whose rows are flattened."""
    x = layer(x[:, None, :, None], s.c, s.n, (0, 0, 3, 4))
    x = layer(x, s.d, s.m, (0, 0, 1, 2))
    return s.f(x.permute(0, 2, 1, 3).reshape(-1, 20))


def reduced_to_one(x: torch.Tensor) -> torch.Tensor:
    """The means of channels as (N, 1, C), as a keyword spotter of PyTorch's tutorials has them."""
    return F.avg_pool1d(x.flatten(2), x.shape[2] * x.shape[3]).permute(0, 2, 1)


AXES_SHAPES: dict[str, tuple[int, ...]] = {"pitch of a window": (40,), "grey images, indexed": (12, 10)}
GREY_SHAPES: dict[str, tuple[int, ...]] = {
    "the channel last": (12, 10, 1), "the channel last, viewed": (12, 10, 1), "a sequence of rows": (1, 12, 10),
    "a sequence of rows, indexed": (1, 12, 10), "a sequence of rows, the channel last": (12, 10, 1),
}  # fmt: skip

AXES: dict[str, Maker] = {
    "features behind an axis of one": written(
        lambda s, x: s.g(F.relu(s.f(reduced_to_one(F.relu(s.c(x)))))), c=conv(), f=linear(4, 6), g=linear(6, 3)
    ),
    "outputs behind an axis of one, activated": written(
        lambda s, x: F.relu(s.f(reduced_to_one(F.relu(s.c(x))))), c=conv(), f=linear(4, 6)
    ),
    "features behind an axis of one, joined": written(
        lambda s, x: s.f(torch.cat([a := reduced_to_one(F.relu(s.c(x))), a * 0.5], 1).flatten(1)), c=conv(),
        f=linear(8),
    ),
    "flatten of rows": flattened(lambda x: x.permute(0, 2, 1, 3).reshape(-1, 100)),
    "flatten of places": flattened(lambda x: x.permute(0, 2, 3, 1).contiguous().view(x.shape[0], -1)),
    "flatten of columns": flattened(lambda x: torch.movedim(x, 1, 3).transpose(1, 2).flatten(1)),
    "flatten of channels in groups": flattened(lambda x: x.view(-1, 2, 2, 5, 5).transpose(1, 2).flatten(1)),
    "flatten of one place": reduced(lambda x: x.mean((2, 3), keepdim=True).permute(0, 2, 3, 1).flatten(1)),
    "flatten of one place in groups": reduced(
        lambda x: x.mean((2, 3), keepdim=True).view(-1, 2, 2, 1, 1).transpose(1, 2).flatten(1)
    ),
    "flatten of a half": flattened(lambda x: x.flatten(1) * 0.5),
    "flattened twice": flattened(
        lambda x: x.flatten(1)[:, :, None].view(-1, 20, 5, 1).transpose(1, 2).flatten(1)
    ),
    "features of places, halved with an axis more": flattened(
        lambda x: (x.permute(0, 2, 3, 1).flatten(1).unsqueeze(1) * 0.5).squeeze(1)
    ),
    "joined features, halved with an axis more": written(
        lambda s, x: s.f(
            (torch.cat([F.relu(s.c(x)).flatten(1), F.relu(s.d(x)).flatten(1)], 1)[:, None] * 0.5).flatten(1)
        ), c=conv(), d=conv(3, 2), f=linear(600),
    ),
    "features of places of a sum": written(
        lambda s, x: s.f(torch.add(a := F.relu(s.c(x)), F.relu(s.d(a))).permute(0, 2, 3, 1).flatten(1)),
        c=conv(), d=conv(4, 4, 1), f=linear(400),
    ),
    "features of places, normalised": written(
        lambda s, x: s.f(s.b(F.relu(s.c(x)).permute(0, 2, 3, 1).flatten(1))), c=conv(), f=linear(400),
        b=lambda: nn.BatchNorm1d(400),
    ),
    "features of places beside others": written(
        lambda s, x: s.f(torch.cat([F.relu(s.c(x)).flatten(1), F.relu(s.d(x)).permute(0, 3, 2, 1).flatten(1)], 1)),
        c=conv(), d=conv(3, 2), f=linear(600),
    ),
    "axes there and back": headed(
        lambda s, x: F.relu(s.d(F.relu(s.c(x)).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))), d=conv(4, 4, 1)
    ),
    "pooled, and made an image by an index": written(
        lambda s, x: s.d(F.relu(s.c(x)).mean((2, 3))[:, :, None, None]), c=conv(), d=conv(4, 5, 1)
    ),
    "grey images, indexed": headed(lambda s, x: F.relu(s.c(x[:, None])), c=conv(1)),
    "pitch of a window": written(
        pitch, c=conv(1, 3, (8, 1), stride=(2, 1)), n=lambda: nn.BatchNorm2d(3), d=conv(3, 4, (4, 1)),
        m=lambda: nn.BatchNorm2d(4), f=linear(20),
    ),
}  # fmt: skip


def _rows(arrange: Callable[[torch.Tensor], torch.Tensor]) -> Maker:
    return written(
        lambda s, x: s.f(F.relu(s.c(arrange(x))).mean(2)), c=lambda: nn.Conv1d(12, 4, 3, padding=1), f=linear()
    )


GREY: dict[str, Maker] = {
    "the channel last": headed(lambda s, x: F.relu(s.c(x.permute(0, 3, 1, 2))), c=conv(1)),
    "the channel last, viewed": headed(lambda s, x: F.relu(s.c(x.view(-1, 1, 12, 10))), c=conv(1)),
    "a sequence of rows": _rows(lambda x: x.squeeze(1)),
    "a sequence of rows, indexed": _rows(lambda x: x[:, 0]),
    "a sequence of rows, the channel last": _rows(lambda x: x[..., 0]),
}
