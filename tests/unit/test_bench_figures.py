"""The benchmark that draws the paper's figure again: its curve, its picture, and what it would call a miss."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from spikeloom_cli.bench import figures
from spikeloom_convert.analysis.conversion_error import Optimum, expected_errors, optima, uniform


def test_the_example_is_the_papers_curve() -> None:
    found = figures.example()
    assert (found["timesteps"], found["growth"], found["paper_ratio"]) == (6, 1.6, 0.396)
    assert figures.REACHED[0] <= found["best_ratio"] <= figures.REACHED[1]
    assert min(found["errors"]) >= found["best_error"]
    np.testing.assert_array_equal(expected_errors(uniform(), np.array(found["ratios"]), 1.6, 6).round(12),
                                  np.array(found["errors"]).round(12))  # fmt: skip


def test_misses_are_named() -> None:
    rows = [
        Optimum(3, 1.6, 0.4, 0.02),
        Optimum(3, 2.0, 0.5, 0.01),
        Optimum(4, 1.8, 0.5, 0.01),
        Optimum(4, 2.0, 0.5, 0.2),
    ]
    assert figures.missed(rows, 0.39) == ["T=4: least error for k=1.8, not for 2"]
    assert figures.missed([asdict(item) for item in rows[:2]], 0.3) == [
        "T=6, k=1.6: least error at 0.300, not within (0.38, 0.41)"
    ]


def test_both_panels_become_one_picture(tmp_path: Path) -> None:
    rows = [asdict(item) for item in optima(uniform(50), (1.5, 2.0), (2, 3))]
    result = {"distributions": [{"name": "uniform", "optima": rows}], "example": figures.example()}
    figures.draw(tmp_path / "p.png", result)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
