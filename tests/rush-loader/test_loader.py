"""A request path gives a file under the root, and nothing else ever."""

import errno
import gzip
import os
import pickle

import pytest

from rush_http import Headers, NotFound
from rush_loader import FileNotFound, Loader, SlashMissing


@pytest.fixture
def site(tmp_path, write):
    """A root with some files, and a secret beside it."""
    write("root/index.html", "home")
    write("root/css/site.css", "body {}")
    write("root/docs/index.html", "docs")
    write("root/docs/.git/config", "hidden")
    write("root/.env", "hidden")
    write("root/no index/a b.txt", "spaces")
    write("root/naïve/日本.txt", "unicode")
    write("root/a%2fb.txt", "percent")
    write("secret.txt", "secret")
    write("root-twin/secret.txt", "secret")
    return tmp_path / "root"


@pytest.fixture
def loader(site, make_cache):
    return Loader(site, make_cache())


FOUND = [
    ("/", "home"),
    ("/index.html", "home"),
    ("/css/site.css", "body {}"),
    ("/docs/", "docs"),
    ("/no index/a b.txt", "spaces"),
    ("/naïve/日本.txt", "unicode"),
    ("/a%2fb.txt", "percent"),
]


@pytest.mark.parametrize(("path", "content"), FOUND)
def test_found(loader, path, content):
    file = loader.load(path)
    assert file.content == content.encode()
    assert loader.load(path) is file


NOT_FOUND = [
    "",
    "index.html",
    "/../secret.txt",
    "/css/../index.html",
    "//index.html",
    "/index.html\0",
    "/css\\site.css",
    "/\udcff.html",
    "/.env",
    "/docs/.git/config",
    "/css",
    "/css/",
    "/index.html/",
    "/index.html/below",
    "/missing",
    "/" + "x" * 256,
]  # test_hostile.py has two hundred more


@pytest.mark.parametrize("path", NOT_FOUND, ids=lambda path: ascii(path[:40]))
def test_not_found(loader, path):
    for _ in range(2):
        with pytest.raises(FileNotFound) as caught:
            loader.load(path)
    assert isinstance(caught.value, NotFound)
    assert isinstance(caught.value, FileNotFoundError)
    assert len(loader._cache) == 0


def test_dot_files_when_asked_for(site, make_cache):
    loader = Loader(site, make_cache(), dot_files=True)
    assert loader.load("/.env").content == b"hidden"
    assert loader.load("/docs/.git/config").content == b"hidden"
    for path in ("/..", "/.", "/../secret.txt", "/docs/./index.html"):
        with pytest.raises(FileNotFound):
            loader.load(path)


def test_what_others_put_in_a_shared_cache_is_not_served(site, make_cache):
    cache = make_cache()
    cache.add(f"{site}/.env")
    cache.add(f"{site}/../secret.txt")
    cache.add(f"{site}-twin/secret.txt")
    loader = Loader(site, cache)
    for path in ("/.env", "/../secret.txt", "-twin/secret.txt"):
        with pytest.raises(FileNotFound):
            loader.load(path)


def test_symbolic_links_inside_the_root_are_followed(loader, site):
    os.symlink("css/site.css", site / "link.css")
    os.symlink(site / "docs", site / "manual")
    assert loader.load("/link.css").content == b"body {}"
    assert loader.load("/manual/").content == b"docs"


@pytest.mark.parametrize("target", ["../secret.txt", "{top}/secret.txt", "up/secret.txt"])
def test_symbolic_links_out_of_the_root_are_not(loader, site, tmp_path, target):
    os.symlink("..", site / "up")
    os.symlink(target.format(top=tmp_path), site / "link")
    for path in ("/link", "/up/secret.txt", "/up/root-twin/secret.txt"):
        with pytest.raises(FileNotFound, match="outside of the root"):
            loader.load(path)
    assert len(loader._cache) == 0
    assert loader.load("/up/root/index.html").content == b"home"  # it comes back in


def test_a_link_swapped_outwards_while_cached(loader, site, eventually):
    os.symlink("css", site / "link")
    assert loader.load("/link/site.css").content == b"body {}"
    (site.parent / "outside").mkdir()
    (site.parent / "outside/site.css").write_text("secret")
    swap(site / "link", "../outside")
    eventually(lambda: not found(loader, "/link/site.css"))
    assert len(loader._cache) == 0
    swap(site / "link", "css")
    assert loader.load("/link/site.css").content == b"body {}"


def found(loader, path):
    try:
        file = loader.load(path)
    except FileNotFound:
        return False
    assert file.content != b"secret"
    return True


def swap(link, target):
    os.symlink(target, f"{link}~")
    os.replace(f"{link}~", link)


