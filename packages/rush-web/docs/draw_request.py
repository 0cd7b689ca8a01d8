"""Draw `request.svg`, the way of one request: ``python draw_request.py > request.svg``.

Names in the picture are of the code; a test looks whether they are there.
"""

from xml.sax.saxutils import escape

WIDTH, BAND, GAP, TOP = 900, 74, 10, 16
UP, DOWN = 310, 690  # where the request goes up, and the answer down

# From the top: who, what it is for; the names on the way up, and on the way down
LAYERS = [
    ("yours", "the handler", ["hello(request)"], ["request.response(...)"]),
    (
        *("rush-web", "routes, files, processes"),
        ["HandlersManager.__call__"],
        ["Request.response"],
    ),
    (
        *("rush-http", "bytes to requests, and back"),
        ["Exchange.receive", "RequestParser.whole"],
        ["HttpServer.respond"],
    ),
    (
        *("epollserver", "sockets that are ready"),
        ["Loop.run", "Connection._ready"],
        ["Connection.write"],
    ),
    ("the kernel", "system calls", ["epoll_wait(2)", "recv(2)"], ["send(2)"]),
]

STYLE = """
  svg { color-scheme: light dark; }
  .page { fill: #ffffff; stroke: #d0d7de; }
  .band { fill: #f3f6fa; stroke: #c3cdd9; }
  .who { font: 600 17px sans-serif; fill: #14202c; }
  .what { font: 13px sans-serif; fill: #4b5a69; }
  .aside { font: 13px sans-serif; fill: #4b5a69; text-anchor: middle; }
  .name { font: 14px monospace; fill: #14202c; text-anchor: middle; }
  .up { stroke: #0b62b8; fill: none; stroke-width: 2.5; }
  .down { stroke: #a2450b; fill: none; stroke-width: 2.5; }
  .up-head { fill: #0b62b8; } .down-head { fill: #a2450b; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #10161d; stroke: #32404e; }
    .band { fill: #1a232d; stroke: #394857; }
    .who, .name { fill: #e8eef4; }
    .what, .aside { fill: #a5b3c1; }
    .up { stroke: #6cb2ff; } .up-head { fill: #6cb2ff; }
    .down { stroke: #ffa869; } .down-head { fill: #ffa869; }
  }
"""

TITLE = "The way of one request"
DESCRIPTION = (
    "A request goes up from the kernel through epollserver, rush-http and rush-web to the handler; "
    "the answer goes down the same layers, to one send."
)


def arrow(kind: str, x: float, start: float, end: float) -> str:
    """A vertical arrow."""
    tip = 8 if end > start else -8
    return (
        f'<path class="{kind}" d="M{x} {start:g}V{end - tip:g}"/>'
        f'<path class="{kind}-head" d="M{x - 6} {end - tip:g}h12L{x} {end:g}z"/>'
    )


def across(y: float, start: float, end: float) -> str:
    """A horizontal arrow: from the way up to the way down."""
    return (
        f'<path class="down" d="M{start:g} {y:g}H{end - 8:g}"/>'
        f'<path class="down-head" d="M{end - 8:g} {y - 6:g}v12L{end:g} {y:g}z"/>'
    )


def names(x: float, middle: float, words: list[str]) -> str:
    """Lines of names around a middle."""
    first = middle + 5 - 10 * (len(words) - 1)
    return "".join(
        f'<text class="name" x="{x}" y="{first + 20 * number:g}">{escape(word)}</text>'
        for number, word in enumerate(words)
    )


def lines() -> list[str]:
    """The elements of the picture, one a line."""
    height = TOP * 2 + len(LAYERS) * BAND + (len(LAYERS) - 1) * GAP
    found = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title description">',
        f'<title id="title">{TITLE}</title><desc id="description">{DESCRIPTION}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
    ]
    for number, (who, what, up, down) in enumerate(LAYERS):
        top = TOP + number * (BAND + GAP)
        middle = top + BAND / 2
        found += [
            f'<rect class="band" x="16" y="{top}" width="{WIDTH - 32}" height="{BAND}" rx="6"/>',
            f'<text class="who" x="32" y="{middle - 3:g}">{who}</text>',
            f'<text class="what" x="32" y="{middle + 18:g}">{what}</text>',
            names(UP + 20, middle, up),
            names(DOWN, middle, down),
        ]
        if number:  # between this layer and the one above
            found += [
                arrow("up", UP - 95, middle, middle - BAND - GAP),
                arrow("down", DOWN + 130, middle - BAND - GAP, middle),
            ]
    first = TOP + BAND / 2
    second = first + BAND + GAP
    found += [
        across(first, UP + 95, DOWN - 100),
        across(second, UP + 135, DOWN - 80),
        f'<text class="aside" x="530" y="{second - 10:g}">a file of rush-loader,</text>',
        f'<text class="aside" x="530" y="{second + 22:g}">a redirect, an error</text>',
    ]
    return [*found, "</svg>"]


if __name__ == "__main__":
    print("\n".join(lines()))
