"""Somebody who follows the tutorial in an empty folder reads, line by line, what the page shows."""

from pathlib import Path

import pytest
from console import DIFFERENT, Reader, Step, files, stable, steps

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "from-pip-to-board.md"
TEXT = PAGE.read_text()
STEPS = steps(TEXT)
SYNTHESIS = next(number for number, step in enumerate(STEPS) if step.words[1] == "synth")


def follow(asked: list[Step], folder: Path) -> None:
    with Reader(folder) as reader:
        reader.saves(TEXT)
        for step in asked:
            assert reader.types(step) == step.shown, f"$ {step.command}"


def test_page_goes_from_a_module_to_a_board() -> None:
    wanted = [
        "mynet.py", "check", "convert", "show", "run", "fit", "generate", "simulate", "simulate", "emulate", "infer",
        "synth", "report", "flash",
    ]  # fmt: skip
    assert [step.words[1] for step in STEPS] == wanted
    assert list(files(TEXT)) == ["mynet.py"]
    assert all(step.shown for step in STEPS)
    assert "--trace" in STEPS[8].words
    assert STEPS[-1].words[-1] == "--dry-run"


def test_page_shows_what_differs_in_its_stable_form() -> None:
    shown = [line for step in STEPS for line in step.shown]
    assert stable("\n".join(shown)) == shown
    assert all(any(pattern.sub(form, line) == line and "..." in line for line in shown) for pattern, form in DIFFERENT)


def test_another_line_is_noticed_and_progress_is_not(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    printed = "print('  mismatches  1'); print('  simulating 4 samples: compiling, 8 s'); print('  seconds  2.5')"
    assert reader.types(Step(f'python -c "{printed}"', [])) == ["  mismatches  1", "  seconds  ..."]
    with pytest.raises(AssertionError, match="wrong use"):
        reader.types(Step("python -c \"import sys; sys.exit('wrong use')\"", []))


def test_page_is_what_a_reader_sees_up_to_the_bitstream(tmp_path: Path) -> None:
    follow(STEPS[:SYNTHESIS], tmp_path)


@pytest.mark.slow
def test_page_is_what_a_reader_sees_to_its_end(tmp_path: Path) -> None:
    follow(STEPS, tmp_path)
