"""What the benchmarks call a miss: every bound that does not hold is named, with what was reached."""

from typing import Any

from spikeloom_cli.bench import deep, encoder, plan, small

PLANNED: dict[str, Any] = {
    "network": "net",
    "mismatches": 0,
    "cycles_predicted": 1050.0,
    "cycles_simulated": 1000.0,
    "deviation_percent": 5.0,
    "ram_planned": 4,
    "ram_yosys": 4,
}
ENCODED: dict[str, Any] = {"code": "naf", "mismatches": 0, "cycles_at_event_port": 300.0, "ratio": 1.05}
SMALL: dict[str, Any] = {
    "accuracy_ann": 0.98,
    "accuracy_snn": 0.978,
    "simulated": {"mismatches": 0},
    "synthesised": {"timing_met": True},
}


def test_what_is_just_reached_misses_nothing() -> None:
    assert plan.missed(PLANNED) == []
    assert encoder.missed(ENCODED) == []
    assert small.missed(SMALL) == []


def test_every_miss_of_a_plan_is_named() -> None:
    row = PLANNED | {"mismatches": 2, "deviation_percent": -6.0, "cycles_predicted": 940.0, "ram_yosys": 5}
    assert plan.missed(row) == [
        "integers differ: 2",
        "cycles predicted 940, simulated 1000.0",
        "block RAMs planned 4, of Yosys 5",
    ]
    assert plan.missed(PLANNED | {"deviation_percent": None, "cycles_simulated": None}) == [
        "cycles predicted 1050, simulated None"
    ]


def test_every_miss_of_the_encoder_is_named() -> None:
    assert encoder.missed(ENCODED | {"mismatches": 1, "cycles_at_event_port": 300.5, "ratio": 1.06}) == [
        "integers differ: 1",
        "cycles at the event port 300.5 above 300",
        "ratio behind the encoder 1.06 above 1.05",
    ]
    assert encoder.missed({"code": "plain", "mismatches": 0, "cycles_at_event_port": None, "ratio": None}) == [
        "cycles at the event port None above 430",
        "ratio behind the encoder None above 1.05",
    ]


def test_every_miss_of_a_small_model_is_named() -> None:
    row = SMALL | {"accuracy_snn": 0.974, "simulated": {"mismatches": 3}, "synthesised": {"timing_met": False}}
    assert small.missed(row) == ["integers differ: 3", "accuracy loses 0.60 points, above 0.5", "timing is not met"]


def test_ten_networks_are_planned() -> None:
    assert len({case.name for case in plan.CASES}) == 10


def test_every_miss_of_resnet_is_named() -> None:
    conversions = [
        {"timesteps": 6, "weight_bits": 8, "loss_points": 0.1},
        {"timesteps": 5, "weight_bits": 8, "loss_points": 0.18},
        {"timesteps": 5, "weight_bits": 6, "loss_points": 0.3},
        {"timesteps": 5, "weight_bits": 8, "loss_points": 0.11, "layer_timesteps": {"conv1": 8}},
    ]
    good = {"mismatches": 0, "initiation_interval_cycles": 270_000.0, "utilisation": 0.84}
    one = {"timesteps": 6, "cores": 1, "board": "b", "simulated": good, "synthesised": {"fmax_mhz": 60.0}}
    one["comb_per_lane"] = 115.0
    plain = {"timesteps": 6, "cores": 1, "board": "none", "simulated": good}
    two = plain | {"cores": 2, "simulated": good | {"initiation_interval_cycles": 158_000.0}}
    assert deep.missed(conversions[:1], [one, plain, two]) == []
    bad = {"mismatches": 3, "initiation_interval_cycles": 270_001.0, "utilisation": 0.7}
    worse = one | {"timesteps": 5, "simulated": bad, "synthesised": {"fmax_mhz": 47.0}, "comb_per_lane": 116.0}
    plain |= {"timesteps": 5, "simulated": good | {"initiation_interval_cycles": 270_001.0}}
    slow = plain | {"cores": 3, "simulated": good | {"initiation_interval_cycles": 135_000.5}}
    assert deep.missed(conversions, [worse, plain, slow]) == [
        "T=5, 8 bits: loses 0.18 points, above 0.1",
        "T=5, conv1 8, 8 bits: loses 0.11 points, above 0.1",
        "T=5, 1 core: 3 integers that differ, above 0",
        "T=5, 1 core: 270001 cycles, above 270000",
        "T=5, 1 core: 0.7 utilisation, below 0.75",
        "T=5, 1 core: 47 MHz, below 60",
        "T=5, 1 core: 116 TRELLIS_COMB a lane, above 115",
        "T=5, 3 cores: 2 times the throughput of one core, below 2.4",
    ]
