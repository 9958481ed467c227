"""One self-contained HTML file from a run folder: no network, no script, light and dark."""

import os
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mise_hf.report.run import read_run
from mise_hf.report.sections import all_sections

TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Page:
    """A finished page and the titles of its sections."""

    titles: list[str]
    html: str


def build_page(run: str | os.PathLike[str]) -> Page:
    """The page of a run folder.

    Raises:
        ValueError: where the folder holds no run.
    """
    found = read_run(run)
    sections = all_sections(found)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "markup": Markup}
    html = environment.get_template("page.html").render(verdicts=found.results.get("verdicts") or [], sections=sections)
    return Page([section.title for section in sections], html)


def write_page(page: Page, path: Path) -> Path:
    """Write the page; returns its path.

    Raises:
        ValueError: where `path` cannot be written.
    """
    try:
        path.write_text(page.html, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}; wanted a file in a folder that is there") from error
    return path


def write_report(run: str | os.PathLike[str]) -> Path:
    """Write `report.html` into a run folder; returns its path.

    Raises:
        ValueError: where the folder holds no run.
    """
    return write_page(build_page(run), Path(run) / "report.html")


def number(value: object, digits: int = 2) -> str:
    """A measured number for a table; a dash for None and NaN."""
    if not isinstance(value, int | float) or value != value:
        return "-"
    return f"{value:.{digits}f}"
