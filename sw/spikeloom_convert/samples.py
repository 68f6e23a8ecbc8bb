"""Calibration data: checked, bounded, split into a part to fit on and a part held back, and coded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from spikeloom.encoding import as_samples, encode, event_counts
from spikeloom.errors import InvalidData, shown
from spikeloom.geometry import Shape
from spikeloom.network import Input
from torch import nn

from .reading.operations import Affine

PIXEL_BITS = 8
_MOST_VALUES = 1 << 18  # that an input's range is chosen from
_TAILS = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # parts of the values that may lie beyond it, at each end
FIT_SAMPLES, HELD_SAMPLES = 1500, 1000  # more are left unused
_SHIFT = 4  # pixels that augmented images move by, at most
LEAST_SPLIT = 8  # fewer samples are fitted and measured all together


@dataclass(frozen=True, eq=False)
class Samples:
    """Calibration samples [N, C, H, W] (or as the model takes them), uint8 or float, with labels int64 [N] or None."""

    x: np.ndarray
    y: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: np.ndarray) -> "Samples":
        """The samples of these numbers."""
        return Samples(self.x[index], None if self.y is None else self.y[index])

    @property
    def seen(self) -> np.ndarray:
        """What the model sees before any normalisation: pixels over 255, floats as they are; float64."""
        return self.x / 255.0 if self.x.dtype == np.uint8 else self.x.astype(np.float64)


def check(calibration: object, labels: object = None) -> Samples:
    """Calibration data that can be used.

    Raises
    ------
    InvalidData
        Wrong type or shape, empty, constant, NaN or infinite; labels that do not go with it.
    """
    x = np.asarray(calibration.detach().cpu() if isinstance(calibration, torch.Tensor) else calibration)
    if x.ndim < 2 or x.ndim > 4:
        raise InvalidData(f"Calibration: must have shape (N, C, H, W), (N, C, L) or (N, F), not {x.shape}")
    if 0 in x.shape:
        raise InvalidData(f"Calibration: must hold at least one sample, not shape {x.shape}")
    as_samples("calibration", x)  # type and finiteness
    if (x == x.flat[0]).all():
        raise InvalidData(f"Calibration: values must vary, not all be {x.flat[0]}; give real samples")
    if labels is None:
        return Samples(x, None)
    y = np.asarray(labels.detach().cpu() if isinstance(labels, torch.Tensor) else labels)
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise InvalidData(f"Labels: must be {len(x)} integers, one a sample, not {y.dtype} of shape {y.shape}")
    return Samples(x, y.astype(np.int64))


def split(samples: Samples, seed: int, most: int | None = None) -> tuple[Samples, Samples]:
    """A random part to fit on and one to measure on, about 3 to 1 and bounded; the same part twice below 8 samples.

    `most` bounds both further where a sample costs much.
    """
    order = np.random.default_rng(seed).permutation(len(samples))
    if len(samples) < LEAST_SPLIT:
        return samples, samples
    held = min(len(samples) // 4, HELD_SAMPLES, most or HELD_SAMPLES)
    fit = min(len(samples) - held, FIT_SAMPLES, most or FIT_SAMPLES)
    return samples.take(np.sort(order[held : held + fit])), samples.take(np.sort(order[:held]))


def not_held(samples: Samples, seed: int, most: int | None = None) -> Samples:
    """All samples but those that `split` holds back."""
    if len(samples) < LEAST_SPLIT:
        return samples
    order = np.random.default_rng(seed).permutation(len(samples))
    return samples.take(np.sort(order[min(len(samples) // 4, HELD_SAMPLES, most or HELD_SAMPLES) :]))


def value_range(samples: Samples) -> tuple[float, float]:
    """Range [low, high] that codes stand for: 0..1 for pixels and for floats that lie in it, else that of the data."""
    if samples.x.dtype == np.uint8:
        return 0.0, 1.0
    low, high = float(samples.x.min()), float(samples.x.max())
    return (0.0, 1.0) if low >= 0.0 and high <= 1.0 else (low, high)


def normalisation(
    mean: float | Sequence[float] | None, std: float | Sequence[float] | None, channels: int
) -> Affine | None:
    """(x - mean) / std as an affine step over the input's channels; None where nothing is asked for.

    Raises
    ------
    InvalidData
        Neither one value nor one a channel, not finite, or std not positive.
    """
    if mean is None and std is None:
        return None
    values = {}
    for name, given, default in (("mean", mean, 0.0), ("std", std, 1.0)):
        try:
            array = np.atleast_1d(np.asarray(default if given is None else given, np.float64))
        except (TypeError, ValueError):
            array = np.full(1, np.nan)
        if array.shape not in ((1,), (channels,)) or not np.isfinite(array).all():
            expected = f"one finite number or one for each of {channels} channels"
            raise InvalidData(f"{name}: must be {expected}, not {shown(given)}")
        values[name] = np.broadcast_to(array, (channels,))
    if (values["std"] <= 0).any():
        raise InvalidData(f"std: must be positive, not {shown(std)}")
    where = "Normalisation by mean and std"
    return Affine(where, "", (channels,), (channels,), 1.0 / values["std"], -values["mean"] / values["std"])


def input_ranges(samples: Samples, timesteps: int) -> list[tuple[float, float]]:
    """Ranges [low, high] of input codes to choose from: that of all samples, or, of floats beyond 0..1, those of least
    squared, absolute and bounded error, the last of which does not mind how far out a value lies.

    A single spike of noise does not make all codes coarse then: what lies beyond the range is cut to its ends.
    """
    low, high = span = value_range(samples)
    if span == (0.0, 1.0):
        return [span]
    values = np.sort(samples.x, axis=None).astype(np.float64)
    values = values[np.linspace(0, len(values) - 1, min(len(values), _MOST_VALUES)).round().astype(np.int64)]
    tails = (np.array([0.0, *_TAILS]) * (len(values) - 1)).round().astype(np.int64)
    lows = [low] if low >= 0 else np.unique(values[tails])
    highs = [high] if high <= 0 else np.unique(values[-1 - tails])
    pairs = [(float(a), float(b)) for a in lows for b in highs if a < b]
    away = np.abs(values - np.median(values))
    usual = float(np.median(away)) or float(away.mean())
    errors = np.array([_coding_errors(values, pair, 1 << timesteps, usual) for pair in pairs])
    return list(dict.fromkeys(pairs[number] for number in errors.argmin(0)))


def _coding_errors(
    values: np.ndarray, span: tuple[float, float], levels: int, most: float
) -> tuple[float, float, float]:
    """Mean error of what codes stand for, by least squares within the range: squared, absolute, at most `most`."""
    low, high = span
    codes = np.clip(np.floor((values - low) * (levels / (high - low))), 0, levels - 1)
    inside = values.clip(low, high)
    codes, middle = codes - codes.mean(), inside.mean()
    square = float(np.square(codes).mean())
    scale = float((codes * (inside - middle)).mean()) / square if square else 0.0
    error = np.abs(values - middle - scale * codes)
    return float(np.square(error).mean()), float(error.mean()), float(np.minimum(error, most).mean())


def code_input(
    samples: Samples,
    shape: Shape,
    timesteps: int,
    span: tuple[float, float],
    *,
    origin: bool,
    code: str = "plain",
    sequence: int = 0,
) -> Input:
    """The input population whose codes stand for the samples: scale * code + zero, by least squares.

    Parameters
    ----------
    samples : to fit on.
    shape : (C, H, W).
    timesteps : bits of a code.
    span : range of the codes, see `input_ranges`.
    origin : code 0 shall mean 0, as a zero that a convolution pads does: the fit goes through the origin.
    code : of the train, "plain" or "naf".
    sequence : time steps of a sample that is one.
    """
    low, high = span
    if origin:
        low = 0.0
    nominal = (high - low) / (1 << timesteps)
    bare = Input("input", shape, timesteps, nominal, low, low, high, sequence=sequence)
    codes, values = codes_of(samples, bare).ravel().astype(np.float64), samples.seen.ravel().clip(low, high)
    center = 0.0 if origin else _sum(codes) / codes.size
    spread = codes - center
    square = _sum(spread * spread)
    scale = _sum(spread * values) / square if square else nominal
    zero = 0.0 if origin else _sum(values) / codes.size - scale * center
    activity = float(event_counts(codes, code).sum() / len(samples))
    return replace(bare, scale=scale, zero=zero, activity=activity, code=code)


def _sum(values: np.ndarray) -> float:
    """The sum, rounded once: a dot product depends on the processor and on its threads."""
    try:
        return math.fsum(values.tolist())
    except OverflowError:
        raise InvalidData("Calibration: values must have a finite sum; rescale them") from None


def codes_of(samples: Samples, source: Input) -> np.ndarray:
    """Codes float32 [N, C, H, W] of samples, [N, T, C, H, W] of sequences."""
    return encode(source, samples.x).astype(np.float32)


def heard(samples: Samples, source: Input) -> torch.Tensor:
    """What the codes of samples stand for, float32 [N, C, H, W], [N, T, C, H, W] of sequences."""
    return torch.from_numpy(codes_of(samples, source)) * source.scale + source.zero


def augmented(x: torch.Tensor) -> torch.Tensor:
    """Images [N, C, H, W] shifted by up to four pixels, zeros moving in, and every second one mirrored, at random."""
    count, channels, height, width = x.shape
    padded = nn.functional.pad(x, (_SHIFT,) * 4)
    rows = torch.randint(2 * _SHIFT + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(2 * _SHIFT + 1, (count, 1)) + torch.arange(width)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    where = torch.arange(count)[:, None, None, None], torch.arange(channels)[None, :, None, None]
    return padded[*where, rows[:, None, :, None], columns[:, None, None, :]]
