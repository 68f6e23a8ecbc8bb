"""Threads of PyTorch: one for as long as it takes, or several of which each does a part of its own."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

MOST = 8  # parts at a time: each takes memory
T = TypeVar("T")
R = TypeVar("R")


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


def at_a_time() -> int:
    """Items that `side_by_side` works on at a time."""
    return min(torch.get_num_threads(), MOST)


def side_by_side(function: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """What a function makes of items, in order, as many at a time as PyTorch has threads, and `MOST` at most.

    Every item is worked on by one thread; so is what the caller does between two of them. Threads that share one
    operation wait for each other at its end, which on a machine that is busy otherwise takes longer than the operation.
    """
    workers = at_a_time()
    if workers == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[R]] = deque()
    with single_threaded(), ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
