# amaranth: UnusedElaboratable=no
"""The encoder against `encode` and `spikes_of`: stalls on every port, resets, odd sizes, and its pace."""

import re
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter, Signal, Value
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.sim import Simulator, SimulatorContext
from spikeloom import datasets
from spikeloom.encoding import encode, spikes_of
from spikeloom.network import Input
from spikeloom_hw.core.codes import train_of
from spikeloom_hw.core.encoder import PixelEncoder

CODES = ("plain", "naf")
Event = tuple[int, int, int]  # address, time step, sign


@dataclass
class Output:
    """Events of each sample as they came, and the cycle of each end mark."""

    samples: list[list[Event]] = field(default_factory=lambda: [[]])
    cycles: list[int] = field(default_factory=list)


def trains(dut: PixelEncoder, x: np.ndarray) -> np.ndarray:
    """Trains [N, digits, neurons] of samples uint8 [N, neurons], or of codes int64, by the definition."""
    if x.dtype != np.uint8:
        return spikes_of(x, dut.timesteps, dut.code).reshape(len(x), dut.digits, dut.neurons)
    source = Input("x", (dut.neurons, 1, 1), dut.timesteps, 1 / 255, code=dut.code)
    spikes = spikes_of(encode(source, x), source.timesteps, source.code)
    return spikes.reshape(len(x), dut.digits, dut.neurons)


