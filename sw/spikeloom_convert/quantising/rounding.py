"""Rounding of weights: a scale of least error, then integers that feed each error on to the weights not yet rounded."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from spikeloom.geometry import Conv2d, Dense
from spikeloom.golden.synapses import maxima

MOST_ROWS = 20_000  # patches a covariance is estimated from
BLOCK_COLUMNS = 1024  # columns whose errors are fed on together; longer rows are cut into blocks
_DAMPING = 0.01  # of the mean variance, added to every variance
_TIMES = 4.0  # the largest other weight: what an input that never varied may have
_RATIOS = torch.linspace(0.4, 1.0, 25, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Columns:
    """What meets some columns of some rows of the weight matrix.

    Members
    -------
    rows, columns : which.
    covariance : of their inputs, damped, float64 [n, n].
    still : inputs that never varied, bool [n].
    """

    rows: slice
    columns: slice
    covariance: torch.Tensor
    still: torch.Tensor


def covariances(geometry: Dense | Conv2d, rows: int, codes: torch.Tensor, seed: int) -> list[Columns]:
    """Covariances of what a connection hears, a group and a block of columns each, from codes [N, C, H, W].

    `rows`: rows of the weight matrix, the target's channels.

    Constant inputs cost nothing: a bias makes up for what their rounding does. Variances are damped, so that inputs
    that never varied in calibration keep weights close to their own.
    """
    groups = geometry.groups if isinstance(geometry, Conv2d) else 1
    inputs = _inputs(geometry, codes, seed)  # [groups, M, n]
    rows, width = rows // groups, inputs.shape[2]
    found = []
    for group in range(groups):
        for start in range(0, width, BLOCK_COLUMNS):
            part = inputs[group, :, start : start + BLOCK_COLUMNS]
            part = part - part.mean(0)
            covariance = (part.T @ part).double() / len(part)
            still = covariance.diagonal() == 0
            damping = _DAMPING * float(covariance.diagonal().mean()) or 1.0
            covariance.diagonal().add_(damping)
            own = slice(group * rows, (group + 1) * rows), slice(start, start + part.shape[1])
            found.append(Columns(*own, covariance, still))
    return found


def drawn_in(weights: torch.Tensor, blocks: list[Columns], *, shared: bool) -> torch.Tensor:
    """Weights [O, n], of which those of inputs that never varied are not many times the others of their row, or of all.

    A batch norm behind a neuron that is always silent divides by next to nothing: such a weight would set the scale
    of all others, and adds what a bias does. It becomes the largest other one. Where no input varied all stay.
    """
    still = torch.zeros_like(weights, dtype=torch.bool)
    for block in blocks:
        still[block.rows, block.columns] = block.still
    most = weights.abs().masked_fill(still, 0).amax(1)
    if shared:
        most = most.max().expand(len(most))
    most = torch.where(most > 0, most, torch.inf)[:, None]
    return torch.where(still & (weights.abs() > _TIMES * most), weights.clamp(-most, most), weights)


def _inputs(geometry: Dense | Conv2d, codes: torch.Tensor, seed: int) -> torch.Tensor:
    """What the rows of the weight matrix are multiplied with, [groups, M, n], a random part of the places."""
    if geometry.max_windows is not None:
        codes = maxima(codes, geometry.max_windows)
    elif geometry.pool != (1, 1):
        codes = torch.nn.functional.avg_pool2d(codes, geometry.pool, divisor_override=1)
    if isinstance(geometry, Dense):
        return codes.flatten(1)[None]
    generator = torch.Generator().manual_seed(seed)
    chunks = codes.split(64)
    parts = []
    for chunk in chunks:
        patches = torch.nn.functional.unfold(chunk, geometry.kernel, padding=geometry.padding, stride=geometry.stride)
        patches = patches.reshape(len(chunk), geometry.groups, -1, patches.shape[2])
        patches = patches.permute(1, 0, 3, 2).flatten(1, 2)
        keep = max(1, MOST_ROWS * len(chunk) // len(codes))
        parts.append(patches[:, torch.randperm(patches.shape[1], generator=generator)[:keep]])
    return torch.cat(parts, 1)


def weight_scales(weights: torch.Tensor, blocks: list[Columns], largest: int, *, shared: bool) -> torch.Tensor:
    """Scale of each row, [O], of least expected error when weights [O, n] are rounded to -largest..largest times it.

    `shared`: one for all rows. A row of zeros gets the scale 0.
    """
    top = weights.abs().amax(1)
    if shared:
        top = top.max().expand(len(weights))
    return least_error([(weights, blocks, 0)], top / largest, _RATIOS, largest, shared=shared)


def least_error(
    parts: Sequence[tuple[torch.Tensor, list[Columns], int]],
    scale: torch.Tensor,
    ratios: torch.Tensor,
    largest: int,
    *,
    shared: bool,
) -> torch.Tensor:
    """Of some multiples of a scale [O], the one of least expected error for every row, [O].

    `parts`: weights [O, n], covariances and shift of every connection.
    """
    best, least = torch.zeros_like(scale), torch.full_like(scale, torch.inf)
    for ratio in ratios.tolist():
        error = rounding_error(parts, scale * ratio, largest)
        if shared:
            error = error.sum().expand(len(scale))
        best, least = torch.where(error < least, scale * ratio, best), torch.minimum(error, least)
    return best


def rounding_error(
    parts: Sequence[tuple[torch.Tensor, list[Columns], int]], scale: torch.Tensor, largest: int
) -> torch.Tensor:
    """Expected squared error of each row, [O], when its weights are rounded to the scales [O]; as `least_error`."""
    total = torch.zeros_like(scale)
    for weights, blocks, shift in parts:
        variance = torch.zeros_like(weights)
        for block in blocks:
            variance[block.rows, block.columns] = block.covariance.diagonal()
        own = scale * 2**shift
        total += (variance * (weights - nearest(weights, own, largest) * own[:, None]).square()).sum(1)
    return total


def nearest(weights: torch.Tensor, scale: torch.Tensor, largest: int) -> torch.Tensor:
    """Weights [O, n] over the scales [O] of their rows, rounded and clipped to -largest..largest."""
    return (weights / scale.clamp(min=torch.finfo(torch.float64).tiny)[:, None]).round().clamp(-largest, largest)


def round_weights(weights: torch.Tensor, scale: torch.Tensor, blocks: list[Columns], largest: int) -> torch.Tensor:
    """Integers [O, n] near weights/scale whose weighted sums differ least from the exact ones.

    Columns are rounded one after the other, those that vary most first; the error of each is made up for by the
    columns still to come, as far as their inputs go together (optimal brain quantisation in a fixed order).
    """
    rounded = torch.zeros_like(weights)
    for block in blocks:
        rounded[block.rows, block.columns] = _round_block(
            weights[block.rows, block.columns], scale[block.rows], block.covariance, largest
        )
    return rounded


def _round_block(weights: torch.Tensor, scale: torch.Tensor, covariance: torch.Tensor, largest: int) -> torch.Tensor:
    order = torch.argsort(covariance.diagonal(), descending=True, stable=True)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance[order][:, order]))
    feed = torch.linalg.cholesky(inverse, upper=True)
    left, rounded = weights[:, order].clone(), torch.zeros_like(weights)
    step = 64  # errors reach columns far away a step at a time: one matrix product instead of many
    for start in range(0, left.shape[1], step):
        stop = min(start + step, left.shape[1])
        errors = torch.zeros_like(left[:, start:stop])
        for column in range(start, stop):
            rounded[:, column] = nearest(left[:, column : column + 1], scale, largest)[:, 0]
            error = (left[:, column] - rounded[:, column] * scale) / feed[column, column]
            left[:, column:stop] -= error[:, None] * feed[column, column:stop]
            errors[:, column - start] = error
        left[:, stop:] -= errors @ feed[start:stop, stop:]
    result = torch.empty_like(rounded)
    result[:, order] = rounded
    return result
