# SPDX-License-Identifier: GPL-2.0-or-later
"""netns-scripts/quickstart, in a tree where everything is installed and built already."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import NOBODY, ROOT


@pytest.fixture
def clone(pinlab, shared):
    """A tree with the scripts, two topologies, and this pinlab as what was built; packages and CMake have no work."""
    tree = shared / "clone"
    shutil.copytree(ROOT / "netns-scripts", tree / "netns-scripts")
    for name in ("open", "firewall"):
        (tree / "topologies").mkdir(exist_ok=True)
        shutil.copy(ROOT / f"topologies/{name}.ini", tree / "topologies")
    (tree / "build/release").mkdir(parents=True)
    (tree / "build/release/pinlab").symlink_to(pinlab.program)
    commands = shared / "commands"
    commands.mkdir()
    for name, text in (("cmake", "exit 0"), ("dpkg-query", "printf installed")):
        (commands / name).write_text(f"#!/bin/sh\n{text}\n")
        (commands / name).chmod(0o755)
    return tree


def quickstart(clone, *arguments, prefix=()):
    env = {**os.environ, "PATH": f"{clone.parent / 'commands'}:{os.environ['PATH']}"}
    return subprocess.run([*prefix, clone / "netns-scripts/quickstart", *arguments], cwd=clone.parent, env=env, text=True,
                          capture_output=True, timeout=120)


def test_quickstart_says_where_everything_is(clone):
    done = quickstart(clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed, 0 failed" in done.stdout
    for path in ("captures", "report.json", "junit.xml"):
        assert (clone / "out/quickstart" / path).exists() and str(clone / "out/quickstart" / path) in done.stdout


def test_quickstart_keeps_captures_where_one_wants_them(clone):
    for words in (["--pcap", "mine"], ["--pcap=mine"], ["-p", "mine"], ["-pmine"]):
        done = quickstart(clone, "open", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (clone.parent / "mine/open.pcapng").exists()
        assert f"{clone.parent}/mine\n" in done.stdout and "quickstart/captures" not in done.stdout
        shutil.rmtree(clone.parent / "mine")


def test_quickstart_does_not_tell_of_what_is_not_there(clone):
    done = quickstart(clone, "--no-such-option")
    assert done.returncode == 2 and "no-such-option" in done.stderr
    assert "Captures" not in done.stdout and "Report" not in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users")
@pytest.mark.parametrize("directory", [".", "build"])
def test_somebody_elses_clone_is_one_clear_error(clone, directory):
    for path in (clone, clone / "build"):
        path.chmod(0o777)
    (clone / directory).chmod(0o755)
    done = quickstart(clone, prefix=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"])
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (f"error: {(clone / directory).resolve()} belongs to root, and nobody may not write there "
                           "(expected a clone of your own)\n")


def test_who_builds_pinlab_gets_what_topologies_run(pinlab):
    """The one target that quickstart names brings the program that stands beside it."""
    build = Path(pinlab.program).resolve().parent
    steps = subprocess.run(["ninja", "-C", str(build), "-t", "commands", "pinlab"], capture_output=True, text=True, check=True).stdout
    assert " -o pinhole " in steps
