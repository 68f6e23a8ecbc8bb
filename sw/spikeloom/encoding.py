"""From samples to trains: the one rule that turns pixels or floats into the codes of an input population."""

from collections.abc import Sequence

import numpy as np

from .errors import InvalidData
from .network import Input
from .neuron import train_weights

_FAR = 2.0  # a float beyond it is no pixel of 0..1 that overshoots a little,
_MANY = 16  # nor an outlier, where most of so many are


def encode(source: Input, x: np.ndarray) -> np.ndarray:
    """Codes of samples [N, C, H, W] in 0..2^T-1, uint8 where T <= 8 and uint16 above; [N, sequence, C, H, W] of one.

    Signed codes are nearest to x/high * 2^T, in -(2^T-1)..2^T-1, halves away from 0, int32: 0 stays 0.

    Parameters
    ----------
    source : the input population.
    x : (N, C, H, W), (N, C, L) or (N, F); uint8, which the model sees as x/255, or float in the model's units. A
        sequence of as many values as `shape` has in each of its time steps also as (N, sequence, values), or as grey
        images (N, 1, sequence, values), whose rows are the time steps.

    Raises
    ------
    InvalidData
        Wrong shape or type, NaN or infinity; floats mostly far above the 0..1 that pixels were calibrated in.
    """
    x = samples_of(source, x)
    levels = 1 << source.timesteps
    if source.signed and x.dtype != np.uint8:
        size = np.minimum(
            np.floor(np.abs(np.clip(x, source.low, source.high)) / source.high * levels + 0.5), levels - 1
        )
        return (np.sign(x) * size).astype(np.int32)
    if x.dtype == np.uint8:
        if (source.low, source.high) != (0.0, 1.0):
            expected = f"floats in [{source.low}, {source.high}], as in calibration"
            raise InvalidData(f"Data for '{source.name}': must be {expected}, not uint8; convert it in the same way")
        steps = source.timesteps
        return x >> np.uint8(8 - steps) if steps <= 8 else x.astype(np.uint16) << np.uint16(steps - 8)
    inside = np.clip(x.astype(np.float64), source.low, source.high) - source.low
    level = np.floor(inside / (source.high - source.low) * levels)
    return np.minimum(level, levels - 1).astype(np.uint8 if source.timesteps <= 8 else np.uint16)


def samples_of(source: Input, x: np.ndarray) -> np.ndarray:
    """View x as samples of an input, [N, C, H, W], or [N, sequence, C, H, W] of a sequence; InvalidData as `encode`."""
    x = _shaped(source, x)
    pixels = not source.signed and (source.low, source.high) == (0.0, 1.0)
    bright = np.count_nonzero(x > 0) if pixels and x.dtype != np.uint8 else 0
    if bright >= _MANY and 2 * np.count_nonzero(x > _FAR) > bright:
        raise InvalidData(
            f"Data for '{source.name}': must be floats in [0, 1], as in calibration, not up to "
            f"{float(x.max()):g}; divide pixels by 255 or give uint8"
        )
    return x


def _shaped(source: Input, x: np.ndarray) -> np.ndarray:
    if not source.sequence:
        return as_samples(source.name, x, source.shape)
    x, values = np.asarray(x.detach() if hasattr(x, "detach") else x), int(np.prod(source.shape))
    shapes = [(source.sequence, values), (1, source.sequence, values), (source.sequence * values,)]
    if x.shape[1:] not in (*shapes, (source.sequence, *source.shape)):
        expected = " or ".join(f"(N, {', '.join(map(str, shape))})" for shape in shapes)
        raise InvalidData(f"Data for '{source.name}': must be sequences of shape {expected}, not {x.shape}")
    as_samples(source.name, x.reshape(len(x), source.sequence, 1, values))  # type and finiteness
    return x.reshape(len(x), source.sequence, *source.shape)


def sides(shape: Sequence[int]) -> list[int]:
    """Sizes of the axes that hold more than one place: where these are alike, so is the order of the values."""
    return [size for size in shape if size != 1]


def as_samples(name: str, x: np.ndarray, shape: tuple[int, int, int] | None = None) -> np.ndarray:
    """View x as samples [N, C, H, W] and check type, shape and finiteness; InvalidData where it is not so."""
    x = np.asarray(x.detach() if hasattr(x, "detach") else x)  # a tensor that wants a gradient, too
    got = x.shape
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise InvalidData(f"Data for '{name}': must be uint8 or float, not {x.dtype}; convert it with astype")
    if x.ndim == 2:
        x = x.reshape(*x.shape, 1, 1) if shape is None or shape[1:] == (1, 1) else _fold(name, x, shape)
    elif x.ndim in (3, 4) and shape is not None and sides(x.shape[1:]) == sides(shape):  # grey images, sequences
        x = x.reshape(len(x), *shape)
    elif x.ndim == 3:
        x = x[:, :, None, :]
    if x.ndim != 4 or (shape is not None and x.shape[1:] != shape):
        expected = "(N, C, H, W), (N, C, L) or (N, F)" if shape is None else f"(N, {', '.join(map(str, shape))})"
        raise InvalidData(f"Data for '{name}': must have shape {expected}, not {got}")
    if x.dtype != np.uint8 and not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).sum())
        raise InvalidData(f"Data for '{name}': must be finite, not NaN or infinite ({bad} values)")
    return x


def _fold(name: str, x: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    if x.shape[1] != int(np.prod(shape)):
        raise InvalidData(f"Data for '{name}': must have {int(np.prod(shape))} values a sample, not {x.shape[1]}")
    return x.reshape(len(x), *shape)


def spikes_of(codes: np.ndarray, timesteps: int, code: str = "plain") -> np.ndarray:
    """Growth-2 trains of codes q, most significant digit first: int8 [N, steps, ...] of codes [N, ...].

    "plain": the T bits of q, those of |q| with its sign where it is negative. "naf", minimal-weight code: T + 1 digits
    -1, 0, +1 of the same value, no two of them beside each other, so that a third of the digits are events instead of
    half: +1 where 3q has a one and q has none, -1 the other way round, one place further down.
    """
    if code == "naf":
        q = codes.astype(np.int64)
        return spikes_of(3 * q >> 1, timesteps + 1) - spikes_of(q >> 1, timesteps + 1)
    shifts = np.arange(timesteps - 1, -1, -1).reshape(1, -1, *[1] * (codes.ndim - 1))
    bits = (np.abs(codes)[:, None] >> shifts) & 1
    return np.where(codes[:, None] < 0, -bits, bits).astype(np.int8) if (codes < 0).any() else bits.astype(np.int8)


def event_counts(codes: np.ndarray, code: str = "plain") -> np.ndarray:
    """Events of the growth-2 trains of codes, as many as the codes: digits that are not zero."""
    q = np.abs(codes.astype(np.int64))
    return np.bitwise_count(3 * q ^ q if code == "naf" else q)


def codes_of(spikes: np.ndarray, growth: float) -> np.ndarray:
    """Value of trains at the integer line, int64 [N, ...] of spikes [N, T, ...]."""
    weights = train_weights(growth, spikes.shape[1]).reshape(1, -1, *[1] * (spikes.ndim - 2))
    return (spikes * weights).sum(1)
