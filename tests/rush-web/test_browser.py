"""What a real browser makes of it: one Chromium for all of this file."""

import os

import pytest

from browser import controlled, selenium
from programs import Program, eventually

pytestmark = pytest.mark.once

SECRET = "hunter" + "2"
APP = """
from rush_web import WebServer

server = WebServer(port=0, root="public", files="/", listing=True)


@server.get("/")
def index(request):
    page = '<!DOCTYPE html><link rel="stylesheet" href="/site.css"><p>first</p>'
    request.response(page, content_type="text/html")


@server.get("/bug/<what>")
def bug(request):
    password = "hunter" + "2"
    return charge(request.params["what"], {"token": password})


def charge(what, account):
    raise ValueError(f"no {what}")


@server.get("/events")
def events(request):
    last = int(request.headers.get("Last-Event-ID", "0"))
    if last == 3:
        return b"", 204
    stream = request.events(retry=10)
    stream.send(f"after {last}", id=str(last + 1))
    stream.close()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    selenium()
    folder = tmp_path_factory.mktemp("browser")
    files = folder / "public" / "files"
    files.mkdir(parents=True)
    (folder / "app.py").write_text(APP)
    (folder / "public" / "site.css").write_text("p { color: rgb(255, 0, 0) }")
    for name, size in (("a.txt", 20), ("b.txt", 5), ("c.txt", 10)):
        (files / name).write_text("x" * size)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    program = Program("-m", "rush_web", "dev", "app.py", cwd=folder)
    try:
        yield program.ready()
    finally:
        program.end()


@pytest.fixture(scope="module")
def page(server, folder):
    """The browser: `open` goes to a path, `run` returns what an expression of JavaScript is."""
    with controlled(folder / "profile") as driver:

        class Page:
            def open(self, path):
                driver.get("http://{}:{}{}".format(*server.address, path))

            def run(self, expression):
                return driver.execute_script(f"return {expression}")

            def until(self, expression):
                """Wait until it is true; an error of a page that is being loaded is no answer."""
                tried = f"try {{ return {expression} }} catch {{ return null }}"
                return eventually(lambda: driver.execute_script(tried), expression)

            def click(self, selector):
                driver.find_element("css selector", selector).click()

            def press(self, key):
                driver.switch_to.active_element.send_keys(key)

        yield Page()


def save(path, text):
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


TEXT = "document.querySelector('p').textContent"
COLOUR = "getComputedStyle(document.querySelector('p')).color"


def test_a_style_is_swapped_and_the_page_stays(page, folder):
    page.open("/")
    page.run("window.kept = 'kept'")
    saved = 0

    def is_blue():
        nonlocal saved
        saved += 1  # until the page has heard of one
        save(folder / "public" / "site.css", f"p {{ color: rgb(0, 0, {saved}) }}")
        return page.run(COLOUR) != "rgb(255, 0, 0)"

    eventually(is_blue, "another colour")
    assert page.run("window.kept") == "kept"


def test_a_save_reloads_the_page_and_a_mistake_is_shown_in_it(page, folder):
    app = folder / "app.py"
    page.open("/")
    save(app, APP.replace("first", "second"))
    page.until(f"{TEXT} === 'second'")
    save(app, APP + "\nserver.get('<b>', (\n")
    banner = "document.querySelector('rush-trouble').shadowRoot"
    page.until(f"{banner}.querySelector('[role=alert] h2').textContent.startsWith('SyntaxError')")
    assert "server.get('<b>'" in page.run(f"{banner}.textContent")
    assert not page.run(f"{banner}.querySelector('b')")
    assert page.run(TEXT) == "second"
    page.open("/files/")  # the pages that come later show it as well
    page.until(f"{banner}.querySelector('h2')")
    save(app, APP.replace("first", "third"))
    page.until("!document.querySelector('rush-trouble')")
    page.open("/")
    assert page.run(TEXT) == "third"


def test_the_page_of_an_error(page):
    page.open("/bug/<b>money")
    assert page.run("document.querySelector('h1').textContent") == "no <b>money"
    frames = page.run(
        "[...document.querySelectorAll('details.own summary code')].map((one) => one.textContent)"
    )
    assert frames == ["charge", "bug"]
    text = page.run("document.documentElement.textContent")
    assert SECRET not in text
    assert "(hidden)" in text
    assert (
        page.run("document.querySelector('.row.here').textContent")
        .strip()
        .endswith('raise ValueError(f"no {what}")')
    )
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    page.click("#copy")
    copied = page.until("window.copied")
    assert "ValueError: no <b>money" in copied
    assert SECRET not in copied


NAMES = "[...document.querySelectorAll('tbody a')].map((a) => a.textContent.trim()).join(' ')"


def test_a_listing_is_sorted_by_mouse_and_keyboard(page):
    page.open("/files/")
    page.run("window.kept = 'kept'")
    assert page.run(NAMES).endswith("a.txt b.txt c.txt")
    page.click("a[data-sort=size]")
    assert page.run(NAMES).endswith("b.txt c.txt a.txt")
    page.press("\ue007")  # Enter, on the same title
    assert page.run(NAMES).endswith("a.txt c.txt b.txt")
    assert page.run("document.querySelector('th[aria-sort]').ariaSort") == "descending"
    page.press("\ue015")  # arrow down, into the names
    page.press("\ue015")
    assert page.run("document.activeElement.textContent").strip() == "a.txt"
    assert page.run("window.kept") == "kept"


def test_a_stream_that_ends_is_gone_on_with_until_204(page):
    """The browser asks again, with the last id that it has had."""
    page.open("/")
    page.run(
        "(window.heard = [], window.source = new EventSource('/events'),"
        " source.onmessage = (event) => heard.push(event.data), null)"
    )
    page.until("source.readyState === EventSource.CLOSED")
    assert page.run("heard") == ["after 0", "after 1", "after 2"]


def test_the_page_comes_back_after_the_server(page, server, folder, launch):
    page.open("/")
    _, port = server.address
    server.stop()
    save(folder / "app.py", APP.replace("first", "back"))
    launch("-m", "rush_web", "dev", "app.py", "--port", str(port), cwd=folder).ready()
    page.until(f"{TEXT} === 'back'")
