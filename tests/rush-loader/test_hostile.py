"""Two hundred ways to ask for what is outside of the root, or for what no file can be called.

Each is asked for as it is, and percent-decoded once and twice: whatever stands before the loader
decodes, nothing outside is read, and nothing but `FileNotFound` comes out.
"""

import contextlib
import os
import subprocess
import sys
from urllib.parse import unquote

import pytest

from rush_loader import FileNotFound, Loader

UP = ["..", "%2e%2e", ".%2e", "%2e.", "%252e%252e", "%25%32%65%25%32%65", "..%00", "..%20"]
UP += [
    "..;",
    "..;a=b",
    "..%3b",
    ".. ",
    " ..",
    "..%09",
    "...",
    "....",
    "..%0d%0a",
    ".%00.",
    "%c0%2e",
]
UP += ["%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%f0%80%80%ae", "%c0%6e", "%u002e%u002e", "%%32%65"]
UP += [
    "\u2025",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "\u3002\u3002",
    "\ufe52\ufe52",
    ".\u0338.",
    "\u202e..",
]

SLASH = ["/", "%2f", "%2F", "%252f", "\\", "%5c", "%5C", "%255c", "%c0%af", "%c1%9c", "%e0%80%af"]
SLASH += [
    "\u2044",
    "\u2215",
    "\u29f8",
    "\uff0f",
    "\uff3c",
    "//",
    "/./",
    "/.//",
    "\\/",
    "/%00/",
    ";/",
]

HOSTILE = [
    *(f"/{up}/secret.txt" for up in UP),
    *(f"/css/{up}/{up}/secret.txt" for up in UP),
    *(f"/..{slash}secret.txt" for slash in SLASH),
    *(f"/css{slash}..{slash}..{slash}secret.txt" for slash in SLASH),
    *(f"{slash}..{slash}secret.txt" for slash in SLASH),
    *(f"/%2e%2e{slash}secret.txt" for slash in SLASH[1:]),
    *("", ".", "..", "secret.txt", "../secret.txt", "index.html", "?", "*", "~", " /index.html"),
    *("/..", "/../", "/.", "/./", "/./index.html", "/css/.", "/css/..", "/css/../index.html"),
    *("//", "///", "//index.html", "/css//site.css", "//etc/passwd", "//host/share", "/css//"),
    *(
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "file:///etc/passwd",
        "/file:///etc/passwd",
    ),
    *(
        "/C:/secret.txt",
        "/C:\\secret.txt",
        "\\\\host\\secret.txt",
        "/\\\\host\\secret",
        "/CON",
        "/nul",
    ),
    *(
        "/index.html/",
        "/index.html/..",
        "/index.html/../index.html",
        "/index.html/x",
        "/index.html.",
    ),
    *("/index.html ", "/index.html%20", "/index.html::$DATA", "/index.html;.css", "/index.html\\"),
    *(
        "/index.html%00",
        "/index.html\0.png",
        "/\0",
        "/%00",
        "/index.html\n",
        "/index.html\r",
        "/\x7f",
    ),
    *(
        "/\x1b[31m",
        "/\x85",
        "/\x9b",
        "/\ud800",
        "/\udcff.html",
        "/\udc2e\udc2e/secret.txt",
        "/\ufffe",
    ),
    *(
        "/.env",
        "/.git/config",
        "/docs/.git/config",
        "/%2eenv",
        "/.%65nv",
        "/.../index.html",
        "/.env/",
    ),
    *("/link", "/link/", "/up/secret.txt", "/up/root-twin/secret.txt", "/up/root/../secret.txt"),
    *("/absolute", "/through/secret.txt", "/loop", "/loop/x", "/dangling", "/up", "/chain"),
    *("/fifo", "/socket", "/zero", "/hidden", "/unreadable/secret.txt", "-twin/secret.txt"),
    *("/" + "x" * 255 + "x", "/" + "é" * 128, "/" + "x/" * 2048, "/" + "../" * 1000 + "secret.txt"),
    *(
        "/" + "%2e%2e%2f" * 400 + "secret.txt",
        "/" + "a" * 100_000,
        "/css/" * 900,
        "/\U0001f600" * 100,
    ),
    *(
        "/INDEX.HTML",
        "/Index.html",
        "/css/site.css~",
        "/css/site.css.bak",
        "/css/SITE~1.CSS",
        "/\u0131ndex.html",
    ),
]