def test_what_is_not_a_file_does_not_hang(loader, site):
    os.mkfifo(site / "fifo")
    os.symlink("/dev/zero", site / "zero")
    for path in ("/fifo", "/zero"):
        with pytest.raises(FileNotFound):
            loader.load(path)


def test_the_root_may_be_a_link_that_is_swapped(tmp_path, write, make_cache, eventually):
    write("release-1/page.html", "one")
    write("release-2/page.html", "two")
    write("release-2/more.html", "more")
    os.symlink("release-1", tmp_path / "current")
    loader = Loader(tmp_path / "current", make_cache())
    assert loader.root == f"{tmp_path}/release-1"
    assert loader.load("/page.html").content == b"one"
    swap(tmp_path / "current", "release-2")
    eventually(lambda: loader.load("/page.html").content == b"two")
    assert loader.load("/more.html").content == b"more"
    assert loader.root == f"{tmp_path}/release-2"


def not_found(ask):
    try:
        ask()
    except FileNotFound:
        return True
    return False


@pytest.mark.parametrize("others", [(), ("/more.html",)], ids=["alone", "after others"])
def test_what_is_outside_of_the_next_root_is_not_served(
    tmp_path, write, make_cache, eventually, others
):
    write("release-1/page.html", "one")
    write("release-2/more.html", "more")
    os.symlink("../release-1/page.html", tmp_path / "release-2/page.html")  # the same file
    os.symlink("release-1", tmp_path / "current")
    loader = Loader(tmp_path / "current", make_cache())
    get = ("GET", Headers())
    assert loader.load("/page.html").content == loader.answer("/page.html", *get).body == b"one"
    kept = loader.answerer("/page.html")
    assert kept(*get).body == b"one"
    swap(tmp_path / "current", "release-2")
    for path in others:
        eventually(lambda: not not_found(lambda: loader.load(path)))  # noqa: B023
    eventually(lambda: not_found(lambda: kept(*get)))
    for ask in (loader.load, lambda path: loader.answer(path, *get)):
        assert not_found(lambda: ask("/page.html"))  # noqa: B023
    assert loader.load("/more.html").content == b"more"
    swap(tmp_path / "current", "release-1")
    eventually(lambda: not not_found(lambda: kept(*get)))


def test_changes_are_seen(loader, site, save, eventually):
    loader.load("/index.html")
    save(site / "index.html", "new")
    eventually(lambda: loader.load("/").content == b"new")
    (site / "index.html").unlink()
    eventually(lambda: not found(loader, "/"))


def test_without_cache_nothing_is_kept(loader, site):
    assert loader.load("/index.html", cache=False).content == b"home"
    assert len(loader._cache) == 0
    kept = loader.load("/index.html")
    assert loader.load("/index.html", cache=False) is kept


def test_cache_files(loader, site):
    assert loader.cache_files("/css/site.css", "/docs/") == 2
    assert sorted(loader._cache) == [f"{site}/css/site.css", f"{site}/docs/index.html"]
    os.symlink("../secret.txt", site / "link")
    assert loader.cache_files("/") == len(loader._cache) == 6  # no dot files, nothing outside
    assert loader.cache_files() == 0
    with pytest.raises(FileNotFound):
        loader.cache_files("/missing")
    os.symlink("..", site / "up")
    for path in ("/../root-twin", "/up", "/up/", "", "//"):
        with pytest.raises(FileNotFound):
            loader.cache_files(path)


def test_errors_of_the_machine_are_not_404(loader, monkeypatch):
    def failing(*args, **kwargs):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(OSError, match="Too many open files") as caught:
        loader.load("/index.html")
    assert not isinstance(caught.value, NotFound)


def test_the_root_is_a_directory(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"missing"):
        Loader(tmp_path / "missing")
    with pytest.raises(NotADirectoryError, match=r"file\.txt"):
        Loader(write("file.txt"))


@pytest.mark.parametrize("index", ["", "a/b", "..", "a\0"])
def test_the_index_is_a_name(tmp_path, index):
    with pytest.raises(ValueError, match="index"):
        Loader(tmp_path, index=index)


def test_another_index(site, make_cache):
    assert Loader(site, make_cache(), index="site.css").load("/css/").content == b"body {}"


def test_a_root_of_its_own_cache(site, monkeypatch):
    monkeypatch.chdir(site.parent)
    with Loader("root") as loader:
        assert loader.root == str(site)
        assert loader.load("/").content == b"home"
    with pytest.raises(ValueError, match="closed"):
        loader.load("/")


def test_the_whole_file_system_as_root(make_cache, write):
    path = write("page.html", "one")
    loader = Loader("/", make_cache(), dot_files=True)
    assert loader.load(path).content == b"one"
    assert loader.load(path) is loader.load(path)


