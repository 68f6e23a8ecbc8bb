"""Waveforms: spikes and potentials are golden's, layouts name what is in them, the marker is where the fault shows."""

import ctypes
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rtl_networks as networks
import sweep_networks
from random_networks import random_samples
from recurrent_networks import random_recurrent_network, random_sequences
from spikeloom import Network, SpikeloomError, Trace, golden
from spikeloom_hw.build import generate
from spikeloom_sim import simulate
from spikeloom_sim.compiled import compile_library
from spikeloom_sim.design import Design
from spikeloom_sim.simulation import SimulationResult
from spikeloom_sim.wave import TraceRequest, record
from spikeloom_sim.wave.read import Waveform
from spikeloom_sim.wave.trace import Run, trace

pytestmark = pytest.mark.xdist_group("waveforms")  # one worker makes the build of all of them
EVERY = 10_000  # neurons: all of them


def traced(
    folder: Path, x: np.ndarray, name: str = "wave.fst", *, build: str = "build", **options: object
) -> tuple[SimulationResult, Waveform]:
    request = TraceRequest(folder / name, samples=len(x), neurons=EVERY)
    result = simulate(folder / build, x, simulator="cxxrtl", waveform=request, **options)  # type: ignore[arg-type]
    return result, Waveform(folder / name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build, with a waveform of each kind of two of its samples."""
    folder = tmp_path_factory.mktemp("wave")
    design = Design.load(generate(networks.memories(), folder / "build", lanes=5).folder)
    x = random_samples(np.random.default_rng(3), design.network, 2)
    np.save(folder / "x.npy", x)
    for name in ("wave.fst", "wave.vcd"):
        result, _ = traced(folder, x, name)
        assert result.mismatches == 0
    return folder


@pytest.fixture(scope="module")
def wave(folder: Path) -> Waveform:
    return Waveform(folder / "wave.fst")


def neuron_names(network: Network, name: str) -> list[str]:
    channels, height, width = network.source(name).shape
    return [f"c{c}_y{y}_x{x}" for c in range(channels) for y in range(height) for x in range(width)]


def intervals(wave: Waveform, name: str, sample: int) -> list[tuple[int, int]]:
    """First cycle and the one behind the last of each time that a stage was at a sample."""
    when, values = wave.changes(name)
    ends = np.append(when[1:], wave.changes("layers.cycle")[1][-1] + 1)
    return [(int(a), int(b)) for a, b, value in zip(when, ends, values, strict=True) if value == sample]


def spikes_in(wave: Waveform, network: Network, name: str, sample: int, steps_of: int) -> np.ndarray:
    """Spikes int8 [T, neurons] of a sample of T time steps as the waveform shows them."""
    (start, stop), *more = intervals(wave, f"layers.{name}.sends", sample)
    stop = more[-1][1] if more else stop
    cycles = np.arange(start, stop)
    steps = wave.at(f"layers.{name}.step", cycles)
    found = np.zeros((steps_of, len(neuron_names(network, name))))
    for place, neuron in enumerate(neuron_names(network, name)):
        values = wave.at(f"layers.{name}.spike.{neuron}", cycles)
        found[steps[values != 0] - 1, place] += values[values != 0]
    return found.astype(np.int8)


def check_spikes(wave: Waveform, network: Network, trace: Trace) -> int:
    """Compare the spikes of all samples; how many there are."""
    count = 0
    for name, train in trace.spikes.items():
        for sample, want in enumerate(train):
            found = spikes_in(wave, network, name, sample, len(want))
            np.testing.assert_array_equal(found, want.reshape(len(want), -1), f"{name}, sample {sample}")
            count += int(np.abs(found).sum())
    return count


def test_spikes_are_goldens_in_their_time_steps(folder: Path, wave: Waveform) -> None:
    network = Design.load(folder / "build").network
    trace = golden.run(network, np.load(folder / "x.npy"))
    assert check_spikes(wave, network, trace) == sum(int(train.sum()) for train in trace.spikes.values()) > 0


def test_potentials_are_goldens_before_and_after_a_layer_generates(folder: Path, wave: Waveform) -> None:
    network = Design.load(folder / "build").network
    trace = golden.run(network, np.load(folder / "x.npy"))
    compared = 0
    for name, potentials in trace.accumulated.items():
        for sample, want in enumerate(potentials.reshape(len(potentials), -1)):
            ((start, stop),) = intervals(wave, f"layers.{name}.generates", sample)
            for neuron, value in zip(neuron_names(network, name), want, strict=True):
                path = f"layers.{name}.potential.{neuron}"
                assert wave.at(path, np.array([start]))[0] == value
                compared += 1
                if name in trace.remainder:
                    place = neuron_names(network, name).index(neuron)
                    left = trace.remainder[name][sample].reshape(-1)[place]
                    assert wave.at(path, np.array([stop]))[0] == left
    assert compared == 2 * sum(int(np.prod(item.shape)) for item in network.populations)


def test_layers_change_when_the_gates_do(folder: Path, wave: Waveform) -> None:
    for core in Design.load(folder / "build").cores:
        cycles = wave.changes("layers.cycle")[1]
        (layer,) = core.layers
        swaps = cycles[wave.at(f"spikeloom.{core.swap}", cycles) == 1]
        when, sample = wave.changes(f"layers.{layer.population}.generates")
        assert (when[sample >= 0] == swaps[: np.count_nonzero(sample >= 0)] + 1).all()
        if core.spike:
            taken = wave.at(f"spikeloom.{core.spike.valid}", cycles) & wave.at(f"spikeloom.{core.spike.ready}", cycles)
            words = wave.at(f"spikeloom.{core.spike.payload}", cycles).astype(np.uint64)
            events = cycles[(taken == 1) & (core.spike.field(words, "end") == 0)]
            steps = wave.at(f"layers.{layer.population}.step", cycles)
            assert cycles[steps > 0].tolist() == events.tolist()
            assert (steps[events] == core.spike.field(words, "step")[events] + 1).all()


def test_both_kinds_of_file_hold_the_same(folder: Path, wave: Waveform) -> None:
    other = Waveform(str(folder / "wave.vcd"))
    assert set(other.names) == set(wave.names)
    for name in wave.names:
        assert (other.width(name), other.signed(name)) == (wave.width(name), wave.signed(name))
        if wave.width(name) <= 64:
            for one, another in zip(other.changes(name), wave.changes(name), strict=True):
                np.testing.assert_array_equal(one, another, name)


def test_names_are_those_of_the_source(wave: Waveform) -> None:
    names = set(wave.names)
    assert {"spikeloom.clk", "spikeloom.i__valid", "spikeloom.l1_l1.walker.ready", "spikeloom.l1_l1.filled"} <= names
    assert wave.layers == ("input", "l1", "l2", "readout")
    assert not [name for name in names if re.search(r"\$|\._\d+_$", name)]


def test_every_signal_of_the_gtkwave_layout_is_in_the_waveform_by_its_name_there(folder: Path, wave: Waveform) -> None:
    shown: list[str] = []
    flags = ""
    for text in (folder / "wave.gtkw").read_text().splitlines():
        if text.startswith("@"):
            flags = text
        found = re.fullmatch(r"([a-z][\w.]*)(?:\[(\d+):0\])?", text)
        if found:
            shown.append(found[1])
            # integers by their name alone, others with their range
            assert found[2] is None if wave.signed(found[1]) else wave.width(found[1]) == int(found[2] or 0) + 1
            assert (int(flags[1:], 16) & 0x400 != 0) == wave.signed(found[1])
    assert [name for name in shown if name.endswith(".potential.c0_y0_x0")] == [
        f"layers.{name}.potential.c0_y0_x0" for name in ("l1", "l2", "readout")
    ]
    assert "layers.l2.spike.c6_y0_x0" in shown


def test_every_signal_of_the_surfer_layout_is_in_the_waveform(folder: Path, wave: Waveform) -> None:
    lines = (folder / "wave.sucl").read_text().splitlines()
    assert {line.split()[0] for line in lines} == {"#", "divider_add", "variable_add", "zoom_fit"}
    shown = [line.split(maxsplit=1)[1] for line in lines if line.startswith("variable_add")]
    assert set(shown) <= set(wave.names)
    # in Surfer integers are signed decimals
    assert all(wave.signed(name) for name in shown if ".potential." in name)
    assert [line.split()[1] for line in lines if line.startswith("divider_add")][:6] == [
        "time", "input", "input_spikes", "l1", "l1_potentials", "l1_spikes",
    ]  # fmt: skip


def spoilt(folder: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """The build with one bit of a weight of its second core turned, and samples."""
    shutil.copytree(folder / "build", tmp_path / "build")
    path = tmp_path / "build" / "l2_l2_lanes_weights.mem"
    words = path.read_text().splitlines()
    row = next(n for n, word in enumerate(words) if word and set(word) <= {"0", "1"})
    words[row] = words[row][:-1] + str(1 - int(words[row][-1]))
    path.write_text("\n".join(words) + "\n")
    return tmp_path, random_samples(np.random.default_rng(4), Design.load(folder / "build").network, 6)


def test_marker_is_where_the_first_wrong_integer_shows(folder: Path, tmp_path: Path) -> None:
    where, x = spoilt(folder, tmp_path)
    result, wave = traced(where, x, stalls=False)
    assert result.trace is not None
    found = re.match(
        r"sample (\d+), population 'l2', neuron \(c=(\d), y=0, x=0\), accumulated: expected (\S+), got (\S+) ",
        result.first_divergence or "",
    )
    assert found is not None
    sample, channel, expected, got = map(int, found.groups())
    marker = result.trace.marker_cycle
    assert marker is not None
    assert result.trace.first_sample == sample
    at = np.array([marker - 1, marker])
    assert (wave.at("layers.l2.mismatches", at) > 0).tolist() == [False, True]
    assert wave.at(f"layers.l2.potential.c{channel}_y0_x0", at)[1] == got != expected
    assert wave.at("layers.l2.generates", at)[1] == sample
    shown = (tmp_path / "wave.gtkw").read_text()
    found = re.search(r"^\*(\S+) (\d+) .*\n\[timestart\] (\d+)$", shown, re.M)
    assert found is not None
    assert int(found[2]) == marker * 10
    first, stop = result.trace.first_cycle, result.trace.last_cycle + 1
    assert int(found[3]) == first * 10
    assert 2 * 2 ** -float(found[1]) == pytest.approx(10 * (stop - first))
    assert (tmp_path / "wave.sucl").read_text().endswith(f"cursor_set {marker * 10}\n")


def test_no_more_is_recorded_than_there_is_room_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "ROOM_PIECES", 1 << 18)
    message = (
        r"^Trace of build '.*': must be at most 1 MB of changes, and cycles 0 to \d+ have more; trace fewer samples$"
    )
    with pytest.raises(SpikeloomError, match=message):
        traced(folder, np.load(folder / "x.npy"), "other.vcd")
    assert not (folder / "other.vcd").exists()


def test_a_design_that_is_not_traced_has_no_recorder_in_it(folder: Path) -> None:
    assert not hasattr(ctypes.CDLL(str(compile_library(Design.load(folder / "build")))), "sim_record")


def test_a_file_that_is_no_waveform_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half.fst").write_bytes((folder / "wave.fst").read_bytes()[:50_000])
    (tmp_path / "none.vcd").write_text("none")
    for name in ("half.fst", "none.vcd"):
        with pytest.raises(
            SpikeloomError, match=r"^Waveform '\S+': must be FST or VCD, not damaged \(.+\); write it again$"
        ):
            Waveform(tmp_path / name)
    with pytest.raises(
        SpikeloomError, match=r"^Waveform '\S+': must be a file; write one with spikeloom simulate --trace$"
    ):
        Waveform(tmp_path / "missing.fst")
    with pytest.raises(SpikeloomError, match=r"^Waveform '\S+': must have a signal 'layers.l9.step'; see its names$"):
        Waveform(folder / "wave.fst").changes("layers.l9.step")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "a.ghw"}, "Trace 'a.ghw': must end in .fst or .vcd, not '.ghw'; name it so"),
        ({"path": "no/a.fst"}, "Trace 'no/a.fst': folder 'no' must exist; make it first"),
        ({"path": "a.fst", "samples": 0}, "Trace 'a.fst': samples must be at least 1, not 0"),
        ({"path": "a.fst", "neurons": -1}, "Trace 'a.fst': neurons must be at least 1, not -1"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(SpikeloomError, match=f"^{re.escape(message)}$"):
        TraceRequest(**{**options, "path": Path(str(options["path"]))})  # type: ignore[arg-type]


def test_only_one_simulator_traces(folder: Path) -> None:
    message = "Simulator 'icarus': must be cxxrtl for a trace, since no other records one; choose it, or no trace"
    with pytest.raises(SpikeloomError, match=f"^{re.escape(message)}$"):
        simulate(folder / "build", np.load(folder / "x.npy"), simulator="icarus", waveform=TraceRequest(Path("a.fst")))


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        networks.registers,
        networks.strides,
        networks.single,
        sweep_networks.synchronous,
        sweep_networks.stepwise,
    ],
)
def test_spikes_of_other_networks_are_goldens(network: Callable[[], Network], tmp_path: Path) -> None:
    design = Design.load(generate(network(), tmp_path / "build", lanes=4).folder)
    x = random_samples(np.random.default_rng(5), design.network, 3)
    result, wave = traced(tmp_path, x)
    assert result.mismatches == 0
    assert check_spikes(wave, design.network, golden.run_values(design.network, x)) > 0
    for item in design.network.populations:
        assert wave.changes(f"layers.{item.name}.mismatches")[1].tolist() == [0]


@pytest.mark.slow
def test_spikes_of_a_core_that_runs_all_layers_are_goldens(woven: Design, tmp_path: Path) -> None:
    x = random_samples(np.random.default_rng(6), woven.network, 2)
    result, wave = traced(tmp_path, x, build=woven.folder.name)
    assert result.mismatches == 0
    assert check_spikes(wave, woven.network, golden.run(woven.network, x)) > 0


@pytest.mark.slow
def test_spikes_of_a_recurrent_network_are_goldens(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    design = Design.load(generate(random_recurrent_network(rng, sequence=True), tmp_path / "build", lanes=3).folder)
    x = random_sequences(rng, design.network, 3)
    result, wave = traced(tmp_path, x)
    assert result.mismatches == 0
    assert check_spikes(wave, design.network, golden.run_values(design.network, x)) > 0


def test_a_run_with_stalls_is_recorded_under_the_numbers_of_its_samples(folder: Path, tmp_path: Path) -> None:
    design, numbers = Design.load(folder / "build"), np.array([7, 3])
    run = Run(np.load(folder / "x.npy"), numbers, 5, 0, 1, "with stalls")
    done = trace(design, TraceRequest(tmp_path / "wave.fst", 1, EVERY), run, lambda what: None)
    wave = Waveform(tmp_path / "wave.fst")
    assert (done.first_sample, done.samples, done.what) == (3, 1, "with stalls")
    assert 0 < done.first_cycle < intervals(wave, "layers.l1.accumulates", 3)[0][0]
    want = golden.run(design.network, np.load(folder / "x.npy"))
    for name, train in want.spikes.items():
        found = spikes_in(wave, design.network, name, 3, len(train[1]))
        np.testing.assert_array_equal(found, train[1].reshape(len(train[1]), -1))
    waits = wave.at("spikeloom.o__valid", (at := wave.changes("layers.cycle")[1])) & (
        wave.at("spikeloom.o__ready", at) ^ 1
    )
    assert waits.any()


@pytest.mark.slow
def test_a_design_that_hangs_is_recorded_up_to_its_end(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "build", tmp_path / "build")
    path = tmp_path / "build" / "spikeloom.v"
    text, count = re.subn(r"\.deciding\(o_class__valid\)", ".deciding()", path.read_text())  # no class ever leaves
    assert count == 1
    path.write_text(text)
    result, wave = traced(tmp_path, np.load(folder / "x.npy"))
    assert result.trace is not None
    assert re.match(r"sample 0: nothing moved for \d+ cycles", result.first_divergence or "")
    assert result.trace.marker_cycle == result.trace.last_cycle == wave.changes("layers.cycle")[1][-1]
    assert wave.changes("layers.readout.class")[1].tolist() == [-1]
