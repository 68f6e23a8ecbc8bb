"""The page: facts and figures into HTML, by templates that escape every word that is not their own."""

import base64
import io
from typing import Any

import numpy as np

from . import figures
from .charts import Own
from .facts import Facts, Missing

MARK = "<!-- Spikeloom report -->"  # a file that has it near its top is one of ours
_LONGEST = 600  # characters of a text from outside
_UNITS = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))


def render(facts: Facts) -> str:
    """The whole page as HTML; what is in it needs no other file."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {"number": number, "percent": percent, "joules": joules, "image": image_uri}
    environment.tests["missing"] = lambda value: isinstance(value, Missing)
    return environment.get_template("page.html.jinja").render(**_values(facts))


def _values(facts: Facts) -> dict[str, Any]:
    accuracy = facts.accuracy
    counts = None if isinstance(accuracy, Missing) else accuracy.confusion
    return {
        "mark": MARK,
        "facts": facts,
        "origin": facts.origin,
        "charts": figures.accuracy_charts(facts),
        "confusion": None if counts is None else figures.confusion_of(counts),
        "bars": figures.core_bars(facts),
        "states": figures.STATES,
        "shown": tuple(figures.shown(place, sample) for place, sample in enumerate(facts.samples)),
    }


def _finalized(value: Any) -> Any:
    """Text from outside: what cannot be printed is replaced, what is endless is cut."""
    if type(value) is not str:  # our own, or markup of the templates
        return value
    printable = (
        character if character.isprintable() or character == "\N{NO-BREAK SPACE}" else "\N{REPLACEMENT CHARACTER}"
        for character in value[:_LONGEST]
    )
    return "".join(printable) + (f"… ({len(value):,} characters)" if len(value) > _LONGEST else "")


def number(value: float | None, digits: int = 0) -> str:
    """A number with its thousands apart, or a dash."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "−")


def percent(value: float | None, digits: int = 2) -> str:
    """A share as percent, or a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def joules(picojoules: float) -> str:
    """An energy in the unit that suits it."""
    size, unit = next((item for item in _UNITS if picojoules >= item[0]), _UNITS[-1])
    return f"{picojoules / size:.3g}\N{NO-BREAK SPACE}{unit}"


def image_uri(picture: np.ndarray) -> str:
    """A picture uint8 [H, W] or [H, W, 3] as the address of a PNG that is in the address itself."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return Own("data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode())
