"""Builds with the AXI wrapper: what they hold, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import DoesNotFit, Input, SpikeloomError
from spikeloom_hw.axi.wrapper import WrapperSpec
from spikeloom_hw.bitstream.synth import synth
from spikeloom_hw.build import Build, generate


def test_potentials_and_readouts_that_do_not_fit_are_refused_together() -> None:
    manifest = {
        "input": {"width": 9, "fields": {}},
        "readout": {"potential_bits": 33, "class_bits": 1, "outputs": [2] * 33},
        "top": "spikeloom",
        "cores": [],
    }
    with pytest.raises(DoesNotFit) as caught:
        WrapperSpec.of(Input("input", (1, 1, 1), 4, 1.0), manifest, 0)
    assert str(caught.value) == (
        "Wrapper 'axi': potentials must have at most 32 bits, not 33; readouts must be at most 32, not 33; "
        "use --wrapper streams"
    )


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A build with the wrapper, and a board."""
    network = RandomNetwork(np.random.default_rng(1), (1, 1, 6), 3, "tiny").dense(2).readout(2)
    return generate(network, tmp_path_factory.mktemp("axi") / "build", board="ice40-hx8k", lanes=2, wrapper="axi")


def test_wrapper_is_a_file_of_its_own_beside_the_same_core(build: Build, tmp_path: Path) -> None:
    bare = generate(build.network, tmp_path / "bare", board="ice40-hx8k", lanes=2)

    def body(folder: Path) -> list[str]:
        return [line for line in (folder / "spikeloom.v").read_text().splitlines() if not line.startswith("//")]

    assert body(bare.folder) == body(build.folder)
    assert bare.manifest["wrapper"] == {"kind": "streams", "top": "spikeloom", "verilog": "spikeloom.v"}
    assert not (bare.folder / "spikeloom_axi.v").exists()
    assert build.manifest["wrapper"]["s_axis"] == {"carries": "pixels", "tdata_bits": 32, "beats": 2}
    build.require_unaltered()


def test_build_without_its_wrapper_is_refused(build: Build, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(build.folder, tmp_path / "build"))
    (copy / "spikeloom_axi.v").unlink()
    with pytest.raises(SpikeloomError, match=f"^Build '{copy}': lacks spikeloom_axi.v; generate it again$"):
        Build.load(copy)


def test_synth_refuses_a_build_for_a_soc(build: Build) -> None:
    with pytest.raises(SpikeloomError) as caught:
        synth(build.folder)
    assert str(caught.value) == (
        f"Build '{build.folder}': wrapper must be streams for a bitstream of its own, not axi; "
        "generate it again without --wrapper, or synthesise it within your SoC"
    )


def test_unknown_wrapper_is_one_line(tmp_path: Path) -> None:
    network = RandomNetwork(np.random.default_rng(1), (1, 1, 6), 3, "tiny").dense(2).readout(2)
    with pytest.raises(SpikeloomError, match=r"^Wrapper 'wishbone': must be one of streams, axi$"):
        generate(network, tmp_path / "build", wrapper="wishbone")
    assert not (tmp_path / "build").exists()
