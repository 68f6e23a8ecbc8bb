"""One thread for as long as it takes, so that sums come in the same order on every machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run PyTorch's operations on one thread inside, on as many as before afterwards.

    Results are then the same whatever the number of cores, and small networks train faster: on a busy machine threads
    of small operations mostly wait for each other.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
