"""The digits network behind its serial pins: hostile frames, and samples at the full rate of the line."""

import os
import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from spikeloom import Network
from spikeloom.datasets import load
from spikeloom.encoding import encode
from spikeloom.link import (
    Device,
    Framer,
    GetStatistics,
    Identify,
    Result,
    Sample,
    frame,
    golden_inference,
    pack,
    unpack,
)
from spikeloom_convert import convert
from spikeloom_hw.build import Build, generate
from spikeloom_hw.link.serial import SerialCore, VerilogCore
from spikeloom_hw.link.spec import LinkSpec
from spikeloom_sim.fuzz.duel import Duel
from spikeloom_sim.fuzz.hostile import HOSTILE, Attacker, Case
from spikeloom_sim.serial_line import SerialLine

DIVISOR = 4
TIMEOUT_CYCLES = 4096  # rather than 50 ms, so that silence costs no minutes
PATIENCE = 20_000  # cycles after which an answer will not come
SEED = int(os.environ.get("SPIKELOOM_SEED", "0"))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    return convert(model, load("digits", "train").x[:300], method="spikeconverter", timesteps=4, weight_bits=6)


@pytest.fixture(scope="module")
def samples(network: Network) -> np.ndarray:
    """Codes [N, 64] of test images."""
    return encode(network.inputs[0], load("digits", "test").x[:50]).reshape(50, -1)


@pytest.fixture(scope="module")
def build(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Build:
    return generate(network, tmp_path_factory.mktemp("link") / "build", lanes=8)


@pytest.fixture(scope="module")
def serial(build: Build) -> SerialCore:
    spec = replace(LinkSpec.of(build.manifest, 12e6), timeout_cycles=TIMEOUT_CYCLES)
    return SerialCore(spec=spec, core=VerilogCore(spec=spec, module=build.manifest["top"]), divisor=DIVISOR)


@pytest.fixture
def line(build: Build, serial: SerialCore) -> Iterator[SerialLine]:
    with SerialLine(build, serial) as line:
        yield line


@pytest.fixture
def twin(build: Build, serial: SerialCore, network: Network) -> Device:
    infer = golden_inference(network, build.manifest["readout"]["populations"])
    return Device(serial.spec.identity, infer, timeout_s=1)


def duel(line: SerialLine, twin: Device, samples: np.ndarray, cases: int) -> Duel:
    """Hostile cases, each with a good frame behind it."""

    def gates(case: Case, wanted: int) -> bytes:
        acts = [part for act in case.acts for part in line.act(act, TIMEOUT_CYCLES)]
        return line.run(acts, wanted=wanted, patience=PATIENCE)[0]

    attacker = Attacker(random.Random(SEED), twin.identity, [twin.identity.pack_codes(codes) for codes in samples])
    fight = Duel(attacker, twin, gates)
    fight.run(cases)
    assert line.broken == 0
    assert set(fight.cases) == {*HOSTILE, "good"}
    assert fight.cases["good"] == cases
    return fight


def test_every_good_frame_after_a_hostile_one_is_answered(line: SerialLine, twin: Device, samples: np.ndarray) -> None:
    fight = duel(line, twin, samples, 300)
    assert fight.replies["Result"] > 100


@pytest.mark.slow
def test_ten_thousand_hostile_frames_and_no_wrong_answer(line: SerialLine, twin: Device, samples: np.ndarray) -> None:
    duel(line, twin, samples, 10_000)


def test_samples_follow_one_another_at_the_full_rate_of_the_line(
    line: SerialLine, twin: Device, samples: np.ndarray
) -> None:
    messages = [Identify(), *(Sample(twin.identity.pack_codes(codes)) for codes in samples), GetStatistics()]
    asked = [frame(pack(message, n)) for n, message in enumerate(messages)]
    line.run(asked[0], wanted=len(twin.receive(asked[0])), patience=PATIENCE)
    wanted = sum(len(twin.receive(data)) for data in asked[1:])
    start = line.cycle
    got, cycles = line.run(b"".join(asked[1:]), wanted=wanted, patience=PATIENCE)
    answers = [unpack(body) for body in Framer().feed(got)]
    assert [number for _, number in answers] == list(range(1, len(asked)))
    assert sum(isinstance(answer, Result) for answer, _ in answers) == len(samples)
    last, _ = answers[-1]
    assert (last.samples, last.crowded) == (len(samples), 0)
    # what is not the time of the bytes on the line is less than that of one frame
    line_cycles = sum(map(len, asked[1:])) * 10 * DIVISOR
    assert cycles[-1] - start < line_cycles + 100 * 10 * DIVISOR
