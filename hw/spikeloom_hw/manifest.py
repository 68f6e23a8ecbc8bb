"""The manifest of a build on disk: JSON under a seal, so that no letter of it changes unnoticed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spikeloom import SpikeloomError
from spikeloom.errors import shown
from spikeloom.storage import sealed

FORMAT_VERSION = 5
MANIFEST = "manifest.json"


def text_of(manifest: Mapping[str, Any]) -> str:
    """What the file of a manifest holds."""
    plain = {name: value for name, value in manifest.items() if name != "seal"}
    return json.dumps(sealed(plain), indent=1) + "\n"


def read(folder: Path) -> dict[str, Any]:
    """The manifest in a folder.

    Raises
    ------
    SpikeloomError
        There is none, or it is of another version, was altered, or names files beyond the folder.
    """
    who, again = f"Build '{folder}'", "generate it again"
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        version = manifest["format"]
        if version != FORMAT_VERSION:
            raise SpikeloomError(f"{who}: format must be {FORMAT_VERSION}, not {shown(version)}; {again}")
        seal = manifest.pop("seal", None)
        if sealed(manifest)["seal"] != seal:
            raise SpikeloomError(f"{who}: {MANIFEST} must be as generated, not altered; {again}")
        beyond = [name for name in named_files(manifest) if Path(name).name != name]
    except FileNotFoundError:
        raise SpikeloomError(f"{who}: has no {MANIFEST}; `spikeloom generate` makes a build") from None
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SpikeloomError(f"{who}: {MANIFEST} cannot be read ({error}); {again}") from None
    if beyond:
        raise SpikeloomError(f"{who}: {MANIFEST} must name files of the folder, not {shown(beyond[0])}; {again}")
    return dict(manifest)


def named_files(manifest: Mapping[str, Any]) -> list[str]:
    """Names of all files that a manifest says the folder holds."""
    wrapper = manifest["wrapper"]["verilog"]
    parameters = [item["file"] for item in manifest["parameters"]]
    return [manifest["verilog"], wrapper, *manifest["memories"], *parameters, *manifest["sha256"]]
