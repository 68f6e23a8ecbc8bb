"""The commands of the how-to `talk to a board` do what the page says, in their order, against the virtual board."""

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "talk-to-a-board.md"


@pytest.mark.slow
def test_commands_of_the_page_end_in_no_mismatch(tmp_path: Path) -> None:
    page = PAGE.read_text().split("## From Python")[0]
    lines = [
        shlex.split(line)
        for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
        for line in block.splitlines()
    ]
    assert [words[1] for words in lines] == ["train", "convert", "generate", "emulate", "infer"]
    with ExitStack() as stack:
        for _, *words in lines:
            command = [sys.executable, "-m", "spikeloom_cli", *words]
            if words[0] == "emulate":
                board = stack.enter_context(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True))
                stack.callback(board.kill)
                assert board.stdout is not None
                while "try" not in board.stdout.readline():
                    assert board.poll() is None
                continue
            if words[0] == "infer":
                command += ["--timeout", "60"]  # a machine that is busy with other tests
            told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^  mismatches +0$", told, re.M)
    assert (tmp_path / "answers.npz").is_file()
