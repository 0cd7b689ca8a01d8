"""Cache-Control by path."""

import re

import pytest

from rush_http import Headers
from rush_loader import Loader
from rush_loader.cache_control import ASK, IMMUTABLE, CacheControl

BY_DEFAULT = [
    ("/index.html", ASK),
    ("/assets/main.8e1b9d3c.js", IMMUTABLE),
    ("/assets/main-8e1b9d3c4f5a6b7c8d9e.css", IMMUTABLE),
    ("/assets/main.8e1b9d3c.js.map", IMMUTABLE),
    ("/assets/main.8e1b9d3c.chunk.css", IMMUTABLE),
    ("/assets/8e1b9d3c/main.js", ASK),
    ("/assets/8e1b9d3c.js", ASK),
    ("/reports/report-20260131.pdf", ASK),
    ("/app-facade.css", ASK),
    ("/app.deadbeef.css", ASK),
    ("/jquery-3.7.1.min.js", ASK),
    ("/main.8e1b9d3.js", ASK),
    ("/main.8E1B9D3C.js", ASK),
    ("/main.8e1b9d3c", ASK),
    ("/avatars/0f8fad5b-d9cb-469f-a165-70867728950e.jpg", ASK),
    ("/avatars/me-0F8FAD5B-D9CB-469F-A165-70867728950E.8e1b9d3c.jpg", ASK),
    ("/a-1234567a.html", ASK),
    ("/a-1234567a.htm", ASK),
    ("/a-1234567a.xhtml", ASK),
]


@pytest.mark.parametrize(("path", "value"), BY_DEFAULT)
def test_by_default(path, value):
    assert CacheControl().value(path) == value


RULES = [
    ("*.[0-9a-f]*.js", "immutable"),
    ("/fonts/*", "public, max-age=86400"),
    ("*.html", ""),
    ("app.*", "private"),
]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/x/app.3f.js", "immutable"),
        ("/fonts/deep/x.woff2", "public, max-age=86400"),
        ("/other/fonts/x.woff2", ASK),
        ("/index.html", ""),
        ("/app.css", "private"),
        ("/x.y/app.8e1b9d3c.css", "private"),
        ("/x.8e1b9d3c.css", IMMUTABLE),
    ],
)
def test_the_first_rule_that_fits(path, value):
    assert CacheControl(RULES).value(path) == value


@pytest.mark.parametrize("value", ["a\r\nb", "a\0", "ü", "a\x7f"])
def test_bad_values(value, tmp_path):
    with pytest.raises(ValueError, match="cache_control"):
        Loader(tmp_path, cache_control=[("*", value)])


def test_what_is_sent(tmp_path, write, make_cache):
    write("root/index.html")
    write("root/main.8e1b9d3c.js")
    cache = make_cache()
    plain = Loader(tmp_path / "root", cache)
    other = Loader(tmp_path / "root", cache, cache_control=[("/", "odd"), ("*.html", "max-age=9")])
    assert sent(plain, "/") == ASK
    assert sent(plain, "/main.8e1b9d3c.js") == IMMUTABLE
    assert sent(other, "/") == sent(other, "/index.html") == "max-age=9"  # they share a cache


def sent(loader, path):
    head = loader.answer(path, "GET", Headers()).head.decode()
    return re.search("Cache-Control: (.*)\r\n", head)[1]
