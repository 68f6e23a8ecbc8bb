"""The room that checks generated Verilog against the golden model, bit by bit."""

from typing import Any

__all__ = ["SimulationResult", "simulate"]


def __getattr__(name: str) -> Any:
    """Import on first use: benches run inside simulators, where everything imported costs time."""
    if name in __all__:
        from . import simulation

        return getattr(simulation, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
