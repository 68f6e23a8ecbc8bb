"""Where the marks of a report's figures lie."""

import re

import numpy as np
import pytest
from spikeloom_cli.report.charts import line_chart, nice_ticks, raster_chart, stacked, whole_ticks
from spikeloom_cli.report.figures import confusion_of
from spikeloom_cli.report.measured import confusion, wilson
from spikeloom_cli.report.page import joules, number, percent


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2.5, 5, 7.5, 10]),
        (-3, 17, [-5, 0, 5, 10, 15, 20]),
        (0.93, 0.99, [0.92, 0.94, 0.96, 0.98, 1.0]),
        (5, 5, [5, 5.25, 5.5, 5.75, 6]),
        (0, 1e9, [0, 2.5e8, 5e8, 7.5e8, 1e9]),
    ],
)
def test_ticks_are_round_and_hold_all_values(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high, 4) == pytest.approx(ticks)


@pytest.mark.parametrize("last", [1, 2, 3, 5, 6, 7, 12, 16, 33, 100, 256])
def test_named_steps_begin_with_the_first_end_with_the_last_and_are_few(last: int) -> None:
    found = whole_ticks(last, 8)
    assert (found[0], found[-1], len(set(found)) == len(found)) == (1, last, True)
    assert len(found) <= 10


def test_every_spike_is_a_cell_of_the_raster_in_its_row_and_column() -> None:
    rng = np.random.default_rng(0)
    spikes = rng.integers(-1, 2, (12, 5)).astype(np.int8)
    chart = raster_chart("k", "t", "d", spikes, np.arange(12) * 3)
    row, column = (chart.bottom - chart.top) / 12, (chart.right - chart.left) / 5
    for path, sign in ((chart.up, 1), (chart.down, -1)):
        found = np.zeros_like(spikes)
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", path):
            found[int((float(y) - chart.top) / row), round((float(x) - chart.left) / column)] = 1
        assert np.array_equal(found, spikes == sign)
    assert [tick.text for tick in chart.y_ticks] == ["0", "18", "33"]


@pytest.mark.parametrize("neurons", [1, 2, 10, 96])
@pytest.mark.parametrize("steps", [1, 4, 16, 64])
def test_marks_stay_inside_the_raster(neurons: int, steps: int) -> None:
    chart = raster_chart("k", "t", "d", np.ones((neurons, steps), np.int8), np.arange(neurons))
    cells = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", chart.up)]
    assert len(cells) == neurons * steps
    assert all(chart.left <= x < chart.right and chart.top <= y < chart.bottom for x, y in cells)
    assert chart.right < chart.width <= 400
    assert chart.bottom < chart.height


def test_points_of_a_line_lie_between_the_ends_of_the_axes() -> None:
    chart = line_chart(
        "k", "t", "d", [("a", [1, 2, 3], [-5.0, 0.0, 7.0]), ("b", [1, 2, 3], [1.0, 2.0, 3.0])], x_label="", y_label=""
    )
    for line in chart.series:
        assert all(chart.left <= x <= chart.right and chart.top <= y <= chart.bottom for x, y, _ in line.points)
    assert [line.number for line in chart.series] == [1, 2]
    first, second = chart.series[0].points[0], chart.series[1].points[0]
    assert first[0] == second[0]
    assert first[1] > second[1]  # down is less


def test_accuracies_never_pass_the_whole() -> None:
    chart = line_chart("k", "t", "d", [("a", [1], [1.0])], x_label="", y_label="", percent=True)
    assert chart.y_ticks[-1].text == "100"
    assert chart.series[0].points[0][2] == "a, 1: 100 %"


def test_parts_of_a_bar_follow_one_another() -> None:
    parts = stacked((("a", 1.0), ("b", 0.0), ("c", 3.0)), 8.0)
    assert [(part.start, part.size, part.number, part.name) for part in parts] == [
        (0.0, 12.5, 1, "a"),
        (12.5, 37.5, 3, "c"),
    ]
    assert stacked((("a", 0.0),), 0.0) == ()


def test_confusion_counts_true_class_by_answer() -> None:
    counts = confusion(np.array([0, 0, 1, 3]), np.array([0, 1, 1, 2]), 3)  # a label that no output stands for
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    found = confusion_of(counts)
    assert found.worst == ((0, 1, 1, 0.5), (3, 2, 1, 1.0))
    assert found.rows[0][1].share == 0.5
    assert found.rows[2][2].share == 0


def test_confusion_of_many_classes_is_only_listed() -> None:
    counts = np.eye(100, dtype=np.int64) * 5
    counts[7, 9] = 2
    found = confusion_of(counts)
    assert (found.classes, found.rows) == (100, ())
    assert found.worst == ((7, 9, 2, 2 / 7),)


def test_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = wilson(0.9, 10)
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)
    assert wilson(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(1.0, 10)[1] <= 1.0


def test_figures_read_well() -> None:
    assert (number(1234567), number(-3), number(None), number(2.5, 1)) == ("1,234,567", "−3", "–", "2.5")
    assert (percent(0.97253), percent(None)) == ("97.25\N{NO-BREAK SPACE}%", "–")
    assert [joules(value).replace("\N{NO-BREAK SPACE}", " ") for value in (0.5, 12.34, 5331.0, 2.5e6, 3e9)] == [
        "0.5 pJ", "12.3 pJ", "5.33 nJ", "2.5 µJ", "3 mJ",
    ]  # fmt: skip