def wanted(dut: PixelEncoder, x: np.ndarray) -> list[list[Event]]:
    """Events of every sample in order of word, time step and address."""
    found = []
    for train in trains(dut, x):
        events = [(int(a), int(t), int(train[t, a])) for t, a in np.argwhere(train)]
        found.append(sorted(events, key=lambda event: (event[0] // dut.pixels, event[1], event[0])))
    return found


def words(dut: PixelEncoder, x: np.ndarray) -> list[tuple[list[int], int]]:
    """(pixels, last) of samples [N, neurons]; what lies beyond a sample's end is noise."""
    count, mask = -(-dut.neurons // dut.pixels), (1 << dut.bits) - 1
    found = []
    for sample in (x & mask).tolist():
        padded = sample + [mask] * (count * dut.pixels - dut.neurons)
        parts = [padded[n * dut.pixels : (n + 1) * dut.pixels] for n in range(count)]
        found += [(part, int(n == count - 1)) for n, part in enumerate(parts)]
    return found


async def send(
    context: SimulatorContext, dut: PixelEncoder, beats: list, rng: np.random.Generator, stalls: float
) -> None:
    """Send words."""
    for pixels, last in beats:
        while rng.random() < stalls:
            context.set(dut.i.valid, 0)
            await context.tick()
        context.set(dut.i.valid, 1)
        context.set(dut.i.payload, {"pixels": pixels, "last": last})
        await context.tick().until(dut.i.ready)
    context.set(dut.i.valid, 0)


async def receive(
    context: SimulatorContext, dut: PixelEncoder, x: np.ndarray, rng: np.random.Generator, stalls: float, output: Output
) -> None:
    """Take the events of all samples, and check that a payload holds while it waits."""
    most = 500 + 60 * len(words(dut, x)) + 30 * int(np.abs(trains(dut, x)).sum())
    cycle, waiting = 0, None
    while len(output.cycles) < len(x):
        ready = rng.random() >= stalls
        context.set(dut.o.ready, ready)
        _, _, valid, event = await context.tick().sample(dut.o.valid, dut.o.payload)
        cycle += 1
        assert cycle < most, "the encoder hangs"
        assert waiting is None or (valid and event.as_bits() == waiting), "a waiting event changed"
        waiting = event.as_bits() if valid and not ready else None
        if valid and ready and event.end:
            output.cycles.append(cycle)
            output.samples.append([])
        elif valid and ready:
            sign = -1 if dut.signed and event.negative else 1
            output.samples[-1].append((event.address, event.step, sign))
    output.samples.pop()


def simulate(
    dut: PixelEncoder, x: np.ndarray, rng: np.random.Generator, *, stalls: float = 0.0, aborted: int | None = None
) -> Output:
    """Send samples uint8 [N, neurons] back to back; with `aborted` a reset follows after so many cycles, then again."""
    reset, output = Signal(), Output()
    module = Module()
    module.submodules.dut = ResetInserter(reset)(dut)
    simulator = Simulator(module)
    simulator.add_clock(1e-6)
    started = Signal(init=int(aborted is None))

    async def resetting(context: SimulatorContext) -> None:
        if aborted is None:
            return
        context.set(dut.i.valid, 1)
        for cycle in range(aborted):
            context.set(dut.i.payload, {"pixels": rng.integers(0, 256, dut.pixels).tolist(), "last": cycle % 7 == 5})
            context.set(dut.o.ready, rng.random() >= stalls)
            await context.tick()
        context.set(dut.i.valid, 0)
        context.set(reset, 1)
        await context.tick()
        context.set(reset, 0)
        context.set(started, 1)

    async def sending(context: SimulatorContext) -> None:
        while not context.get(started):
            await context.changed(started)
        await send(context, dut, words(dut, x), rng, stalls)

    async def receiving(context: SimulatorContext) -> None:
        while not context.get(started):
            await context.changed(started)
        await receive(context, dut, x, rng, stalls, output)

    simulator.add_testbench(resetting)
    simulator.add_testbench(sending)
    simulator.add_testbench(receiving)
    simulator.run()
    return output


def sparse(rng: np.random.Generator, count: int, neurons: int) -> np.ndarray:
    """Samples uint8 [N, neurons] with runs of zeros, as images have them, and full words."""
    x = rng.integers(0, 256, (count, neurons)).astype(np.uint8)
    runs = np.repeat(rng.random((count, -(-neurons // 9))) < 0.5, 9, 1)[:, :neurons]
    return np.where(runs, 0, x).astype(np.uint8)


@pytest.mark.parametrize("stalls", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("timesteps", [1, 4, 8, 10])
def test_events_equal_the_definition_with_stalls_on_every_port(timesteps: int, code: str, stalls: float) -> None:
    rng = np.random.default_rng([timesteps, CODES.index(code), int(10 * stalls)])
    x = sparse(rng, 4, 49)
    dut = PixelEncoder(neurons=49, timesteps=timesteps, code=code, depth=4)
    assert simulate(dut, x, rng, stalls=stalls).samples == wanted(dut, x)


@pytest.mark.parametrize("pixels", [1, 3, 4, 8])
@pytest.mark.parametrize("neurons", [1, 7, 8, 30])
def test_sizes_that_are_no_multiple_of_a_word_are_cut_off_at_the_end(neurons: int, pixels: int) -> None:
    rng = np.random.default_rng([neurons, pixels])
    x = sparse(rng, 6, neurons)
    x[2], x[4] = 255, 0
    dut = PixelEncoder(neurons=neurons, timesteps=3, code=CODES[pixels // 2 % 2], pixels=pixels)
    assert simulate(dut, x, rng, stalls=0.3).samples == wanted(dut, x)


@pytest.mark.parametrize("depth", [0, 4])
@pytest.mark.parametrize(
    ("timesteps", "code", "signed"), [(4, "plain", False), (12, "naf", False), (1, "plain", True), (9, "plain", True)]
)
def test_codes_of_any_width_and_sign_with_a_queue_and_without(
    timesteps: int, code: str, signed: bool, depth: int
) -> None:
    rng = np.random.default_rng([timesteps, depth])
    most = (1 << timesteps) - 1
    x = rng.integers(-most if signed else 0, most + 1, (3, 7)) * rng.integers(0, 2, (3, 7))
    x[0, :2] = most, -most if signed else most
    dut = PixelEncoder(
        neurons=7, timesteps=timesteps, code=code, pixels=1 + depth // 2, depth=depth, bits=timesteps + signed,
        signed=signed,
    )  # fmt: skip
    assert simulate(dut, x, rng, stalls=0.3).samples == wanted(dut, x)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("value", [0, 15, 16, 255])
def test_samples_of_one_value_from_silent_to_full(value: int, code: str) -> None:
    rng = np.random.default_rng(value)
    x = np.full((3, 18), value, np.uint8)
    dut = PixelEncoder(neurons=18, timesteps=4, code=code)
    output = simulate(dut, x, rng)
    assert output.samples == wanted(dut, x)
    if value < 16:
        assert output.samples == [[]] * 3


@pytest.mark.parametrize("timesteps", [3, 8])
def test_minimal_weight_digits_give_back_every_pixel(timesteps: int) -> None:
    x = np.arange(256, dtype=np.uint8)[None]
    dut = PixelEncoder(neurons=256, timesteps=timesteps, code="naf")
    (events,) = simulate(dut, x, np.random.default_rng(0)).samples
    value = np.zeros(256, np.int64)
    for address, step, sign in events:
        value[address] += sign << (timesteps - step)
    assert (value == x[0] >> (8 - timesteps)).all()


@pytest.mark.parametrize("cycles", [1, 3, 4, 5, 40])
@pytest.mark.parametrize("code", CODES)
def test_reset_in_the_middle_leaves_nothing_behind(code: str, cycles: int) -> None:
    rng = np.random.default_rng([cycles, CODES.index(code)])
    x = sparse(rng, 3, 21)
    dut = PixelEncoder(neurons=21, timesteps=5, code=code, depth=5)
    output = simulate(dut, x, rng, stalls=0.5, aborted=cycles)
    assert output.samples == wanted(dut, x)


@pytest.mark.parametrize("code", CODES)
def test_pace_is_one_event_a_cycle_as_long_as_there_are_events(code: str) -> None:
    digits = datasets.load("digits", "test")
    x = np.zeros((6, 28, 28), np.uint8)
    x[:, 6:22, 6:22] = digits.x[:6].reshape(-1, 8, 8).repeat(2, 1).repeat(2, 2)  # as much border as MNIST has
    x = x.reshape(len(x), -1)
    dut = PixelEncoder(neurons=784, timesteps=4, code=code)
    output = simulate(dut, x, np.random.default_rng(0))
    assert output.samples == wanted(dut, x)
    events = np.abs(trains(dut, x)).sum((1, 2))
    assert output.cycles[-1] - output.cycles[0] <= 1.01 * (events[1:] + 1).sum()


def test_silent_samples_take_a_cycle_a_word() -> None:
    dut = PixelEncoder(neurons=64, timesteps=4)
    output = simulate(dut, np.zeros((5, 64), np.uint8), np.random.default_rng(0))
    assert np.diff(output.cycles).tolist() == [16] * 4


def reversed_digits(code: Value, **options: object) -> tuple[list, list]:
    """Trains with the least significant digit first."""
    spikes, signs = train_of(code, **options)
    return spikes[::-1], signs[::-1]


def without_signs(code: Value, **options: object) -> tuple[list, list]:
    """Trains whose negative spikes count like positive ones."""
    spikes, signs = train_of(code, **options)
    return spikes, [sign & 0 for sign in signs]


def shallow(width: int, depth: int) -> SyncFIFOBuffered:
    """A queue that holds two words less than it should."""
    return SyncFIFOBuffered(width=width, depth=depth - 2)


def never_masked(pixel: Value, last: Value) -> Value:
    """Pixels beyond the end of a sample that count."""
    return pixel


MUTANTS = {
    "the least significant digit comes first": ("train_of", reversed_digits),
    "negative spikes are positive": ("train_of", without_signs),
    "what lies beyond a sample's end counts": ("masked", never_masked),
    "a word too many goes into the queue": ("SyncFIFOBuffered", shallow),
    "registers survive a reset": ("Signal", partial(Signal, reset_less=True)),
}


def found(x: np.ndarray) -> bool:
    """Whether the bench sees a difference, with stalls and a reset in the middle."""
    for seed in range(3):
        dut = PixelEncoder(neurons=x.shape[1], timesteps=4, code="naf", depth=4)
        try:
            output = simulate(dut, x, np.random.default_rng(seed), stalls=0.6, aborted=9)
        except AssertionError:  # it hangs, or an event changes while it waits
            return True
        if output.samples != wanted(dut, x):
            return True
    return False


@pytest.mark.parametrize("name", MUTANTS)
def test_bench_catches_wrong_encoders(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attribute, fault = MUTANTS[name]
    monkeypatch.setattr(f"spikeloom_hw.core.encoder.{attribute}", fault)
    assert found(sparse(np.random.default_rng(1), 4, 49))


def test_parameters_out_of_range_are_refused_together() -> None:
    message = (
        "Encoder: neurons must be an integer of at least 1, not 0; timesteps must be an integer in 1..16, not 17; "
        "pixels must be an integer of at least 1, not 0; depth must be an integer of at least 4, not 3; "
        "bits must be an integer of at least 1, not 0; code must be plain or naf, not 'gray'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PixelEncoder(neurons=0, timesteps=17, code="gray", pixels=0, depth=3, bits=0)
    message = "Encoder: signed must be with code plain and 5 bits, not naf and 5"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        PixelEncoder(neurons=1, timesteps=4, code="naf", bits=5, signed=True)
