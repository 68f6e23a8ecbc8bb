"""What the papers promise, measured here: each module is one benchmark of `make bench-conversion`."""

from collections.abc import Callable
from typing import Any

from ..nets import Bench
from .few_steps import few_steps
from .peers import peers

PAPERS: dict[str, Callable[[Bench], dict[str, Any]]] = {"few_steps": few_steps, "peers": peers}
