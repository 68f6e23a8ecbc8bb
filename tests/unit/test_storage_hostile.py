"""Hostile and corrupt .loom files: each ends in one line that says what is wrong."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loom_files import Arrays, Document, refused, rewritten, tiny, with_document
from safetensors.numpy import save as safetensors_save
from spikeloom import Network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.loom"


def test_a_file_cut_at_any_byte_is_refused(path: Path) -> None:
    tiny().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0")
    assert refused(path).startswith("must be a whole .loom file (SafetensorError: ")
    for size in reversed(range(len(whole))):
        os.truncate(path, size)
        assert refused(path).startswith("must be a whole .loom file (SafetensorError: ")


def test_a_file_with_any_byte_altered_is_refused(path: Path) -> None:
    tiny().save(path)
    whole = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for at, byte in enumerate(whole):
            file.seek(at)
            file.write(bytes([byte ^ 1 << at % 8]))
            refused(path)
            file.seek(at)
            file.write(bytes([byte]))
    assert Network.load(path).digest == tiny().digest


def test_another_letter_in_the_provenance_is_noticed(path: Path) -> None:
    tiny().save(path)
    path.write_bytes(path.read_bytes().replace(b'\\"snn\\":0.5', b'\\"snn\\":0.9'))
    assert refused(path) == "must be as it was written, not altered; convert the model again"


def test_another_weight_is_noticed_although_it_is_a_valid_one(path: Path) -> None:
    def change(document: Document, arrays: Arrays) -> None:
        arrays["connection.to_l1.weights"] = np.zeros((2, 1, 3, 3), np.int8)

    rewritten(path, change)
    assert refused(path) == "must be as it was written, not altered; convert the model again"


AGAIN = "convert the model again"
FIELDS = "must hold the fields of format 1"


def put(value: Any, *where: str | int) -> Callable[[Document, Arrays], None]:
    """A change that puts a value somewhere into the document."""

    def change(document: Any, arrays: Arrays) -> None:
        for key in where[:-1]:
            document = document[key]
        document[where[-1]] = value

    return change


def put_array(name: str, value: np.ndarray) -> Callable[[Document, Arrays], None]:
    return lambda document, arrays: arrays.__setitem__(name, value)


NET = "Network 'tiny': "
THETA = NET + "population 'l1': theta must be int64 [border classes, 2 channels], not"
SHAPE = NET + "input 'input': shape must be three positive integers of at most 16777216 neurons together, not"
HOSTILE: dict[str, tuple[Callable[[Document, Arrays], None], str]] = {
    "other version": (
        put(2, "format"),
        f"format version must be 1, not 2; {AGAIN} or install the Spikeloom that wrote it",
    ),
    "true as version": (
        put(True, "format"),
        f"format version must be 1, not True; {AGAIN} or install the Spikeloom that wrote it",
    ),
    "no version": (lambda document, _: document.pop("format"), f"{FIELDS} (KeyError: 'format'); {AGAIN}"),
    "no populations": (lambda d, _: d.pop("populations"), f"{FIELDS} (KeyError: 'populations'); {AGAIN}"),
    "number for populations": (put(3, "populations"), f"{FIELDS} (TypeError: 'int' object is not iterable); {AGAIN}"),
    "unknown field": (
        put(1, "clock"),
        f"{FIELDS} (TypeError: Network.__init__() got an unexpected keyword argument 'clock'); {AGAIN}",
    ),
    "unknown field of a neuron": (
        put(1, "populations", 0, "neuron", "mood"),
        f"{FIELDS} (TypeError: Neuron.__init__() got an unexpected keyword argument 'mood'); {AGAIN}",
    ),
    "unknown geometry": (
        put("spiral", "connections", 0, "geometry", "kind"),
        f"{FIELDS} (KeyError: 'spiral'); {AGAIN}",
    ),
    "missing array": (
        lambda _, arrays: arrays.pop("population.l1.theta"),
        f"{FIELDS} (TypeError: Neuron.__init__() missing 1 required positional argument: 'theta'); {AGAIN}",
    ),
    "unknown array": (put_array("extra", np.zeros(2)), f"{FIELDS} (LookupError: arrays of unknown); {AGAIN}"),
    "array of a stranger": (
        put_array("population.l9.theta", np.zeros(2)),
        f"{FIELDS} (LookupError: arrays of unknown population.l9); {AGAIN}",
    ),
    "narrow array": (put_array("population.l1.theta", np.ones((1, 2), np.int32)), f"{THETA} int32 [1, 2]"),
    "float array": (put_array("population.l1.theta", np.ones((1, 2))), f"{THETA} float64 [1, 2]"),
    "big-endian array": (put_array("population.l1.theta", np.ones((2, 2), np.int16)), f"{THETA} int16 [2, 2]"),
    "array for a flag": (
        put_array("population.l1.signed", np.ones(1)),
        f"{FIELDS} (TypeError: spikeloom.neuron.Neuron() got multiple values for keyword argument 'signed'); {AGAIN}",
    ),
    "NaN": (
        put(float("nan"), "inputs", 0, "scale"),
        f"{FIELDS} (ValueError: Out of range float values are not JSON compliant); {AGAIN}",
    ),
    "infinite readout": (
        put(float("-inf"), "readouts", 0, "scale"),
        f"{FIELDS} (ValueError: Out of range float values are not JSON compliant); {AGAIN}",
    ),
    "endless integer": (
        put(10**4000, "readouts", 0, "scale"),
        NET + "readout 'readout': scale must be positive and finite, not 100000000000000000...0000000000000000000",
    ),
    "text for a number": (
        put("4", "inputs", 0, "timesteps"),
        NET + "input 'input': timesteps must be an integer in 1..16, not '4'",
    ),
    "true for a number": (
        put(True, "connections", 0, "weight_bits"),
        NET + "connection 'to_l1': weight_bits must be in 2..8, not True",
    ),
    "text for a flag": (
        put("no", "populations", 0, "neuron", "signed"),
        NET + "population 'l1': signed must be true or false, not 'no'",
    ),
    "huge shape": (
        put([1 << 40, 1 << 40, 1 << 40], "inputs", 0, "shape"),
        f"{SHAPE} (1099511627776, 1099511627776, 1099511627776)",
    ),
    "nested shape": (put([[1], 4, 4], "inputs", 0, "shape"), f"{SHAPE} ([1], 4, 4)"),
    "huge stride": (
        put([1, 10**30], "connections", 0, "geometry", "stride"),
        NET + f"connection 'to_l1': stride must be two integers in 1..65536, not (1, {10**30})",
    ),
    "number for events by row": (
        put(3, "connections", 0, "heard"),
        f"{FIELDS} (TypeError: 'int' object is not iterable); {AGAIN}",
    ),
    "numbers for rows of events": (
        put([1.0, 2.0], "connections", 0, "heard"),
        f"{FIELDS} (TypeError: 'float' object is not iterable); {AGAIN}",
    ),
    "text for events by row": (
        put(["heap", "loom"], "connections", 0, "heard"),
        NET + "connection 'to_l1': heard must be numbers in 0..68719476736, not 'h' (8 of them)",
    ),
    "events of too many rows": (
        put([[1.0] * 100_000, [25_000.0] * 4], "connections", 0, "heard"),
        NET + "connection 'to_l1': heard must be for (4, 4) rows and columns or empty, not for (100000, 4)",
    ),
    "endless events": (
        put([[10**4000] * 4, [1.0] * 4], "connections", 0, "heard"),
        NET + "connection 'to_l1': heard must be numbers in 0..68719476736, "
        "not 100000000000000000...0000000000000000000 (4 of them)",
    ),
    "name that breaks the line": (put("a\nb", "name"), r"Network 'a\nb': name 'a\nb' must match [a-z][a-z0-9_]{0,39}"),
    "name that leaves the folder": (
        put("../../x", "populations", 0, "name"),
        f"{FIELDS} (TypeError: Neuron.__init__() missing 2 required positional arguments: 'theta' and 'initial'); "
        f"{AGAIN}",
    ),
    "list for a name": (put(["a"], "connections", 0, "target"), NET + "name ['a'] must match [a-z][a-z0-9_]{0,39}"),
    "text for notes": (
        put("notes", "provenance", "notes"),
        NET + "provenance must be text, a tuple of notes, and tables of accuracies and versions",
    ),
    "other digest": (put("0" * 64, "digest"), f"must be as it was written, not altered; {AGAIN}"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(case: str, path: Path) -> None:
    change, expected = HOSTILE[case]
    rewritten(path, change)
    assert refused(path) == expected


def test_many_parts_are_refused_quickly(path: Path) -> None:
    def change(document: Document, arrays: Arrays) -> None:
        entry = document["readouts"][0]
        document["readouts"] = [entry] * 50_000

    rewritten(path, change)
    assert refused(path) == "Network 'tiny': readouts must be at most 1024, not 50000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[" * 200_000,
            f"{FIELDS} (RecursionError: maximum recursion depth exceeded while decoding a JSON array from a unicode "
            f"string); {AGAIN}",
        ),
        (
            "{",
            f"{FIELDS} (JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
            f"{AGAIN}",
        ),
        ("[1]", f"{FIELDS} (TypeError: list indices must be integers or slices, not str); {AGAIN}"),
        (
            "7" * 5000,
            f"{FIELDS} (ValueError: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 "
            f"digits; use sys.set_int_max_str_digits() to increase the limit); {AGAIN}",
        ),
        (" " * ((1 << 23) + 1), "must hold at most 8388608 characters, not 8388609"),
    ],
    ids=["deep", "half", "list", "digits", "long"],
)
def test_json_that_is_none_of_ours_is_refused(text: str, expected: str, path: Path) -> None:
    path.write_bytes(with_document(text, {}))
    assert refused(path) == expected


def test_arrays_that_numpy_cannot_hold_are_refused(path: Path) -> None:
    for dtype, size in (("BF16", 4), ("F8_E4M3", 2), ("F4", 1)):
        header = {"__metadata__": {"spikeloom": "{}"}, "a": {"dtype": dtype, "shape": [2], "data_offsets": [0, size]}}
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
        assert refused(path).startswith("must be a whole .loom file (")


def test_other_files_are_refused(path: Path) -> None:
    assert refused(path) == f"does not exist; `spikeloom convert ... -o {path}` writes one"
    path.write_bytes(safetensors_save({"a": np.zeros(3)}))
    assert refused(path) == "must be a .loom file, not other safetensors; convert the model first"
    path.unlink()
    path.mkdir()
    assert refused(path) == "must be a .loom file, not a folder"
    path.rmdir()
    os.mkfifo(path)  # opening it would wait for ever
    assert refused(path) == "must be a .loom file, not a device"


def test_a_file_too_large_to_be_a_network_is_refused_unread(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse: takes no room on the disk, but would in memory
    assert refused(path) == "must have at most 268435456 bytes, not 1099511627776"


def test_a_file_without_the_right_to_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    tiny().save(path)
    monkeypatch.setattr("spikeloom.storage.safe_open", denied)
    assert refused(path) == "cannot be read (PermissionError: Permission denied); give rights or choose another"
