# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab that stands, for tests of what people do in one: pinlab up, exec, nat, capture, down."""

import contextlib
import subprocess
import sys
import uuid
from pathlib import Path

ALICE = """
[topology]
title = A lab to work in
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.7.0/24
behaviour = {behaviour}
[host alice]
behind = home
run = {run}
ready = {ready}
[host hub]
on = internet
"""


class Work:
    """A lab that stands."""

    def __init__(self, pinlab, name):
        self.pinlab, self.name = pinlab, name

    def exec(self, host, *command, **options):
        return self.pinlab.run("exec", self.name, host, "--", *command, **options)

    def python(self, host, code):
        return self.exec(host, sys.executable, "-c", code)

    def nat(self, *words):
        return self.pinlab.run("nat", self.name, *words)

    def table(self, nat="home"):
        return self.nat(nat, "table", "--json").expect(0).json()["connections"]


@contextlib.contextmanager
def standing(pinlab, topology, *options):
    name = f"work-{uuid.uuid4().hex[:12]}"
    assert pinlab.run("up", topology, "--name", name, *options).expect(0).stdout == f"{name}\n"
    try:
        yield Work(pinlab, name)
    finally:
        pinlab.run("down", name)


def labs(pinlab):
    return [lab["name"] for lab in pinlab.run("labs", "--json").expect(0).json()["labs"]]


def start_capture(lab, *words, **options):
    process = lab.pinlab.start("capture", lab.name, *words, **options)
    assert process.stderr.readline() == "pinlab: recording\n"
    return process


def tshark(path, *arguments):
    done = subprocess.run(["tshark", "-n", "-r", str(path), *arguments], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0 and "cut short" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def is_dead(pid):
    """Perhaps without its parent having taken notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z"
    except OSError:
        return True
