"""A multipart upload that is larger than memory may be: how fast it is read, and in how much of it.

    python tests/bench/rush-web/forms.py [MIB]

`MultipartReader` gets the body in pieces of 64 KiB, as a connection gives them; needs the package
multipart, and the room in the folder for temporary files.
"""

import resource
import sys
import time

from rush_web import FormLimits, MultipartReader

PIECE = bytes(range(256)) * 256
HEAD = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
END = b"\r\n--XX--\r\n"


def peak() -> float:
    """The most memory this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    before, began = peak(), time.monotonic()
    with MultipartReader("multipart/form-data; boundary=XX", FormLimits()) as reader:
        reader.feed(HEAD)
        for _ in range(mebibytes * 16):
            reader.feed(PIECE)
        reader.feed(END)
        with reader.finish() as form:
            assert form.files["f"].size == mebibytes << 20
    seconds = time.monotonic() - began
    print(f"{mebibytes} MiB in {seconds:.1f} s; {peak():.0f} MiB of memory, {before:.0f} before")


if __name__ == "__main__":
    main()
