"""`spikeloom simulate --trace`: what it writes and says, and what it refuses before any work is done."""

from pathlib import Path

import pytest

from .conftest import Command


def test_trace_writes_a_waveform_and_both_layouts_and_says_what_is_in_them(
    spikeloom: Command, build: Path, tmp_path: Path
) -> None:
    from spikeloom_sim.wave.read import Waveform

    file = tmp_path / "tiny.fst"
    done = spikeloom(
        "simulate", build, "digits", "--samples", 3, "--no-stalls", "--trace", file, "--trace-neurons", 5, "--json"
    )
    assert (done.code, done.document["mismatches"], done.document["simulator"]) == (0, 0, "cxxrtl")
    trace, wave = done.document["trace"], Waveform(file)
    assert (trace["samples"], trace["first_sample"], trace["marker_cycle"]) == (2, 0, None)
    assert trace["signals"] == len(wave.names)
    assert [len(wave.neurons(name, "potential")) for name in wave.layers] == [0, 5, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.fst", "tiny.gtkw", "tiny.sucl"]
    cycles = wave.changes("layers.cycle")[1]
    assert (cycles[0], cycles[-1]) == (trace["first_cycle"], trace["last_cycle"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--trace", "{}/a.txt"), "Trace '{}/a.txt': must end in .fst or .vcd, not '.txt'; name it so"),
        (("--trace", "{}/no/a.vcd"), "Trace '{}/no/a.vcd': folder '{}/no' must exist; make it first"),
        (
            ("--trace", "{}/a.vcd", "--trace-samples", 0),
            "Trace '{}/a.vcd': samples must be at least 1, not 0",
        ),
        (
            ("--trace", "{}/a.vcd", "--simulator", "verilator"),
            "Simulator 'verilator': must be cxxrtl for a trace, since no other records one; choose it, or no trace",
        ),
        (
            ("--trace", "{}/folder.vcd"),
            "Output '{}/folder.vcd': must be a file to write the trace to, not a folder; name the file in it",
        ),
    ],
)
def test_a_trace_that_cannot_be_is_refused_in_one_line(
    spikeloom: Command, build: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    (tmp_path / "folder.vcd").mkdir()
    given = [str(option).replace("{}", str(tmp_path)) for option in options]
    done = spikeloom("simulate", build, "digits", "--samples", 2, *given)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines()[-1].endswith(message.replace("{}", str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.vcd"]
