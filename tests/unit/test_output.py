"""How answers look: tables for people, one object for programs, and nothing else on stdout."""

import os
import subprocess
import sys

import pytest
from spikeloom_cli.output import Answer, named_rows, percent, reserved_stdout, table_text, working


def test_columns_of_numbers_are_flush_right_and_words_flush_left() -> None:
    rows = [("name", "lanes", "note"), ("conv1", "16", "x"), ("fc", "1,024", "")]
    assert table_text(rows).splitlines() == [
        "name   lanes  note",
        "conv1     16  x",
        "fc     1,024",
    ]


def test_titled_table_does_not_widen_to_its_title() -> None:
    table = named_rows("A title that is long", {"a": "1", "bb": "x"})
    assert table_text(table).splitlines() == ["A title that is long", "  a   1", "  bb  x"]


def test_table_with_heads_only_is_its_heads() -> None:
    assert table_text([("a", "b")]) == "a  b"


def test_json_answer_is_one_line_and_refuses_what_json_cannot_say() -> None:
    answer = Answer({"a": 1.5, "b": None})
    assert answer.text(as_json=True) == '{"a": 1.5, "b": null}'
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        Answer({"a": float("nan")}).text(as_json=True)


def test_percent_of_nothing_is_a_dash() -> None:
    assert percent(None) == "-"
    assert percent(0.98765) == "98.77 %"


def test_reserved_stdout_keeps_other_programs_out(capfd: pytest.CaptureFixture[str]) -> None:
    with reserved_stdout(True) as stdout:
        subprocess.run([sys.executable, "-c", "print('noise')"], check=True)
        os.write(1, b"more noise\n")
        print("answer", file=stdout)
    os.write(1, b"after\n")
    captured = capfd.readouterr()
    assert captured.out == "answer\nafter\n"
    assert captured.err == "noise\nmore noise\n"


def test_work_that_is_not_watched_on_a_terminal_says_how_far_it_is(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr("spikeloom_cli.output.PATIENCE_SECONDS", 0.05)
    with working("weaving") as progress:
        progress(3, 7)
        time.sleep(0.2)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == "  weaving, 3 of 7, 0 s"
