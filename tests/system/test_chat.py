"""The example chat, with plain clients, with a client that comes back, and in a browser."""

import contextlib
import http.client
import json
import shutil
import urllib.parse

import pytest

from browser import dom_of, needs_chromium
from rawclient import PATIENCE
from serving import REPOSITORY, serving

pytestmark = pytest.mark.once


@pytest.fixture
def chat(tmp_path):
    folder = tmp_path / "chat"
    shutil.copytree(REPOSITORY / "packages/rush-web/examples/chat", folder)
    with serving(folder, "app:server") as site:
        yield site


class Listener:
    """Somebody who has the page open."""

    def __init__(self, chat, last_id=""):
        self.connection = http.client.HTTPConnection(*chat.address, timeout=PATIENCE)
        self.connection.request("GET", "/events", headers={"Last-Event-ID": last_id})
        self.answer = self.connection.getresponse()
        assert self.answer.headers["Content-Type"] == "text/event-stream"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.answer.close()
        self.connection.close()

    def next(self):
        """The next event: its type and its data."""
        kind, data = "message", None
        while True:
            field, _, value = self.answer.readline().decode().strip("\n").partition(": ")
            if field == "event":
                kind = value
            elif field == "data":
                data = json.loads(value)
            elif not field and data is not None:
                return kind, data


def say(chat, name, text):
    connection = http.client.HTTPConnection(*chat.address, timeout=PATIENCE)
    body = urllib.parse.urlencode({"name": name, "text": text})
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/messages", body, form)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def test_what_one_says_all_hear(chat):
    with Listener(chat) as ann:
        assert ann.next() == ("people", 1)
        with Listener(chat) as bert:
            assert ann.next() == bert.next() == ("people", 2)
            assert say(chat, "Jürgen", "Hello\nyou <b>") == 204
            kind, message = ann.next()
            assert bert.next() == (kind, message)
            assert (kind, message["name"], message["text"]) == (
                "message",
                "Jürgen",
                "Hello\nyou <b>",
            )
        assert ann.next() == ("people", 1)


def test_who_comes_back_hears_what_was_missed(chat):
    for text in "one", "two", "three":
        assert say(chat, "Ann", text) == 204
    with Listener(chat) as ann:
        heard = [ann.next()[1] for _ in range(3)]
    assert [message["text"] for message in heard] == ["one", "two", "three"]
    with Listener(chat, str(heard[0]["id"])) as ann:
        assert [ann.next()[1] for _ in range(2)] == heard[1:]


def ask(chat, last_id):
    connection = http.client.HTTPConnection(*chat.address, timeout=PATIENCE)
    connection.request("GET", f"/next?after={last_id}")
    return connection


def answer_of(connection):
    with contextlib.closing(connection):
        return json.loads(connection.getresponse().read())


def test_who_has_no_stream_asks_and_waits(chat):
    """Each question is answered when there is news; one who has gone is forgotten."""
    assert say(chat, "Ann", "one") == 204
    (one,) = answer_of(ask(chat, 0))
    assert (one["name"], one["text"]) == ("Ann", "one")
    waiting = [ask(chat, one["id"]) for _ in range(2)]
    ask(chat, one["id"]).close()
    with Listener(chat, str(one["id"])) as bert:  # the questions before have arrived
        assert bert.next() == ("people", 1)
        assert say(chat, "Bert", "two") == 204
        assert bert.next()[1]["text"] == "two"
    for connection in waiting:
        (two,) = answer_of(connection)
        assert two["text"] == "two"
    assert [message["text"] for message in answer_of(ask(chat, 0))] == ["one", "two"]


def test_what_cannot_be_said(chat):
    for name, text in [("", "x"), ("x", " "), ("x" * 31, "x"), ("x", "x" * 1001)]:
        assert say(chat, name, text) == 400
    assert say(chat, "x", "x" * 20_000) == 413


LOOK = """<!doctype html>
<iframe src="/" width="800" height="600"></iframe>
<output></output>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument;
  const form = page.querySelector("form");
  const messages = page.querySelector("#messages");
  new MutationObserver(() => {
    const item = messages.lastElementChild;
    const text = [item.classList.contains("mine"), item.querySelector("b").textContent,
                  item.querySelector(".said").textContent, item.querySelector("i")].join("; ");
    frame.remove();
    document.querySelector("output").textContent = text;
  }).observe(messages, { childList: true });
  form.elements.name.value = "Ann";
  form.elements.text.value = "Hello <i>world</i>";
  form.requestSubmit();
};
</script>
"""


@needs_chromium
@pytest.mark.parametrize("page", ["/", "/?ask"])
def test_a_browser_says_something_and_hears_it(chat, tmp_path, page):
    """By a stream, and by asking again and again."""
    (chat.folder / "public/look.html").write_text(LOOK.replace('src="/"', f'src="{page}"'))
    found = dom_of(chat.url("/static/look.html"), tmp_path)
    assert "<output>true; Ann; Hello &lt;i&gt;world&lt;/i&gt;; </output>" in found
