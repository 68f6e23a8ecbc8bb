"""Reads an HDF5 file in a process of its own, and hands over what is in it as safetensors.

    python -P child.py FILE

The HDF5 library takes a file at its word: one that was damaged may keep it busy for ever, crash it, or make it ask for
any amount of memory. Here it may. Sizes, links and types are looked at before a byte is read. What is found goes to
stdout, with names and texts in the metadata; what is wrong goes to stderr, as one line, with exit code 1.

It is run as a program, knows numbers and text only, and so imports neither this package nor PyTorch.
"""

import json
import resource
import sys
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save

MAX_BYTES = 1 << 28  # of a file, and of all its arrays together
MAX_TEXTS = 1 << 13
MAX_ITEMS = 1 << 15
MAX_DEPTH = 16
MAX_TEXT = 1 << 23
MAX_MEMORY = 1 << 32
NUMBERS = "biuf"
TREE = "tree"
# what h5py raises where a file is not whole or is something else
MISFITS = (OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError)


class Refused(Exception):
    """What must not be in a file, as half a sentence that begins with what it is about."""


@dataclass
class Reader:
    """Reads groups and arrays, and keeps count of them.

    Members
    -------
    arrays : by number.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    items: int = 0
    size: int = 0

    def group(self, group: h5py.Group, path: str, depth: int) -> dict[str, Any]:
        """Everything in a group by name: groups are dicts, texts themselves or in lists, arrays their numbers."""
        if depth > MAX_DEPTH:  # a link to a group around it would never end
            raise Refused(f"must hold at most {MAX_DEPTH} groups in each other")
        found: dict[str, Any] = {}
        for name in group:
            self.items += 1
            if self.items > MAX_ITEMS:
                raise Refused(f"must hold at most {MAX_ITEMS} groups and arrays")
            where = f"{path}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"'{where}' must be in the file, not a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                found[name] = self.group(item, where, depth + 1)
            elif isinstance(item, h5py.Dataset):
                found[name] = self.value(item, where)
            else:
                raise Refused(f"'{where}' must be a group or an array")
        return found

    def value(self, data: h5py.Dataset, where: str) -> Any:
        """Number of an array, or what texts say."""
        if data.external is not None or data.is_virtual:
            raise Refused(f"'{where}' must be in the file, not in another one")
        if data.shape is None:
            raise Refused(f"'{where}' must hold a value, not nothing")
        if h5py.check_string_dtype(data.dtype) is not None:
            return self.texts(data, where)
        if data.dtype.kind not in NUMBERS or data.dtype.itemsize > 8:
            raise Refused(f"'{where}' must hold numbers or text, not {data.dtype}")
        self._take(data.nbytes, where)
        number = str(len(self.arrays))
        value = np.asarray(data[()])
        self.arrays[number] = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("="))).reshape(value.shape)
        return int(number)

    def texts(self, data: h5py.Dataset, where: str) -> Any:
        """A text, or nested lists of them, read one by one, for each may be long."""
        if data.size > MAX_TEXTS:
            raise Refused(f"'{where}' must hold at most {MAX_TEXTS} texts, not {data.size}")
        found = np.empty(data.shape, object)
        for index in np.ndindex(data.shape):
            text = data[index]
            if len(text) > MAX_TEXT:
                raise Refused(f"'{where}' must be a text of at most {MAX_TEXT} characters, not {len(text)}")
            self._take(len(text), where)
            found[index] = text.decode("utf8") if isinstance(text, bytes) else str(text)
        return found.tolist()

    def _take(self, size: int, where: str) -> None:
        self.size += size
        if self.size > MAX_BYTES:
            raise Refused(f"arrays must have at most {MAX_BYTES} bytes together, not more with '{where}'")


def reason(error: BaseException) -> str:
    """An exception as one short line."""
    words = " ".join((getattr(error, "strerror", None) or str(error)).split())
    return f"{type(error).__name__}: {words if len(words) <= 120 else words[:120] + '...'}"


def main(path: str) -> int:
    """Read one file; the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        reader = Reader()
        with h5py.File(path, "r") as file:
            tree = reader.group(file, "", 0)
        content = save(reader.arrays, {TREE: json.dumps(tree)})
    except Refused as error:
        why = str(error)
    except MISFITS as error:
        why = f"must be a whole NIR file ({reason(error)}); write it again"
    else:
        sys.stdout.buffer.write(content)
        return 0
    print(" ".join(why.split()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
