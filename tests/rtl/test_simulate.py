"""`simulate`: what it reports, and what it says when it cannot."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import rtl_networks as networks
from random_networks import RandomNetwork, random_samples
from rtl_networks import MakeDesign
from spikeloom import SpikeloomError, ToolError, golden
from spikeloom.measure import sops
from spikeloom_hw import toolchain
from spikeloom_sim import SimulationResult, simulate
from spikeloom_sim.design import Design

# tests on one worker find what the first of them compiled
VERILATOR = pytest.param("verilator", marks=pytest.mark.xdist_group("verilator"))


@pytest.fixture
def design(make_design: MakeDesign) -> Design:
    return make_design(networks.memories(), 5)


def test_the_result_says_what_was_measured(design: Design, rng: np.random.Generator) -> None:
    x = random_samples(rng, design.network, 30)
    potentials = golden.evaluate(design.network, x)
    assert isinstance(potentials, np.ndarray)
    y = potentials.argmax(1)
    y[:3] += 1
    told: list[tuple[int, int, str]] = []
    result = simulate(
        design.folder, x, y, simulator="cxxrtl", progress=lambda done, total, what="": told.append((done, total, what))
    )
    assert (result.samples, result.mismatches, result.first_divergence) == (30, 0, None)
    assert result.accuracy == pytest.approx(0.9)
    assert told[-1] == (60, 60, "with stalls")
    work = sops(design.network, golden.run_values(design.network, x))
    into = {item.target: work[item.name].mean() for item in design.network.connections}
    bounds = {core.title: sum(into[layer.population] for layer in core.layers) / core.lanes for core in design.cores}
    assert result.lower_bound_cycles == pytest.approx(max(bounds.values()), rel=1e-12)
    assert result.busiest == max(bounds, key=bounds.__getitem__)
    assert result.initiation_interval_cycles is not None
    assert result.utilisation == result.lower_bound_cycles / result.initiation_interval_cycles
    assert 0 < result.utilisation <= 1
    assert result.latency_cycles is not None
    assert result.latency_cycles > result.lower_bound_cycles
    assert result.cycles_by_layer is not None
    assert list(result.cycles_by_layer) == [item.name for item in design.network.populations]
    assert max(result.cycles_by_layer.values()) <= result.initiation_interval_cycles * (1 + 1e-9)
    assert json.loads(json.dumps(asdict(result))) == asdict(result)


@pytest.mark.xdist_group("verilator")
def test_all_simulators_measure_the_same(design: Design, rng: np.random.Generator) -> None:
    x = random_samples(rng, design.network, 14)
    results = [simulate(design.folder, x, simulator=simulator, seed=3) for simulator in ("verilator", "cxxrtl")]
    first, second = (replace(result, simulator="", seconds=0.0, cycles=0) for result in results)
    assert first == second
    assert first.mismatches == 0


@pytest.mark.parametrize("simulator", [VERILATOR, "cxxrtl"])
def test_one_sample_is_enough_to_measure(simulator: str, design: Design, rng: np.random.Generator) -> None:
    result = simulate(design.folder, random_samples(rng, design.network, 1), simulator=simulator, stalls=False)
    assert result == SimulationResult(
        samples=1,
        mismatches=0,
        accuracy=None,
        latency_cycles=result.latency_cycles,
        initiation_interval_cycles=result.initiation_interval_cycles,
        lower_bound_cycles=result.lower_bound_cycles,
        utilisation=result.utilisation,
        simulator=simulator,
        seconds=result.seconds,
        first_divergence=None,
        busiest=result.busiest,
        cycles=result.cycles,
        cycles_by_layer=result.cycles_by_layer,
        breakdown=result.breakdown,
    )
    assert result.latency_cycles is not None
    assert result.initiation_interval_cycles is not None
    assert result.lower_bound_cycles is not None
    assert result.latency_cycles > result.initiation_interval_cycles > result.lower_bound_cycles > 0


def test_a_mismatch_is_counted_and_named_with_its_sample(design: Design, rng: np.random.Generator) -> None:
    x = np.zeros((20, 2, 4, 4), np.uint8)
    x[13] = 255
    weights = design.folder / "l1_l1_lanes_weights.mem"
    weights.write_text(weights.read_text().translate(str.maketrans("01", "10")))
    result = simulate(design.folder, x, simulator="cxxrtl")
    assert result.mismatches > 0
    assert result.first_divergence is not None
    assert result.first_divergence.startswith("sample 13, ")
    assert "population 'l1', neuron (c=" in result.first_divergence
    assert result.first_divergence.endswith("(without stalls, seed 0)")


def test_a_build_with_another_network_is_refused(design: Design, rng: np.random.Generator) -> None:
    other = RandomNetwork(rng, (2, 4, 4)).readout(4)
    other.save(design.folder / "network.loom")
    with pytest.raises(SpikeloomError) as error:
        simulate(design.folder, np.zeros((1, 2, 4, 4), np.uint8), simulator="cxxrtl")
    assert str(error.value) == (
        f"Build '{design.folder}': network.loom must have digest {design.network.digest[:16]}, not "
        f"{other.digest[:16]}; generate it again"
    )


def test_wrong_use_is_said_in_one_line(design: Design) -> None:
    x = np.zeros((2, 2, 4, 4), np.uint8)
    cases: list[tuple[dict, str]] = [
        ({"simulator": "abacus"}, "Simulator 'abacus': must be one of verilator, icarus, cxxrtl"),
        ({"y": np.zeros(3, int)}, "Data: must have one label a sample, not 3 for 2"),
        ({"y": np.array([0, 12])}, "Labels: must lie in 0..3, the model's outputs, not 0..12"),
        ({"x": x[:0]}, "Data: must have at least one sample, not none"),
        ({"x": x[:, :1]}, "Data for 'input': must have shape (N, 2, 4, 4), not (2, 1, 4, 4)"),
    ]
    for options, message in cases:
        with pytest.raises(SpikeloomError) as error:
            simulate(design.folder, **({"x": x, "simulator": "cxxrtl"} | options))
        assert str(error.value) == message


def test_a_missing_simulator_is_named_with_its_cure(design: Design, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find", lambda tool: None)
    with pytest.raises(ToolError) as error:
        simulate(design.folder, np.zeros((2, 2, 4, 4), np.uint8), simulator="icarus")
    assert str(error.value) == (
        "Tool 'iverilog': must be on PATH, not missing; install it (Debian: apt-get install iverilog) or use "
        "--simulator verilator"
    )


@pytest.mark.parametrize("simulator", [VERILATOR, "cxxrtl"])
def test_a_compiler_that_fails_is_named_with_its_log(
    simulator: str, design: Design, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "cache"))
    design.verilog.write_text(design.verilog.read_text().replace("endmodule", "endmodul", 1))
    with pytest.raises(ToolError) as error:
        simulate(design.folder, np.zeros((2, 2, 4, 4), np.uint8), simulator=simulator)
    message = str(error.value)
    who = {
        "verilator": "Simulator 'verilator', build: must exit with 0, not ",
        "cxxrtl": "Tool 'yosys': must exit with 0, not ",
    }
    assert message.startswith(who[simulator])
    assert "\n" not in message
    log = Path(message.rsplit("the whole output is in ", 1)[1])
    assert "endmodul" in log.read_text() or "syntax error" in log.read_text()


def test_a_cache_that_cannot_be_written_is_named(
    design: Design, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolError) as error:
        simulate(design.folder, np.zeros((2, 2, 4, 4), np.uint8), simulator="cxxrtl")
    assert str(error.value) == (
        f"Cache '{tmp_path}/file/cxxrtl': must be writable (Not a directory); set SPIKELOOM_CACHE to a folder that is"
    )


@pytest.mark.parametrize("simulator", [VERILATOR, "cxxrtl"])
def test_an_interrupt_leaves_no_process_behind(simulator: str, design: Design) -> None:
    simulate(design.folder, np.zeros((1, 2, 4, 4), np.uint8), simulator=simulator)  # compiled now, if it was not
    script = (
        "import sys, numpy as np\n"
        "from spikeloom_sim import simulate\n"
        "x = np.random.default_rng(0).integers(0, 256, (100000, 2, 4, 4), dtype=np.uint8)\n"
        "say = lambda done, total, what='': done > 100 and print('running', flush=True)\n"
        "simulate(sys.argv[1], x, simulator=sys.argv[2], progress=say)\n"
    )
    mark = f"SPIKELOOM_TEST_MARK={os.getpid()}.{simulator}"
    name, value = mark.split("=")
    command = [sys.executable, "-c", script, str(design.folder), simulator]
    process = subprocess.Popen(
        command, env=os.environ | {name: value}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        assert len(marked(mark)) >= 1
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert marked(mark) == []


def marked(mark: str) -> list[int]:
    """Processes with a variable in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
