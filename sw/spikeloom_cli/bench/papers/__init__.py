"""What the papers promise, measured here: each module is one benchmark of `make bench-conversion`."""

from collections.abc import Callable
from typing import Any

from ..nets import Bench
from .few_steps import few_steps
from .half_step import half_step
from .methods import methods
from .optimal import optimal
from .peers import peers
from .recurrent import recurrent
from .residual import residual
from .steprelu import steprelu
from .strelu import strelu

PAPERS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "few_steps": few_steps,
    "peers": peers,
    "strelu": strelu,
    "residual": residual,
    "optimal": optimal,
    "half_step": half_step,
    "recurrent": recurrent,
    "steprelu": steprelu,
    "methods": methods,
}
