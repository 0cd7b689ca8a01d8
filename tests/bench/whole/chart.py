"""The chart: bars for four scenarios, as an SVG that can be read on light and on dark pages."""

import json
from xml.sax.saxutils import escape

SHOWN = {
    "plaintext": "Hello, World!",
    "hostile": "browsers, no two requests alike",
    "static": "a file of 4 KiB",
    "json": "JSON",
    "pipelined": "16 requests in one write",
    "query": "one value of a query",
}
MOST = 4
ROW, BAR, LABEL, WIDTH, HEAD, GAP = 22, 15, 112, 400, 38, 26

STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 }
.panel { font-weight: 600 }
.small { font-size: 11.5px; fill: #57606a }
.name, .value { font-size: 12.5px }
.name { text-anchor: end }
.bar { fill: #8c959f }
.floor { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
.rush { fill: #d9480f }
.rushtext { font-weight: 700 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .bar { fill: #6e7681 }
  .floor { stroke: #9198a1 }
  .rush { fill: #ff7b3d }
}"""


def svg(data: str) -> str:
    """The chart of what `report.as_json` has made."""
    facts = json.loads(data)
    names = [name for name in SHOWN if name in facts["scenarios"]][:MOST]
    panels = [facts["scenarios"][name]["summary"] for name in names]
    rows = max(map(len, panels), default=0)
    height = HEAD + rows * ROW
    columns = 2 if len(panels) > 1 else 1
    lines = (len(panels) + columns - 1) // columns
    width = columns * (WIDTH + GAP) + GAP
    total = 66 + lines * (height + GAP) + 18
    machine = facts["machine"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" '
        f'width="{width}" height="{total}" role="img" aria-labelledby="title">',
        '<title id="title">Requests per second of CPU time, of Rush and of other servers</title>',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{GAP}" y="30">Requests per second of CPU time</text>',
        f'<text class="small" x="{GAP}" y="50">thousands, one core; more is better; dashed: '
        "a loop in C that only sends ready-made bytes</text>",
    ]
    for number, (name, found) in enumerate(zip(names, panels, strict=True)):
        left = GAP + number % columns * (WIDTH + GAP)
        top = 66 + number // columns * (height + GAP)
        parts += panel(SHOWN[name], found, left, top)
    parts.append(
        f'<text class="small" x="{GAP}" y="{total - 12}">{escape(str(facts["date"]))}, '
        f"{escape(str(machine['cpu']))}, Linux {escape(str(machine['kernel']))}</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def panel(title: str, found: dict[str, dict[str, float]], left: int, top: int) -> list[str]:
    """One scenario: a bar for each server, the longest first."""
    parts = [f'<text class="panel" x="{left}" y="{top + 20}">{escape(title)}</text>']
    rates = {name: one["per_cpu_second"] for name, one in found.items()}
    most = max(rates.values(), default=1)
    room = WIDTH - LABEL - 54
    for place, (name, rate) in enumerate(sorted(rates.items(), key=lambda pair: -pair[1])):
        y = top + HEAD + place * ROW
        length = max(2.0, room * rate / most)
        kind = name.partition(" ")[0] if name.startswith(("rush", "floor")) else "bar"
        bold = " rushtext" if name == "rush" else ""
        digits = 0 if rate >= 20_000 else 1
        parts += [
            f'<text class="name{bold}" x="{left + LABEL - 8}" y="{y + 12}">{escape(name)}</text>',
            f'<rect class="{kind}" x="{left + LABEL}" y="{y}" width="{length:.1f}" '
            f'height="{BAR}" rx="2"/>',
            f'<text class="value{bold}" x="{left + LABEL + length + 6:.1f}" y="{y + 12}">'
            f"{rate / 1000:.{digits}f}</text>",
        ]
    return parts
