"""Pictures of all that people see in a browser: each page light and dark, wide and on a phone.

    python tests/screenshots/screenshots.py FOLDER [page ...]

The names are ``PAGE-light-desktop.png`` and so on, and stay what they are: others link to them.
"""

import base64
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from browser import controlled
from programs import Program, eventually

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "packages" / "rush-web" / "examples"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
TALLEST = 2400  # of a page that is longer than the window

PAGES = {
    "listing": ("shop", "/photos/"),
    "listing-long-names": ("shop", "/long/"),
    "listing-empty": ("shop", "/empty/"),
    "listing-many": ("shop", "/many/"),
    "error": ("shop", "/buy/coffee?count=3&coupon=SPRING"),
    "missing": ("shop", "/product/seven"),
    "trouble": ("broken", "/welcome"),
    "404": ("files", "/nothing"),
    "500": ("files", "/bug"),
    "site": ("site", "/"),
    "todo": ("todo", "/"),
    "chat": ("chat", "/"),
}
FILES = """
from rush_web import WebServer

server = WebServer(port=0, root="public", files="/", workers=1)


@server.get("/bug")
def bug(request):
    raise ValueError("reason")
"""


def fill(folder: Path) -> None:
    """Make the files that are listed."""
    photos = folder / "public" / "photos"
    sizes = {"harbour.jpg": 2_431_220, "lighthouse.jpg": 1_876_003, "notes.txt": 812}
    sizes |= {"tides 2024.csv": 48_200, "map.svg": 15_873, "crossing.mp4": 184_332_110}
    dates = iter(range(1_700_000_000, 1_800_000_000, 7_654_321))
    for name, size in sizes.items():
        photos.mkdir(parents=True, exist_ok=True)
        with (photos / name).open("wb") as file:
            file.truncate(size)
        when = next(dates)
        os.utime(photos / name, (when, when))
    for name in ("2023", "old prints", "raw"):
        (photos / name).mkdir()
        when = next(dates)
        os.utime(photos / name, (when, when))
    long = folder / "public" / "long"
    long.mkdir()
    for name in ("x" * 240, "ein sehr langer Name mit Leerzeichen " * 5, "\u65e5\u672c\u8a9e" * 20):
        (long / f"{name}.txt").write_text("x")
    (long / "<script>alert(1)<script>.html").write_text("x")
    (folder / "public" / "empty").mkdir()
    many = folder / "public" / "many"
    many.mkdir()
    for number in range(1000):
        (many / f"measurement-{number:04}.csv").write_text("x" * (number * 37 % 1000))


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[dict[str, Program]]:
    """Every server that has a page, by name."""
    fill(folder)
    shutil.copy(HERE / "shop.py", folder)
    shutil.copy(HERE / "shop.py", folder / "broken.py")
    (folder / "files.py").write_text(FILES)
    os.environ["TODO_DATABASE"] = str(folder / "todo.sqlite")
    os.environ["RUSH_EDITOR"] = "vscode"
    commands = {
        "shop": ("dev", "shop.py"),
        "broken": ("dev", "broken.py"),
        "files": ("run", "files.py"),
        "site": ("run", EXAMPLES / "site" / "app.py", "--port", "0"),
        "todo": ("run", EXAMPLES / "todo" / "todo.py", "--port", "0"),
        "chat": ("run", EXAMPLES / "chat" / "app.py", "--port", "0"),
    }
    with contextlib.ExitStack() as stack:
        started = {}
        for name, arguments in commands.items():
            # In the folder of its own: then paths are short in the pictures.
            program = Program("-m", "rush_web", *arguments, cwd=folder)
            stack.callback(program.end)
            started[name] = program
        for program in started.values():
            program.ready()
        broken = folder / "broken.py"
        broken.write_text(broken.read_text().replace('"croissant": 2.80}', '"croissant": 2.80)'))
        yield started


TASKS = ("Water the plants", "Call grandmother", "Read RFC 9112, section 7.1", "Buy coffee")
ADD = "document.querySelector('[name=text]').value = arguments[0]; document.forms[0].submit()"


BANNER = "return document.querySelector('rush-trouble') !== null"


def prepare(driver, page: str, url: str) -> None:
    """Do what makes a page worth a picture, before it is opened."""
    if page == "todo":
        driver.get(url)
        for task in TASKS:
            driver.execute_script(ADD, task)
            driver.get(url)
        driver.execute_script("document.querySelector('.tick').click()")


def picture(driver, width: int, height: int) -> bytes:
    """The page as it is now: from its top, with what is below the window if it is not endless."""
    metrics = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})
    tall = min(max(metrics["cssContentSize"]["height"], height), TALLEST)
    clip = {"x": 0, "y": 0, "width": width, "height": tall, "scale": 1}
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )
    return base64.b64decode(shot["data"])


def main() -> None:
    """Make them."""
    out = Path(sys.argv[1])
    wanted = sys.argv[2:] or list(PAGES)
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        servers(Path(folder)) as started,
        controlled(Path(folder, "profile")) as driver,
    ):
        for page in wanted:
            server, path = PAGES[page]
            host, port = started[server].address
            url = f"http://{'localhost' if host == '127.0.0.1' else host}:{port}{path}"
            prepare(driver, page, url)
            for size, (width, height) in SIZES.items():
                screen = {"width": width, "height": height, "deviceScaleFactor": 1}
                driver.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride", {**screen, "mobile": size == "phone"}
                )
                for scheme in ("light", "dark"):
                    feature = {"name": "prefers-color-scheme", "value": scheme}
                    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
                    driver.get(url)
                    if page == "trouble":
                        eventually(lambda: driver.execute_script(BANNER), "the banner")
                    (out / f"{page}-{scheme}-{size}.png").write_bytes(
                        picture(driver, width, height)
                    )
    print(f"{len(wanted) * 4} pictures in {out}")


if __name__ == "__main__":
    main()
