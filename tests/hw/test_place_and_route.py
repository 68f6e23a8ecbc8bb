"""Placing and routing with several seeds: the fastest is kept, and what goes wrong ends all of them."""

import threading
from pathlib import Path
from typing import Any

import pytest
from spikeloom import DoesNotFit, ToolError
from spikeloom_hw.bitstream import place_and_route as module
from spikeloom_hw.bitstream.place_and_route import NotPlaced, Routed, place_and_route
from spikeloom_hw.bitstream.stages import Stages
from spikeloom_hw.boards.board_list import BOARDS

BOARD = BOARDS["icestick"]


def faked(monkeypatch: pytest.MonkeyPatch, outcomes: dict[int, float | Exception | None]) -> None:
    """Instead of nextpnr: a result, or what is raised, by seed; None runs until it is stopped."""

    def routed(board: Any, platform: Any, folder: Any, seed: int, target: Any, planned: Any, stages: Stages) -> Routed:
        outcome = outcomes[seed]
        if outcome is None:
            for _ in range(1000):
                stages.stopped.wait(0.01)
                stages.speak(0.0)
        if isinstance(outcome, Exception):
            raise outcome
        return Routed(seed, f"seed{seed}", outcome, {}, "")

    monkeypatch.setattr(module, "_routed", routed)


def run(seeds: range, tmp_path: Path) -> list[tuple[int, float]]:
    found = place_and_route(BOARD, None, tmp_path, seeds=seeds, target_mhz=100.0)
    return [(item.seed, item.fmax_mhz) for item in found]


def test_fastest_seed_is_first_and_of_equals_the_lowest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    faked(monkeypatch, {3: 40.0, 4: 50.0, 5: 50.0, 6: 45.0})
    assert run(range(3, 7), tmp_path) == [(4, 50.0), (5, 50.0), (6, 45.0), (3, 40.0)]


def test_seed_that_is_not_placed_is_left_out_while_another_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    faked(monkeypatch, {1: NotPlaced("no place for cell x"), 2: 31.0})
    assert run(range(1, 3), tmp_path) == [(2, 31.0)]
    faked(monkeypatch, {1: NotPlaced("no place for cell x"), 2: NotPlaced("no place for cell y")})
    with pytest.raises(DoesNotFit, match=r"^no place for cell x$"):
        run(range(1, 3), tmp_path)


def test_failure_of_one_seed_stops_the_others_and_is_what_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    faked(monkeypatch, {1: None, 2: ToolError("Tool 'nextpnr': must exit with 0, not 7")})
    with pytest.raises(ToolError, match=r"not 7$"):
        run(range(1, 4), tmp_path)
    assert threading.active_count() < 10


def test_usage_beyond_the_device_is_read_from_the_log() -> None:
    log = (
        "Info: Device utilisation:\n"
        "Info: \t         TRELLIS_IO:       7/    197     3%\n"
        "Info: \t             DP16KD:      60/     56   107%\n"
        "Info: \t       TRELLIS_COMB:   30000/  24288   123%\n"
    )
    assert module.overused(log) == ["DP16KD 60/56", "TRELLIS_COMB 30000/24288"]


def test_progress_of_several_seeds_says_where_each_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []

    def routed(board: Any, platform: Any, folder: Any, seed: int, target: Any, planned: Any, stages: Stages) -> Routed:
        stages.begin("pack")
        return Routed(seed, "", 1.0, {}, "")

    monkeypatch.setattr(module, "_routed", routed)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1)
    place_and_route(BOARD, None, tmp_path, seeds=range(1, 3), target_mhz=1.0, progress=said.append)
    assert said == ["seed 1: pack", "seed 1: pack; seed 2: pack"]
