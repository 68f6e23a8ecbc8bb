"""Words that travel between components, declared once for hardware, benches and memory images."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from amaranth.utils import ceil_log2
from spikeloom.geometry import Shape

SPREAD = "spread_"  # begins the names of registers of which Yosys must not make one for all; see `bitstream.flow`


def event_layout(neurons: int, timesteps: int, *, negative: bool = False) -> data.StructLayout:
    """An event at the input port: a spike's address, time step (0 first) and sign, or the end mark of a sample."""
    sign = {"negative": 1} if negative else {}
    return data.StructLayout({"address": ceil_log2(neurons), "step": ceil_log2(timesteps), **sign, "end": 1})


def pixel_layout(bits: int, pixels: int) -> data.StructLayout:
    """Neighbouring pixels of a sample, the first in the lowest bits; `last` marks the last word of a sample."""
    return data.StructLayout({"pixels": data.ArrayLayout(unsigned(bits), pixels), "last": 1})


def spike_layout(shape: Shape, timesteps: int, *, negative: bool = False, none: bool = False) -> data.StructLayout:
    """An event between cores: the neuron by coordinates, its time step and sign, or the end mark of a sample.

    `none` marks an event that is no spike: it announces a word of silent neurons to whoever stores the train.
    """
    channels, height, width = shape
    flags = {"negative": 1} if negative else {}
    flags |= {"none": 1} if none else {}
    return data.StructLayout(
        {
            "c": ceil_log2(channels),
            "y": ceil_log2(height),
            "x": ceil_log2(width),
            "step": ceil_log2(timesteps),
            **flags,
            "end": 1,
        }
    )


def row_layout(bits: int, lanes: int) -> data.ArrayLayout:
    """A row of signed integers, lane 0 in the lowest bits."""
    return data.ArrayLayout(signed(bits), lanes)


def neuron_layout(shape: Shape) -> data.StructLayout:
    """Coordinates of a neuron."""
    channels, height, width = shape
    return data.StructLayout({"c": ceil_log2(channels), "y": ceil_log2(height), "x": ceil_log2(width)})


def slot_layout(bits: int, width: int, shape: Shape) -> data.StructLayout:
    """Neighbouring potentials on their way to the generator, the first one's coordinates; `last` of a sample."""
    return data.StructLayout({"potentials": row_layout(bits, width), "neuron": neuron_layout(shape), "last": 1})


def biased_layout(
    bits: int, width: int, shape: Shape, *, levels: bool = False, signs: bool = False
) -> data.StructLayout:
    """Neighbouring potentials with what their neurons start a sample with, and their thresholds.

    `levels` adds where they fire, `positives` and `negatives`, what is subtracted then, `amounts`, and the ends of the
    clamp, `mosts`, or what is added at a negative spike where there is no clamp. `signs` makes potentials sizes with a
    sign each.
    """
    names = ("positives", "negatives", "amounts", "mosts") if levels else ()
    return data.StructLayout(
        {
            "potentials": row_layout(bits, width),
            "thetas": data.ArrayLayout(unsigned(bits - 1), width),
            **{name: row_layout(bits, width) for name in names},
            **({"signs": width} if signs else {}),
            "neuron": neuron_layout(shape),
            "last": 1,
        }
    )


def train_layout(digits: int, width: int, shape: Shape, *, signed: bool = False) -> data.StructLayout:
    """Trains of neighbouring neurons: bit t*width + n of `spikes` is neuron n's spike at time step t.

    `negatives` are their signs, `neuron` the coordinates of the first one; `last` marks the last word of a sample.
    """
    signs = {"negatives": unsigned(digits * width)} if signed else {}
    return data.StructLayout({"spikes": unsigned(digits * width), **signs, "neuron": neuron_layout(shape), "last": 1})


def potential_layout(bits: int) -> data.StructLayout:
    """A readout potential; `last` marks the last output of a sample."""
    return data.StructLayout({"potential": signed(bits), "last": 1})


def access_layout() -> data.StructLayout:
    """A byte for a parameter memory, or, with `read`, the wish for all bytes of one; `memory` and `address` are
    those of the first byte, `last` marks the last one.
    """
    return data.StructLayout({"memory": 8, "address": 32, "data": 8, "last": 1, "read": 1})


def answer_layout() -> data.StructLayout:
    """What a parameter memory answers: one beat when bytes are written, every byte when it is read, `last` marks the
    last one; `refused`: there is no such memory or address.
    """
    return data.StructLayout({"data": 8, "last": 1, "refused": 1})


def class_bits(outputs: int) -> int:
    """Width of a class index."""
    return max(1, ceil_log2(outputs))
