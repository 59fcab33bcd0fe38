"""Checks the links of a site that was built.

    python docs/site_links.py build/site

Links within the site lead to a page, and to a place on it, that exist; every
public object has a place. Of links to elsewhere only the form is checked.
"""

import html.parser
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).parent.parent
GOLDEN = ROOT / "tests/golden/public_api.txt"
ELSEWHERE = re.compile(r"https?://[\w-]+(\.[\w-]+)+(/\S*)?$")


class Page(html.parser.HTMLParser):
    """The links of a page, the places on it, and what a reader must fetch."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places, self.fetched = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[n] for n in ("id", "name") if found.get(n)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") != "canonical":
            self.fetched.append(found.get("href"))
        elif found.get("src"):
            self.fetched.append(found["src"])


def problems(site) -> list[str]:
    """What is wrong with the links of a site, as lines `page: link: what`."""
    site = pathlib.Path(site).resolve()
    pages = {p: Page(p.read_text()) for p in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name == "404.html":  # Its links begin at the server's root.
            continue
        for link in dict.fromkeys([*page.links, *page.fetched]):
            what = problem(link, path, pages, link in page.fetched)
            if what:
                found.append(f"{path.relative_to(site)}: {link}: {what}")
    places = set().union(*(page.places for page in pages.values()))
    for name in GOLDEN.read_text().split():
        if name not in places:
            found.append(f"{name}: has no place in the reference")
    return found


def problem(link, path, pages, fetched) -> str | None:
    parts = urllib.parse.urlsplit(link)
    if parts.scheme in ("mailto", "data"):
        return None
    if parts.scheme or parts.netloc:
        if fetched:
            return "a page must not fetch anything from elsewhere"
        return None if ELSEWHERE.match(link) else "no address of a page"
    target = path
    if parts.path:
        relative = urllib.parse.unquote(parts.path)
        target = (path.parent / relative).resolve()
        if target.is_dir():
            target = target / "index.html"
        if not target.exists():
            return "there is no such file"
    anchor = urllib.parse.unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].places:
        return "there is no such place on the page"
    return None


def main(site) -> int:
    found = problems(site)
    count = sum(1 for _ in pathlib.Path(site).rglob("*.html"))
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{count} pages, {len(found)} broken links")
    return int(bool(found) or not count)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
