"""The to-do example, as a browser without scripts uses it: forms, redirects, a cookie."""

import http.cookiejar
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request

import pytest

from browser import dom_of, needs_chromium
from rawclient import PATIENCE
from serving import REPOSITORY, serving


def copy(folder):
    ignore = shutil.ignore_patterns("*.sqlite*", "__pycache__")
    shutil.copytree(REPOSITORY / "packages/rush-web/examples/todo", folder, ignore=ignore)


@pytest.fixture(scope="module")
def todo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("todo") / "todo"
    copy(folder)
    with serving(folder, "todo:server", "--workers", "2") as todo:
        yield todo


class Visitor:
    """Somebody with a browser: he follows redirects and keeps cookies."""

    def __init__(self, todo):
        self.todo = todo
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )

    def ask(self, path, data=None, **headers):
        """The status and the page; `data` is that of a form."""
        body = None if data is None else urllib.parse.urlencode(data).encode()
        request = urllib.request.Request(self.todo.url(path), body, headers)
        try:
            with self._opener.open(request, timeout=PATIENCE) as answer:
                self.headers, self.url = answer.headers, answer.url
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                self.headers = error.headers
                return error.code, error.read().decode()

    def press(self, page, label):
        """Send the form of the button with this label; returns the page that follows."""
        forms = re.findall(r'<form method="post" action="(.*?)">(.*?)</form>', page, re.DOTALL)
        (action,) = [action for action, form in forms if label in form]
        status, page = self.ask(action, {}, Origin=self.todo.url(""))
        assert status == 200
        return page


def tasks(page):
    """The tasks of a page: their text as HTML, and whether they are done."""
    return [
        (text, state == "done")
        for state, text in re.findall(r'<li class="(\w+)">.*?<span>(.*?)</span>', page, re.DOTALL)
    ]


def added(visitor, *texts):
    """Add tasks; returns the page of the list."""
    for text in texts:
        status, page = visitor.ask("/tasks?show=all", {"text": text})
        assert status == 200
    return page


def test_a_list(todo):
    visitor = Visitor(todo)
    status, page = visitor.ask("/")
    assert (status, tasks(page)) == (200, [])
    assert "What comes first?" in page
    assert not visitor.cookies  # who only looks leaves nothing behind
    page = added(visitor, "milk", "  bread   and butter ")
    assert tasks(page) == [("milk", False), ("bread and butter", False)]
    page = visitor.press(page, "Done: milk")
    assert tasks(page) == [("bread and butter", False), ("milk", True)]
    assert "<b>1</b> left, 1 done" in page
    assert "<title>(1) To do</title>" in page
    page = visitor.press(page, "Delete: bread and butter")
    assert tasks(page) == [("milk", True)]
    page = visitor.press(page, "Done: milk")
    assert tasks(page) == [("milk", False)]
    page = visitor.press(visitor.press(page, "Done: milk"), "Clear 1 done")
    assert tasks(page) == []


def test_what_is_shown_stays_so(todo):
    visitor = Visitor(todo)
    page = visitor.press(added(visitor, "a", "b", "c"), "Done: b")
    _, page = visitor.ask("/?show=open")
    assert tasks(page) == [("a", False), ("c", False)]
    page = visitor.press(page, "Done: a")
    assert visitor.url.endswith("/?show=open")
    assert tasks(page) == [("c", False)]
    _, page = visitor.ask("/?show=done")
    assert tasks(page) == [("a", True), ("b", True)]
    page = visitor.press(page, "Clear 2 done")
    assert "Nothing is done yet." in page
    _, page = visitor.ask("/?show=<script>")
    assert "<script>" not in page


def test_html_of_visitors_is_text(todo):
    page = added(Visitor(todo), '<script>alert("1")</script>', "Jürgen's 漢 & {text}")
    assert [text for text, _ in tasks(page)] == [
        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;",
        "Jürgen&#x27;s 漢 &amp; {text}",
    ]
    assert "<script" not in page


def test_lists_are_apart(todo):
    ann, bob = Visitor(todo), Visitor(todo)
    page = added(ann, "of Ann")
    added(bob, "of Bob")
    (number,) = re.findall(r"/tasks/(\d+)/toggle", page)
    assert bob.ask(f"/tasks/{number}/toggle", {})[0] == 404
    bob.ask(f"/tasks/{number}/delete", {})
    assert tasks(ann.ask("/")[1]) == [("of Ann", False)]
    assert tasks(bob.ask("/")[1]) == [("of Bob", False)]


def test_the_cookie_is_for_this_site_alone(todo):
    visitor = Visitor(todo)
    added(visitor, "x")
    (cookie,) = visitor.cookies
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert len(cookie.value) == 24


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://user@127.0.0.1", "x"]
)
def test_forms_of_other_sites_are_refused(todo, origin):
    visitor = Visitor(todo)
    added(visitor, "mine")
    for path in ("/tasks", "/tasks/1/delete", "/clear"):
        status, page = visitor.ask(path, {"text": "theirs"}, Origin=origin)
        assert status == 403
        assert "not one of ours" in page
    assert tasks(visitor.ask("/")[1]) == [("mine", False)]


@pytest.mark.parametrize("text", ["", "   ", "x" * 201])
def test_what_is_no_task(todo, text):
    status, page = Visitor(todo).ask("/tasks", {"text": text})
    assert status == 400
    assert "1 to 200 characters" in page


def test_a_list_has_an_end(todo):
    visitor = Visitor(todo)
    added(visitor, *map(str, range(200)))
    status, page = visitor.ask("/tasks", {"text": "one more"})
    assert status == 409
    assert "There are 200 tasks." in page
    assert len(tasks(visitor.ask("/")[1])) == 200


def test_every_answer_is_hardened(todo):
    visitor = Visitor(todo)
    for path in ("/", "/static/style.css", "/nothing"):
        visitor.ask(path)
        assert visitor.headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert visitor.headers["X-Content-Type-Options"] == "nosniff"
    status, page = visitor.ask("/<b>")
    assert status == 404
    assert "There is no /&lt;b&gt;." in page


def test_the_list_outlives_the_server(tmp_path):
    folder = tmp_path / "todo"
    copy(folder)
    visitor = None
    for _ in range(2):
        with serving(folder, "todo:server", "--workers", "1") as todo:
            if visitor is None:
                visitor = Visitor(todo)
                added(visitor, "stays")
            visitor.todo = todo
            assert tasks(visitor.ask("/")[1]) == [("stays", False)]
        assert "Traceback" not in (folder / "log").read_text()


@needs_chromium
def test_a_browser_shows_it(todo, tmp_path):
    assert "A fresh start" in dom_of(todo.url("/"), tmp_path)
