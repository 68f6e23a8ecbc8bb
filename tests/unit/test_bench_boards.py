"""`make boards`: the page is what the results say, and what is done is not done again."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import ToolError
from spikeloom_cli.bench.boards import __main__ as boards
from spikeloom_cli.bench.boards import page
from spikeloom_hw.boards.board_list import BOARDS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_page_is_what_the_results_say() -> None:
    rows = json.loads((DOCS / "results" / "boards.json").read_text())["rows"]
    assert (DOCS / "reference" / "boards.md").read_text() == page.render(rows)


def test_results_have_twelve_bitstreams_in_four_families() -> None:
    rows = json.loads((DOCS / "results" / "boards.json").read_text())["rows"]
    made = [row for row in rows if row["bitstream"]]
    assert len(made) >= 12
    assert {row["family"] for row in made} == {"ecp5", "ice40", "gowin", "gatemate"}
    assert all(row["timing_met"] for row in made)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Boards that were built, instead of building them: every bitstream is the board's name."""
    names: list[str] = []

    def row(board: Any, network: Any, settings: Any, builds: Path, progress: Any) -> dict[str, Any]:
        names.append(board.name)
        (builds / board.name).mkdir(parents=True, exist_ok=True)
        (builds / board.name / "x.bit").write_text(board.name)
        digest = hashlib.sha256(board.name.encode()).hexdigest()
        figures = {"lanes": [1], "lut": 1, "lut_planned": 1, "lut_available": 2, "ram": 1, "ram_planned": 1,
                   "ram_available": 2, "fmax_mhz": 50.0, "clock_mhz": 25.0, "pll": ""}  # fmt: skip
        return {"board": board.name, "family": board.family, "settings": settings, "bitstream": "x.bit",
                "sha256": digest, **figures}  # fmt: skip

    monkeypatch.setattr(boards, "_row", row)
    return names


def run(tmp_path: Path, names: list[str], **settings: Any) -> list[str]:
    network = type("Named", (), {"name": "digits"})()
    (tmp_path / "results").mkdir(exist_ok=True)
    return boards._all([BOARDS[name] for name in names], network, settings, tmp_path / "results", tmp_path / "builds")


def test_what_is_done_is_not_done_again(built: list[str], tmp_path: Path) -> None:
    names = ["ulx3s-25f", "icebreaker", "tang-nano-9k"]
    assert run(tmp_path, names[:2], digest="a") == []
    assert run(tmp_path, names, digest="a") == []
    assert built == names
    (tmp_path / "builds" / "icebreaker" / "x.bit").write_text("cut off")
    run(tmp_path, names, digest="a")
    assert built == [*names, "icebreaker"]
    run(tmp_path, names[:1], digest="b")
    assert built == [*names, "icebreaker", "ulx3s-25f"]
    rows = json.loads((tmp_path / "results" / "boards.json").read_text())["rows"]
    assert [row["board"] for row in rows] == names
    assert (tmp_path / "reference" / "boards.md").read_text() == page.render(rows)


def test_results_that_cannot_be_read_are_made_again(built: list[str], tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "boards.json").write_text('{"rows": [1, {"board": "ulx3s-25f"}')
    run(tmp_path, ["ulx3s-25f"], digest="a")
    assert built == ["ulx3s-25f"]


def test_board_that_is_too_small_is_told_with_the_smallest_that_is_not() -> None:
    row = {"board": "icestick", "family": "ice40", "bitstream": None, "smallest": "icebreaker",
           "reasons": "Network 'digits' on 'icestick': needs about 1489 of 1280 LUTs"}  # fmt: skip
    assert page.summary(row) == "does not fit; the smallest board for it is icebreaker"
    assert "| `icestick` | - | does not fit: needs about 1489 of 1280 LUTs |" in page.render([row])


def test_board_whose_tools_fail_is_told_and_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(*args: object, **options: object) -> None:
        raise ToolError("Synthesis, stage route: must exit with 0, not 1")

    monkeypatch.setattr(boards, "generate", failing)
    settings = {"clock": "auto", "seeds": 1, "digest": "a", "tools": {}}
    network = RandomNetwork(np.random.default_rng(0), (1, 1, 4), 2, "tiny").readout(2)
    (tmp_path / "results").mkdir()
    two = [BOARDS["icebreaker"], BOARDS["ulx3s-25f"]]
    assert boards._all(two, network, settings, tmp_path / "results", tmp_path) == ["icebreaker", "ulx3s-25f"]
    rows = json.loads((tmp_path / "results" / "boards.json").read_text())["rows"]
    assert [row["error"] for row in rows] == ["Synthesis, stage route: must exit with 0, not 1"] * 2
    assert not boards.done(rows[0], settings, tmp_path)
    assert page.summary(rows[0]) == "failed: Synthesis, stage route: must exit with 0, not 1"
    assert "| `icebreaker` | - | failed |" in page.render(rows)
