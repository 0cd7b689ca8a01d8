"""Feed the parser bytes that coverage, or else hypothesis, finds interesting.

python tests/fuzz/fuzz.py [SECONDS] [--chance] [--differential]

Each input is held against `properties.check`; with ``--differential`` also against `h11` and
`httptools`.  An input that fails is made as small as it gets, kept as a file in the folder
``FUZZ_FOUND``, and printed as a row for ``tests/rush-http/test_fuzz.py``; the exit status is not 0
then.
"""

import argparse
import contextlib
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

atheris = None
if "--chance" not in sys.argv:
    with contextlib.suppress(ImportError):  # it is not built for every Python
        import atheris

# Only what is to be covered is instrumented: the first import must be this one.
with atheris.instrument_imports(["rush_http"]) if atheris else contextlib.nullcontext():
    import properties
    import rush_http

FOUND = Path(os.environ.get("FUZZ_FOUND", ".nox/.cache/fuzz"))
HANG_SECONDS = 10
SMALLER_SECONDS = 10


def failure(check, wire):
    """Why `wire` fails, or None."""
    try:
        check(wire)
    except Exception as error:
        return error
    return None


def smallest(check, wire):
    """Leave out of `wire` what is not needed for the same kind of failure."""
    deadline = time.monotonic() + SMALLER_SECONDS
    kind = type(failure(check, wire))
    size = len(wire) // 2
    while size and time.monotonic() < deadline:
        for at in range(0, len(wire), size):
            shorter = wire[:at] + wire[at + size :]
            if type(failure(check, shorter)) is kind:
                wire = shorter
                break
        else:
            size //= 2
    return wire


def report(check, wire, error):
    """Keep the input as a file, and print its row."""
    wire = smallest(check, wire)
    error = failure(check, wire) or error
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{hashlib.sha256(wire).hexdigest()[:12]}.http"
    path.write_bytes(wire)
    print(f"\n{type(error).__name__}: {error}\nkept in {path}; the row:\n    {wire!r},", flush=True)


def with_differences(check):
    """`check`, and that no other parser disagrees without a known reason."""
    from differences import READERS, relation

    def both(wire):
        check(wire)
        for reader in READERS:
            relation(reader, wire)

    return both


def by_coverage(check, seconds):
    """Let libFuzzer choose; it ends the process."""

    def one(wire):
        error = failure(check, wire)
        if error is not None:
            report(check, wire, error)
            raise error

    grown = FOUND / "corpus"
    grown.mkdir(parents=True, exist_ok=True)
    arguments = [
        *(sys.argv[0], str(grown), str(HERE / "corpus")),
        *(f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}", "-rss_limit_mb=1024"),
        *("-max_len=4096", f"-dict={HERE / 'http.dict'}", f"-artifact_prefix={FOUND}/"),
        *("-verbosity=0", "-print_final_stats=1"),
    ]
    atheris.Setup(arguments, one)
    atheris.Fuzz()


def by_chance(check, seconds):
    """Let hypothesis choose, until the time is over."""
    try:
        from hypothesis import HealthCheck, Phase, given, settings
    except ImportError:
        print("hypothesis is not installed: skipped")
        return

    import wires

    def hangs(signum, frame):
        raise TimeoutError(f"no result after {HANG_SECONDS} seconds")

    signal.signal(signal.SIGALRM, hangs)
    deadline = time.monotonic() + seconds
    tried, failed = 0, False

    @settings(
        max_examples=1000,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(wires.wires())
    def thousand(wire):
        nonlocal tried, failed
        if failed or time.monotonic() > deadline:
            return
        tried += 1
        signal.alarm(HANG_SECONDS)
        error = failure(check, wire)
        signal.alarm(0)
        if error is not None:
            report(check, wire, error)
            failed = True

    while not failed and time.monotonic() < deadline:
        thousand()
    if failed:
        sys.exit(1)
    print(f"{tried} inputs by hypothesis, none of them fails")


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("seconds", type=int, nargs="?", default=600)
    options.add_argument("--chance", action="store_true", help="hypothesis, also with atheris")
    options.add_argument("--differential", action="store_true")
    chosen = options.parse_args()
    check = with_differences(properties.check) if chosen.differential else properties.check
    print(f"rush_http {rush_http.__version__}: {chosen.seconds} s,", end=" ")
    print("by coverage (atheris)" if atheris else "by chance (hypothesis)", flush=True)
    (by_coverage if atheris else by_chance)(check, chosen.seconds)


if __name__ == "__main__":
    main()
