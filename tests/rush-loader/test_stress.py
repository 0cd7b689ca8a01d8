"""Processes that write as fast as they can, and readers that never see what was not written."""

import hashlib
import os
import random
import subprocess
import sys
import time

FILES = 40
SECONDS = 2.5

# Content that checks itself: a hash, then what it is of.
WRITER = """
import hashlib, os, random, sys, time
top, kind, seed, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
chance = random.Random(seed)
end = time.monotonic() + seconds
while time.monotonic() < end:
    body = chance.randbytes(chance.randrange(20_000))
    content = hashlib.sha256(body).digest() + body
    path = f"{top}/{kind}-{chance.randrange(int(sys.argv[5]))}"
    if kind == "renamed":
        draft = f"{top}/draft-{seed}"
        with open(draft, "wb") as file:
            file.write(content)
        os.replace(draft, path)
    else:
        with open(path, "wb", buffering=0) as file:  # in place, in pieces
            for start in range(0, len(content), 5000):
                file.write(content[start : start + 5000])
"""


def whole(content):
    return hashlib.sha256(content[32:]).digest() == content[:32]


def test_readers_never_see_a_torn_version(make_cache, tmp_path, eventually):
    cache = make_cache()
    paths = [f"{tmp_path}/{kind}-{n}" for kind in ("renamed", "placed") for n in range(FILES)]
    for path in paths:
        with open(path, "wb") as file:
            file.write(hashlib.sha256(b"").digest())
        cache.add(path)
    # Two writers rename over each other; in place, one may not write into the other's work.
    writers = [("renamed", 1), ("renamed", 2), ("placed", 3)]
    limits = [str(SECONDS), str(FILES)]
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, kind, str(seed), *limits])
        for kind, seed in writers
    ]
    chance = random.Random(4)
    reads, versions, torn = 0, set(), []
    deadline = time.monotonic() + 60
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        path = chance.choice(paths)
        file = cache.get(path)
        assert file is not None, f"{path} was never deleted"
        reads += 1
        if file.etag not in versions:
            versions.add(file.etag)
            if not whole(file.content):
                torn.append((path, len(file.content), file.size))
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert not torn
    assert len(versions) > 100
    for path in paths:
        with open(path, "rb") as file:
            final = file.read()
        eventually(lambda: cache[path].content == final)  # noqa: B023
    assert os.path.basename(next(iter(cache))).startswith(("renamed", "placed"))
    assert reads > 1000
