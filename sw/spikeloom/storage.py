"""A network on disk: one .loom file, safetensors for the arrays and canonical JSON for the rest.

Loading runs no code from the file and refuses what it does not know. The digest covers arrays and behaviour, the seal
covers every letter of the JSON, the provenance too: no bit of the file can change unnoticed.
"""

import dataclasses
import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from .checks import is_integer
from .errors import InvalidNetwork, SpikeloomError, shown
from .geometry import GEOMETRIES, Geometry
from .network import Connection, Input, Network, Population, Provenance, Readout
from .neuron import Neuron, Silent

FORMAT_VERSION = 1
MAX_BYTES = 1 << 28
MAX_DOCUMENT = 1 << 23
_ALTERED = "must be as it was written, not altered; convert the model again"
_KEY = "spikeloom"
_TABLES = {"units", "worths", "turned", "continued"}  # of a provenance: tuples by population
# Fields that came later, and their values before: left out there, so that older files and digests hold
_LATER: dict[tuple[type, str], Any] = {
    (Input, "code"): "plain",
    (Input, "sequence"): 0,
    (Neuron, "step_bits"): 0,
    (Silent, "growth"): 1.0,
    (Connection, "heard"): ((), ()),
}
_NEURONS = {"firing": Neuron, "silent": Silent}
# what a document of another shape than ours runs into while it is taken apart
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


def save(network: Network, path: str | Path) -> None:
    """Write a network; the file appears whole or not at all.

    Raises
    ------
    SpikeloomError
        The folder is missing, not writable or full.
    """
    text, arrays = text_and_arrays(network)
    write_whole(path, to_safetensors(arrays, metadata={_KEY: text}))


def text_and_arrays(network: Network) -> tuple[str, dict[str, np.ndarray]]:
    """What a file holds: JSON with digest and seal, and the arrays by name; `network_of` makes the network of them."""
    document, arrays = _describe(network)
    document |= {"format": FORMAT_VERSION, "digest": network.digest}
    document["provenance"] = dataclasses.asdict(network.provenance)
    for name in _TABLES:
        document["provenance"][name] = {key: list(values) for key, values in document["provenance"][name].items()}
    for name in ("turned", "continued"):  # most networks have none, and their files are as they were
        if not document["provenance"][name]:
            del document["provenance"][name]
    return canonical(sealed(document)), arrays


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file so that it appears whole or not at all; SpikeloomError naming the path where that fails."""
    path = Path(path)
    temporary = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # replacing a device would destroy it
            raise SpikeloomError(f"File '{path}': must be a file or not be there, not a device; choose another")
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        raise SpikeloomError(f"File '{path}': cannot be written ({_reason(error)}); choose another folder") from None
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink(missing_ok=True)


def behaviour_bytes(network: Network) -> bytes:
    """Everything that decides what a network does, in canonical bytes; the digest is taken over these."""
    document, arrays = _describe(network)
    parts = [canonical(document).encode()]
    for name in sorted(arrays):
        array = arrays[name]
        parts += [f"\n{name} {array.dtype.str} {array.shape}\n".encode(), array.tobytes()]
    return b"".join(parts)


def canonical(document: Any) -> str:
    """JSON with sorted keys and no spaces: equal documents give equal text."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load(path: str | Path) -> Network:
    """Read a network.

    Raises
    ------
    InvalidNetwork
        Not a .loom file, truncated, of another version, altered, or against the contract.
    """
    text, arrays = _read(Path(path))
    try:
        return network_of(text, arrays)
    except InvalidNetwork as error:
        raise InvalidNetwork(f"File '{path}': {error}") from None


def network_of(text: str, arrays: dict[str, np.ndarray]) -> Network:
    """The network of a JSON text and arrays, as `text_and_arrays` gives them.

    Raises
    ------
    InvalidNetwork
        Of another version, altered, or against the contract.
    """
    try:
        document = json.loads(text)
        version = document["format"]
        if not is_integer(version, FORMAT_VERSION, FORMAT_VERSION):
            again = "convert the model again or install the Spikeloom that wrote it"
            raise InvalidNetwork(f"format version must be {FORMAT_VERSION}, not {shown(version)}; {again}")
        del document["seal"]
        if canonical(sealed(document)) != text:
            raise InvalidNetwork(_ALTERED)
        del document["format"]
        digest = document.pop("digest")
        network = _build(document, arrays)
        if digest != network.digest:
            raise InvalidNetwork(_ALTERED)
        return network
    except _MISFITS as error:
        expected = f"must hold the fields of format {FORMAT_VERSION}"
        raise InvalidNetwork(f"{expected} ({_reason(error)}); convert the model again") from None