def test_any_cache_will_do(site):
    class Dictionary(dict):
        def add(self, path):
            from rush_loader.reader import read_file

            self[path] = read_file(path)
            return self[path]

        def discard(self, path):
            self.pop(path, None)

        def close(self):
            self.clear()

    with Loader(site, cache=Dictionary()) as loader:
        assert loader.load("/") is loader.load("/")


def test_it_remembers_a_bounded_number_of_paths(loader, monkeypatch):
    monkeypatch.setattr("rush_loader.loader._MAX_REMEMBERED", 2)
    for path, _ in FOUND:
        loader.load(path)
    assert len(loader._remembered) <= 2


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/docs", "/docs/"),
        ("/css", "/css/"),
        ("/no index", "/no%20index/"),
        ("/naïve", "/na%C3%AFve/"),
        ("/manual", "/manual/"),
        ("/what? #;=%41", "/what%3F%20%23;=%2541/"),
        ("/a:b", "/a:b/"),
    ],
)
def test_a_directory_without_its_slash(loader, site, path, location):
    os.symlink("docs", site / "manual")
    (site / "what? #;=%41").mkdir()
    (site / "a:b").mkdir()
    for ask in (loader.load, lambda path: loader.answer(path, "GET", Headers())):
        with pytest.raises(SlashMissing) as caught:
            ask(path)
        assert caught.value.location == location
        assert caught.value.status == 404
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.location, str(again)) == (location, str(caught.value))


@pytest.mark.parametrize("path", ["/docs/.git", "/out", "/missing", "/index.html/", "/fifo"])
def test_no_directory_to_go_to(loader, site, path):
    os.symlink("..", site / "out")
    os.mkfifo(site / "fifo")
    with pytest.raises(FileNotFound) as caught:
        loader.load(path)
    assert not isinstance(caught.value, SlashMissing)


FALLBACK = [
    ("/user/42", True),
    ("/user/42/", True),
    ("/css/", True),
    ("/app.js", False),
    ("/user/john.doe", False),
    ("/v1.2/user", True),
    ("/../secret.txt", False),
    ("/.hidden/page", False),
    ("//user", False),
    ("user", False),
    ("/x\0", False),
]


@pytest.mark.parametrize(("path", "falls_back"), FALLBACK, ids=ascii)
def test_fallback(site, make_cache, path, falls_back):
    loader = Loader(site, make_cache(), fallback="/index.html")
    if falls_back:
        assert loader.load(path).content == b"home"
        assert loader.answer(path, "GET", Headers()).body == b"home"
    else:
        with pytest.raises(FileNotFound):
            loader.load(path)
    with pytest.raises(SlashMissing):
        loader.load("/docs")


def test_replies_of_the_fallback_are_worked_out_once(site, make_cache):
    loader = Loader(site, make_cache(), fallback="/")
    replies = [loader.answer(path, "GET", Headers()) for path in ("/", "/user/1", "/user/2")]
    assert replies[0] is replies[1] is replies[2]


def test_a_fallback_that_is_not_there(site, make_cache, eventually):
    loader = Loader(site, make_cache(), fallback="/spa.html")
    with pytest.raises(FileNotFound):
        loader.load("/user")
    (site / "spa.html").write_text("spa")
    assert loader.load("/user").content == b"spa"
    (site / "user").write_text("a file")
    assert loader.load("/user").content == b"a file"


@pytest.mark.parametrize("path", ["index.html", "", "/../x", "//x"])
def test_the_fallback_is_a_path(tmp_path, path):
    with pytest.raises(ValueError, match="fallback"):
        Loader(tmp_path, fallback=path)


def test_its_own_cache_compresses_and_looks_for_twins(site, write, eventually):
    text = "<p>All work and no play</p>" * 100
    write("root/play.html", text)
    with Loader(site) as loader:

        def sent():
            reply = loader.answer("/play.html", "GET", Headers((("accept-encoding", "gzip"),)))
            return (b"Content-Encoding: gzip\r\n" in reply.head), reply.body

        assert sent()[1]  # perhaps as it is: nobody waits for what is compressed
        eventually(lambda: sent()[0])
        assert gzip.decompress(sent()[1]) == text.encode()
        twin = gzip.compress(text.encode(), 1)
        (site / "play.html.gz").write_bytes(twin)
        eventually(lambda: sent() == (True, twin))
        path = write("root/play.html", text + "new")
        os.utime(path, (1, 1))  # as cp -p and rsync -t do it: the twin seems to be younger
        eventually(lambda: sent()[0] and sent()[1] != twin)
        eventually(lambda: sent()[0] and gzip.decompress(sent()[1]) == (text + "new").encode())
