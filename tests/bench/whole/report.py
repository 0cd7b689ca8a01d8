"""Tables of what was measured: for the terminal, as JSON and as Markdown."""

import json
import statistics
from collections.abc import Iterable

from measure import Round
from scenarios import BY_NAME, Scenario

INTRODUCTION = """\
# The last comparison

{date}: {cpu}, {cpus} CPUs, Linux {kernel}.  Measured by `nox -s bench` in {took_seconds} s, one
server and one CPU at a time; {rounds} interleaved rounds of {round_seconds} s, of which the median
counts.  64 keep-alive connections where nothing else is said.

**Requests per CPU-second** are what the server answers with one second of CPU time, its own and the
kernel's on its behalf: what it costs.  Requests per second of a fast server are limited by the
client, which has one CPU as well.  *floor* is a loop in C that knows nothing of HTTP, and sends
ready-made bytes: what the kernel's part costs.
"""
AFTERWARDS = """\
*of floor*: each round by that of the floor before it, of which the median counts.  *memory*: of all
processes, a page that they share counted once.  *noise*: the largest less the smallest of the
rounds, in percent of the median.  *others*: the share of the server's CPU that was somebody else's
meanwhile; above some percent, latencies mean little, and a server that has its CPU for itself only
at times finds more to do at once, which is cheaper.  Latencies of `pipelined` are of a whole write,
those of `half` count from when a request was due.
"""


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def summary(rounds: list[Round]) -> dict[str, float]:
    """What the rounds have in common."""
    rates = [one.per_cpu_second for one in rounds]
    found = {
        "per_cpu_second": median(rates),
        "per_second": median(one.per_second for one in rounds),
        "p50_us": median(one.p50_us for one in rounds),
        "p99_us": median(one.p99_us for one in rounds),
        "memory_bytes": median(one.memory_bytes for one in rounds),
        "noise": (max(rates) - min(rates)) / median(rates),
        "others": median(one.others for one in rounds),
        "client": median(one.client_cpu / one.seconds for one in rounds),
        "errors": sum(one.errors for one in rounds),
        "idle": min(one.idle for one in rounds),
    }
    return {name: float(f"{value:.6g}") for name, value in found.items()}  # no more is known


def summaries(found: dict[str, list[Round]]) -> dict[str, dict[str, float]]:
    """One scenario: of each its rounds in short, and how it compares with the floor.

    Each round with that of the floor just before: the machine itself is now faster, now slower.
    """
    short = {name: summary(rounds) for name, rounds in found.items()}
    for name in short if "floor" in found else ():
        pairs = zip(found[name], found["floor"], strict=True)
        ratio = median(one.per_cpu_second / floor.per_cpu_second for one, floor in pairs)
        short[name]["of_floor"] = round(ratio, 3)
    return short


def as_json(facts: dict, results: dict, failed: dict) -> str:
    """All that was measured."""
    scenarios = {
        scenario: {
            "summary": summaries(found),
            "failed": failed[scenario],
            "rounds": {
                name: [round(one.per_cpu_second) for one in rounds]
                for name, rounds in found.items()
            },
        }
        for scenario, found in results.items()
    }
    return json.dumps({**facts, "scenarios": scenarios}, indent=1) + "\n"


def markdown(data: str) -> str:
    """The page: what was measured on, everything at a glance, then a table for each scenario."""
    facts = json.loads(data)
    text = [INTRODUCTION.format(**{**facts, **facts["machine"]})]
    text += ["## Requests per CPU-second, in thousands\n", _overview(facts), ""]
    text += [f"- {name}: {version}" for name, version in facts["versions"].items()]
    text += ["", "## Latency and memory\n", _latency_and_memory(facts)]
    text += ["", "## One by one\n", AFTERWARDS]
    for name, found in facts["scenarios"].items():
        text += [f"### {name}: {BY_NAME[name].what}\n", _rows(found["summary"]), ""]
        text += [f"{who} is left out: {why}\n" for who, why in found["failed"].items()]
    return "\n".join(text).rstrip() + "\n"


def table(scenario: Scenario, results: dict[str, list[Round]]) -> str:
    """One scenario, for the terminal."""
    return f"{scenario.name}: {scenario.what}\n{_rows(summaries(results))}\n"


def _overview(facts: dict) -> str:
    names = list(facts["versions"])
    lines = [_line(["", *names]), _line(["---", *["--:"] * len(names)])]
    for scenario, found in facts["scenarios"].items():
        if BY_NAME[scenario].half:
            continue  # what matters there is how long it takes
        cells = []
        best = max((one["per_cpu_second"] for name, one in found["summary"].items()
                    if name != "floor"), default=0)  # fmt: skip
        for name in names:
            one = found["summary"].get(name)
            cell = "" if one is None else f"{one['per_cpu_second'] / 1000:.{_digits(one)}f}"
            is_best = one is not None and name != "floor" and one["per_cpu_second"] == best
            cells.append(f"**{cell}**" if is_best else cell)
        lines.append(_line([f"{scenario}", *cells]))
    return "\n".join(lines)


def _latency_and_memory(facts: dict) -> str:
    """What else is asked of a server."""
    asked = [
        ("half", "p50_us", 1e3, 2, "p50 at half load, ms"),
        ("half", "p99_us", 1e3, 2, "p99 at half load, ms"),
        ("plaintext", "memory_bytes", 1 << 20, 1, "memory, MiB"),
        ("idle", "memory_bytes", 1 << 20, 1, "beside 10,000 idle connections, MiB"),
    ]
    names = list(facts["versions"])
    lines = [_line(["", *names]), _line(["---", *["--:"] * len(names)])]
    for scenario, field, unit, digits, title in asked:
        found = facts["scenarios"].get(scenario, {"summary": {}})["summary"]
        cells = [
            f"{found[name][field] / unit:.{digits}f}" if name in found else "" for name in names
        ]
        lines.append(_line([title, *cells]))
    return "\n".join(lines)


def _digits(one: dict[str, float]) -> int:
    return 0 if one["per_cpu_second"] >= 20_000 else 1


def _rows(found: dict[str, dict[str, float]]) -> str:
    if not found:
        return "Nothing was measured."
    head = ["", "requests/CPU-s", "of floor", "requests/s", "p50 ms", "p99 ms", "memory MiB"]
    rows = [[*head, "noise", "others", "notes"]]
    for name, one in sorted(found.items(), key=lambda pair: -pair[1]["per_cpu_second"]):
        notes = [f"{one['errors']:.0f} wrong answers"] if one["errors"] else []
        if one["idle"]:
            notes.append(f"holds {one['idle']:,.0f} idle ones")
        rows.append(
            [
                name,
                f"{one['per_cpu_second']:,.0f}",
                f"{one['of_floor']:.2f}" if "of_floor" in one else "",
                f"{one['per_second']:,.0f}",
                f"{one['p50_us'] / 1000:.2f}",
                f"{one['p99_us'] / 1000:.2f}",
                f"{one['memory_bytes'] / (1 << 20):.1f}",
                f"{one['noise']:.0%}",
                f"{one['others']:.0%}",
                ", ".join(notes),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *others = [
        _line([cell.ljust(width) if at == 0 else cell.rjust(width)
               for at, (cell, width) in enumerate(zip(row, widths, strict=True))])
        for row in rows
    ]  # fmt: skip
    rule = _line(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join([first, rule, *others])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
