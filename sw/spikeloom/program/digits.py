"""Digits of weights that are wider than the lanes: their sum, each shifted, is the weight."""

from functools import lru_cache

import numpy as np

from ..network import Connection


@lru_cache(maxsize=256)
def digits(connection: Connection, lane_bits: int, *, multiply: bool = False) -> tuple[tuple[int, ...], np.ndarray]:
    """Weights as a sum of digits that fit `lane_bits` signed bits: (left shifts, ascending; int64 [digits, n]).

    The connection's own shift is in the shifts; with multipliers these are multiples of `lane_bits`.
    """
    weights = connection.weights.astype(np.int64).reshape(-1)
    if multiply:
        return _even_digits(weights << connection.shift, lane_bits)
    shifts, found = _digits(weights, connection.weight_bits, lane_bits)
    return tuple(shift + connection.shift for shift in shifts), found


def _even_digits(weights: np.ndarray, lane_bits: int) -> tuple[tuple[int, ...], np.ndarray]:
    found: list[np.ndarray] = []
    half = 1 << (lane_bits - 1)
    while not found or weights.any():
        found.append((weights + half & 2 * half - 1) - half)
        weights = (weights - found[-1]) >> lane_bits
    return tuple(number * lane_bits for number in range(len(found))), np.array(found)


def _digits(weights: np.ndarray, bits: int, lane_bits: int) -> tuple[tuple[int, ...], np.ndarray]:
    half = 1 << (lane_bits - 1)
    if ((weights >= -half) & (weights < half)).all():
        return (0,), weights[None]
    low = min(bits - lane_bits, lane_bits - 1)
    mask = (1 << low) - 1
    shifts, found = _digits(weights >> low, bits - low, lane_bits)
    higher = tuple(shift + low for shift in shifts)
    if not (weights & mask).any():
        return higher, found
    return (0, *higher), np.concatenate([(weights & mask)[None], found])
