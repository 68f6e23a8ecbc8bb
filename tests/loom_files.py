"""Files to load and to refuse: a tiny network's .loom file, and others made from it as an attacker would."""

import dataclasses
import json
import struct
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from random_networks import RandomNetwork
from safetensors.numpy import load as safetensors_load
from safetensors.numpy import save as safetensors_save
from spikeloom import Conv2d, InvalidNetwork, Network, Provenance

Document = dict[str, Any]
Arrays = dict[str, np.ndarray]


def tiny() -> Network:
    """A network with every kind of layer a file is made of, and a provenance."""
    layers = RandomNetwork(np.random.default_rng(3), (1, 4, 4), 3, "tiny").conv(2, Conv2d((3, 3)), timesteps=2)
    provenance = Provenance("net:make", "spikeconverter", ("said",), {"snn": 0.5}, {"torch": "2"})
    return dataclasses.replace(layers.readout(2), provenance=provenance)


def refused(path: Path) -> str:
    """The one line with which a file is refused, without the path."""
    try:
        Network.load(path)
    except InvalidNetwork as error:
        message = str(error)
    else:
        raise AssertionError(f"{path} was not refused")
    assert message.startswith(f"File '{path}': ")
    assert "\n" not in message
    assert len(message) < 400
    return message.removeprefix(f"File '{path}': ")


def with_document(text: str, arrays: Arrays) -> bytes:
    """A file with this text for its document."""
    return safetensors_save(arrays, metadata={"spikeloom": text})


def rewritten(path: Path, change: Callable[[Document, Arrays], Any]) -> None:
    """Write the tiny network after a change to its document or arrays, sealed as if it were ours."""
    tiny().save(path)
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    document = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["spikeloom"])
    arrays = dict(safetensors_load(content))
    del document["seal"]
    change(document, arrays)
    seal = sha256(_canonical(document).encode()).hexdigest()
    path.write_bytes(with_document(_canonical(document | {"seal": seal}), arrays))


def _canonical(document: Document) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
