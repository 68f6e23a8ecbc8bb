"""Chains of cores against the golden model in Amaranth's simulator."""

import numpy as np
import pytest
from hw.harness import chain, events, simulate
from random_networks import RandomNetwork
from spikeloom import Conv2d, DoesNotFit, Network, golden
from spikeloom.placing.cores import plan_core
from spikeloom.placing.place import agreed
from spikeloom.program.program import Program
from spikeloom_hw.core.chain import core_specs
from spikeloom_sim.fuzz.draw import PLAIN, draw_network

SEEDS = (0, 1)


def networks(rng: np.random.Generator) -> dict[str, Network]:
    """Small networks, one for each thing the core does differently."""
    conv = Conv2d((3, 3), padding=(1, 1))
    return {
        "dense": RandomNetwork(rng, (1, 4, 4)).dense(6).readout(3),
        "dense_growth_1": RandomNetwork(rng, (1, 4, 4)).dense(5, growth=1.0, timesteps=3).readout(4),
        "conv": RandomNetwork(rng, (1, 5, 6)).conv(4, conv).readout(3),
        "conv_strided": RandomNetwork(rng, (2, 7, 6), 3).conv(3, Conv2d((3, 2), (2, 3), (1, 0))).readout(3),
        "conv_pooled": RandomNetwork(rng, (1, 7, 8)).conv(4, conv).conv(6, Conv2d((3, 3), pool=(2, 2))).readout(3),
        "pooled_dense": RandomNetwork(rng, (1, 5, 6), 2).conv(2, conv, timesteps=1).readout(5, pool=(2, 3)),
        "grouped": RandomNetwork(rng, (4, 4, 4), 2).conv(6, Conv2d((2, 2), groups=2)).readout(3),
        "depthwise": RandomNetwork(rng, (4, 4, 4), 2).conv(4, Conv2d((3, 3), padding=(1, 1), groups=4)).readout(3),
        "pointwise": RandomNetwork(rng, (3, 3, 3), 3).conv(4, Conv2d((1, 1))).readout(3),
    }


NAMES = tuple(networks(np.random.default_rng(0)))


@pytest.mark.parametrize(("lanes", "cores"), [(3, None), (2, 1), (18, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_chain_equals_golden_model_with_stalls_over_several_samples(name: str, lanes: int, cores: int | None) -> None:
    rng = np.random.default_rng([lanes, NAMES.index(name)])
    network = networks(rng)[name]
    shape = network.inputs[0].shape
    x = rng.integers(0, 256, (4, *shape)).astype(np.uint8)
    x[1] = 0  # a sample without a single event
    expected = golden.evaluate(network, x)
    output = simulate(chain(network, lanes, cores), events(network, x, rng), rng, stalls=0.3)
    assert output.potentials == expected.tolist()
    assert output.classes == expected.argmax(1).tolist()


@pytest.mark.parametrize(("size", "padding"), [(80, 38), (20, 75)])
def test_an_event_may_take_more_passes_than_a_machine_word_has_bits(size: int, padding: int) -> None:
    rng = np.random.default_rng(7)
    network = RandomNetwork(rng, (1, size, 1), 2).conv(2, Conv2d((76, 1), padding=(padding, 0))).readout(3)
    x = rng.integers(0, 256, (2, 1, size, 1)).astype(np.uint8)
    x[rng.random(x.shape) < 0.5] = 0
    output = simulate(chain(network, 1, None), events(network, x, rng), rng, stalls=0.3)
    assert output.potentials == golden.evaluate(network, x).tolist()


def test_a_store_that_does_not_get_its_words_whole_is_refused() -> None:
    network = draw_network(2097153, depth=2, kinds=frozenset(PLAIN))
    cores = [plan_core(network, 0, width=5), plan_core(network, 1, width=12), plan_core(network, 2, width=1)]
    with pytest.raises(DoesNotFit) as error:
        core_specs(Program(network, tuple(cores)))
    assert str(error.value) == (
        "Core 'l1_l1': 4 codes, a word of the next core's store, must be a part of its width and whole slots, "
        "not of 5 lanes and 1 a slot; use `spikeloom.placing.place.agreed`"
    )
    assert [spec.announce for spec in core_specs(Program(network, agreed(network, cores)))] == [1, 0, 0]
