"""Each example as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "packages" / "rush-loader" / "examples"


@pytest.fixture
def run():
    """Start an example; it ends with the test."""
    processes = []

    def start(name, *arguments):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-W", "error", EXAMPLES / name, *arguments],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "USER": "<Ann>"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        with process:
            process.kill()


@pytest.mark.once
def test_tail(run, write):
    one, two = write("one.log", "old\n"), write("two.log", "")
    process = run("tail.py", one, two)
    for path in (one, two):
        assert process.stdout.readline() == f"{path}\n"
    with open(one, "a") as log:
        for line in ("first\n", "second\n"):
            log.write(line)
            log.flush()
            assert process.stdout.readline() == line
    with open(two, "a") as log:
        log.write("third\n")
    assert process.stdout.readline() == "third\n"
    os.truncate(one, 0)
    with open(one, "a") as log:
        log.write("anew\n")
    assert process.stdout.readline() == "anew\n"


@pytest.mark.once
def test_templates(run, write, save, tmp_path, eventually):
    pytest.importorskip("jinja2")
    base = write("templates/base.html", "{% block body %}{% endblock %}!")
    page = write(
        "templates/page.html",
        "{% extends 'base.html' %}{% block body %}Hello {{ user }}{% endblock %}",
    )
    process = run("templates.py", tmp_path / "templates")

    def rendered():
        process.stdin.write("page.html\n")
        return process.stdout.readline()

    assert rendered() == "Hello &lt;Ann&gt;!\n"
    save(base, "{% block body %}{% endblock %}?")
    eventually(lambda: rendered() == "Hello &lt;Ann&gt;?\n")
    save(page, "Bye {{ user }}")
    eventually(lambda: rendered() == "Bye &lt;Ann&gt;\n")
