"""The journal of a run: what is reused, and what makes a step be done again."""

from pathlib import Path
from typing import Any

import pytest
from spikeloom_cli.demo.journal import Journal, fingerprint, sources


def once(folder: Path, depends: dict[str, Any], *, content: str = "made") -> Journal:
    """A run of one step that makes the file out.txt."""
    journal = Journal(folder, total=1)
    made = folder / "out.txt"

    def work() -> dict[str, Any]:
        made.write_text(content)
        return {"length": len(content)}

    assert journal.step("make", depends, lambda _: [made], work) == {"length": 4}
    return journal


def test_finished_step_is_reused_with_its_result_and_time(tmp_path: Path) -> None:
    first, second = once(tmp_path, {"a": 1}), once(tmp_path, {"a": 1})
    assert [step.reused for step in (*first.steps, *second.steps)] == [False, True]
    assert second.steps[0].seconds == first.steps[0].seconds
    assert second.steps[0].result == {"length": 4}


def test_step_is_done_again_when_what_it_depends_on_changes(tmp_path: Path) -> None:
    once(tmp_path, {"a": 1})
    assert not once(tmp_path, {"a": 2}).steps[0].reused


@pytest.mark.parametrize("harm", ["altered", "removed"])
def test_step_is_done_again_when_its_file_is_not_as_it_left_it(tmp_path: Path, harm: str) -> None:
    once(tmp_path, {})
    if harm == "altered":
        (tmp_path / "out.txt").write_text("mine")
    else:
        (tmp_path / "out.txt").unlink()
    assert not once(tmp_path, {}).steps[0].reused
    assert (tmp_path / "out.txt").read_text() == "made"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"make": {}}', '{"make": 3}'])
def test_journal_that_cannot_be_read_reuses_nothing(tmp_path: Path, content: str) -> None:
    once(tmp_path, {})
    (tmp_path / "steps.json").write_text(content)
    assert not once(tmp_path, {}).steps[0].reused


def test_step_that_fails_is_not_remembered(tmp_path: Path) -> None:
    def work() -> dict[str, Any]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match=r"^no$"):
        Journal(tmp_path, total=1).step("make", {}, lambda _: [], work)
    assert not once(tmp_path, {}).steps[0].reused


def test_fingerprint_of_a_folder_sees_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = fingerprint(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = fingerprint(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, renamed, fingerprint(tmp_path)}) == 3


def test_sources_differ_from_room_to_room() -> None:
    assert sources("spikeloom") != sources("spikeloom_hw")
    assert sources("spikeloom", "spikeloom_hw") == sources("spikeloom", "spikeloom_hw")
