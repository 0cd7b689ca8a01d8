"""Seconds for 100,000 query strings, all different, and how that compares with urllib.parse.

    python tests/bench/rush-web/args.py

The best of several rounds counts, since every disturbance makes it slower.
"""

import time
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qs, unquote

from rush_web import Args
from rush_web.args import percent_decoded

COUNT = 100_000
ROUNDS = 20

QUERIES = {
    "name=bill&x=1": "name=bill&x={}",
    "three numbers": "page={0}&from={0}&to={0}",
    "five": "a={}&b=2&c=hello&d=world&e=5",
    "blanks": "q=hello+world&page={}&sort=name",
    "one escape": "name=J%C3%BCrgen&x={}",
    "many escapes": "name=J%C3%BCrgen+M%C3%BCller&city=K%C3%B6ln&x={}",
    "an escaped &": "name=Smith%26Sons&city=K%C3%B6ln&x={}",
    "twice": "id={}&id=2&id=3",
    "without =": "debug&x={}",
}


def best(queries: list[str], *parsers: Callable[[str], object]) -> list[float]:
    """Best time of each in seconds for all; by turns, so that a disturbance hits all of them."""
    fastest = [float("inf")] * len(parsers)
    for _ in range(ROUNDS):
        for at, parse in enumerate(parsers):
            began = time.process_time()
            for query in queries:
                parse(query)
            fastest[at] = min(fastest[at], time.process_time() - began)
    return [seconds * COUNT / len(queries) for seconds in fastest]


def main() -> None:
    print(f"{COUNT:,} queries    Args.parse  parse_qs  ratio")
    blanks_too = partial(parse_qs, keep_blank_values=True)
    for name, query in QUERIES.items():
        queries = [query.format(at) for at in range(COUNT // ROUNDS)]
        ours, theirs = best(queries, Args.parse, blanks_too)
        print(f"{name:18} {ours:8.3f} s {theirs:7.3f} s {ours / theirs:6.2f}")
    texts = [f"J%C3%BCrgen{at}" for at in range(COUNT // ROUNDS)]
    ours, theirs = best(texts, percent_decoded, unquote)
    print(f"percent_decoded    {ours:8.3f} s, urllib.parse.unquote {theirs:.3f} s")


if __name__ == "__main__":
    main()
