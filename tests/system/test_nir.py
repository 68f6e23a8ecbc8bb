"""NIR on the command line: a file from elsewhere in, the same network out and in again."""

from pathlib import Path

import nir
import pytest
from nir_graphs import mlp

from .conftest import Command


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A leaky network, as another framework would write it."""
    nir.write(tmp_path / "Foreign.nir", mlp(leak=3))
    return tmp_path / "Foreign.nir"


def test_nir_file_is_converted_exported_and_converted_again(spikeloom: Command, foreign: Path, tmp_path: Path) -> None:
    loom, ours, again = tmp_path / "a.loom", tmp_path / "a.nir", tmp_path / "b.loom"
    few = ("--calibration", "digits", "--samples", 200)
    first = spikeloom(
        "convert", foreign, *few, "--timesteps", 8, "--weight-bits", 5, "--reset", "soft", "-o", loom, "--json"
    )
    assert first.code == 0
    made = first.document
    assert (made["method"], made["timesteps"], made["weight_bits"], made["input_timesteps"]) == ("nir", 8, 5, 8)
    assert (
        "NIR with dt 0.0001, soft reset, no lower bound of potentials (v_min none), fires at v_threshold"
        in made["notes"]
    )
    assert spikeloom("show", loom, "--json").document["network"] == "foreign"
    written = spikeloom("export", loom, "-o", ours, "--json")
    assert (written.code, written.document["digest"], written.document["nodes"]) == (0, made["digest"], 7)
    assert written.document["conditions"]["reset"] == "soft"
    back = spikeloom("convert", ours, *few, "-o", again, "--json")
    assert (back.code, back.document["digest"]) == (0, made["digest"])
    assert again.read_bytes() == loom.read_bytes()


def test_dt_and_round_leak_reach_the_conversion(spikeloom: Command, foreign: Path, tmp_path: Path) -> None:
    few = ("convert", foreign, "--calibration", "digits", "--samples", 60, "-o", tmp_path / "a.loom", "--json")
    refused = spikeloom(*few, "--dt", "3e-4")
    assert refused.code == 2
    assert refused.document["error"].startswith("Node 'hidden' (LIF): 1 - dt/tau must be 1 - 2^-s with s in 1..15")
    assert not (tmp_path / "a.loom").exists()
    rounded = spikeloom(*few, "--dt", "3e-4", "--round-leak")
    assert "Node 'hidden' (LIF): leak 1 - dt/tau rounded from 0.625 to 0.5" in rounded.document["notes"]


def test_export_says_how_to_run_the_file_and_refuses_two_phases(
    spikeloom: Command, loom: Path, foreign: Path, tmp_path: Path
) -> None:
    refused = spikeloom("export", loom, "-o", tmp_path / "no.nir")
    assert refused.code == 2
    assert refused.stderr.startswith("spikeloom: Network 'tiny': cannot be NIR: schedule must be synchronous, not")
    assert not (tmp_path / "no.nir").exists()
    spikeloom("convert", foreign, "--calibration", "digits", "--samples", 60, "-o", tmp_path / "a.loom")
    outcome = spikeloom("export", tmp_path / "a.loom", "-o", tmp_path / "a.nir")
    assert outcome.code == 0
    assert "  fires: v >= v_threshold\n" in outcome.stderr
