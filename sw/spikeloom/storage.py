"""A network on disk: one .loom file, safetensors for the arrays and canonical JSON for the rest.

Loading runs no code from the file, refuses what it does not know, and checks the digest that the file carries.
"""

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from .errors import InvalidNetwork, SpikeloomError
from .geometry import GEOMETRIES, Geometry
from .network import Connection, Input, Network, Population, Provenance, Readout
from .neuron import Neuron, Silent

FORMAT_VERSION = 1
_KEY = "spikeloom"
_NEURONS = {"firing": Neuron, "silent": Silent}


def save(network: Network, path: Path) -> None:
    """Write a network; the file appears whole or not at all.

    Raises
    ------
    SpikeloomError
        The folder is missing, not writable or full.
    """
    document, arrays = _describe(network)
    document |= {"format": FORMAT_VERSION, "digest": network.digest}
    document["provenance"] = dataclasses.asdict(network.provenance)
    write_whole(path, to_safetensors(arrays, metadata={_KEY: canonical(document)}))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all; SpikeloomError naming the path where that fails."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise SpikeloomError(f"File '{path}': cannot be written: {error.strerror}; choose a folder with room") from None


def behaviour_bytes(network: Network) -> bytes:
    """Everything that decides what a network does, in canonical bytes; the digest is taken over these."""
    document, arrays = _describe(network)
    parts = [canonical(document).encode()]
    for name in sorted(arrays):
        array = arrays[name]
        parts += [f"\n{name} {array.dtype.str} {array.shape}\n".encode(), np.ascontiguousarray(array).tobytes()]
    return b"".join(parts)


def canonical(document: Any) -> str:
    """JSON with sorted keys and no spaces: equal documents give equal text."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load(path: Path) -> Network:
    """Read a network.

    Raises
    ------
    InvalidNetwork
        Not a .loom file, truncated, of another version, altered, or against the contract.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            if text is not None:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is not a dict
    except FileNotFoundError:
        raise InvalidNetwork(f"File '{path}': does not exist; `spikeloom convert ... -o {path}` writes one") from None
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InvalidNetwork(f"File '{path}': is not a whole .loom file ({reason}); convert the model again") from None
    if text is None:
        raise InvalidNetwork(f"File '{path}': is a safetensors file but not a .loom network; convert the model first")
    return _restore(path, text, arrays)


def _restore(path: Path, text: str, arrays: dict[str, np.ndarray]) -> Network:
    try:
        document = json.loads(text)
        version = document.pop("format")
        if version != FORMAT_VERSION:
            raise InvalidNetwork(
                f"File '{path}': format version must be {FORMAT_VERSION}, not {version!r}; convert the model again or "
                "install the Spikeloom that wrote it"
            )
        digest = document.pop("digest")
        provenance = document.pop("provenance")
        provenance["notes"] = tuple(provenance["notes"])
        network = _build(document, arrays, Provenance(**provenance))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InvalidNetwork(f"File '{path}': holds fields this version does not know ({reason})") from None
    except InvalidNetwork as error:
        raise error if str(error).startswith("File ") else InvalidNetwork(f"File '{path}': {error}") from None
    if network.digest != digest:
        raise InvalidNetwork(
            f"File '{path}': was altered: its content has digest {network.digest[:16]}, not {str(digest)[:16]}; convert again"
        )
    return network


def _describe(network: Network) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """JSON document and arrays of a network, without its provenance."""
    arrays: dict[str, np.ndarray] = {}

    def plain(item: Any, prefix: str) -> dict[str, Any]:
        result = {}
        for field in dataclasses.fields(item):
            value = getattr(item, field.name)
            if isinstance(value, np.ndarray):
                arrays[f"{prefix}.{field.name}"] = value
            elif value is not None:
                result[field.name] = value
        return result

    populations = []
    for population in network.populations:
        kind = "firing" if isinstance(population.neuron, Neuron) else "silent"
        neuron = plain(population.neuron, f"population.{population.name}") | {"kind": kind}
        populations.append(
            {"name": population.name, "shape": population.shape, "activity": population.activity, "neuron": neuron}
        )
    connections = []
    for connection in network.connections:
        entry = plain(connection, f"connection.{connection.name}")
        entry["geometry"] = dataclasses.asdict(connection.geometry) | {"kind": connection.geometry.kind}
        connections.append(entry)
    document = {
        "name": network.name,
        "inputs": [plain(item, "") for item in network.inputs],
        "populations": populations,
        "connections": connections,
        "readouts": [plain(item, "") for item in network.readouts],
        "schedule": network.schedule,
    }
    return document, arrays


def _build(document: dict[str, Any], arrays: dict[str, np.ndarray], provenance: Provenance) -> Network:
    arrays = dict(arrays)

    def take(prefix: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)}

    def tuples(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}

    populations = []
    for entry in document.pop("populations"):
        fields = dict(entry.pop("neuron"))
        kind = _NEURONS[fields.pop("kind")]
        neuron = kind(**fields, **take(f"population.{entry['name']}."))
        populations.append(Population(**tuples(entry), neuron=neuron))
    connections = []
    for entry in document.pop("connections"):
        fields = tuples(entry.pop("geometry"))
        geometry: Geometry = GEOMETRIES[fields.pop("kind")](**fields)
        connections.append(Connection(**entry, geometry=geometry, **take(f"connection.{entry['name']}.")))
    network = Network(
        inputs=tuple(Input(**tuples(entry)) for entry in document.pop("inputs")),
        populations=tuple(populations),
        connections=tuple(connections),
        readouts=tuple(Readout(**entry) for entry in document.pop("readouts")),
        provenance=provenance,
        **document,
    )
    if arrays:
        raise KeyError(f"arrays {sorted(arrays)}")
    return network
