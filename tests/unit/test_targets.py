"""The benchmark's targets: a bound that does not hold is named, with what was reached."""

from dataclasses import fields
from typing import Any

from spikeloom_cli.bench.targets import TARGETS, Target, missed
from spikeloom_hw.bitstream.synth import SynthResult
from spikeloom_sim import SimulationResult

TARGET = Target("net", 4, "icebreaker", accuracy=0.97, lut=5280, interval_us=1000.0, fmax_mhz=24.0, latency_us=8.0)


def simulated(**changes: Any) -> SimulationResult:
    """A simulation that found nothing wrong."""
    values = {"samples": 10, "mismatches": 0, "accuracy": 0.98, "simulator": "cxxrtl", "seconds": 1.0} | changes
    return SimulationResult(**{field.name: None for field in fields(SimulationResult)} | values)  # type: ignore[arg-type]


def routed(**changes: Any) -> SynthResult:
    """A design within its bounds."""
    values = {"fmax_mhz": 24.0, "lut": 5280} | changes
    return SynthResult(**{field.name: None for field in fields(SynthResult)} | values)  # type: ignore[arg-type]


def test_target_that_is_just_reached_misses_nothing() -> None:
    assert missed(TARGET, simulated(accuracy=0.97), routed(), {"interval_us": 1000.0, "latency_us": 8.0}) == []


def test_every_bound_that_does_not_hold_is_named() -> None:
    found = missed(
        TARGET,
        simulated(mismatches=3, accuracy=0.96),
        routed(fmax_mhz=23.5, lut=5281),
        {"interval_us": 1000.5, "latency_us": 8.25},
    )
    assert found == [
        "integers differ: 3",
        "accuracy 0.96 below 0.97",
        "fmax_mhz 23.5 below 24",
        "interval_us 1000.5 above 1000",
        "latency_us 8.25 above 8",
        "lut 5281 above 5280",
    ]


def test_targets_are_told_apart() -> None:
    assert len({(target.network, target.weight_bits, target.code, target.board) for target in TARGETS}) == len(TARGETS)
