"""What earlier commands left in files: `synth.json`, `simulation.json`, `sweep.json`; none of them is trusted."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeloom.storage import write_whole

from .facts import Missing, Point, Simulation, Sweep, Synthesis

SIMULATION = "simulation.json"
_LARGEST = 1 << 24  # bytes of a file that are read
_MISFITS = (KeyError, TypeError, ValueError, RecursionError)


def keep_simulation(folder: Path, document: Mapping[str, Any], data: str, identity: Mapping[str, str]) -> None:
    """Leave what a simulation found in its build, for the report.

    Parameters
    ----------
    document : a `SimulationResult` as plain JSON.
    data : what the samples are called.
    identity : `digest` and `build` id of what was simulated.
    """
    content = json.dumps({**document, "data": data, **identity}, indent=1, allow_nan=False)
    write_whole(folder / SIMULATION, content.encode() + b"\n")


def simulation_of(folder: Path, identity: Mapping[str, str], data: str) -> Simulation | Missing:
    """What the last simulation of a build found."""
    command = f"spikeloom simulate {folder} {data}"
    found = _read(folder / SIMULATION, identity, "simulated", command)
    if isinstance(found, Missing):
        return found
    try:
        return Simulation(
            data=str(found["data"]),
            simulator=str(found["simulator"]),
            samples=_count(found["samples"]),
            mismatches=_count(found["mismatches"]),
            accuracy=_optional(found["accuracy"]),
            latency_cycles=_optional(found["latency_cycles"]),
            interval_cycles=_optional(found["initiation_interval_cycles"]),
            lower_bound_cycles=_optional(found["lower_bound_cycles"]),
            utilisation=_optional(found["utilisation"]),
            busiest=_text(found["busiest"]),
            first_divergence=_text(found["first_divergence"]),
            cycles_by_layer=_numbers(found["cycles_by_layer"] or {}),
            states={str(core): _numbers(states) for core, states in (found["breakdown"] or {}).items()},
        )
    except _UNFIT as error:
        return _unreadable(folder / SIMULATION, error, command)


def synthesis_of(folder: Path, board: str, identity: Mapping[str, str]) -> Synthesis | Missing:
    """What the last synthesis of a build found."""
    if board == "none":
        return Missing(
            "It was generated for no board, so there is no device to fill.",
            "spikeloom generate network.loom --board ulx3s-85f",
        )
    path, command = folder / "synth" / board / "synth.json", f"spikeloom synth {folder}"
    found = _read(path, identity, "synthesised", command)
    if isinstance(found, Missing):
        return found
    try:
        parts = (("look-up tables", "lut"), ("block RAMs", "ram"), ("multipliers", "dsp"))
        used = [(name, _count(found[key]), _count(found[f"{key}_available"])) for name, key in parts]
        cells = [(str(n), _count(c["used"]), _count(c["available"])) for n, c in found["utilisation"].items()]
        return Synthesis(
            board=str(found["board"]),
            clock_mhz=_positive(found["clock_mhz"]),
            fmax_mhz=_positive(found["fmax_mhz"]),
            timing_met=bool(found["timing_met"]),
            pll=str(found["pll"]),
            used=tuple(used),
            cells=tuple(cells),
            critical_path=tuple(map(str, found["critical_path"])),
            seeds=tuple((_count(seed), _positive(mhz)) for seed, mhz in found["fmax_mhz_by_seed"]),
            bitstream=None if found["bitstream"] is None else Path(found["bitstream"]).name,
            sha256=str(found["sha256"]),
            seconds=_number(found["seconds"]),
        )
    except _UNFIT as error:
        return _unreadable(path, error, command)


def sweep_of(path: Path | None) -> Sweep | Missing:
    """What a sweep found; `path` of its folder or its file, None: nobody named one."""
    command = "spikeloom sweep MODEL --calibration DATA --timesteps 1,2,4,8 -o sweep"
    if path is None:
        return Missing("How accuracy depends on T is known once the model was converted at several T.", command)
    path = path / "sweep.json" if path.is_dir() else path
    found = _read(path, {}, "swept", command)
    if isinstance(found, Missing):
        return found
    try:
        points = [Point(_count(item["timesteps"]), _share(item["accuracy"])) for item in found["points"]]
        if not points:
            raise ValueError("no points")
        return Sweep(
            model=str(found["model"]),
            method=str(found["method"]),
            data=str(found["data"]),
            samples=_count(found["samples"]),
            accuracy_ann=_share(found["accuracy_ann"]),
            points=tuple(sorted(points, key=lambda point: point.timesteps)),
        )
    except _UNFIT as error:
        return _unreadable(path, error, command)


def _read(path: Path, identity: Mapping[str, str], done: str, command: str) -> dict[str, Any] | Missing:
    """The object in a file, if it is about what has this identity."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ValueError("it is no file")
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        if len(raw) > _LARGEST:
            raise ValueError(f"more than {_LARGEST} bytes")
        found = json.loads(raw)
        if not isinstance(found, dict):
            raise TypeError("no object")
        same = all(found[name] == value for name, value in identity.items())
    except FileNotFoundError:
        return Missing(f"It has not been {done} yet.", command)
    except (OSError, *_MISFITS) as error:
        return _unreadable(path, error, command)
    return found if same else Missing(f"What {path.name} holds is of another build; this one was not {done}.", command)


def _unreadable(path: Path, error: Exception, command: str) -> Missing:
    return Missing(f"{path.name} cannot be read ({type(error).__name__}: {error}).", command)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError(f"{value!r} is not above 0")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise ValueError(f"{value!r} is not within 0 and 1")
    return float(value)


def _count(value: Any) -> int:
    if _number(value) < 0 or int(value) != value:
        raise ValueError(f"{value!r} is no count")
    return int(value)


def _optional(value: Any) -> float | None:
    return None if value is None else _number(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): _number(value) for name, value in values.items()}


_UNFIT = (*_MISFITS, AttributeError)
