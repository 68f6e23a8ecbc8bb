"""What a run has done already: finished steps are taken from a journal while nothing they depend on has changed."""

import hashlib
import importlib.util
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..output import note

Result = dict[str, Any]
Work = Callable[[], Result]
Files = Callable[[Result], Sequence[Path]]
_SUFFIXES = (".py", ".cpp", ".hpp", ".ys", ".v")


@dataclass(frozen=True)
class Step:
    """One step of a run as it ended.

    Members
    -------
    name : of the step.
    seconds : it took, when it was done.
    reused : it was done by an earlier run.
    result : what it found out, plain JSON.
    """

    name: str
    seconds: float
    reused: bool
    result: dict[str, Any]


class Journal:
    """The steps of one folder, in its steps.json.

    Parameters
    ----------
    folder : where the files of the steps lie; it must exist.
    total : number of steps, to count them.
    """

    def __init__(self, folder: Path, total: int) -> None:
        self.folder, self.total = folder, total
        self.path = folder / "steps.json"
        self.steps: list[Step] = []
        self.entries = self._read()

    def step(self, name: str, depends: Mapping[str, Any], files: Files, work: Work) -> Result:
        """Do a step, or take it from the journal; returns its result.

        Parameters
        ----------
        depends : everything the result depends on, plain JSON; see `sources` and `fingerprint`.
        files : the files in the folder that a step with this result made; it is done again where one has changed.
        work : does the step and gives its result, plain JSON.
        """
        position = f"{len(self.steps) + 1}/{self.total}"
        wanted = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
        entry = self.entries.get(name)
        if entry is not None and entry["depends"] == wanted and entry["files"] == self._prints(entry["files"]):
            note(f"{position}  {name}: reused, nothing it depends on has changed")
            self.steps.append(Step(name, entry["seconds"], True, entry["result"]))
            return entry["result"]
        note(f"{position}  {name} ...")
        start = time.monotonic()
        result = work()
        seconds = round(time.monotonic() - start, 2)
        note(f"     {name}: {seconds:.1f} s")
        self.entries[name] = {
            "depends": wanted,
            "files": self._prints(str(path.relative_to(self.folder)) for path in files(result)),
            "seconds": seconds,
            "result": result,
        }
        self._write()
        self.steps.append(Step(name, seconds, False, result))
        return result

    def _prints(self, names: Iterable[str]) -> dict[str, str | None]:
        return {name: fingerprint(self.folder / name) if (self.folder / name).exists() else None for name in names}

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        keys = {"depends", "files", "seconds", "result"}
        whole = isinstance(entries, dict) and all(isinstance(e, dict) and set(e) == keys for e in entries.values())
        return entries if whole else {}

    def _write(self) -> None:
        from spikeloom.storage import write_whole

        write_whole(self.path, json.dumps(self.entries, indent=1, allow_nan=False).encode() + b"\n")


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of all files below a folder with their names."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for inner in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(f"{inner.relative_to(path)} {fingerprint(inner)}\n".encode())
    return digest.hexdigest()


def sources(*rooms: str) -> str:
    """Fingerprint of the source files of some rooms."""
    digest = hashlib.sha256()
    for room in rooms:
        spec = importlib.util.find_spec(room)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in sorted(item for item in Path(folder).rglob("*") if item.suffix in _SUFFIXES):
                digest.update(f"{path.relative_to(folder)} {fingerprint(path)}\n".encode())
    return digest.hexdigest()
