"""WebServer: options, start-up, and what its workers serve."""

import contextlib
import os
import re
import signal
import subprocess

import pytest

from programs import eventually
from rush_web import WebServer

BAD_OPTIONS = [
    ({"workers": 0}, "workers is 0: it must be 1 to 255"),
    ({"workers": 256}, "workers is 256"),
    ({"port": -1}, "port is -1: it must be 0 to 65535"),
    ({"port": 65536}, "port is 65536"),
    ({"listen": "both"}, "listen is 'reuseport' or 'shared', not 'both'"),
    ({"files": "/"}, "files='/' needs a root"),
    ({"root": ".", "loader": True}, "give one of the two"),
    ({"files": "static", "root": "."}, "prefix such as '/static/'"),
    ({"max_conns": 0}, "max_conns is 0: it must be 1 or more"),
    ({"grace": -1}, "grace is -1: it must be 0 seconds or more"),
    ({"grace": float("nan")}, "grace is nan"),
    ({"blocking_threads": 0}, "blocking_threads is 0: it must be 1 or more"),
    ({"blocking_queue": -1}, "blocking_queue is -1: it must be 0 or more"),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        WebServer(**options)


def test_options_are_checked_again_before_it_runs():
    server = WebServer()
    server.workers = 0
    with pytest.raises(ValueError, match="workers is 0"):
        server.run()


def test_one_worker_for_each_cpu():
    assert WebServer().workers == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_root_that_is_no_folder(tmp_path, kind):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="root of a Loader"):
        WebServer(root=tmp_path / kind).run()


@pytest.mark.parametrize("listen", ["reuseport", "shared"])
def test_addresses_that_cannot_be_had(listen):
    ended = []
    for host, words in (
        ("192.0.2.1", "no such address"),
        ("no.such.host.invalid", "cannot listen"),
    ):
        server = WebServer(host=host, port=0, listen=listen)
        server.on_shutdown(lambda: ended.append(True))
        with pytest.raises(OSError, match=words) as caught:
            server.run()
        assert caught.value.strerror.startswith("cannot listen at ")
        assert host in caught.value.strerror
    assert ended == [True, True]


@pytest.mark.once
@pytest.mark.parametrize("listen", ["reuseport", "shared"])
def test_a_second_server_on_the_port(serve, launch, write, listen):
    program = serve(f"listen={listen!r}")
    for other in ("reuseport", "shared"):
        second = launch(
            write(f"listen={other!r}", f"server.port = {program.address[1]}", name="second.py")
        )
        assert second.wait() == 1
        assert "Address already in use; stop who listens there" in str(second.log)
    assert program.get("/pid").status == 200
    assert program.stop() == 0


BANNERS = [
    ("", "1 route at http://127.0.0.1:PORT/ with 2 workers."),
    ("root='.', files='/f/'", "1 route and the files of HERE below /f/ at http://127.0.0.1:PORT/ "),
    ("loader=Loader('.'), files='/f/'", "1 route and the files of HERE below /f/ at "),
    ("loader=Mounts({}), files='/f/'", "1 route and the files below /f/ at "),
    ("host='0.0.0.0'", "1 route at http://0.0.0.0:PORT/ with 2 workers."),
]


@pytest.mark.parametrize(("options", "banner"), BANNERS)
def test_the_banner(serve, tmp_path, options, banner):
    program = serve(options)
    said = str(program.output).replace(f":{program.address[1]}/", ":PORT/")
    assert said.startswith("Rush serves " + banner.replace("HERE", str(tmp_path)))
    assert said.count("\n") == 1
    assert program.stop() == 0
    assert program.output.end().count("\n") == 1


def test_one_worker_has_no_plural(serve):
    program = serve("", run="server.workers = 1; server.run()")
    assert str(program.output).endswith(" with 1 worker.\n")
    assert program.stop() == 0