@pytest.fixture
def site(tmp_path, write):
    """A root, secrets around it, and ways out of it."""
    root = tmp_path / "root"
    for name in ("root/index.html", "root/css/site.css", "root/docs/.git/config", "root/.env"):
        write(name, "hidden" if "/." in name else "inside")
    write("secret.txt", "secret")
    write("root-twin/secret.txt", "secret")
    for name, target in [
        *[("link", "../secret.txt"), ("up", ".."), ("absolute", tmp_path / "secret.txt")],
        *[
            ("through", "css/../.."),
            ("loop", "loop"),
            ("dangling", "../nothing"),
            ("chain", "link"),
        ],
        *[("zero", "/dev/zero"), ("hidden", "../root-twin")],
    ]:
        os.symlink(target, root / name)
    os.mkfifo(root / "fifo")
    return root


def forms(path):
    """A path as it is, and as somebody before us may have decoded it."""
    once = unquote(path, errors="surrogateescape")
    return {path, once, unquote(once, errors="surrogateescape"), unquote(path, "latin-1")}


def test_there_are_two_hundred():
    assert len(set(HOSTILE)) > 200


@pytest.mark.parametrize("keep", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize(
    "options",
    [{}, {"dot_files": True}, {"fallback": "/css/site.css"}, {"index": "secret.txt"}],
    ids=str,
)
def test_nothing_outside_is_read(site, make_cache, options, keep):
    loader = Loader(site, make_cache(), **options)
    allowed = {b"inside", b"hidden"} if "dot_files" in options else {b"inside"}
    for path in HOSTILE:
        for form in forms(path):
            with contextlib.suppress(FileNotFound):
                file = loader.load(form, cache=keep)
                # Decoded, some of them are names that are there: inside, and not hidden.
                assert file.content in allowed, form
                assert file.real_path.startswith(f"{loader.root}/"), form
            with contextlib.suppress(FileNotFound):
                loader.cache_files(form)
            with contextlib.suppress(FileNotFound):
                names = {item.name for item in loader.listing(form).items}
                assert not names & {"secret.txt", "link", "up", "fifo", "zero"}, form
    for path in loader._cache:
        assert loader._cache[path].content in allowed


# A second process that swaps three links in turn, ten thousand times in all, as fast as it can.
SWAPPER = """
import os
for number in range(10_000):
    name, *targets = LINKS[number % len(LINKS)]
    os.symlink(targets[number // len(LINKS) % 2], "new~")
    os.replace("new~", name)
"""

LINKS = [
    ("directory", "inside", "../outside"),
    ("file", "inside/page.html", "../outside/page.html"),
    ("above", "inside", ".."),
]


@pytest.mark.once
def test_ten_thousand_swaps_never_get_out(make_cache, site, write):
    write("root/inside/page.html", "inside")
    write("root/inside/page.html.gz", "inside")
    for name in ("outside/page.html", "outside/page.html.gz", "page.html", "page.html.gz"):
        write(name, "secret")
    for name, inside, _ in LINKS:
        os.symlink(inside, site / name)
    loader = Loader(site, make_cache(companions=(".gz",)))
    found = 0
    with subprocess.Popen([sys.executable, "-c", f"{LINKS=}\n{SWAPPER}"], cwd=site) as swapper:
        try:
            while swapper.poll() is None:
                for path in ("/directory/page.html", "/file", "/above/page.html"):
                    for keep in (True, False):
                        with contextlib.suppress(FileNotFound):
                            file = loader.load(path, cache=keep)
                            assert file.content == b"inside"
                            assert file.real_path.startswith(f"{loader.root}/")
                            found += 1
                for path in ("/directory/", "/above/"):
                    with contextlib.suppress(FileNotFound):
                        names = {item.name for item in loader.listing(path).items}
                        assert names <= {"page.html", "page.html.gz"}
        finally:
            swapper.kill()
    assert swapper.returncode == 0
    assert found
