"""The server's own pages: valid, self-contained, and blind for what names smuggle in."""

import re

import pytest

from rush_loader import Item, Listing
from rush_web.pages import listing_page, page, status_page
from rush_web.pages.listing import shown_size

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "a&b'c",
    "café \u202e.txt",
    "x" * 255,
    "?sort=size",
    "#top",
    "a%2fb",
]


def listing(*names, path="/", truncated=False):
    items = (Item(name, "file", 100 * number, 1e9 + number) for number, name in enumerate(names))
    return Listing(path, tuple(items), truncated)


def valid(text):
    """The tree of a page that a strict parser has nothing against."""
    html5lib = pytest.importorskip("html5lib")
    return html5lib.HTMLParser(strict=True).parse(text)


PAGES = [
    page("A title", "<h1>Text</h1>"),
    *(status_page(status) for status in (400, 404, 405, 500, 503, 599)),
    listing_page(listing("a", "b")),
    listing_page(listing(path="/empty/")),
    listing_page(listing(*HOSTILE, path="/<b>/&amp;/"), "size", descending=True),
]


@pytest.mark.parametrize("made", PAGES, ids=range(len(PAGES)))
def test_pages_are_valid_and_need_nobody_else(made):
    pytest.importorskip("html5lib")
    valid(made.text)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", made.text)
    assert "<main>" in made.text
    assert 'lang="en"' in made.text
    (policy,) = (value for name, value in made.headers if name == "Content-Security-Policy")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_and_leads_to_itself(name):
    tree = valid(listing_page(listing(name)).text)
    html = "{http://www.w3.org/1999/xhtml}"
    (row,) = tree.findall(f".//{html}tbody/{html}tr")
    link = row.find(f".//{html}a")
    assert link.text == name
    assert link.get("href").startswith("./")
    assert not set("<>\"'?#:") & set(link.get("href"))
    assert len(tree.findall(f".//{html}script")) == 1


SORTED = [
    ("name", False, ["Alpha", "beta", "gamma"]),
    ("name", True, ["gamma", "beta", "Alpha"]),
    ("size", False, ["gamma", "Alpha", "beta"]),
    ("date", True, ["beta", "Alpha", "gamma"]),
    ("'; drop", False, ["Alpha", "beta", "gamma"]),
]


@pytest.mark.parametrize(("sort", "descending", "names"), SORTED)
def test_it_is_sorted_folders_first(sort, descending, names):
    items = (
        Item("beta", "file", 30, 300.0),
        Item("Alpha", "file", 20, 200.0),
        Item("gamma", "file", 10, 100.0),
        Item("zoo", "directory", 0, 0.0),
    )
    text = listing_page(Listing("/x/", items, False), sort, descending=descending).text
    assert re.findall(r'<a href="\./[^"]*">([^<]*)</a>', text) == ["zoo/", *names]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_048_524, "1023.9 KiB"),
        (1_048_575, "1.0 MiB"),
        (7 << 30, "7.0 GiB"),
        (3 << 40, "3.0 TiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_sizes_for_people(count, text):
    assert shown_size(count) == text


def test_crumbs_lead_up():
    text = listing_page(Listing("/a/b/c/", (), False)).text
    heading = re.search("<h1>(.*)</h1>", text)[1]
    assert re.findall('href="([^"]*)"', heading) == ["../../../", "../../", "../", "./"]


def test_a_listing_says_when_it_is_not_all():
    assert "more that are not shown" in listing_page(listing("a", truncated=True)).text
    assert "This folder is empty" in listing_page(listing()).text
