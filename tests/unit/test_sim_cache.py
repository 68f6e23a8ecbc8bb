"""The cache of compiled simulators: things are whole, the oldest go, and nobody's work is taken from under them."""

import os
import time
from pathlib import Path

import pytest
from spikeloom_sim import cache


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path))
    return tmp_path / "toy"


def fill(work: Path) -> None:
    (work / "content").write_text("made")


def test_what_was_used_longest_ago_goes_and_the_rest_is_made_once(root: Path) -> None:
    for number in range(cache.KEPT):
        os.utime(cache.made("toy", f"{number}", fill), (number, number))
    cache.made("toy", "0", lambda work: pytest.fail("made again"))  # and is the youngest now
    cache.made("toy", "another", fill)
    assert sorted(path.name for path in root.iterdir()) == sorted(
        [*(f"{number}" for number in range(cache.KEPT) if number != 1), "another"]
    )


def test_a_workspace_stays_as_long_as_somebody_may_be_at_it(root: Path) -> None:
    with cache.workspace("toy", "slow") as work, cache.workspace("toy", "left") as left:
        os.utime(left, (0, time.time() - cache.ABANDONED - 60))
        for number in range(cache.KEPT + 2):
            cache.made("toy", f"{number}", fill)
        assert work.is_dir()
        assert not left.exists()
    assert len(list(root.iterdir())) == cache.KEPT
