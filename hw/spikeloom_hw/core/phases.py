"""Phases: what the lanes of a core do while its generator visits a layer, as words of its program."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spikeloom.program.images import Events, Rows
from spikeloom.program.program import Stored
from spikeloom.program.visits import Visit

if TYPE_CHECKING:
    from .spec import CoreSpec


@dataclass(frozen=True, eq=False)
class Step:
    """One word of a core's program: what the lanes do until the next word.

    Parameters
    ----------
    phase : position of the layer that is being filled.
    drained : what the generator does meanwhile.
    train : whose events are walked or stored; None where there are none.
    replayed : the events come from the store, not from the generator or the port.
    events : images of the connection they go through; None where they are only stored.
    stored : region of the store that keeps them; None where nothing does.
    rows : images of a diagonal connection that is added row by row meanwhile; None where there is none.
    last : the banks swap after it.
    """

    phase: int
    drained: Visit
    train: str | None = None
    replayed: bool = False
    events: Events | None = None
    stored: Stored | None = None
    rows: Rows | None = None
    last: bool = False


def phases(spec: "CoreSpec", visits: tuple[Visit, ...]) -> tuple[tuple[Step, ...], ...]:
    """The steps before each visit; while they run, the visit before goes on."""
    images = _Images(spec)
    return tuple(_phase(spec, images, visit, visits[number - 1]) for number, visit in enumerate(visits))


def _phase(spec: "CoreSpec", images: "_Images", visit: Visit, drained: Visit) -> tuple[Step, ...]:
    phase, plan = visit.layer, spec.plan
    before = plan.layers[phase - 1].population if phase else plan.source
    stored = next((item for item in plan.stored if item.source == before), None)
    rows = [images.rows(step.connection, phase) for step in visit.steps if step.kind == "rows"]
    # what is stored in this very phase can be added only afterwards
    rows.sort(key=lambda item: item.connection.source == before)
    events = [step for step in visit.steps if step.kind != "rows"]
    found: list[Step] = []
    while rows or len(found) < len(events):
        position = len(found)
        free = position >= len(events) or (
            events[position].kind == "stream" and rows and rows[0].connection.source != before
        )
        now = rows.pop(0) if rows and free else None
        if position < len(events):
            replayed = events[position].kind == "events"
            image = images.events(events[position].connection, phase, replayed)
            train = image.connection.source if image and replayed else before
            found.append(Step(phase, drained, train, replayed, image, None if replayed else stored, now))
        else:
            found.append(Step(phase, drained, rows=now))
    if not found:  # nothing is added: the layer fires once more
        found.append(Step(phase, drained))
    found[-1] = replace(found[-1], last=True)
    return tuple(found)


class _Images:
    """Images of connections, each made once, however often its words come."""

    def __init__(self, spec: "CoreSpec") -> None:
        self.spec = spec
        self.connections = {item.name: item for item in spec.network.connections}
        self.walked: dict[str, Events] = {}
        self.added: dict[str, Rows] = {}

    def events(self, name: str | None, phase: int, replayed: bool) -> Events | None:
        """Images of a connection into a layer that is walked event by event; None where there is none."""
        if name is None:
            return None
        if name not in self.walked:
            connection = self.connections[name]
            heard = self.spec.heard(connection, replayed=replayed)
            self.walked[name] = Events.of(connection, self.spec.plan.layers[phase], heard)
        return self.walked[name]

    def rows(self, name: str | None, phase: int) -> Rows:
        """Images of a diagonal connection into a layer that is added row by row."""
        assert name is not None  # a step by rows has a connection
        if name not in self.added:
            plan = self.spec.plan
            made = Rows.of(self.connections[name], plan.layers[phase], plan.weight_bits, multiply=plan.multiply)
            self.added[name] = made
        return self.added[name]
