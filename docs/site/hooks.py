"""What MkDocs is told beside mkdocs.yml: pages from outside docs/, a page of the notebook, links between all of them.

Pages are written for a reader of the repository: README.md at the top, links to files and folders beside them. Here the
same links are made to lead to the pages of the site, and headings get the anchors that GitHub gives them.
"""

import json
import posixpath
import re
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "LICENSE": "LICENSE",
}
NOTEBOOK = "docs/notebooks/from-module-to-waveform.ipynb"
# what is code is left alone, what is a link has its target in the group `target`
LINK = re.compile(r"^```.*?^```|`[^`\n]+`|(?P<begin>\]\()(?P<target>[^)\s]+)(?=\))", re.MULTILINE | re.DOTALL)
SCHEME = re.compile(r"[a-z]+:")


def anchor(heading: str, separator: str = "-") -> str:
    """A heading's anchor as GitHub makes it: letters, digits, `-` and `_` stay, blanks become `-`."""
    kept = "".join(c for c in heading.strip().lower() if c in " -_" or unicodedata.category(c)[0] in "LN")
    return kept.replace(" ", separator)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Expand `folder/*` of the navigation; anchors as GitHub's."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    named = {page for entry in config.nav for page in _pages(entry)}
    config.nav = [_expanded(entry, named) for entry in config.nav]
    return config


def _pages(entry: dict[str, Any]) -> list[str]:
    (value,) = entry.values()
    return value if isinstance(value, list) else [value]


def _expanded(entry: dict[str, Any], named: set[str]) -> dict[str, Any]:
    ((title, value),) = entry.items()
    if isinstance(value, list) or not value.endswith("/*"):
        return entry
    folder = value.removesuffix("/*")
    found = [f"{folder}/{path.name}" for path in sorted((ROOT / "docs" / folder).glob("*.md"))]
    first = [name for name in found if name.endswith("/README.md")]
    return {title: first + [name for name in found if name not in {*first, *named}]}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies outside docs/, and the notebook as a page."""
    for source, name in OUTSIDE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text()))
    page = str(PurePosixPath(NOTEBOOK).with_suffix(".md").relative_to("docs"))
    files.append(File.generated(config, page, content=_notebook(ROOT / NOTEBOOK)))
    return files


def _notebook(path: Path) -> str:
    """The cells of a notebook as Markdown."""
    cells = json.loads(path.read_text())["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    parts = [text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in texts]
    parts.insert(1, f'The notebook itself: <a href="{path.name}">{path.name}</a>. Its outputs appear when it is run.')
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links lead to pages of the site."""
    here = page.file.src_uri
    source = next((outside for outside, name in OUTSIDE.items() if name == here), f"docs/{here}")

    def put(match: re.Match[str]) -> str:
        target = match["target"]
        if target is None or target.startswith("#") or SCHEME.match(target):
            return match[0]
        path, hash_, part = target.partition("#")
        wanted = _on_site(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
        if wanted is None:
            raise PluginError(f"Page '{source}': link '{target}' must lead into docs/, not out of it; name it as code")
        return f"]({posixpath.relpath(wanted, posixpath.dirname(here) or '.')}{hash_}{part}"

    return LINK.sub(put, markdown)


def _on_site(path: str) -> str | None:
    """Where a path of the repository is on the site; None where it is not."""
    if path in OUTSIDE:
        return OUTSIDE[path]
    if path == NOTEBOOK:
        path = str(PurePosixPath(path).with_suffix(".md"))
    if not path.startswith("docs/"):
        return None
    inner = path.removeprefix("docs/")
    return f"{inner}/README.md" if (ROOT / path).is_dir() else inner
