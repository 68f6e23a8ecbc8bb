"""Pages that are made are what they are made of."""

from pathlib import Path

import pytest
from spikeloom_cli.pages import MADE

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", MADE)
def test_made_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == MADE[name](DOCS), "make pages"
