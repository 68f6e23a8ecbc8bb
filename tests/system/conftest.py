"""What the tests of the command line share: a way to run it, a network, and its build; each made once a session."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import Conv2d
from spikeloom_cli.app import respond


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        assert self.stdout.count("\n") == 1
        document = json.loads(self.stdout)
        assert isinstance(document, dict)
        return document


Command = Callable[..., Outcome]


@pytest.fixture
def spikeloom(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command line in this process, as fast as it gets."""

    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = respond([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def program() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a command line as a program of its own."""

    def run(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "spikeloom_cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    return run


@pytest.fixture(scope="session")
def loom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network that takes digits, as a file."""
    builder = RandomNetwork(np.random.default_rng(1), (1, 8, 8), name="tiny")
    network = builder.conv(4, Conv2d((3, 3), padding=(1, 1))).readout(10, pool=(4, 4))
    path = tmp_path_factory.mktemp("loom") / "tiny.loom"
    network.save(path)
    return path


@pytest.fixture(scope="session")
def build(loom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its build, without a board."""
    folder = tmp_path_factory.mktemp("build") / "tiny"
    assert respond(["generate", str(loom), "-o", str(folder), "--json"]) == 0
    return folder