def _read(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """JSON and arrays of a file."""
    who = f"File '{path}'"
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for a writer for ever
            raise InvalidNetwork(f"{who}: must be a .loom file, not a {'folder' if path.is_dir() else 'device'}")
        if path.exists() and (size := path.stat().st_size) > MAX_BYTES:
            raise InvalidNetwork(f"{who}: must have at most {MAX_BYTES} bytes, not {size}")
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _KEY not in metadata:
                raise InvalidNetwork(f"{who}: must be a .loom file, not other safetensors; convert the model first")
            if len(metadata[_KEY]) > MAX_DOCUMENT:
                raise InvalidNetwork(f"{who}: must hold at most {MAX_DOCUMENT} characters, not {len(metadata[_KEY])}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is not a dict
    except FileNotFoundError:
        raise InvalidNetwork(f"{who}: does not exist; `spikeloom convert ... -o {path}` writes one") from None
    except OSError as error:
        raise InvalidNetwork(f"{who}: cannot be read ({_reason(error)}); give rights or choose another") from None
    except (SafetensorError, *_MISFITS) as error:
        raise InvalidNetwork(f"{who}: must be a whole .loom file ({_reason(error)}); convert the model again") from None
    return metadata[_KEY], arrays


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a hash over all of it."""
    return document | {"seal": hashlib.sha256(canonical(document).encode()).hexdigest()}


def _reason(error: Exception) -> str:
    """An exception as one short line."""
    words = " ".join((getattr(error, "strerror", None) or str(error)).split())
    return f"{type(error).__name__}: {words if len(words) <= 160 else words[:160] + '...'}"


def _describe(network: Network) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """JSON document and arrays of a network, without its provenance."""
    arrays: dict[str, np.ndarray] = {}

    def plain(item: Any, prefix: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for field in dataclasses.fields(item):
            value = getattr(item, field.name)
            if (type(item), field.name) in _LATER and value == _LATER[type(item), field.name]:
                continue
            if isinstance(value, np.ndarray):
                arrays[f"{prefix}.{field.name}"] = value
            elif field.type is float:
                result[field.name] = float(value) or 0.0  # 2 as 2.0 and -0.0 as 0.0: one text for one meaning
            elif field.name == "heard":
                result[field.name] = [[float(number) or 0.0 for number in part] for part in value]
            elif value is not None and not dataclasses.is_dataclass(value):
                result[field.name] = value
        return result

    populations = []
    for population in network.populations:
        kind = "firing" if isinstance(population.neuron, Neuron) else "silent"
        prefix = f"population.{population.name}"
        populations.append(plain(population, prefix) | {"neuron": plain(population.neuron, prefix) | {"kind": kind}})
    connections = []
    for connection in network.connections:
        later = {
            field.name
            for field in dataclasses.fields(connection.geometry)
            if field.name.startswith("pool_") and getattr(connection.geometry, field.name) == field.default
        }  # files written before there was anything else keep their digest
        geometry = dataclasses.asdict(connection.geometry) | {"kind": connection.geometry.kind}
        geometry = {name: value for name, value in geometry.items() if name not in later}
        connections.append(plain(connection, f"connection.{connection.name}") | {"geometry": geometry})
    document = {
        "name": network.name,
        "inputs": [plain(item, "") for item in network.inputs],
        "populations": populations,
        "connections": connections,
        "readouts": [plain(item, "") for item in network.readouts],
        "schedule": network.schedule,
    }
    return document, arrays


def _build(document: dict[str, Any], arrays: dict[str, np.ndarray]) -> Network:
    """The network of a document and its arrays; takes the document apart and wants nothing to be left."""

    owned: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        owner, _, field = name.rpartition(".")
        owned.setdefault(owner, {})[field] = array

    def tuples(entry: dict[str, Any]) -> dict[str, Any]:
        return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}

    populations = []
    for entry in document.pop("populations"):
        fields = dict(entry.pop("neuron"))
        kind = _NEURONS[fields.pop("kind")]
        neuron = kind(**fields, **owned.pop(f"population.{entry['name']}", {}))
        populations.append(Population(**tuples(entry), neuron=neuron))
    connections = []
    for entry in document.pop("connections"):
        fields = tuples(entry.pop("geometry"))
        geometry: Geometry = GEOMETRIES[fields.pop("kind")](**fields)
        if "heard" in entry:
            entry["heard"] = tuple(map(tuple, entry["heard"]))
        connections.append(Connection(**entry, geometry=geometry, **owned.pop(f"connection.{entry['name']}", {})))
    provenance = document.pop("provenance")
    for name in _TABLES & provenance.keys():  # later than the first files
        provenance[name] = tuples(provenance[name])
    network = Network(
        inputs=tuple(Input(**tuples(entry)) for entry in document.pop("inputs")),
        populations=tuple(populations),
        connections=tuple(connections),
        readouts=tuple(Readout(**entry) for entry in document.pop("readouts")),
        provenance=Provenance(**tuples(provenance)),
        **document,
    )
    if owned:
        raise LookupError(f"arrays of unknown {', '.join(sorted(owned))}")
    return network
