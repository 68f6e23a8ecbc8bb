"""Codes and trains: the bits of a code in the order in which its train sends them."""

from collections.abc import Sequence

from amaranth.hdl import Array, Cat, Const, Value


def minimal(code: Value) -> tuple[Value, Value]:
    """Minimal-weight (non-adjacent) digits of a code of T bits: (+1 digits, -1 digits), T+1 bits each, lowest first.

    +1 where 3q has a one and q has none, -1 the other way round, both shifted by one.
    """
    bits = len(code)
    tripled = (code + (code << 1))[: bits + 2]
    plain = Cat(code, Const(0, 2))
    return (tripled & ~plain)[1:], (plain & ~tripled)[1 : bits + 2]


def train_of(
    code: Value, *, lengths: Sequence[int], length: Value, digits: int, minimal_weight: bool
) -> tuple[list, list]:
    """(spikes, signs) at each of `digits` time steps, most significant first, of the growth-2 train of a code.

    Parameters
    ----------
    lengths : time steps that the train may have; `length` less one says which.
    digits : time steps of the longest.
    minimal_weight : send the code in non-adjacent form, one digit longer than its bits.
    """
    plus, minus = minimal(code) if minimal_weight else (code, code & 0)

    def at(bits: Value, t: int) -> Value:
        options = {
            n: bits[n - 1 - t] if t < n <= len(bits) + t and n - 1 - t < len(bits) else Const(0, 1) for n in lengths
        }
        if len(options) == 1:
            return next(iter(options.values()))
        return Array(options.get(n + 1, Const(0, 1)) for n in range(max(lengths)))[length]

    spikes = [at(plus | minus, t) for t in range(digits)]
    return spikes, [at(minus, t) for t in range(digits)]
