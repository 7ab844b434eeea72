# SPDX-License-Identifier: GPL-2.0-or-later
"""The pytest plugin, as installed: its documented example passes, and a test that fails leaves what it takes to see why.
In /var/tmp, since hosts have a /tmp of their own."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from conftest import LIMIT_SECONDS, NOBODY, ROOT, gone

FAILING = """
import sys
import pytest

TEXT = '[topology]\\ntitle = T\\n[network internet]\\nsubnet = 203.0.113.0/24\\n' \\
       '[host alice]\\non = internet\\n[host bob]\\non = internet\\n'

@pytest.mark.topology("home.ini")
def test_fails(lab):
    lab.host("hub").popen([sys.executable, "-c", "print('a word from the hub', flush=True); input()"], ready="a word")
    lab.host("alice").run(["ping", "-c", "2", "hub"])
    lab.host("alice").run(["sh", "-c", "echo why it failed; exit 3"])

@pytest.mark.topology("home.ini")
def test_passes(lab):
    assert lab.host("alice").run(["cat"], input="in and out").stdout == "in and out"
    assert lab.host("alice").run(["false"], check=False).returncode == 1

@pytest.mark.topology("home.ini")
def test_has_an_environment(lab):
    said = lab.host("alice").run(["/bin/sh", "-c", "echo $MINE"], env={"MINE": "yes"}).stdout
    assert said.strip() == "yes"

@pytest.mark.topology("home.ini")
def test_has_a_broken_recording(lab):
    lab.host("alice").popen(["sh", "-c", "echo started; exec tail -f /dev/null MARKER"], ready="started")
    (lab.directory.parent / "directory").write_text(str(lab.directory))
    lab.captures._process.kill()

@pytest.mark.topology('''
[topology]
title = T
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
[host bob]
on = internet
''')
def test_has_a_text(lab):
    assert False

@pytest.mark.topology("home.ini")
def test_is_impatient(lab):
    lab.host("alice").run(["sh", "-c", "echo slow; exec tail -f /dev/null"], timeout=1)

@pytest.mark.topology("home.ini")
def test_waits_for_the_dead(lab):
    lab.host("alice").popen(["sh", "-c", "echo last words; exit 4"], ready="never")

@pytest.mark.topology('''
[topology]
title = T
[network internet]
subnet = 203.0.113.0/24
[host alice]
on = internet
[host bob]
on = internet
[link alice]
loss = 1%
''')
def test_cannot_be_built(lab):
    pass

@pytest.mark.topology("no-such-topology")
def test_has_no_topology(lab):
    pass

@pytest.mark.parametrize("topology", [TEXT])
def test_has_a_text_for_a_parameter(lab):
    assert False
"""


ENVIRONMENT = """
import pytest

@pytest.mark.topology("home.ini")
def test_has_an_environment(lab, monkeypatch):
    assert lab.host("alice").run(["/bin/sh", "-c", "echo $MINE"], env={"MINE": "yes"}).stdout == "yes\\n"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    assert lab.host("alice").popen(["echo", "here"], ready="here").wait() == 0
    assert lab.nat("home").table() == []
"""


@pytest.fixture(scope="module")
def project(installed):
    """The document's files."""
    directory = Path(tempfile.mkdtemp(prefix="pinlab-harness-", dir="/var/tmp"))
    text = (ROOT / "docs/harness.md").read_text()
    for name, body in re.findall(r"^([a-z_]+\.(?:py|ini)):\n\n((?:(?:    .*)?\n)+)", text, re.M):
        lines = (line[4:] for line in body.rstrip().splitlines())
        (directory / name).write_text("\n".join(lines).replace("/usr/local", str(installed)) + "\n")
    assert len(list(directory.iterdir())) == 6
    yield directory
    shutil.rmtree(directory)


def run_pytest(project, *arguments, prefix=(), **variables):
    env = {key: value for key, value in os.environ.items() if key != "PINLAB" and not key.startswith("PYTEST")}
    env.update(variables)
    return subprocess.run([*prefix, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], cwd=project,
                          env=env, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)


def test_the_plugin_is_for_python_3_9():
    ast.parse((ROOT / "tests/harness/pinlab_harness.py").read_text(), feature_version=(3, 9))


@pytest.mark.xdist_group("harness")
@pytest.mark.parametrize("parallel", [(), ("-n", "3")], ids=["one by one", "in parallel"])
def test_the_documented_example_passes(project, parallel):
    done = run_pytest(project, "test_reflector.py", *parallel)
    assert done.returncode == 0 and "5 passed" in done.stdout, done.stdout + done.stderr
    assert not (project / "pinlab-artifacts").exists()


