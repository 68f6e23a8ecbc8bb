"""The link in gates answers as the link in software, whatever comes over the line."""

import random

import pytest
from amaranth.sim import SimulatorContext
from link_bench import Bench, inference, spec_of
from spikeloom.link import Ack, GetStatistics, Read, Result, Sample, Statistics


def sample(bench: Bench, rng: random.Random) -> bytes:
    """Bytes of a random sample."""
    return rng.randbytes(bench.spec.identity.sample_bytes)


def result(bench: Bench, data: bytes) -> bytes:
    found = inference(bench.spec, bench.spec.identity.unpack_codes(data))
    return bench.spec.identity.pack_result(found.potentials, found.classes)


@pytest.mark.parametrize("stalls", [0.0, 0.3])
def test_samples_are_answered(stalls: float) -> None:
    bench, rng = Bench(spec_of(), stalls=stalls), random.Random(1)

    async def talk(ctx: SimulatorContext) -> None:
        await bench.open(ctx)
        for _ in range(3):
            data = sample(bench, rng)
            assert await bench.ask(ctx, Sample(data[:64])) == Ack()
            assert await bench.ask(ctx, Sample(data[64:])) == Result(result(bench, data))
        assert await bench.ask(ctx, Read(3)) == Result(result(bench, data)[3:])
        assert (await bench.ask(ctx, GetStatistics())).samples == 3

    bench.run(talk)
