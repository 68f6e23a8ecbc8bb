"""A .nir file as a NIR graph: read within bounds, for it may hold anything, and no code runs.

`nir.read` takes whatever an HDF5 file declares; here sizes, links and types are looked at before a byte is read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
from spikeloom.errors import InvalidNetwork, shown

MAX_BYTES = 1 << 28  # of a file, and of all its arrays together
MAX_NODES = 1024
MAX_EDGES = 4096
_MAX_ITEMS = 32 * MAX_NODES
_MAX_DEPTH = 16
_MAX_TEXT = 1 << 23
_NUMBERS = "biuf"
# What HDF5 raises where a file is not whole, and what the classes of NIR raise where it holds something else: they
# take its entries as arguments, and look at lengths and shapes.
MISFITS = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError)


def read_nir(path: str | Path) -> nir.NIRGraph:
    """Read a graph; its types are not checked, that is left to `nir_graph`.

    Raises
    ------
    InvalidNetwork
        No file, no HDF5, not whole, no NIR, or larger than anything that could be built.
    """
    path, who = Path(path), f"File '{path}'"
    try:
        if not path.exists():
            raise InvalidNetwork(f"{who}: does not exist; `nir.write('{path}', graph)` writes one")
        if not path.is_file():  # opening a pipe would wait for a writer for ever
            raise InvalidNetwork(f"{who}: must be a .nir file, not a {'folder' if path.is_dir() else 'device'}")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InvalidNetwork(f"{who}: must have at most {MAX_BYTES} bytes, not {size}")
        with h5py.File(path, "r") as file:
            found = _Reader(who).group(file, 0)
        entries = found["node"]
        if not isinstance(entries, dict) or entries.get("type") != "NIRGraph":
            raise InvalidNetwork(f"{who}: must hold a NIRGraph, not {shown(_kind(entries))}; export the whole network")
        _unchecked(entries, who)
        return nir.NIRGraph.from_dict(entries)
    except MISFITS as error:
        raise InvalidNetwork(f"{who}: must be a whole NIR file ({reason(error)}); write it again") from None


def reason(error: Exception) -> str:
    """An exception as one short line."""
    words = " ".join((getattr(error, "strerror", None) or str(error)).split())
    return f"{type(error).__name__}: {words if len(words) <= 120 else words[:120] + '...'}"


def _kind(entries: object) -> object:
    return entries.get("type") if isinstance(entries, dict) else entries


def _unchecked(entries: dict[str, Any], who: str, depth: int = 0) -> None:
    """Switch off the type check of a graph and those in it: it would refuse grouped and oblong convolutions."""
    nodes = entries["nodes"]
    if not isinstance(nodes, dict) or len(nodes) > MAX_NODES or len(entries["edges"]) > MAX_EDGES:
        raise InvalidNetwork(f"{who}: must have at most {MAX_NODES} nodes and {MAX_EDGES} edges in a graph")
    entries["type_check"] = False
    for node in nodes.values():
        if _kind(node) == "NIRGraph":
            _unchecked(node, who, depth + 1)


@dataclass
class _Reader:
    """Reads groups and arrays as `nir.dict2NIRNode` takes them, and keeps count of what they hold."""

    who: str
    items: int = 0
    size: int = 0

    def group(self, group: h5py.Group, depth: int) -> dict[str, Any]:
        """Everything in a group, by name."""
        if depth > _MAX_DEPTH:  # a link to a group around it would never end
            raise InvalidNetwork(f"{self.who}: must hold at most {_MAX_DEPTH} groups in each other")
        found: dict[str, Any] = {}
        for name in group:
            self.items += 1
            if self.items > _MAX_ITEMS:
                raise InvalidNetwork(f"{self.who}: must hold at most {_MAX_ITEMS} groups and arrays")
            where = f"{self.who}: {shown(f'{group.name}/{name}')}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise InvalidNetwork(f"{where} must be in the file, not a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                found[name] = self.group(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                found[name] = self.value(item, where)
            else:
                raise InvalidNetwork(f"{where} must be a group or an array")
        return found

    def value(self, data: h5py.Dataset, where: str) -> Any:
        """Numbers as they are, a text as str, several as arrays of them."""
        if data.external is not None or data.is_virtual:
            raise InvalidNetwork(f"{where} must be in the file, not in another one")
        if data.shape is None:
            raise InvalidNetwork(f"{where} must hold a value, not nothing")
        if h5py.check_string_dtype(data.dtype) is not None:
            return self.texts(data, where)
        if data.dtype.kind not in _NUMBERS or data.dtype.itemsize > 8:
            raise InvalidNetwork(f"{where} must hold numbers or text, not {shown(str(data.dtype))}")
        self._take(data.nbytes, where)
        return data[()]

    def texts(self, data: h5py.Dataset, where: str) -> Any:
        """A text, or pairs of them one by one, for each may be long."""
        if data.size > 2 * MAX_EDGES:
            raise InvalidNetwork(f"{where} must hold at most {MAX_EDGES} pairs of text, not {data.size} texts")
        found = np.empty(data.shape, object)
        for index in np.ndindex(data.shape):
            text = data[index]
            if len(text) > _MAX_TEXT:
                raise InvalidNetwork(f"{where} must be a text of at most {_MAX_TEXT} characters, not {len(text)}")
            self._take(len(text), where)
            found[index] = text.decode("utf8") if isinstance(text, bytes) else str(text)
        return found[()] if data.shape == () else found

    def _take(self, size: int, where: str) -> None:
        self.size += size
        if self.size > MAX_BYTES:
            raise InvalidNetwork(f"{where}: the arrays must have at most {MAX_BYTES} bytes together")
