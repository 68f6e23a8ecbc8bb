"""Other parameters in a finished bitstream: the one that synthesis would have made of them."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork, exchanged
from spikeloom import DoesNotFit, Network, SpikeloomError, ToolError
from spikeloom_hw.bitstream.replacement import replace_parameters
from spikeloom_hw.bitstream.synth import synth
from spikeloom_hw.build import Build, generate

pytestmark = pytest.mark.xdist_group("replacement")  # one worker makes the build of all of them


def tiny(hidden: int = 4) -> Network:
    return RandomNetwork(np.random.default_rng(1), (1, 1, 4), 2, "tiny").dense(hidden).readout(2)


def other() -> Network:
    return exchanged(tiny(), np.random.default_rng(3))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with a bitstream."""
    folder = tmp_path_factory.mktemp("replacement") / "build"
    generate(tiny(), folder, board="icebreaker", lanes=2, contents="replaceable")
    assert synth(folder, clock="oscillator").bitstream
    return folder


@pytest.fixture
def build(finished: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(finished, tmp_path / "build"))


def state(path: Path, **entries: object) -> None:
    """Change what is stated in a file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def files(folder: Path) -> dict[str, bytes]:
    """Everything a build consists of but its folder of synthesis."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_bitstream_is_the_one_that_synthesis_makes_of_the_other_network(build: Path, tmp_path: Path) -> None:
    said: list[str] = []
    result = replace_parameters(build, other(), tmp_path / "new", progress=said.append)
    assert said == ["compare the gates", "write bitstream"]
    assert (result.network, result.digest, result.before) == ("other", other().digest, tiny().digest)
    assert result.memories == 4
    new = Build.load(tmp_path / "new")
    new.require_unaltered()
    assert new.network.digest == new.manifest["digest"] == other().digest
    written = json.loads((new.folder / "synth" / "icebreaker" / "synth.json").read_text())
    assert (written["digest"], written["bitstream"]) == (other().digest, result.bitstream)
    assert not list(tmp_path.glob(".*"))

    whole = generate(other(), tmp_path / "whole", board="icebreaker", lanes=2, contents="replaceable")
    bitstream = synth(whole.folder, clock="oscillator").bitstream
    assert bitstream
    assert Path(result.bitstream).read_bytes() == Path(bitstream).read_bytes()
    assert Path(result.bitstream).read_bytes() != (build / "tiny-icebreaker.bin").read_bytes()


def test_replaced_in_place_and_back_it_is_the_first_bitstream_again(build: Path) -> None:
    first = files(build)
    replace_parameters(build, other())
    assert "tiny-icebreaker.bin" not in files(build)
    replace_parameters(build, tiny())
    again = files(build)
    assert again["tiny-icebreaker.bin"] == first["tiny-icebreaker.bin"]
    manifests = [json.loads(found["manifest.json"]) for found in (first, again)]
    assert [manifest["digest"] for manifest in manifests] == [tiny().digest] * 2


def test_network_of_another_structure_is_refused_with_everything_that_differs(build: Path) -> None:
    before = files(build)
    wrong = RandomNetwork(np.random.default_rng(1), (1, 2, 4), 3, "wrong").dense(4, growth=1.0, shift=1).readout(3)
    with pytest.raises(DoesNotFit) as error:
        replace_parameters(build, wrong)
    assert str(error.value) == (
        "Network 'wrong': must have the structure of 'tiny', for which the gates were made: "
        "input 'input': shape must be (1, 1, 4), not (1, 2, 4); input 'input': timesteps must be 2, not 3; "
        "population 'l1': timesteps must be 2, not 3; population 'l1': growth must be 2.0, not 1.0; "
        "population 'readout': shape must be (2, 1, 1), not (3, 1, 1); "
        "connection 'to_l1': shift must be 0, not 1; generate and synthesise it anew"
    )
    assert files(build) == before


def test_numbers_that_are_too_wide_are_refused(build: Path) -> None:
    network = tiny()
    bits = Build.load(build).manifest["cores"][0]["bits"]
    hidden = network.populations[0]
    high = replace(hidden, neuron=replace(hidden.neuron, theta=hidden.neuron.theta << 9))
    first = network.connections[0]
    heavy = replace(first, weights=np.full_like(first.weights, 32), weight_bits=8)
    wide = replace(network, populations=(high, network.populations[1]), connections=(heavy, network.connections[1]))
    with pytest.raises(DoesNotFit) as error:
        replace_parameters(build, wide)
    message = str(error.value)
    assert f"population 'l1': potentials must have at most {bits} bits, not " in message
    assert "connection 'to_l1': weights must be below 32, not 32" in message


@pytest.mark.parametrize(("contents", "message"), [
    ("fixed", "must be generated with --replaceable or --loadable, else its parameters are part of the gates; "
     "generate and synthesise it again"),
    ("replaceable", "must have a bitstream, not none; run `spikeloom synth` first"),
])  # fmt: skip
def test_builds_without_anything_to_replace_are_refused(contents: str, message: str, tmp_path: Path) -> None:
    folder = generate(tiny(), tmp_path / "build", board="icebreaker", lanes=2, contents=contents).folder
    with pytest.raises(SpikeloomError) as error:
        replace_parameters(folder, other())
    assert str(error.value) == f"Build '{folder}': {message}"


def test_folder_that_holds_something_else_is_left_alone(build: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("mine")
    with pytest.raises(SpikeloomError, match=r"taken': exists and is not a build; choose another folder with -o$"):
        replace_parameters(build, other(), taken)
    assert [path.name for path in taken.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(("spoil", "message"), [
    (lambda folder: (folder / "synth.json").write_text("{"), r"synth.json cannot be read \(.*\); synthesise it again$"),
    (lambda folder: next(folder.rglob("placed.asc")).write_text("nothing"),
     r"Bitstream: parameters must lie in block RAMs, but 12 columns of memory 0 are not;"),
    (lambda folder: next(folder.rglob("placed.asc")).unlink(),
     r"must have a bitstream, not none; run `spikeloom synth` first$"),
    (lambda folder: state(folder / "synth.json", clock_hz=1e300),
     r"must have a bitstream, not none; run `spikeloom synth` first$"),
])  # fmt: skip
def test_synthesis_that_was_spoilt_leaves_the_build_as_it_was(spoil: object, message: str, build: Path) -> None:
    before = files(build)
    assert callable(spoil)
    spoil(build / "synth" / "icebreaker")
    with pytest.raises((SpikeloomError, ToolError), match=message):
        replace_parameters(build, other())
    assert files(build) == before


@pytest.mark.slow
@pytest.mark.parametrize("board", ["ulx3s-85f", "ice40-hx8k"])
@pytest.mark.parametrize("contents", ["replaceable", "loadable"])
def test_it_is_so_on_other_boards(board: str, contents: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    network = RandomNetwork(rng, (1, 4, 4), 4, "first").dense(20).dense(6).readout(3)
    first, second = (
        generate(item, tmp_path / item.name, board=board, lanes=3, contents=contents)
        for item in (network, exchanged(network, rng))
    )
    assert synth(first.folder, clock="oscillator").bitstream
    found = replace_parameters(first.folder, second.network, tmp_path / "replaced")
    wanted = synth(second.folder, clock="oscillator").bitstream
    assert wanted
    assert Path(found.bitstream).read_bytes() == Path(wanted).read_bytes()
    assert asdict(found)["digest"] == second.network.digest
