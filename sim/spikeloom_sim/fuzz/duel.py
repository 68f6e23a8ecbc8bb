"""A link in gates against the link in software: the same hostile line for both, and every answer compared."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from spikeloom import Divergence
from spikeloom.link import Device, Framer, Identity, Message, Statistics, unpack

from .hostile import Act, Attacker, BadStop, Break, Case, Silence

Replies = list[tuple[Message, int]]
SHOWN = 300  # characters of a case or of replies in a message


@dataclass
class Duel:
    """Cases one after the other; a good frame comes behind each.

    Parameters
    ----------
    attacker : draws the cases.
    twin : Device, fresh; its `timeout_s` is 1, so that silence is counted in timeouts.
    gates : sends the acts of a case to the gates, waits until as many bytes as wanted came, or nothing comes any more,
        and returns what came.

    Members
    -------
    cases, replies : how many of each kind there were.
    """

    attacker: Attacker
    twin: Device
    gates: Callable[[Case, int], bytes]
    cases: Counter[str] = field(default_factory=Counter)
    replies: Counter[str] = field(default_factory=Counter)
    _framer: Framer = field(default_factory=Framer)

    def run(self, cases: int, *, progress: Callable[[int], None] = lambda done: None) -> None:
        """Go through so many hostile cases.

        Raises
        ------
        Divergence
            An answer is wrong, missing or too many; names the case.
        """
        for number in range(cases):
            self.exchange(self.attacker.hostile(self.twin.expected))
            self.exchange(self.attacker.good(self.twin.expected))
            progress(number + 1)

    def exchange(self, case: Case) -> None:
        """One case."""
        wanted = self.expect(case)
        self.judge(case, self.gates(case, len(wanted)), wanted)

    def expect(self, case: Case) -> bytes:
        """What software answers."""
        return b"".join(self._tell(act) for act in case.acts)

    def judge(self, case: Case, got: bytes, wanted: bytes) -> None:
        """Compare answers; Divergence where they differ."""
        self.cases[case.name] += 1
        masked = self.attacker.begun or case.interrupts
        replies = _replies(self._framer.feed(got), masked)
        right = _replies(Framer().feed(wanted), masked)
        if any(vars(self._framer.losses).values()):
            raise Divergence(f"{self._where(case)}: answers must be good frames, not {got.hex()[:SHOWN]}")
        if not (_interrupted(replies, right) if case.interrupts else replies == right):
            raise Divergence(f"{self._where(case)}: answers must be {_shown(right)}, not {_shown(replies)}")
        self.replies.update(type(message).__name__ for message, _ in replies)

    def _tell(self, act: Act) -> bytes:
        match act:
            case Break() | BadStop():
                self.twin.line_error()
            case Silence(timeouts):
                self.twin.wait(timeouts)
            case _:
                return self.twin.receive(act)
        return b""

    def _where(self, case: Case) -> str:
        acts = ", ".join(act.hex() if isinstance(act, bytes) else repr(act) for act in case.acts)
        return f"Link, case {sum(self.cases.values())}, '{case.name}' ({acts[:SHOWN]})"


def _replies(bodies: list[bytes], masked: bool) -> Replies:
    """Messages; without the cycles of a sample, which software does not know, and the events where they are partial."""
    found = [unpack(body) for body in bodies]
    return [
        (replace(message, cycles=0, events=0 if masked else message.events), sequence)
        if isinstance(message, Statistics)
        else (message, sequence)
        for message, sequence in found
    ]


def _interrupted(got: Replies, right: Replies) -> bool:
    """Whether replies are right where those before the last IDENTITY may be missing."""
    start = max(n for n, (message, _) in enumerate(right) if isinstance(message, Identity))
    tail = len(right) - start
    before = iter(right[:start])
    return got[-tail:] == right[start:] and all(reply in before for reply in got[:-tail])


def _shown(replies: Replies) -> str:
    return "; ".join(f"{message} to {sequence}" for message, sequence in replies)[:SHOWN] or "none"
