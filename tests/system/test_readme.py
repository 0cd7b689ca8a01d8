"""What the top-level README says, done."""

import re
import shlex
import subprocess

from serving import REPOSITORY, serving

README = (REPOSITORY / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_program_prints_and_answers_what_is_shown(tmp_path):
    (program,) = blocks("python")
    (printed,) = blocks("text")[:1]
    (session,) = blocks("console")
    (tmp_path / "program.py").write_text(program)
    with serving(tmp_path, "program:server") as site:
        assert at_port(site.banner) == at_port(printed.strip())
        command, _, answer = session.partition("\n")
        line = command.removeprefix("$ ").replace("127.0.0.1:9090", site.url("")[7:])
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=20)
    assert undated(done.stdout.replace("\r\n", "\n")) == undated(answer.strip())


def at_port(banner):
    return re.sub(r":[0-9]+/", ":PORT/", banner)


def undated(answer):
    return re.sub(r"^Date: .*", "Date: (now)", answer, flags=re.MULTILINE)


def test_the_test_command_is_what_ci_runs():
    serve, check = blocks("sh")
    assert serve.strip() == f"{check.strip()} -s serve"
    assert check.strip() in (REPOSITORY / ".ci/run").read_text().splitlines()
