"""The golden model: both its forms against each other, and against a reference of loops written from the definition."""

from typing import Any

import numpy as np
import pytest
import torch
from random_networks import RandomNetwork, random_network, random_samples
from spikeloom import (
    Connection,
    Conv2d,
    Dense,
    Input,
    InvalidData,
    Network,
    Neuron,
    Population,
    Readout,
    Silent,
    Trace,
    golden,
)
from spikeloom.encoding import encode
from spikeloom.trace import require_equal

GROWTHS = (1.0, 2.0, 1.5, 1.25, 1.0 + 2.0**-6, 0.5, 0.75, 1.0 - 2.0**-6)
EVERY = ("signed", "thresholds", "hard")


def grow(potential: int, growth: float) -> int:
    """Growth of the definition: V + floor(V * (k - 1)) or V - floor(V * (1 - k)), exact."""
    part = potential * int(abs(growth - 1) * 2**15) // 2**15
    return potential + part if growth > 1 else potential - part


def reference(network: Network, sample: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes [T, C, H, W] and potentials [C, H, W] of one uint8 sample, in plain Python integers, spike by spike."""
    source = network.inputs[0]
    code = encode(source, sample[None])[0].astype(int)
    bits = [np.sign(code) * ((abs(code) >> (source.timesteps - 1 - t)) & 1) for t in range(source.timesteps)]
    trains = {source.name: sent(bits, source.code)}
    growths, found = {source.name: 2.0}, {}
    for population in network.populations:
        channels, high, wide = population.shape
        initial = population.neuron.initial[0].astype(object).reshape(-1, 1, 1)
        total = np.zeros((channels, high, wide), object) + initial
        for connection in network.incoming(population.name):
            part = np.zeros((channels, high, wide), object)
            for number, spikes in enumerate(trains[connection.source]):
                if number:
                    part = np.array([grow(v, growths[connection.source]) for v in part.flat], object).reshape(
                        part.shape
                    )
                for c, y, x in np.argwhere(spikes):
                    add_spike(part, connection, spikes.shape, c, y, x, int(spikes[c, y, x]))
            total += part
        found[f"{population.name} accumulated"] = total
        if isinstance(population.neuron, Neuron):
            train, left = fire(total, population.neuron)
            trains[population.name] = sent(train, population.neuron.code)
            growths[population.name] = population.neuron.growth
            found[f"{population.name} remainder"] = left
    return found | {f"{name} spikes": np.stack(train) for name, train in trains.items()}


def sent(train: list[np.ndarray], code: str) -> list[np.ndarray]:
    """The bits [C, H, W] of a train, or the digits of their non-adjacent form as textbooks divide them off."""
    if code == "plain":
        return train
    digits = np.zeros((len(train) + 1, *train[0].shape), int)
    for at in np.ndindex(train[0].shape):
        value = sum(int(bits[at]) << place for place, bits in enumerate(reversed(train)))
        for place in range(len(train) + 1):
            digit = 2 - value % 4 if value % 2 else 0
            digits[(len(train) - place, *at)] = digit
            value = (value - digit) // 2
    return list(digits)


def add_spike(
    potential: np.ndarray, connection: Connection, shape: tuple[int, ...], c: int, y: int, x: int, sign: int
) -> None:
    """Add one spike's weights to the potentials [O, H', W'] of the target."""
    geometry, weights = connection.geometry, sign * connection.weights.astype(object) << connection.shift
    assert isinstance(geometry, Dense | Conv2d)
    high, wide = shape[1] // geometry.pool[0], shape[2] // geometry.pool[1]
    y, x = y // geometry.pool[0], x // geometry.pool[1]
    if y >= high or x >= wide:
        return
    if isinstance(geometry, Dense):
        potential[:, 0, 0] += weights[:, (c * high + y) * wide + x]
        return
    per_group_in, per_group_out = shape[0] // geometry.groups, len(potential) // geometry.groups
    group, channel = divmod(c, per_group_in)
    for o in range(group * per_group_out, (group + 1) * per_group_out):
        for row in range(potential.shape[1]):
            for column in range(potential.shape[2]):
                ky = y + geometry.padding[0] - row * geometry.stride[0]
                kx = x + geometry.padding[1] - column * geometry.stride[1]
                if 0 <= ky < geometry.kernel[0] and 0 <= kx < geometry.kernel[1]:
                    potential[o, row, column] += weights[o, channel, ky, kx]


def fire(total: np.ndarray, neuron: Neuron) -> tuple[list[np.ndarray], np.ndarray]:
    """Train and remainder of accumulated potentials [C, H, W]."""
    train = np.zeros((neuron.timesteps, *total.shape), int)
    left = np.zeros(total.shape, object)
    for at in np.ndindex(total.shape):
        theta, positive, negative, amount = (
            int((neuron.theta if vector is None else vector)[0, at[0]])
            for vector in (neuron.theta, neuron.fire_pos, neuron.fire_neg, neuron.reset)
        )
        most = (2 if neuron.growth > 1 else max(2, neuron.timesteps)) * theta
        potential = min(max(total[at], -most if neuron.signed else 0), most)
        for t in range(neuron.timesteps):
            if t:
                potential = grow(potential, neuron.growth)
            if potential >= positive:
                potential = 0 if neuron.reset_kind == "hard" else potential - amount
                train[(t, *at)] = 1
            elif neuron.signed and potential <= (-theta if neuron.fire_neg is None else negative):
                potential = 0 if neuron.reset_kind == "hard" else potential + amount
                train[(t, *at)] = -1
        left[at] = potential
    return list(train), left


def forms_agree(network: Network, x: np.ndarray) -> Trace:
    """The trace of the definition, after checking that the value form and evaluate give the same integers."""
    trace, values = golden.run(network, x), golden.run_values(network, x)
    require_equal(trace, values)
    require_equal(values, trace)
    assert list(trace.spikes) == list(values.spikes)
    outputs = golden.evaluate(network, x)
    assert isinstance(outputs, np.ndarray)
    assert outputs.dtype == np.int64
    np.testing.assert_array_equal(outputs, trace.accumulated["readout"][:, :, 0, 0])
    return trace


def long_network(rng: np.random.Generator) -> Network:
    """One hidden layer or two with trains of up to 16 steps, each its own, and shifts up to 15."""
    network = RandomNetwork(rng, (2, 5, 4), int(rng.integers(1, 17)), "long")
    options: list[dict[str, Any]] = [
        {"timesteps": int(rng.integers(1, 17)), "growth": float(rng.choice(GROWTHS)), "shift": int(rng.integers(0, 6))}
        for _ in range(2)
    ]
    for option in options:
        option["code"] = str(rng.choice(["plain", "naf"])) if option["growth"] == 2.0 else "plain"
    network.conv(4, Conv2d((3, 2), (1, 2), (1, 1), groups=int(rng.choice([1, 2]))), **options[0])
    if rng.random() < 0.5:
        network.dense(6, pool=(2, 1), **options[1])
    return network.readout(3)


@pytest.mark.parametrize("block", range(6))
def test_all_forms_agree_on_random_networks(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        rng = np.random.default_rng([1, seed])
        codes = ("plain", "naf") if seed % 3 else ("plain",)
        features = EVERY if seed % 5 > 1 else ()
        network = random_network(rng, growths=GROWTHS if seed % 2 else (1.0, 2.0), codes=codes, features=features)
        try:
            forms_agree(network, random_samples(rng, network, 5))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("block", range(3))
def test_all_forms_agree_on_trains_of_up_to_16_steps(block: int) -> None:
    for seed in range(block * 30, block * 30 + 30):
        rng = np.random.default_rng([2, seed])
        network = long_network(rng)
        forms_agree(network, random_samples(rng, network, 5))


@pytest.mark.parametrize("seed", range(40))
def test_definition_equals_loops_over_single_spikes(seed: int) -> None:
    rng = np.random.default_rng([3, seed])
    codes = ("plain", "naf") if seed % 3 else ("plain",)
    if seed % 4:
        network = random_network(rng, growths=GROWTHS, codes=codes, features=EVERY if seed % 5 else ())
    else:
        network = long_network(rng)
    x = random_samples(rng, network, 2)
    trace = golden.run(network, x)
    for number, sample in enumerate(x):
        expected = reference(network, sample)
        for field in ("spikes", "accumulated", "remainder"):
            for name, values in getattr(trace, field).items():
                np.testing.assert_array_equal(values[number], expected[f"{name} {field}"].astype(np.int64))


def exact_border(largest: int, timesteps: int, rng: np.random.Generator) -> tuple[Network, np.ndarray]:
    """A network whose layer's bound is `largest`, and samples that bring its potentials next to multiples of theta.

    The layer hears one 16-bit neuron with weight 1; its potential is the code plus `initial`, the least V whose
    quotient V*2^(T-1)/theta reaches an odd q, or one less. Thetas are such that this is then q - 1/theta: the nearest
    a quotient can come to an integer from below, and the first that a float rounds up to it.
    """
    count, codes, factor = 200, 1 << 16, 1 << (timesteps - 1)
    quotient = 2 * rng.integers(0, factor, count) + 1
    inverse = np.array([pow(int(q), -1, factor) for q in quotient])
    theta = np.maximum(rng.integers(largest // 3, largest // 2, count) // factor, 1) * factor + inverse
    edge = (quotient.astype(object) * theta - 1) // factor + 1
    x = rng.integers(0, codes, 8)
    x[0] = codes - 1
    initial = (edge - x[np.arange(count) % 8]).astype(np.int64) - rng.integers(0, 2, count)
    initial = np.clip(initial, -(largest - codes), largest - codes + 1)
    initial[-1] = largest - codes + 1  # reaches the bound at the largest code
    neuron = Neuron(timesteps, 2.0, theta[None], initial[None])
    network = Network(
        "border",
        (Input("input", (1, 1, 1), 16, scale=2.0**-16),),
        (
            Population("layer", (count, 1, 1), neuron),
            Population("readout", (1, 1, 1), Silent(np.zeros((1, 1), np.int64))),
        ),
        (
            Connection("to_layer", "input", "layer", Dense(), np.ones((count, 1), np.int8), 2),
            Connection("to_readout", "layer", "readout", Dense(), np.ones((1, count), np.int8), 2),
        ),
        (Readout("readout", 1.0),),
    )
    return network, (x / codes).reshape(8, 1)


@pytest.mark.parametrize("timesteps", [1, 4, 7, 16])
@pytest.mark.parametrize("power", [24, 27, 53, 56, 60])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_value_form_is_exact_around_the_largest_float_integers(timesteps: int, power: int, beyond: int) -> None:
    rng = np.random.default_rng([4, timesteps, power, beyond + 1])
    largest = min(1 << (power - timesteps + 1), 1 << 45) + beyond
    if largest < 1 << 17:
        largest = (1 << 17) + beyond
    network, x = exact_border(largest, timesteps, rng)
    trace = forms_agree(network, x)
    potential = trace.accumulated["layer"][:, :, 0, 0].astype(object)
    neuron = network.populations[0].neuron
    assert isinstance(neuron, Neuron)
    assert potential.max() == largest
    expected = np.clip(potential * 2 ** (timesteps - 1) // neuron.theta[0].astype(object), 0, 2**timesteps - 1)
    np.testing.assert_array_equal(trace.accumulated["readout"][:, 0, 0, 0], expected.sum(1).astype(np.int64))


@pytest.mark.parametrize("bits", [20, 24, 25, 30, 47])
def test_sums_wider_than_a_float32_holds_are_exact(bits: int) -> None:
    rng = np.random.default_rng([5, bits])
    shift = min(15, max(0, bits - 28))
    network = RandomNetwork(rng, (1, 1, 64), 16 if bits > 24 else 8).dense(5, weight_bits=8, shift=shift, timesteps=16)
    forms_agree(network.readout(4, shift=shift), rng.random((20, 1, 1, 64)))


@pytest.mark.parametrize("setting", ["autocast", "matmul precision", "convolution precision", "float64 by default"])
def test_what_the_caller_switched_on_in_torch_changes_no_integer(setting: str) -> None:
    rng = np.random.default_rng(6)
    layers = RandomNetwork(rng, (2, 9, 9), 12).conv(8, Conv2d((3, 3)), timesteps=12, weight_bits=8)
    network = layers.dense(64, timesteps=12).readout(10)
    x = rng.random((64, 2, 9, 9))
    expected = golden.run(network, x)
    conv = torch.backends.mkldnn.conv  # type: ignore[attr-defined]
    try:
        if setting == "matmul precision":
            torch.set_float32_matmul_precision("medium")
        if setting == "convolution precision":
            conv.fp32_precision = "bf16"
        if setting == "float64 by default":
            torch.set_default_dtype(torch.float64)
        with torch.autocast("cpu", enabled=setting == "autocast"):
            require_equal(expected, golden.run_values(network, x))
            require_equal(expected, golden.run(network, x))
        assert torch.get_float32_matmul_precision() == ("medium" if setting == "matmul precision" else "highest")
        assert conv.fp32_precision == ("bf16" if setting == "convolution precision" else "none")
    finally:
        torch.set_float32_matmul_precision("highest")
        conv.fp32_precision = "none"
        torch.set_default_dtype(torch.float32)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    network = random_network(rng, layers=2)
    x = random_samples(rng, network, 11)
    expected = golden.run_values(network, x)
    monkeypatch.setattr("spikeloom.golden.values._CHUNK_NEURONS", 1)
    require_equal(expected, golden.run_values(network, x))
    np.testing.assert_array_equal(golden.evaluate(network, x), expected.accumulated["readout"].reshape(11, -1))


def test_no_samples_give_empty_traces() -> None:
    rng = np.random.default_rng(8)
    network = RandomNetwork(rng, (1, 4, 5)).conv(3, Conv2d((2, 2), pool=(2, 1))).dense(4, growth=1.5).readout(2)
    trace = forms_agree(network, np.zeros((0, 1, 4, 5), np.uint8))
    assert {name: spikes.shape for name, spikes in trace.spikes.items()} == {
        "input": (0, 4, 1, 4, 5),
        "l1": (0, 4, 3, 1, 4),
        "l2": (0, 4, 4, 1, 1),
    }


def test_running_twice_gives_the_same_and_leaves_the_samples_alone() -> None:
    rng = np.random.default_rng(9)
    network = random_network(rng, layers=2)
    x = random_samples(rng, network, 4)
    x.setflags(write=False)
    require_equal(golden.run(network, x), golden.run(network, x))
    np.testing.assert_array_equal(golden.evaluate(network, x), golden.evaluate(network, x))


def branched() -> Network:
    """Two layers hear the input, a third hears both and the input, and there are two readouts."""
    rng = np.random.default_rng(10)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-31, 32, shape, dtype=np.int8)

    def neuron(channels: int, growth: float, timesteps: int) -> Neuron:
        return Neuron(timesteps, growth, rng.integers(50, 400, (1, channels)), rng.integers(-50, 50, (1, channels)))

    def silent(channels: int) -> Silent:
        return Silent(rng.integers(-50, 50, (1, channels)))

    pooled = Conv2d((2, 2), pool=(2, 2))
    return Network(
        "branched",
        (Input("input", (1, 6, 6), 5, scale=1 / 32),),
        (
            Population("left", (3, 2, 2), neuron(3, 2.0, 4)),
            Population("early", (2, 1, 1), silent(2)),
            Population("right", (2, 6, 6), neuron(2, 1.0, 6)),
            Population("both", (4, 1, 1), neuron(4, 1.5, 3)),
            Population("late", (3, 1, 1), silent(3)),
        ),
        (
            Connection("a", "input", "left", pooled, weights(3, 1, 2, 2), 6),
            Connection("b", "left", "early", Dense(), weights(2, 12), 6, 2),
            Connection("c", "input", "right", Conv2d((1, 1)), weights(2, 1, 1, 1), 6),
            Connection("d", "left", "both", Dense(), weights(4, 12), 6),
            Connection("e", "right", "both", Dense((3, 3)), weights(4, 8), 6, 1),
            Connection("f", "input", "both", Dense((6, 2)), weights(4, 3), 6),
            Connection("g", "both", "late", Dense(), weights(3, 4), 6),
            Connection("h", "right", "late", Dense((2, 3)), weights(3, 12), 6),
        ),
        (Readout("late", 1.0), Readout("early", 0.5)),
    )


def test_several_sources_of_any_growth_and_several_readouts_add_up() -> None:
    network = branched()
    x = np.random.default_rng(11).integers(0, 256, (5, 1, 6, 6), dtype=np.uint8)
    trace = golden.run(network, x)
    require_equal(trace, golden.run_values(network, x))
    outputs = golden.evaluate(network, x)
    assert isinstance(outputs, dict)
    assert list(outputs) == ["late", "early"]
    for name, potentials in outputs.items():
        np.testing.assert_array_equal(potentials, trace.accumulated[name].reshape(5, -1))
    for number, sample in enumerate(x):
        expected = reference(network, sample)
        for name, potentials in trace.accumulated.items():
            np.testing.assert_array_equal(potentials[number], expected[f"{name} accumulated"].astype(np.int64))


@pytest.mark.parametrize("form", [golden.run, golden.run_values, golden.evaluate])
def test_samples_of_another_shape_are_refused(form: Any) -> None:
    network = RandomNetwork(np.random.default_rng(12), (1, 4, 5), name="small").readout(2)
    with pytest.raises(InvalidData) as error:
        form(network, np.zeros((3, 5, 4), np.uint8))
    assert str(error.value) == "Data for 'input': must have shape (N, 1, 4, 5), not (3, 5, 4)"
