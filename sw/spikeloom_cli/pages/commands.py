"""The page of all commands, docs/reference/commands.md: what each says of itself."""

from pathlib import Path

import typer

from ..app import app
from ..bench.papers.page import table

HEAD = """# Commands

Written by `make pages` from the commands themselves: what stands here is what `spikeloom COMMAND --help` says.

Every command takes `--json`: one JSON object on stdout, and nothing else there. Exit codes are 0 for success, 1 where a
check failed, 2 for wrong use or input, 130 where it was interrupted. An error is one line on stderr that says what,
where, and how to fix it; with `--json` it is the object's `error` too. Progress goes to stderr.
"""
_COLUMNS = 100


def render(docs: Path) -> str:
    """The page; `docs` does not matter."""
    group = typer.main.get_command(app)
    context = group.make_context("spikeloom", [], resilient_parsing=True)
    listed = group.list_commands(context)  # type: ignore[attr-defined]  # typer gives a group
    commands = {name: group.get_command(context, name) for name in listed}  # type: ignore[attr-defined]  # likewise
    rows = [[f"[`{name}`](#{name})", command.get_short_help_str(200)] for name, command in commands.items()]
    parts = [HEAD, "\n".join(table("command | what", rows)), ""]
    for name, command in commands.items():
        own = command.make_context(
            f"spikeloom {name}", [], resilient_parsing=True, terminal_width=_COLUMNS, max_content_width=_COLUMNS
        )
        lines = (line.rstrip() for line in command.get_help(own).splitlines())
        parts += [f"## {name}", "", "```text", *lines, "```", ""]
    return "\n".join(parts)
