"""Files that are wrong, on purpose or not: one clear line each, in seconds, whatever they declare."""

import time
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest
from nir_graphs import mlp
from spikeloom import InvalidNetwork
from spikeloom_convert.nir import file as nir_file
from spikeloom_convert.nir.file import read_nir


def _no_graph(file: h5py.File) -> None:
    del file["node"]


def _another_node(file: h5py.File) -> None:
    file.move("node", "old")
    file["node/type"] = "Linear"
    file["node/weight"] = np.ones((2, 2))


def _no_weight(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]


def _surplus(file: h5py.File) -> None:
    file["node/nodes/fc1/colour"] = 3


def _unknown(file: h5py.File) -> None:
    del file["node/nodes/fc1/type"]
    file["node/nodes/fc1/type"] = "__import__"


def _soft_link(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = h5py.ExternalLink("/etc/passwd", "/x")


def _circle(file: h5py.File) -> None:
    file["node/nodes/fc1/metadata"] = file["node"]


def _huge(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", (10**9, 10**3), "f8", chunks=(1000, 1000))


def _zipped_bomb(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]
    file.create_dataset("node/nodes/fc1/weight", (8, 1 << 23), "f8", chunks=(1, 1 << 16), compression="gzip")


def _many_texts(file: h5py.File) -> None:
    del file["node/edges"]
    file.create_dataset("node/edges", (10**9, 2), h5py.string_dtype(), chunks=(1000, 2))


def _record(file: h5py.File) -> None:
    del file["node/nodes/fc1/weight"]
    file["node/nodes/fc1/weight"] = np.zeros(3, [("a", "f4")])


def _elsewhere(file: h5py.File) -> None:
    del file["node/nodes/fc1/bias"]
    file.create_dataset("node/nodes/fc1/bias", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def _edges_of_three(file: h5py.File) -> None:
    del file["node/edges"]
    file["node/edges"] = [("a", "b", "c")]


def _many_nodes(file: h5py.File) -> None:
    for number in range(1025):
        file[f"node/nodes/x{number}/type"] = "I"


WHOLE = "must be a whole NIR file"
FILES: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "no graph": (_no_graph, "must hold a NIRGraph, not None; export the whole network"),
    "a node alone": (_another_node, "must hold a NIRGraph, not 'Linear'; export the whole network"),
    "a field is missing": (
        _no_weight,
        f"{WHOLE} (TypeError: Affine.__init__() missing 1 required positional argument: 'weight'); write it again",
    ),
    "a field too many": (
        _surplus,
        f"{WHOLE} (TypeError: Affine.__init__() got an unexpected keyword argument 'colour'); write it again",
    ),
    "unknown node": (_unknown, f"{WHOLE} (AssertionError: ); write it again"),
    "link to another file": (_soft_link, "'/node/nodes/fc1/weight' must be in the file, not a link"),
    "circle of groups": (_circle, "must hold at most 16 groups in each other"),
    "huge array": (
        _huge,
        "arrays must have at most 268435456 bytes together, not more with '/node/nodes/fc1/weight'",
    ),
    "zipped bomb": (
        _zipped_bomb,
        "arrays must have at most 268435456 bytes together, not more with '/node/nodes/fc1/weight'",
    ),
    "many texts": (_many_texts, "'/node/edges' must hold at most 8192 texts, not 2000000000"),
    "records": (_record, "'/node/nodes/fc1/weight' must hold numbers or text, not [('a', '<f4')]"),
    "data of another file": (_elsewhere, "'/node/nodes/fc1/bias' must be in the file, not in another one"),
    "edges of three": (
        _edges_of_three,
        f"{WHOLE} (ValueError: too many values to unpack (expected 2)); write it again",
    ),
    "many nodes": (_many_nodes, "must have at most 1024 nodes and 4096 edges in a graph"),
}


@pytest.mark.parametrize(("change", "said"), FILES.values(), ids=FILES.keys())
def test_file_that_is_no_whole_graph_is_one_line(
    change: Callable[[h5py.File], None], said: str, tmp_path: Path
) -> None:
    path, start = tmp_path / "net.nir", time.monotonic()
    nir.write(path, mlp())
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InvalidNetwork) as error:
        read_nir(path)
    assert str(error.value) == f"File '{path}': {said}"
    assert time.monotonic() - start < 20


def test_what_is_no_hdf5_or_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    nir.write(path, mlp())
    content = path.read_bytes()
    for length in (0, 5, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidNetwork) as error:
            read_nir(path)
        assert str(error.value).startswith(f"File '{path}': {WHOLE} (OSError: Unable to synchronously open file")
        assert str(error.value).endswith("; write it again")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "no.nir", f"does not exist; `nir.write('{tmp_path / 'no.nir'}', graph)` writes one"),
        (tmp_path, "must be a .nir file, not a folder"),
        (Path("/dev/zero"), "must be a .nir file, not a device"),
    ):
        with pytest.raises(InvalidNetwork) as error:
            read_nir(path)
        assert str(error.value) == f"File '{path}': {said}"


def test_reader_that_never_ends_or_dies_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, child = tmp_path / "net.nir", tmp_path / "child.py"
    nir.write(path, mlp())
    monkeypatch.setattr(nir_file.child, "__file__", str(child))
    monkeypatch.setattr(nir_file, "PATIENCE_SECONDS", 1)
    for code, ended in (
        ("while True: pass", "reading took 1 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "reading ended with -11"),
    ):
        child.write_text(code)
        with pytest.raises(InvalidNetwork) as error:
            read_nir(path)
        assert str(error.value) == f"File '{path}': {WHOLE} ({ended}); write it again"
