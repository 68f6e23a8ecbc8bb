"""Words that travel between components, declared once for hardware, benches and memory images."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import ceil_log2
from spikeloom.geometry import Shape


def event_layout(neurons: int, timesteps: int) -> data.StructLayout:
    """An event at the input port: a spike's address and time step (0 first), or the end mark of a sample."""
    return data.StructLayout({"address": ceil_log2(neurons), "step": ceil_log2(timesteps), "end": 1})


def spike_layout(shape: Shape, timesteps: int) -> data.StructLayout:
    """An event between cores: the neuron by coordinates, its time step, or the end mark of a sample."""
    channels, height, width = shape
    return data.StructLayout(
        {
            "c": ceil_log2(channels),
            "y": ceil_log2(height),
            "x": ceil_log2(width),
            "step": ceil_log2(timesteps),
            "end": 1,
        }
    )


def row_layout(bits: int, lanes: int) -> data.ArrayLayout:
    """A row of signed integers, lane 0 in the lowest bits."""
    return data.ArrayLayout(signed(bits), lanes)


def slot_layout(bits: int, width: int) -> data.StructLayout:
    """Neighbouring potentials on their way to the generator; `last` marks the last slot of a sample."""
    return data.StructLayout({"potentials": row_layout(bits, width), "last": 1})


def train_layout(timesteps: int, width: int) -> data.StructLayout:
    """Trains of neighbouring neurons leaving the generator: bit t*width + n is neuron n's spike at time step t."""
    return data.StructLayout({"spikes": unsigned(timesteps * width), "last": 1})


def potential_layout(bits: int) -> data.StructLayout:
    """A readout potential; `last` marks the last output of a sample."""
    return data.StructLayout({"potential": signed(bits), "last": 1})


def class_bits(outputs: int) -> int:
    """Width of a class index."""
    return max(1, ceil_log2(outputs))
