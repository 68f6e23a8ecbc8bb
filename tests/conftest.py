"""Makes this folder importable (`random_networks`) from every test: pytest puts a conftest's folder on the path."""

import signal
import sys

import pytest

# A run in the background starts with SIGINT ignored, and so would every process the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_weights_in_any_order() -> None:
    """Random weights of a module depend on the test that makes it alone, not on those that its worker ran before."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)
