"""Where the marks of a figure lie: scales, ticks, paths. Numbers in, numbers out; no markup, no words from outside."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SERIES = 6  # colours there are, by number from 1
DIGIT = 6.5  # width of a digit on an axis
MOST_VALUES = 9  # points of a line that are labelled


class Own(str):
    """Text that is made here, not taken from a file: a page shows it as it is, however long."""

    __slots__ = ()


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Series:
    """A line: its name, the path, the points with what each says, and its colour and dashes by number."""

    name: str
    path: str
    points: tuple[tuple[float, float, str], ...]
    number: int


@dataclass(frozen=True)
class LineChart:
    """Lines over steps, in a box of `width` by `height` with room for the ticks around it.

    `values`: what is written beside points, and where. `rules`: horizontal lines. `bands`:
    (from, to, what it says) along x, shaded.
    """

    key: str
    title: str
    description: str
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    values: tuple[tuple[float, float, str], ...]
    rules: tuple[float, ...]
    bands: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True)
class RasterChart:
    """Spikes as cells: `up` and `down` are lines `thick` through those of either sign; steps lie across."""

    key: str
    title: str
    description: str
    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    up: str
    down: str
    thick: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Part:
    """A part of a bar, in hundredths of it: where it begins, how long it is, its colour by number, what it is."""

    start: float
    size: float
    number: int
    name: str


def nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about so many."""
    if not high > low:
        high = low + 1
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * number, 12) for number in range(first, last + 1)]


def whole_ticks(last: int, most: int) -> list[int]:
    """Steps 1..last that are named on an axis: the first, the last, and round ones between."""
    stride = next(item for item in (1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 1 << 30) if last / item <= most)
    picks = [step for step in range(stride, last, stride) if last - step >= stride * 0.6]
    return sorted({1, *(pick for pick in picks if pick == 1 or pick - 1 >= stride * 0.6), last})


def number(value: float) -> str:
    """A number on an axis."""
    if value and abs(value) >= 10000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:g}".replace("-", "−")


def line_chart(
    key: str,
    title: str,
    description: str,
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    *,
    x_label: str,
    y_label: str,
    percent: bool = False,
    rules: Sequence[float] = (),
    splits: Sequence[tuple[float, float, str]] = (),
    x_names: dict[float, str] | None = None,
    size: tuple[int, int] = (340, 210),
) -> LineChart:
    """Lay out a chart of (name, xs, ys) lines.

    Parameters
    ----------
    percent : y are shares, shown as percent.
    rules : heights of horizontal lines.
    splits : parts along x, and what each is.
    x_names : what is said at which x, where it is not the number itself.
    """
    width, height = size
    xs = [x for _, line, _ in lines for x in line]
    ys = [y for _, _, line in lines for y in line] + [*rules]
    low, high = min(xs), max(xs)
    marks = _y_marks(ys, percent)
    left, right, top, bottom = 46.0, width - 12.0, 14.0 if splits == () else 26.0, height - 38.0

    def x_at(x: float) -> float:
        return round(left + 8 + (right - left - 16) * ((x - low) / (high - low) if high > low else 0.5), 2)

    def y_at(y: float) -> float:
        return round(bottom - (bottom - top) * (y - marks[0]) / (marks[-1] - marks[0]), 2)

    def shown(y: float) -> str:
        return f"{100 * y:.4g} %" if percent else number(y)

    names = x_names or {float(x): number(x) for x in _named_x(sorted(set(xs)))}
    series = tuple(
        Series(
            name,
            Own("M" + "L".join(f"{x_at(x)} {y_at(y)}" for x, y in zip(line, values, strict=True))),
            tuple((x_at(x), y_at(y), f"{name}, {x:g}: {shown(y)}") for x, y in zip(line, values, strict=True)),
            index % SERIES + 1,
        )
        for index, (name, line, values) in enumerate(lines)
    )
    return LineChart(
        key, title, description, width, height, left, right, top, bottom, x_label, y_label,
        _apart([Tick(x_at(x), text) for x, text in names.items()]),
        tuple(Tick(y_at(y), f"{100 * y:g}" if percent else number(y)) for y in marks),
        series,
        _values(series, top) if percent else (),
        tuple(y_at(y) for y in rules),
        tuple((x_at(start) if start > low else left, x_at(end) if end < high else right, text)
              for start, end, text in splits),
    )  # fmt: skip


