"""What the wrapper adds to a build: a Verilog file, and an entry in the manifest."""

from collections.abc import Mapping
from typing import Any

from spikeloom.network import Input

from ..export import TOP, verilog
from .registers import register_map
from .wrapper import AxiWrapper, WrapperSpec

MODULE = f"{TOP}_axi"
VERILOG = f"{MODULE}.v"


def wrapped(source: Input, manifest: Mapping[str, Any], header: str) -> tuple[str, dict[str, Any]]:
    """Wrap the core of a build.

    Parameters
    ----------
    source : the network's input.
    manifest : of the build, with its id.
    header : comment lines for the top of the file.

    Returns
    -------
    text of the Verilog file, which instantiates the core's module, and the entry `wrapper` of the manifest.

    Raises
    ------
    DoesNotFit
        See `WrapperSpec.of`.
    ToolError
        Yosys failed.
    """
    spec = WrapperSpec.of(source, manifest, int(manifest["link"]["build"], 16))
    wrapper = AxiWrapper(spec=spec)
    code, memories = verilog(wrapper, header, top=MODULE)
    assert not memories  # nothing in the wrapper has contents
    constants = spec.constants
    entry = {
        "kind": "axi",
        "top": MODULE,
        "verilog": VERILOG,
        "s_axis": {
            "carries": "pixels" if spec.pixels else "events",
            "tdata_bits": len(wrapper.s_axis_tdata),
            "beats": constants["INPUT_BEATS"],
        },
        "m_axis": {
            "tdata_bits": len(wrapper.m_axis_tdata),
            "tuser_bits": len(wrapper.m_axis_tuser),
            "beats": constants["OUTPUTS"],
        },
        "registers": {item.name: item.offset for item in register_map(len(spec.form.outputs))},
    }
    return code, entry
