"""Compiled simulators are kept by the content they were made from; runs get folders that vanish."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spikeloom import ToolError
from spikeloom_hw import toolchain

KEPT = 48
ABANDONED = 24 * 3600  # seconds after which nobody is at a workspace any more, or wants its log


def digest(*texts: str) -> str:
    """Name for what is made from these texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]


def made(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """Folder of the thing of that kind and key; `make` fills it where it is not there yet.

    It appears whole or not at all, whoever else is at it. Of each kind those used last are kept.

    Raises
    ------
    ToolError
        From `make`, or where the cache cannot be written.
    """
    root = toolchain.cache_dir() / kind
    folder = root / key
    if not folder.is_dir():
        with workspace(kind, key) as work:
            make(work)
            try:
                work.rename(folder)
            except OSError:
                if not folder.is_dir():  # somebody else's, finished meanwhile, is as good
                    raise
        _prune(root)
    os.utime(folder)
    return folder


@contextmanager
def workspace(kind: str, name: str) -> Iterator[Path]:
    """A folder that is gone afterwards, unless a tool failed: then its log is in there.

    Raises
    ------
    ToolError
        The cache cannot be written.
    """
    root = toolchain.cache_dir() / kind
    failed = False
    work: Path | None = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=root, prefix=f"{name}."))
        yield work
    except ToolError:
        failed = True
        raise
    except OSError as error:
        raise ToolError(
            f"Cache '{root}': must be writable ({error.strerror}); set SPIKELOOM_CACHE to a folder that is"
        ) from None
    finally:
        if work and not failed:
            shutil.rmtree(work, ignore_errors=True)


def _prune(root: Path) -> None:
    """Remove what was used longest ago, and workspaces that were left behind; not those that others are still at."""
    found = []
    for path in root.iterdir():
        with suppress(FileNotFoundError):  # somebody else has removed it just now
            found.append((path.stat().st_mtime, path))
    whole = sorted(item for item in found if "." not in item[1].name)
    left = [(age, path) for age, path in found if "." in path.name and age < time.time() - ABANDONED]
    for _, path in (*whole[:-KEPT], *left):
        shutil.rmtree(path, ignore_errors=True)
