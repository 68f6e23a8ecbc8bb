"""Hypothesis draws recipes of random networks: fewer layers, cores and kinds of things are simpler."""

from hypothesis import strategies as st
from spikeloom_sim.fuzz.draw import DEEPEST, KINDS, LONGEST, MOST_LANES, SCHEDULES
from spikeloom_sim.fuzz.recipe import SAMPLES, Recipe

SEEDS = 1 << 20


@st.composite
def recipes(
    draw: st.DrawFn,
    *,
    first: int = 0,
    kinds: frozenset[str] = frozenset(KINDS),
    schedules: tuple[str, ...] = SCHEDULES,
) -> Recipe:
    """Recipes with seeds from `first` on, of networks with some of the `kinds`, most of the time all of them."""
    some = st.sets(st.sampled_from([kind for kind in KINDS if kind in kinds])).map(frozenset)
    return Recipe(
        draw(st.integers(first, first + SEEDS - 1)),
        depth=draw(st.integers(1, DEEPEST)),
        cores=draw(st.integers(1, 3)),
        kinds=draw(some | st.just(kinds) | st.just(kinds)),
        timesteps=draw(st.just(LONGEST) | st.integers(1, LONGEST)),
        schedule=draw(st.sampled_from(schedules)),
        lanes=draw(st.just(MOST_LANES) | st.integers(1, MOST_LANES)),
        samples=draw(st.just(SAMPLES) | st.integers(1, SAMPLES)),
        stalls=draw(st.sampled_from([False, True, True, True])),
    )
