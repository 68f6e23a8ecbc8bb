"""A .nir file as a NIR graph: read within bounds, for it may hold anything, and no code runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nir
import numpy as np
from safetensors.numpy import load
from spikeloom.errors import InvalidNetwork, shown

from . import child
from .child import MAX_BYTES, reason

MAX_NODES = 1024
MAX_EDGES = 4096
PATIENCE_SECONDS = 30
# What the classes of NIR raise where a file holds something else: they take its entries as arguments, and look at
# lengths and shapes.
MISFITS = (*child.MISFITS, AssertionError)


def read_nir(path: str | Path) -> nir.NIRGraph:
    """Read a graph; its types are not checked, that is left to `graph` and `nodes`.

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
        entries = _content(path, who).get("node")
        if not isinstance(entries, dict) or _kind(entries) != "NIRGraph":
            raise InvalidNetwork(f"{who}: must hold a NIRGraph, not {shown(_kind(entries))}; export the whole network")
        _prepare(entries, who)
        return nir.NIRGraph.from_dict(entries)
    except MISFITS as error:
        raise InvalidNetwork(f"{who}: must be a whole NIR file ({reason(error)}); write it again") from None


def _content(path: Path, who: str) -> dict[str, Any]:
    """Groups, arrays and texts of the file, by name."""
    # -P: this folder has modules that are called like some of Python's own
    command = [sys.executable, "-P", child.__file__, str(path.absolute())]
    alone = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, env=alone)
    except subprocess.TimeoutExpired:
        done = None
    if done is None or done.returncode not in (0, 1):
        ended = f"reading took {PATIENCE_SECONDS} s" if done is None else f"reading ended with {done.returncode}"
        raise InvalidNetwork(f"{who}: must be a whole NIR file ({ended}); write it again")
    if done.returncode:
        raise InvalidNetwork(f"{who}: {done.stderr.decode(errors='replace').strip()}")
    size = int.from_bytes(done.stdout[:8], "little")  # of the JSON that safetensors begin with
    tree = json.loads(json.loads(done.stdout[8 : 8 + size])["__metadata__"][child.TREE])
    found = _joined(tree, load(done.stdout))
    assert isinstance(found, dict)  # the root is a group
    return found


def _joined(entry: Any, arrays: dict[str, np.ndarray]) -> Any:
    """An entry with the arrays in the place of their numbers."""
    if isinstance(entry, dict):
        return {name: _joined(item, arrays) for name, item in entry.items()}
    return arrays[str(entry)][()] if isinstance(entry, int) else entry


def _kind(entries: object) -> object:
    return entries.get("type") if isinstance(entries, dict) else entries


def _prepare(entries: dict[str, Any], who: str) -> None:
    """Switch off the type check of a graph and those in it: it would refuse grouped and oblong convolutions."""
    nodes = entries["nodes"]
    if not isinstance(nodes, dict) or len(nodes) > MAX_NODES or len(entries["edges"]) > MAX_EDGES:
        raise InvalidNetwork(f"{who}: must have at most {MAX_NODES} nodes and {MAX_EDGES} edges in a graph")
    entries["type_check"] = False
    for node in nodes.values():
        if _kind(node) == "NIRGraph":
            _prepare(node, who)
