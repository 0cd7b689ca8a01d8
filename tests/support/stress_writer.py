"""A process that writes files as fast as it can: ``FOLDER NUMBER FILES SECONDS``.

Each content checks itself: a hash, then what it is of.  Every file is written by one process only.
``renamed-*`` are saved by rename, or deleted and moved there again; ``placed-*`` are overwritten in
place, in pieces, or deleted and created again.
"""

import hashlib
import os
import random
import sys
import time


def whole(content):
    """Whether this is all of a content, and nothing else."""
    return hashlib.sha256(content[32:]).digest() == content[:32]


def new_content(chance):
    body = chance.randbytes(chance.randrange(20_000))
    return hashlib.sha256(body).digest() + body


def paths(folder, files):
    return [f"{folder}/{kind}-{n}" for kind in ("renamed", "placed") for n in range(files)]


def main(folder, number, files, seconds):
    chance = random.Random(number)
    own = [path for path in paths(folder, files) if int(path.rpartition("-")[2]) % 4 == number]
    draft = f"{folder}/draft-{number}"
    end = time.monotonic() + seconds
    writes = 0
    while time.monotonic() < end:
        path, content = chance.choice(own), new_content(chance)
        if chance.random() < 0.2:
            os.unlink(path)
        if "renamed" in path:
            with open(draft, "wb") as file:
                file.write(content)
            os.replace(draft, path)
        else:
            with open(path, "wb", buffering=0) as file:
                for start in range(0, len(content), 5000):
                    file.write(content[start : start + 5000])
        writes += 1
    print(writes)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