@pytest.mark.xdist_group("harness")
def test_a_failure_leaves_captures_and_output(project):
    marker = f"harness-{uuid.uuid4().hex}"
    (project / "test_failing.py").write_text(FAILING.replace("MARKER", marker))
    done = run_pytest(project, "test_failing.py", "--pinlab-seed", "42", "--pinlab-artifacts", "kept", "--basetemp",
                      project / "base")
    said = done.stdout
    assert ("6 failed, 3 passed, 1 skipped, 1 error" in said or
            "5 failed, 3 passed, 1 skipped, 2 errors" in said), said + done.stderr
    assert "pinlab up " in said and "--seed 42" in said
    for words in ("why it failed", "did not end in 1 s", "slow", "ended with status 4", "last words",
                  "there is no topology no-such-topology"):
        assert words in said, words
    # A failure shows the test's own line, and promises nothing that is not there.
    assert '>       lab.host("alice").run(["sh", "-c", "echo why it failed; exit 3"])' in said
    assert "pinlab_harness.py:" not in said
    for line in re.findall("^captures and output: (.*)$", said, re.M):
        assert Path(line).is_dir(), line
    assert "pinlab up no-such-topology" not in said and not list((project / "kept").glob("*no_topology*"))
    (parameter,) = (project / "kept").glob("*test_has_a_text_for_a_parameter*")
    assert len(parameter.name) < 100 and (parameter / "topology.ini").exists()
    broken = project / "kept/test_failing.py-test_has_a_broken_recording"
    assert "the recording is not whole" in said and [path.name for path in broken.glob("*.log")] == ["01-alice-sh.log"]
    assert not gone(marker) and not Path((project / "base/directory").read_text()).exists()
    text = project / "kept/test_failing.py-test_has_a_text/topology.ini"
    assert f"pinlab up {text} --seed 42" in said and text.exists()
    kept = project / "kept/test_failing.py-test_fails"
    logs = {path.name.split("-", 1)[1]: path.read_text() for path in kept.glob("*.log")}
    assert logs[f"hub-{Path(sys.executable).name}.log"].startswith("a word from the hub\n")
    assert logs["alice-sh.log"] == "why it failed\n"
    packets = subprocess.run(["tshark", "-n", "-r", kept / "captures.pcapng", "-Y", "icmp"], capture_output=True,
                             text=True, check=True, timeout=60).stdout.splitlines()
    assert len(packets) == 3 * 4, "two echoes and their answers, on each of three interfaces"
    assert not (project / "kept/test_failing.py-test_passes").exists()
    skipped = run_pytest(project, "test_failing.py", "-k", "cannot_be_built", "--pinlab-no-skip")
    assert skipped.returncode == 1 and "cannot express link alice loss" in skipped.stdout


@pytest.mark.xdist_group("harness")
def test_the_documented_example_passes_on_the_other_engine(project):
    done = run_pytest(project, "test_reflector.py", "--pinlab-engine", "fabric")
    assert done.returncode == 0 and "5 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.xdist_group("harness")
@pytest.mark.parametrize("program, text", [
    ("/nowhere/pinlab", "$PINLAB is /nowhere/pinlab, which is no program"), ("/", "$PINLAB is /, which is no program"),
    ("conftest.py", "$PINLAB is conftest.py, which is no program"), ("./noise", "noise cannot be started: Exec format error"),
])
def test_a_wrong_name_of_pinlab_is_one_clear_error(project, program, text):
    (project / "noise").write_bytes(b"\x7fELF and no more")
    (project / "noise").chmod(0o755)
    done = run_pytest(project, "test_reflector.py", PINLAB=program)
    said = done.stdout + done.stderr
    assert done.returncode == 2 and text in said, said
    assert "Traceback" not in said and len(said.splitlines()) < 5, said


@pytest.mark.xdist_group("harness")
def test_a_program_with_an_environment_of_its_own_finds_the_lab(project, nobody, shared):
    """A lab's place does not depend on one."""
    project.chmod(0o755)
    runtime = shared / "runtime"
    runtime.mkdir(mode=0o700)
    if nobody.prefix:
        os.chown(runtime, NOBODY, NOBODY)
    (project / "test_environment.py").write_text(ENVIRONMENT)
    done = run_pytest(project, "test_environment.py", "--pinlab-artifacts", shared / "kept", "--basetemp",
                      shared / "base", prefix=nobody.prefix, XDG_RUNTIME_DIR=str(runtime), HOME="/")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
