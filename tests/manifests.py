"""Manifests that say something else than what was generated, under a seal that fits."""

import json
from pathlib import Path
from typing import Any

from spikeloom_hw.manifest import MANIFEST, text_of


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a build."""
    return json.loads((folder / MANIFEST).read_text())


def redirect(folder: Path, manifest: dict[str, Any] | None = None, **entries: object) -> None:
    """Change entries of the manifest of a build, or all of it."""
    (folder / MANIFEST).write_text(text_of((manifest or manifest_of(folder)) | entries))
