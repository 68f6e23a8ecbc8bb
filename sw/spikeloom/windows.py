"""Pooling windows: where they lie on an image, side by side, overlapping or beyond its border."""

from dataclasses import dataclass
from typing import Any

from .checks import is_integer
from .errors import shown

Shape = tuple[int, int, int]
Pair = tuple[int, int]

MAX_EXTENT = 1 << 16  # of kernels, strides, paddings and windows


@dataclass(frozen=True)
class Windows:
    """Where the pooling windows lie: at output (y, x) from (y*stride - ahead) on, what is beyond the border left out.

    Parameters
    ----------
    size, stride : (vertical, horizontal).
    ahead, behind : rows and columns by which the first window may begin before the image, and the last end behind it;
        less than the size, so that no window is empty, and no more than the image has.
    """

    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    ahead: Pair = (0, 0)
    behind: Pair = (0, 0)

    @classmethod
    def tiles(cls, size: Pair) -> "Windows":
        """Windows side by side."""
        return cls(size, size)

    @property
    def tiled(self) -> bool:
        """Whether they lie side by side, inside the image."""
        return self == Windows.tiles(self.size)

    @property
    def padded(self) -> bool:
        """Whether some reach beyond the border."""
        return any(self.ahead + self.behind)

    @property
    def area(self) -> int:
        """Positions of a window."""
        return self.size[0] * self.size[1]

    def options(self, kind: str) -> dict[str, Any]:
        """These windows as options of a geometry."""
        found: dict[str, Any] = {"pool": self.size, "pool_kind": kind if self != SINGLE else "average"}
        if not self.tiled:
            found |= {"pool_stride": self.stride, "pool_ahead": self.ahead, "pool_behind": self.behind}
        return found

    def outputs(self, height: int, width: int) -> Pair:
        """Windows along both axes of an image."""
        high, wide = (
            (size + self.ahead[i] + self.behind[i] - self.size[i]) // self.stride[i] + 1
            for i, size in enumerate((height, width))
        )
        return high, wide

    def then(self, second: "Windows", height: int, width: int) -> "Windows | None":
        """Windows of an image whose maxima are those of `second` over the maxima of these; None where there are none.

        Maxima of maxima are those of the union of windows, which has to be without gaps, and must not end beyond what
        the first ones have seen of the image.
        """
        found = []
        for i, size in enumerate((height, width)):
            stride = self.stride[i]
            last = (self.outputs(height, width)[i] - 1) * stride - self.ahead[i] + self.size[i]  # seen of the image
            if self.size[i] < stride or (second.behind[i] and last < size):
                return None
            found.append(
                (
                    (second.size[i] - 1) * stride + self.size[i],
                    stride * second.stride[i],
                    second.ahead[i] * stride + self.ahead[i],
                    max(0, last + second.behind[i] * stride - size),
                )
            )
        (size_y, *y), (size_x, *x) = found
        return Windows((size_y, size_x), *((a, b) for a, b in zip(y, x, strict=True)))

    def malformed(self) -> list[str]:
        """Which of the fields are not two integers, as a list of sentences."""
        return pair_violations("pool", self.size, 1) or [
            sentence
            for name, pair, least in (
                ("pool_stride", self.stride, 1),
                ("pool_ahead", self.ahead, 0),
                ("pool_behind", self.behind, 0),
            )
            for sentence in pair_violations(name, pair, least)
        ]

    def violations(self, source: Shape, kind: str) -> list[str]:
        """What is wrong with well-formed windows on a source, as a list of sentences."""
        if kind != "max" and not self.tiled:
            return [f"average pooling must have windows side by side, not of {self.size} every {self.stride}"]
        beyond = self.ahead, self.behind
        room = [most + ahead + behind for most, ahead, behind in zip(source[1:], *beyond, strict=True)]
        if any(size > most for size, most in zip(self.size, room, strict=True)):
            return [f"pool must be between 1 and the source's {source[1:]}, not {self.size}"]
        least = [min(size - 1, most) for size, most in zip(self.size, source[1:], strict=True)]
        if any(side > most for pair in beyond for side, most in zip(pair, least, strict=True)):
            return [f"pool_ahead and pool_behind must be at most {tuple(least)}, not {self.ahead} and {self.behind}"]
        return []


SINGLE = Windows()  # every position by itself: no pooling


def pair_violations(name: str, pair: object, least: int) -> list[str]:
    """What is wrong with an option of a geometry that has to be two integers of at least so much."""
    if isinstance(pair, tuple) and len(pair) == 2 and all(is_integer(extent, least, MAX_EXTENT) for extent in pair):
        return []
    return [f"{name} must be two integers in {least}..{MAX_EXTENT}, not {shown(pair)}"]
