"""What a valid and usable page keeps to, checked by Python's own parser; complaints in words."""

import re
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
ATTRIBUTES_THAT_LOAD = ("src", "srcset", "data", "action", "poster")


class Rules(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.headings: list[int] = []
        self.complaints: list[str] = []
        self.pictures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(found) != len(attrs):
            self.complaints.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)
        self.look_at(tag, found)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.look_at(tag, dict(attrs))

    def look_at(self, tag: str, found: dict[str, str | None]) -> None:
        if "id" in found:
            self.ids.append(found["id"] or "")
        for name, value in found.items():
            self.references += re.findall(r"url\(#([^)]*)\)", value or "")
            if name in ATTRIBUTES_THAT_LOAD or (name in ("href", "style") and re.search(r"//|data:", value or "")):
                self.complaints.append(f"<{tag} {name}={value!r:.60}> loads something")
            if name.startswith("on"):
                self.complaints.append(f"<{tag} {name}> runs a script")
        if (found.get("href") or "").startswith("#"):
            self.references.append((found["href"] or "")[1:])
        self.references += [found["aria-labelledby"]] if found.get("aria-labelledby") else []
        if tag == "script":
            self.complaints.append("a script")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg":
            self.pictures += 1
            if found.get("role") != "img" or len(found.get("aria-label") or "") < 20:
                self.complaints.append(f"a picture without words: {found}")
        if tag == "th" and "scope" not in found:
            self.complaints.append("a <th> without scope")
        scrolls = "scroll" in (found.get("class") or "")
        if scrolls and (found.get("tabindex") != "0" or not found.get("aria-label")):
            self.complaints.append("a scrolled region that a keyboard cannot reach, or without a name")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.complaints.append(f"</{tag}> closes nothing, at {self.getpos()}")

    def check(self) -> list[str]:
        self.complaints += [f"<{tag}> is never closed" for tag in self.open]
        self.complaints += [f"the id {name!r} is there twice" for name in set(self.ids) if self.ids.count(name) > 1]
        self.complaints += [f"#{name} leads nowhere" for name in set(self.references) - set(self.ids)]
        if self.headings.count(1) != 1 or self.headings[0] != 1:
            self.complaints.append("not exactly one <h1>, first of the headings")
        if any(after > before + 1 for before, after in zip(self.headings, self.headings[1:], strict=False)):
            self.complaints.append(f"headings skip a level: {self.headings}")
        return self.complaints


def complaints(page: str) -> list[str]:
    rules = Rules()
    rules.feed(page)
    rules.close()
    found = rules.check()
    if not page.lstrip().lower().startswith("<!doctype html>"):
        found.append("no doctype")
    for wanted in ('<html lang="en"', 'name="viewport"', "<title>", "prefers-color-scheme: dark", "<main"):
        if wanted not in page:
            found.append(f"{wanted} is missing")
    return found
