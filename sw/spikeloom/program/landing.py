"""Where events land on potentials that are spread over banks: which blocks, which weights, which banks, pass by pass.

Along an axis the outputs are dealt to B banks: output o lies in bank o mod B, block o div B. An event lands on a run of
neighbouring outputs; B of them, one a bank, are accumulated in one pass.
"""

from dataclasses import dataclass

import numpy as np

from ..geometry import Conv2d, Dense, Geometry, Shape


@dataclass(frozen=True, eq=False)
class Landing:
    """The passes of one axis, for every source coordinate.

    Members
    -------
    banks : B.
    passes : int64 [S], passes an event of that coordinate takes; 0: it lands nowhere.
    block : int64 [S], block of the lowest output of the first pass; may be -1. The next pass lies one block lower.
    rotation : int64 [S], bank of the lowest output: slot m of the weights goes to bank (m + rotation) mod B, and banks
        below `rotation` lie one block higher.
    weight : int64 [S], weight pass of the first pass; the next one follows it.
    masks : bool [S, Q, B], banks whose output exists, for every pass.
    kernel : int64 [Q', B], kernel index of every weight pass and slot, -1 where there is none.
    """

    banks: int
    passes: np.ndarray
    block: np.ndarray
    rotation: np.ndarray
    weight: np.ndarray
    masks: np.ndarray
    kernel: np.ndarray


def landings(geometry: Geometry, source: Shape, target: Shape, banks: tuple[int, int]) -> tuple[Landing, Landing]:
    """Landings of both axes (vertical, horizontal) with so many banks each; `source` is what the geometry `heard`."""
    found = []
    for axis in range(2):
        size, outputs = source[1 + axis], target[1 + axis]
        if isinstance(geometry, Dense):
            found.append(_whole(size=size, pool=_window(geometry)[axis], banks=banks[axis]))
            continue
        if isinstance(geometry, Conv2d):
            pool, kernel, padding = _window(geometry)[axis], geometry.kernel[axis], geometry.padding[axis]
        else:
            pool, kernel, padding = 1, 1, 0
        found.append(
            _sliding(
                size=size,
                pool=pool,
                kernel=kernel,
                stride=geometry.stride[axis],
                padding=padding,
                outputs=outputs,
                banks=banks[axis],
            )
        )
    return found[0], found[1]


def _window(geometry: Dense | Conv2d) -> tuple[int, int]:
    """Window that the coordinates of events are divided by; max pooling has divided them already."""
    return (1, 1) if geometry.pool_kind == "max" else geometry.pool


def _whole(*, size: int, pool: int, banks: int) -> Landing:
    """A dense connection: the pooled coordinate is the weight pass, the only output lies in bank 0."""
    pooled = np.arange(size) // pool
    lands = pooled < size // pool
    masks = np.zeros((size, 1, banks), bool)
    masks[lands, 0, 0] = True
    kernel = np.full((size // pool, banks), -1)
    kernel[:, 0] = np.arange(size // pool)
    zero = np.zeros(size, np.int64)
    return Landing(banks, lands.astype(np.int64), zero, zero, np.where(lands, pooled, 0), masks, kernel)


def _sliding(*, size: int, pool: int, kernel: int, stride: int, padding: int, outputs: int, banks: int) -> Landing:
    """A sliding window: coordinate + padding = output*stride + kernel index, the coordinate being pooled before."""
    pooled = np.arange(size) // pool
    place = pooled + padding
    first = place % stride  # lowest kernel index that meets an output; its class has weights of its own
    taps = np.array([len(range(k, kernel, stride)) for k in range(stride)])
    full = -(-taps // banks)  # weight passes of a class
    start = np.concatenate([[0], np.cumsum(full)])
    most = max(int(full.max()), 1)
    q, m = np.arange(most)[:, None], np.arange(banks)
    tap = q * banks + banks - 1 - m  # of slot m in pass q; slots ascend with the outputs, taps descend
    output = ((place - first) // stride)[:, None, None] - tap
    valid = (tap < taps[first][:, None, None]) & (output >= 0) & (output < outputs)
    valid &= (pooled < size // pool)[:, None, None]
    lowest = (place - first) // stride - (banks - 1)
    rotation = lowest % banks
    used = np.asarray(valid.any(axis=2))
    skipped = np.where(used.any(1), used.argmax(1), 0)
    passes = np.where(used.any(1), most - used[:, ::-1].argmax(1) - skipped, 0)
    masks = np.zeros((size, max(int(passes.max()), 1), banks), bool)
    for s in range(size):
        for n in range(passes[s]):
            masks[s, n, (m + rotation[s]) % banks] = valid[s, skipped[s] + n]
    index = np.full((int(start[-1]), banks), -1)
    for k in range(stride):
        for n in range(full[k]):
            met = tap[n] < taps[k]
            index[start[k] + n] = np.where(met, k + tap[n] * stride, -1)
    lands = passes > 0
    return Landing(
        banks=banks,
        passes=passes,
        block=np.where(lands, lowest // banks - skipped, 0),
        rotation=np.where(lands, rotation, 0),
        weight=np.where(lands, start[first] + skipped, 0),
        masks=masks,
        kernel=index,
    )
