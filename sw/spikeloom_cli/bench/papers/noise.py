"""Salt-and-pepper noise on images, as in the robustness experiments of StepReLU."""

import numpy as np


def salted(x: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Images uint8 [N, C, H, W], of whose pixels such a share is black or white, either at half, all channels alike."""
    count, _, height, width = x.shape
    drawn = rng.random((count, 1, height, width))
    return np.where(drawn < share / 2, 0, np.where(drawn < share, 255, x)).astype(np.uint8)
