"""Draw `terminal.svg`: what ``rush dev`` writes in a terminal, as it did when this was called."""

import contextlib
import re
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.append(str(Path(__file__).parents[1] / "tests/support"))

from terminals import InTerminal

PROGRAM = """\
from rush_web import WebServer

server = WebServer()
notes = ["milk", "bread"]


@server.get("/notes")
def every(request):
    return notes


@server.get("/notes/<int:number>")
def one(request):
    return notes[request.params["number"]]
"""
# Each is asked once before: what is imported for it then takes time.
ASKED = ["/notes", "/notes/1", "/note/1", "/notes/7"]
SHOWN = "127.0.0.1:9090"

LINE, WIDTH, MARGIN = 20, 760, 18
STYLE = """
  .page { fill: #ffffff; stroke: #d0d7de; }
  text { font: 13px monospace; fill: #1b2733; white-space: pre; }
  .s1 { font-weight: 700; } .s2 { fill: #5b6875; }
  .s31 { fill: #b42318; } .s32 { fill: #1a7431; } .s33 { fill: #8a5a00; } .s36 { fill: #0b62b8; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #10161d; stroke: #32404e; }
    text { fill: #e8eef4; } .s2 { fill: #a5b3c1; }
    .s31 { fill: #ff9c91; } .s32 { fill: #7ee2a0; } .s33 { fill: #f0c674; } .s36 { fill: #6cb2ff; }
  }
"""
_LINK = re.compile(r"\x1b\]8;;[^\x1b]*\x1b\\")
_DRESSED = re.compile(r"\x1b\[([\d;]*)m")


def written() -> str:
    """What stands in the terminal when each was asked a second time."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(PROGRAM)
        arguments = ["-m", "rush_web", "dev", "app.py", "--port", "0"]
        terminal = InTerminal(*arguments, cwd=folder)
        try:
            greeting = terminal.wait_for("quit\n")
            address = re.search(r"127\.0\.0\.1:\d+", greeting)[0]
            ask(terminal, address, 1)
            before = len(terminal.text)
            ask(terminal, address, 2)
            text = greeting + terminal.text[before:]
        finally:
            terminal.type("q")
            terminal.end()
    text = re.sub(r", ready in [\d.]+ m?s", ", ready", text)  # of a machine that drew other things
    return _LINK.sub("", text.replace(address, SHOWN))


def ask(terminal: InTerminal, address: str, time: int) -> None:
    """Ask for all, one after the other, for the first or the second time."""
    for path in ASKED:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://{address}{path}").close()
        terminal.wait_for(f"GET     {path} ", time)


def drawn(line: str) -> str:
    """A line as parts of a `text`, each with the classes of its style."""
    parts, style = [], ""
    for number, piece in enumerate(_DRESSED.split(line)):
        if number % 2:
            style = " ".join(f"s{code}" for code in piece.split(";") if code not in ("", "0"))
        elif piece:
            text = escape(piece)
            parts.append(f'<tspan class="{style}">{text}</tspan>' if style else text)
    return "".join(parts)


def picture(text: str) -> str:
    """The text as a picture."""
    lines = text.strip("\n").split("\n")
    height = len(lines) * LINE + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-labelledby="title">',
            '<title id="title">What rush dev writes in a terminal</title>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
            *(
                f'<text x="{MARGIN}" y="{MARGIN + LINE * number + 14}" xml:space="preserve">'
                f"{drawn(line)}</text>"
                for number, line in enumerate(lines)
                if line
            ),
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    print(picture(written()), end="")
