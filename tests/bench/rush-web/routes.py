"""Nanoseconds to pick a handler, with ten routes and with 10,000: they must be about the same.

    python tests/bench/rush-web/routes.py

Asking for the same ten each time compares the work.  Asking for 5,000 different ones of 10,000 is
slower, since the processor's caches do not hold them all; so is any dictionary.
Every path that is asked for is a new string, as it is with every request that differs.  The best of
several rounds counts, since every disturbance makes it slower.
"""

import time
from collections.abc import Callable
from typing import cast

from rush_http import HttpServer
from rush_loader import Loader
from rush_web import Request, Route
from rush_web.routing import Router

REQUESTS = 5000


def handler(request: Request) -> None:
    raise AssertionError("routing calls no handler")


def best(pick: Callable[[Request], object], paths: list[str]) -> float:
    """Best time in ns for one path."""
    request = Request(cast(HttpServer, None), cast(Loader, None))
    request.method = "GET"
    fastest = float("inf")
    for _ in range(15):
        fresh = [f"{path} "[:-1] for path in paths]  # a string that knows its hash is too easy
        began = time.process_time()
        for request.path in fresh:
            if pick(request) is None:
                raise AssertionError(request.path)
        fastest = min(fastest, (time.process_time() - began) / len(paths))
    return fastest * 1e9


def by_candidates(router: Router) -> Callable[[Request], object]:
    """The plain way: without the table of what is before a last parameter."""

    def pick(request: Request) -> object:
        for endpoint, values in router.candidates(request.path):
            for picked, _, names, _ in endpoint.steps(request.method):
                request.params = dict(zip(names, values, strict=True))
                return picked
        return None

    return pick


SHAPES = {
    # what it is, a route's path, and one that it answers
    "literal": ("/part{0}/list", "/part{0}/list"),
    "text at the end": ("/part{0}/<name>", "/part{0}/bill{1}"),
    "int at the end": ("/part{0}/<int:id>", "/part{0}/{1}"),
    "in the middle": ("/part{0}/<int:id>/edit", "/part{0}/{1}/edit"),
    "two": ("/part{0}/<a>/<int:b>", "/part{0}/x{1}/{1}"),
    "parameter first": ("/<name>/part{0}", "/bill{1}/part{0}"),
    "the rest": ("/part{0}/<path:rest>", "/part{0}/a/b/{1}"),
}


def main() -> None:
    counts = (10, 100, 10_000)
    print(f"{'routes, ten are asked':22}", *(f"{count:>9,}" for count in counts), end="")
    print(f"{'5,000 asked':>13}{'plain way':>13}")
    for name, (path, asked) in SHAPES.items():
        times = []
        for count in counts:
            router = Router([Route(path.format(at), handler) for at in range(count)])
            asked_for = [asked.format(at % 10, at) for at in range(REQUESTS)]
            times.append(best(router.find, asked_for))
        plain = best(by_candidates(router), asked_for)
        asked_for = [asked.format(at * 7 % count, at) for at in range(REQUESTS)]
        cold = best(router.find, asked_for)
        shown = (f"{ns:6.0f} ns" for ns in times)
        print(f"{name:22}", *shown, f"{cold:10.0f} ns {plain:8.0f} ns")
    routes = [Route(p.format(at), handler) for p, _ in SHAPES.values() for at in range(10_000)]
    began = time.process_time()
    router = Router(routes)
    print(f"all of them, {len(routes):,} routes in {time.process_time() - began:.2f} s:")
    for name, (_, asked) in SHAPES.items():
        asked_for = [asked.format(at * 7 % 10_000, at) for at in range(REQUESTS)]
        print(f"{name:22} {best(router.find, asked_for):6.0f} ns")


if __name__ == "__main__":
    main()
