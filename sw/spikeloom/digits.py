"""Digits of weights that are wider than the lanes: their sum, each shifted, is the weight."""

from functools import lru_cache

import numpy as np

from .network import Connection


@lru_cache(maxsize=256)
def digits(connection: Connection, lane_bits: int) -> tuple[tuple[int, ...], np.ndarray]:
    """Weights as a sum of digits that fit `lane_bits` signed bits: (left shifts, ascending; int64 [digits, n])."""
    return _digits(connection.weights.astype(np.int64).reshape(-1), connection.weight_bits, lane_bits)


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
