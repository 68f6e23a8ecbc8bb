"""What a report takes from files that earlier commands left: read where it is of this build, else named."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from spikeloom_cli.report.facts import Missing, Point
from spikeloom_cli.report.results import SIMULATION, keep_simulation, simulation_of, sweep_of, synthesis_of

IDENTITY = {"digest": "d" * 64, "build": "b" * 16}
SIMULATED: dict[str, Any] = {
    "samples": 20, "mismatches": 0, "accuracy": 0.95, "latency_cycles": 10.5, "initiation_interval_cycles": 8.0,
    "lower_bound_cycles": 7.0, "utilisation": 0.875, "simulator": "cxxrtl", "seconds": 1.5, "first_divergence": None,
    "busiest": "l1", "cycles": 300, "cycles_by_layer": {"l1": 8.0}, "breakdown": {"c1": {"accumulating": 7.0}},
}  # fmt: skip
SYNTHESISED: dict[str, Any] = {
    "board": "b1", "clock_mhz": 25.0, "fmax_mhz": 80.5, "timing_met": True, "lut": 10, "lut_available": 100, "ram": 1,
    "ram_available": 8, "dsp": 0, "dsp_available": 4, "utilisation": {"FF": {"used": 5, "available": 50}}, "pll": "",
    "critical_path": ["a", "b"], "fmax_mhz_by_seed": [[1, 80.5]], "bitstream": "/home/me/net.bit", "sha256": "s",
    "seconds": 9.0, **IDENTITY,
}  # fmt: skip
SWEPT: dict[str, Any] = {
    "model": "m", "method": "spikeconverter", "data": "digits", "samples": 10, "accuracy_ann": 0.9,
    "points": [{"timesteps": 4, "accuracy": 0.8}, {"timesteps": 2, "accuracy": 0.7}],
}  # fmt: skip


def synthesis_in(folder: Path, document: Any) -> object:
    path = folder / "synth" / "b1" / "synth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return synthesis_of(folder, "b1", IDENTITY)


def test_simulation_that_was_kept_comes_back(tmp_path: Path) -> None:
    keep_simulation(tmp_path, SIMULATED, "digits", IDENTITY)
    found = simulation_of(tmp_path, IDENTITY, "digits")
    assert not isinstance(found, Missing)
    assert (found.data, found.samples, found.mismatches, found.interval_cycles) == ("digits", 20, 0, 8.0)
    assert (found.cycles_by_layer, found.states) == ({"l1": 8.0}, {"c1": {"accumulating": 7.0}})


def test_simulation_of_another_build_is_not_told_as_of_this_one(tmp_path: Path) -> None:
    keep_simulation(tmp_path, SIMULATED, "digits", IDENTITY | {"build": "c" * 16})
    assert simulation_of(tmp_path, IDENTITY, "digits") == Missing(
        "What simulation.json holds is of another build; this one was not simulated.",
        f"spikeloom simulate {tmp_path} digits",
    )


def test_nothing_there_yet_is_said_with_the_command(tmp_path: Path) -> None:
    assert simulation_of(tmp_path, IDENTITY, "DATA") == Missing(
        "It has not been simulated yet.", f"spikeloom simulate {tmp_path} DATA"
    )
    assert synthesis_of(tmp_path, "b1", IDENTITY) == Missing(
        "It has not been synthesised yet.", f"spikeloom synth {tmp_path}"
    )
    assert synthesis_of(tmp_path, "none", IDENTITY) == Missing(
        "It was generated for no board, so there is no device to fill.",
        "spikeloom generate network.loom --board ulx3s-85f",
    )
    assert isinstance(sweep_of(None), Missing)
    assert sweep_of(tmp_path / "nowhere") == Missing(
        "It has not been swept yet.", "spikeloom sweep MODEL --calibration DATA --timesteps 1,2,4,8 -o sweep"
    )


def test_synthesis_names_the_bitstream_without_its_folder(tmp_path: Path) -> None:
    found = synthesis_in(tmp_path, SYNTHESISED)
    assert not isinstance(found, Missing)
    assert found.bitstream == "net.bit"  # type: ignore[attr-defined]
    assert found.used[0] == ("look-up tables", 10, 100)  # type: ignore[attr-defined]
    assert found.cells == (("FF", 5, 50),)  # type: ignore[attr-defined]


def test_sweep_is_read_from_its_folder_or_file_in_order(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(SWEPT))
    for path in (tmp_path, tmp_path / "sweep.json"):
        found = sweep_of(path)
        assert not isinstance(found, Missing)
        assert found.points == (Point(2, 0.7), Point(4, 0.8))


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[]",
        "null",
        "1e999",
        "[" * 100_000,
        SYNTHESISED | {"clock_mhz": 0},
        SYNTHESISED | {"clock_mhz": "25"},
        SYNTHESISED | {"fmax_mhz": True},
        SYNTHESISED | {"lut": -1},
        SYNTHESISED | {"lut": 1.5},
        SYNTHESISED | {"utilisation": []},
        SYNTHESISED | {"utilisation": {"FF": 3}},
        SYNTHESISED | {"critical_path": 3},
        SYNTHESISED | {"fmax_mhz_by_seed": [[1]]},
        SYNTHESISED | {"bitstream": 7},
        {key: value for key, value in SYNTHESISED.items() if key != "seconds"},
    ],
    ids=lambda broken: str(broken)[:40],
)
def test_broken_file_is_missing_and_never_an_error(broken: Any, tmp_path: Path) -> None:
    found = synthesis_in(tmp_path, broken)
    assert isinstance(found, Missing)
    assert found.why.startswith("synth.json cannot be read (")
    assert found.command == f"spikeloom synth {tmp_path}"


@pytest.mark.parametrize("field", ["samples", "accuracy", "cycles_by_layer", "breakdown"])
def test_simulation_with_a_wrong_field_is_missing(field: str, tmp_path: Path) -> None:
    (tmp_path / SIMULATION).write_text(json.dumps(SIMULATED | IDENTITY | {"data": "x", field: ["?"]}))
    assert isinstance(simulation_of(tmp_path, IDENTITY, "x"), Missing)


def test_what_is_no_file_is_missing_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / SIMULATION)
    found = simulation_of(tmp_path, IDENTITY, "x")
    assert isinstance(found, Missing)
    assert found.why == "simulation.json cannot be read (ValueError: it is no file)."


def test_accuracy_beyond_one_is_no_sweep(tmp_path: Path) -> None:
    for points in ([], [{"timesteps": 1, "accuracy": 1.5}], [{"timesteps": 1, "accuracy": float("nan")}]):
        (tmp_path / "sweep.json").write_text(json.dumps(SWEPT | {"points": points}))
        assert isinstance(sweep_of(tmp_path), Missing)
