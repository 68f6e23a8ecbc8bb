"""What `spikeloom doctor` finds out about one thing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One tool, or one property of the machine: whether it is as it should be, and what to do where it is not.

    Members
    -------
    name : of the package, command or property.
    version : as the tool says it, or what was found; None where there is nothing.
    found : it is there and, for a package, in the version this project is pinned to.
    optional : everything but what `mend` names works without it.
    mend : one sentence, empty where nothing is to be done.
    """

    name: str
    version: str | None
    found: bool
    optional: bool = False
    mend: str = ""