STARTUP = """
@server.on_startup
def begin(loader):
    print("begin", os.getpid(), loader.cache_files("/"), flush=True)

@server.on_shutdown
def end():
    print("end", os.getpid(), flush=True)
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_on_startup_and_on_shutdown(serve, tmp_path, signum):
    """Once each, in the parent; what was loaded is served."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "index.html").write_text("preloaded")
    program = serve("root='root', files='/'", STARTUP)
    assert str(program.output).splitlines()[0] == f"begin {program.pid} 1"
    with contextlib.ExitStack() as stack:
        for client in program.clients_of_workers(stack).values():
            assert client.get("/").body == b"preloaded"
    (tmp_path / "root" / "index.html").unlink()  # and it is no stale copy
    eventually(lambda: program.get("/").status == 404)
    assert program.stop(signum) == 0
    lines = program.output.end().splitlines()
    assert [line.split()[0] for line in lines] == ["begin", "Rush", "end"]
    assert lines[2] == f"end {program.pid}"


def test_on_startup_that_fails(launch, write):
    source = STARTUP.replace('print("begin"', '1 / 0, print("begin"')
    program = launch(write("", source))
    assert program.wait() == 3
    assert str(program.log).count("ZeroDivisionError") == 1
    assert program.output.end() == f"end {program.pid}\n"
    with pytest.raises(ProcessLookupError):
        program.kill_group(0)


def test_on_shutdown_after_workers_that_cannot_start(launch, write):
    program = launch(write("", STARTUP + 'server.redirects["/x"] = ("/y", 200)'))
    assert program.wait() == 3
    assert program.output.end().endswith(f"end {program.pid}\n")


def test_the_exit_status_can_be_returned(serve):
    program = serve("", run="sys.exit(server.run())")
    assert program.stop() == 0


def test_on_ready_has_the_line_in_place_of_printing_it(serve):
    program = serve("", run="server.run(on_ready=lambda line: print('Ready:', line, flush=True))")
    assert str(program.output).startswith("Ready: Rush serves 1 route at ")
    assert program.stop() == 0
    assert program.output.end().count("\n") == 1


def test_a_saved_file_is_fresh_in_every_worker(serve, tmp_path):
    """Five times in a row by rename; a worker that has shown the new one never shows the old."""
    root = tmp_path / "root"
    root.mkdir()
    page, large = root / "page", root / "large"
    page.write_text("0")
    large.write_bytes(b"0" * (2 << 20))
    program = serve("root='root', files='/'")
    with contextlib.ExitStack() as stack:
        clients = program.clients_of_workers(stack).values()
        for number in range(1, 6):
            for path, content in ((page, b"%d" % number), (large, b"%d" % number * (2 << 20))):
                assert {client.get(f"/{path.name}").status for client in clients} == {200}
                new = tmp_path / "new"
                new.write_bytes(content)
                os.replace(new, path)
                for client in clients:
                    eventually(lambda: client.get(f"/{path.name}").body == content)  # noqa: B023
                for client in clients:
                    assert client.get(f"/{path.name}").body == content
    assert program.stop() == 0
    assert str(program.log) == ""


def test_a_replaced_worker_is_fresh_as_well(serve, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "page").write_text("old")
    program = serve("root='root', files='/'", STARTUP)
    one, other = program.pids()
    new = tmp_path / "new"
    new.write_text("new")
    os.replace(new, root / "page")  # long after the parent has read it
    os.kill(one, signal.SIGKILL)
    program.log.wait_for("was killed by SIGKILL")
    with contextlib.ExitStack() as stack:
        clients = program.clients_of_workers(stack)
        assert one not in clients
        for pid, client in clients.items():
            if pid == other:
                eventually(lambda: client.get("/page").body == b"new")  # noqa: B023
            else:
                assert client.get("/page").body == b"new"
    assert program.stop() == 0


def test_the_limit_of_descriptors_is_raised(launch, write):
    code = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 2000));"
        "os.execv(sys.executable, [sys.executable, sys.argv[1]])"
    )
    program = launch("-c", code, write()).ready()
    assert "only 2000 descriptors are allowed (ulimit -Hn): fewer than max_conns=10000" in str(
        program.log
    )
    pid = program.pids().pop()
    limits = subprocess.check_output(["cat", f"/proc/{pid}/limits"], text=True)
    assert re.search(r"Max open files\s+2000\s+2000", limits)
    assert program.stop() == 0
