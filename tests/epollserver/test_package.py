"""The door: names, docstrings, programs of the manual and of the README, other platforms."""

import pathlib
import socket
import subprocess
import sys
import textwrap
import typing

import pytest

import clients
import epollserver
from tables import wrong_in

README = pathlib.Path(__file__).parents[2] / "packages/epollserver/README.md"


def public_things():
    for name in epollserver.__all__:
        thing = getattr(epollserver, name)
        if isinstance(thing, type) and not typing.get_origin(thing):  # not the aliases
            yield name, thing
            for attribute, value in vars(thing).items():
                if not attribute.startswith("_") and (
                    callable(value) or isinstance(value, property)
                ):
                    yield f"{name}.{attribute}", value


def test_every_public_name_has_a_docstring():
    things = dict(public_things())
    assert "Connection.write" in things
    assert not [name for name, thing in things.items() if not (thing.__doc__ or "").strip()]


def test_every_name_is_there():
    for name in epollserver.__all__:
        assert hasattr(epollserver, name)


def test_the_tables_of_the_readme_have_every_public_name():
    assert wrong_in(README.read_text(), "epollserver") == []


def programs(text):
    """The indented blocks that are whole programs."""
    blocks, block = [], []
    for line in [*text.splitlines(), "end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line)
        elif block:
            blocks.append(textwrap.dedent("\n".join(block)) + "\n")
            block = []
    return [block for block in blocks if block.startswith("from epollserver import")]


def test_the_programs_are_found():
    assert len(programs(README.read_text())) == 2
    assert len(programs(epollserver.__doc__)) == 1


@pytest.mark.parametrize(
    "text", [README.read_text(), epollserver.__doc__], ids=["README", "manual"]
)
def test_the_echo_program(tmp_path, text):
    program = programs(text)[0]
    assert program.count("7000") == program.count("server.start()") == 1
    program = program.replace("7000", "0").replace(
        "server.start()", "print(server.address[1], flush=True)\nserver.start()"
    )
    path = tmp_path / "program.py"
    path.write_text(program)
    with clients.running(path) as process:
        address = "127.0.0.1", int(process.stdout.readline())
        with clients.connect(address) as client:
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            assert clients.read_to_end(client) == b"hello\n"


def test_the_loop_program():
    done = subprocess.run(
        [sys.executable, "-c", programs(README.read_text())[1]],
        capture_output=True,
        text=True,
        timeout=clients.PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("tick\n", "")


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_other_platforms_are_told_at_import(platform):
    # As it would be there: what only Linux has is missing.
    program = f"""
import select, sys
sys.platform = {platform!r}
for name in [name for name in dir(select) if name.lower().startswith("epoll")]:
    delattr(select, name)
import epollserver
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=clients.PATIENCE
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == f"ImportError: epollserver needs Linux: epoll(7) is not there on {platform}"


def test_it_needs_nothing_but_the_standard_library():
    program = """
import sys
before = set(sys.modules)
import epollserver
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - sys.stdlib_module_names))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=clients.PATIENCE
    )
    assert (done.stdout, done.stderr) == ("['epollserver']\n", "")


def test_who_does_not_use_tls_does_not_import_it():
    program = """
import sys
import epollserver
server = epollserver.EpollServer(("127.0.0.1", 0))
server.close()
print("ssl" in sys.modules, epollserver.TlsConnection.__name__, "ssl" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=clients.PATIENCE
    )
    assert (done.stdout, done.stderr) == ("False TlsConnection True\n", "")


def test_there_are_no_other_names():
    with pytest.raises(AttributeError, match="'epollserver' has no attribute 'Server'"):
        _ = epollserver.Server
