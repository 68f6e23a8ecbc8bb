"""Chunks of samples on several threads: in order, the same integers, and nothing left behind."""

import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from random_networks import random_network, random_samples
from spikeloom import golden
from spikeloom.golden import values
from spikeloom.golden.synapses import exact_arithmetic
from spikeloom.threads import side_by_side, single_threaded
from spikeloom.trace import require_equal


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_and_the_number_of_threads_stays(threads: int) -> None:
    assert list(side_by_side(lambda item: item * item, range(50))) == [item * item for item in range(50)]
    assert list(side_by_side(str, [])) == []
    assert torch.get_num_threads() == threads


def test_an_error_in_one_item_is_raised_in_its_turn(threads: int) -> None:
    results = side_by_side(lambda item: 6 // (3 - item), range(50))
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert torch.get_num_threads() == threads


def test_results_that_nobody_wants_are_not_computed(threads: int) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item

    results = side_by_side(work, range(1000))
    assert next(results) == 0
    results.close()
    assert len(begun) < 20
    assert torch.get_num_threads() == threads


ALONE = """
import os, torch
from spikeloom.threads import side_by_side

matrix = torch.ones(600, 600)
torch.set_num_threads(2)

def work(_):
    torch.nn.functional.linear(matrix, matrix)
    return len(os.listdir("/proc/self/task"))

before = len(os.listdir("/proc/self/task"))
most = max(side_by_side(work, range(8)))
assert most <= before + 2 and torch.get_num_threads() == 2, (before, most)
"""


def test_threads_have_no_threads_of_their_own() -> None:
    subprocess.run([sys.executable, "-c", ALONE], check=True, timeout=120)


def test_what_is_switched_off_for_exact_arithmetic_is_on_again_behind_all_threads() -> None:
    def work(item: int) -> bool:
        with exact_arithmetic():
            time.sleep(0.001 * (item % 3))
            return torch.backends.nnpack.set_flags(False)[0] is False

    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before, nnpack = matmul.fp32_precision, torch.backends.nnpack.set_flags(True)[0]
    try:
        with single_threaded():
            torch.set_num_threads(4)
            assert all(side_by_side(work, range(200)))
        assert matmul.fp32_precision == before
        assert torch.backends.nnpack.set_flags(True)[0] is True
    finally:
        torch.backends.nnpack.set_flags(nnpack)


def test_the_golden_model_gives_the_same_on_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "_CHUNK_NEURONS", 1)  # a sample a chunk
    network = random_network(np.random.default_rng(5))
    x = random_samples(np.random.default_rng(6), network, 12)
    with single_threaded():
        alone, trace = golden.evaluate(network, x), golden.run_values(network, x)
        torch.set_num_threads(4)
        assert np.array_equal(golden.evaluate(network, x), alone)
        require_equal(golden.run_values(network, x), trace)