def _apart(ticks: Sequence[Tick]) -> tuple[Tick, ...]:
    """Those from the left that do not touch the one before."""
    kept: list[Tick] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= DIGIT * (len(tick.text) + len(kept[-1].text)) / 2 + 4:
            kept.append(tick)
    return tuple(kept)


def _values(series: Sequence[Series], top: float) -> tuple[tuple[float, float, str], ...]:
    """What the points of a single short line say: above them, or below where the line comes from above."""
    if len(series) != 1 or len(series[0].points) > MOST_VALUES:
        return ()
    found: list[tuple[float, float, str]] = []
    before = None
    for x, y, text in series[0].points:
        value = text.rpartition(": ")[2].removesuffix(" %")
        if before is None:
            found.append((x + 22, y + 4, value))  # beside the first point: the line may leave it up or down
        else:
            found.append((x, y - 8 if y - 9 > top and y <= before + 2 else y + 16, value))
        before = y
    return tuple(found)


def _y_marks(values: Sequence[float], percent: bool) -> list[float]:
    low, high = min(values), max(values)
    if percent:
        span = max(high - low, 0.02)
        marks = nice_ticks(max(0.0, low - 0.1 * span), min(1.0, high + 0.1 * span), 4)
        return [mark for mark in marks if mark <= 1.0 + 1e-9]
    return nice_ticks(min(low, 0.0), max(high, 0.0), 4)


def _named_x(xs: Sequence[float]) -> Sequence[float]:
    """Which of the steps are named: all of a few, whole ones at a distance of many."""
    if len(xs) <= 10:
        return xs
    return [float(step) for step in whole_ticks(int(xs[-1]), 8) if xs[0] <= step]


def raster_chart(
    key: str, title: str, description: str, spikes: np.ndarray, addresses: np.ndarray, *, tall: float = 264.0
) -> RasterChart:
    """Lay out spikes int8 [neurons, steps] of neurons with these addresses; all rasters are as tall, if they can be."""
    neurons, steps = spikes.shape
    row = min(14.0, max(2.0, tall / neurons))
    column = min(22.0, max(5.0, 84.0 / steps))
    left, top = 10 + DIGIT * len(str(int(addresses.max()))), 10.0
    right, bottom = left + max(column * steps, 40.0), top + row * neurons
    column = (right - left) / steps

    def path(sign: int) -> str:
        cells = np.argwhere(spikes == sign)
        return Own("".join(
            f"M{left + column * step:.4g} {top + row * (place + 0.5):.5g}h{column - 1:.3g}" for place, step in cells
        ))  # fmt: skip

    room = int((right - left) / (13 if steps < 10 else 22))
    named = sorted({0, neurons // 2, neurons - 1}) if neurons > 2 else range(neurons)
    return RasterChart(
        key, title, description, round(right + 12, 2), round(bottom + 20, 2), left, top, right, bottom,
        path(1), path(-1), round(row - min(1.0, 0.2 * row), 2),
        tuple(Tick(left + column * (step - 0.5), str(step)) for step in whole_ticks(steps, room)),
        tuple(Tick(top + row * (place + 0.5), str(int(addresses[place]))) for place in named),
    )  # fmt: skip


def stacked(values: Sequence[tuple[str, float]], whole: float) -> tuple[Part, ...]:
    """Parts of a bar that is `whole` long, one behind the other; none of size 0."""
    parts, start = [], 0.0
    for place, (name, value) in enumerate(values):
        size = 100 * value / whole if whole else 0.0
        if size > 0:
            parts.append(Part(round(start, 3), round(size, 3), place + 1, name))
        start += size
    return tuple(parts)
