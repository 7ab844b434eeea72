# SPDX-License-Identifier: GPL-2.0-or-later
"""pinlab up, labs and down: a lab that stands, what each says when something is not there, and what is left of a lab
whose holder was killed: nothing."""

import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from conftest import LIMIT_SECONDS, NOBODY, ROOT, Pinlab, gone, processes_with, select_for
from workbench import ALICE, Work, is_dead, labs, standing

OWN_RULES = """
table ip own {
    chain postrouting {
        type nat hook postrouting priority srcnat
        oifname $OUTSIDE snat to $WAN
    }
    chain forward {
        type filter hook forward priority filter
        iifname $OUTSIDE ct state new drop
    }
    chain input {
        type filter hook input priority filter
        iifname $OUTSIDE ct state new drop
        iifname $INSIDE ip daddr $WAN_ALL udp dport 1-65535 drop
    }
}
"""


def test_a_lab_stands_until_it_is_taken_down(pinlab):
    with standing(pinlab, ROOT / "topologies/cgn.ini", "--seed", "7") as lab:
        (info,) = [info for info in pinlab.run("labs", "--json").json()["labs"] if info["name"] == lab.name]
        assert info["ready"] and info["seed"] == 7 and info["topology"].endswith("/topologies/cgn.ini")
        (row,) = [line.split() for line in pinlab.run("labs").stdout.splitlines() if line.startswith(f"{lab.name} ")]
        assert row[:3] == [lab.name, "cgn", "7"]
        pinlab.run("down", lab.name).expect(0)
        assert lab.name not in labs(pinlab)
        assert is_dead(info["pid"])


def test_nobody_can_work_in_a_lab(nobody):
    """No root anywhere."""
    with standing(nobody, nobody.topologies / "port-restricted.ini") as lab:
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)
        assert "icmp" in [row["protocol"] for row in lab.table()]
        lab.nat("home", "reboot").expect(0)
        assert lab.table() == []


def test_a_lab_keeps_nothing_of_who_made_it(pinlab, write, tmp_path):
    """Neither files nor the directory; what the topology names is found all the same."""
    write(ALICE.format(behaviour="port-restricted\nrules = own.nft", run="pwd", ready="exit"), "sub/case.ini")
    (tmp_path / "sub/own.nft").write_text(OWN_RULES)
    name = f"work-{uuid.uuid4().hex[:12]}"
    script = 'exec 9>file; exec "$@"'
    up = ["sh", "-c", script, "sh", *pinlab.command("up", "sub/case.ini", "--name", name)]
    done = subprocess.run(up, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    assert (done.returncode, done.stdout) == (0, f"{name}\n"), done.stderr
    try:
        (info,) = [info for info in pinlab.run("labs", "--json").json()["labs"] if info["name"] == name]
        assert info["topology"] == str(tmp_path / "sub/case.ini")
        assert pinlab.run("output", name, "alice").stdout == f"{tmp_path / 'sub'}\n"
        holder = Path(f"/proc/{info['pid']}")
        children = (holder / f"task/{info['pid']}/children").read_text().split()
        assert children and os.readlink(holder / "cwd") == "/"
        for pid in [info["pid"], *children]:
            files = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
            assert str(tmp_path / "file") not in files
    finally:
        pinlab.run("down", name)


def test_in_the_foreground_it_stands_until_interrupted(pinlab):
    name = f"work-{uuid.uuid4().hex[:12]}"
    process = pinlab.start("up", "open", "--name", name, "--foreground")
    assert process.stdout.readline() == f"{name}\n"
    pinlab.run("exec", name, "alice", "--", "true").expect(0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 130 and name not in labs(pinlab)


def test_what_a_killed_holder_leaves_the_next_command_removes(pinlab, write):
    marker = f"killed-{uuid.uuid4().hex}"
    path = write(ALICE.format(behaviour="full-cone", run=f'sh -c "echo up; exec tail -f /dev/null {marker}"',
                              ready="line up"))
    name = f"work-{uuid.uuid4().hex[:12]}"
    process = pinlab.start("up", path, "--name", name, "--foreground")
    assert process.stdout.readline() == f"{name}\n"
    command = pinlab.start("exec", name, "hub", "--", "tail", "-f", "/dev/null", marker)
    while len(processes_with(marker)) < 3:
        select_for(0.01)
    process.kill()
    process.communicate(timeout=LIMIT_SECONDS)
    stdout, stderr = command.communicate(timeout=LIMIT_SECONDS)
    assert command.returncode == 125 and f"lab {name} is gone" in stderr, stdout + stderr
    assert not gone(marker)
    assert name not in labs(pinlab)
    assert not [path for path in Path("/run/pinlab/labs").glob(name)]


def test_the_holder_goes_with_an_interrupted_up(pinlab, write):
    """Nothing holds a lab that nobody got the name of."""
    marker = f"early-{uuid.uuid4().hex}"
    path = write(ALICE.format(behaviour="full-cone", run=f'tail -f /dev/null {marker}', ready="line never"))
    process = pinlab.start("up", path, "--name", f"work-{uuid.uuid4().hex[:12]}")
    while not processes_with(marker):
        assert process.poll() is None
        select_for(0.01)
    process.kill()
    process.communicate(timeout=LIMIT_SECONDS)
    assert not gone(marker)


def test_a_nat_that_is_not_what_its_file_says_is_no_lab(pinlab, write, tmp_path):
    (tmp_path / "own.nft").write_text("table ip t {\n chain c {\n type nat hook postrouting priority srcnat\n"
                                      " oifname $OUTSIDE masquerade fully-random\n }\n}\n")
    path = write(ALICE.format(behaviour="full-cone\nrules = own.nft", run="true", ready="exit"))
    result = pinlab.run("up", path, "--name", f"failing-{os.getpid()}").expect(1)
    assert "nat home is labelled" in result.stderr and result.stdout == ""


def test_a_program_that_does_not_get_ready_is_no_lab(pinlab, write):
    path = write(ALICE.format(behaviour="full-cone", run='sh -c "echo oops; exit 3"', ready="udp 9"))
    result = pinlab.run("up", path, "--name", f"unready-{os.getpid()}").expect(1)
    assert "ended with status 3 before it was ready" in result.stderr and "oops" in result.stderr


def test_what_the_kernel_cannot_express_is_no_lab(pinlab, write):
    path = write(ALICE.format(behaviour="full-cone", run="true", ready="exit") + "[link alice]\nloss = 1%\n")
    result = pinlab.run("up", path, "--name", f"lossy-{os.getpid()}").expect(77)
    assert "cannot express link alice loss" in result.stderr


def test_a_wrong_file_is_no_lab(pinlab, write):
    assert "[nat home]" in pinlab.run("up", write(ALICE.format(behaviour="odd", run="true", ready="exit"))).expect(2).stderr
    assert "there is no topology nix" in pinlab.run("up", "nix").expect(2).stderr


def test_a_name_is_one_labs(pinlab, work):
    assert f"there is a lab {work.name} already" in pinlab.run("up", "open", "--name", work.name).expect(2).stderr
    assert "cannot be called" in pinlab.run("up", "open", "--name", "../x").expect(2).stderr


def as_stranger(nobody):
    """pinlab as a user whom nobody else runs it as: its directory of labs is this test's alone."""
    if not nobody.prefix:
        pytest.skip("only root can be somebody else")
    uid = 100_000 + uuid.uuid4().int % 1_000_000
    prefix = [word.replace(f"={NOBODY}", f"={uid}") for word in nobody.prefix]
    return Pinlab(nobody.program, nobody.topologies, prefix, {"HOME": "/", "TMPDIR": "/tmp"}), uid


def test_a_lab_outlives_the_login_that_made_it(nobody, shared):
    """With a user's last login logind removes XDG_RUNTIME_DIR."""
    stranger, uid = as_stranger(nobody)
    runtime = shared / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, uid, uid)
    login = {"XDG_RUNTIME_DIR": str(runtime)}
    try:
        stranger.run("up", "open", "--name", "out", env=login).expect(0)
        shutil.rmtree(runtime)
        assert labs(stranger) == ["out"]
        stranger.run("exec", "out", "alice", "--", "true").expect(0)
        stranger.run("exec", "out", "alice", "--", "true", env=login).expect(0)
        stranger.run("down", "out").expect(0)
        assert labs(stranger) == []
    finally:
        stranger.run("down", "--all")
        shutil.rmtree(f"/tmp/pinlab-{uid}", ignore_errors=True)


@pytest.mark.parametrize("what", ["somebody else's", "open to others", "a link", "a file"])
def test_a_place_that_is_not_the_users_alone_is_not_used(nobody, shared, what):
    """A stranger could have been first in /tmp."""
    stranger, uid = as_stranger(nobody)
    place = Path(f"/tmp/pinlab-{uid}")
    if what == "a link":
        (shared / "own").mkdir(mode=0o700)
        os.chown(shared / "own", uid, uid)
        place.symlink_to(shared / "own")
    elif what == "a file":
        place.touch()
    else:
        place.mkdir(mode=0o700)
        if what == "open to others":
            os.chown(place, uid, uid)
            place.chmod(0o770)
    try:
        for words in (["up", "open", "--name", "x"], ["labs"], ["down", "x"]):
            assert str(place) in stranger.run(*words).expect(2).stderr
    finally:
        if place.is_dir() and not place.is_symlink():
            place.rmdir()
        else:
            place.unlink()


STEPS = """
[step 1]
at = 100ms
do = nat home address 203.0.113.77
[step 2]
at = 50ms
do = host hub run {command}
"""


@pytest.mark.parametrize("options", [(), ("--foreground",)])
def test_steps_are_done_when_asked_for(pinlab, write, options):
    """In their order, and before the lab is ready."""
    path = write(ALICE.format(behaviour="full-cone", run="true", ready="exit") + STEPS.format(command="true"))
    name = f"work-{uuid.uuid4().hex[:12]}"
    process = pinlab.start("up", path, "--name", name, "--steps", *options)
    try:
        assert process.stdout.readline() == f"{name}\n"
        lab = Work(pinlab, name)
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)
        assert {row["external"].split(":")[0] for row in lab.table()} == {"203.0.113.77"}
    finally:
        pinlab.run("down", name)
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert said == "pinlab: step 2: host hub run true\npinlab: step 1: nat home address 203.0.113.77\n"


def test_steps_that_are_not_done_are_said(pinlab, write):
    path = write(ALICE.format(behaviour="full-cone", run="true", ready="exit") + STEPS.format(command="false"))
    name = f"work-{uuid.uuid4().hex[:12]}"
    try:
        assert "steps are not done (2; --steps does them)" in pinlab.run("up", path, "--name", name).expect(0).stderr
    finally:
        pinlab.run("down", name)


def test_a_stream_is_one_step(pinlab):
    """However many messages it has."""
    name = f"work-{uuid.uuid4().hex[:12]}"
    story = ROOT / "topologies/stories/upgrade.ini"
    try:
        assert "steps are not done (2; --steps does them)" in pinlab.run("up", story, "--name", name).expect(0).stderr
        pinlab.run("down", name).expect(0)
        said = pinlab.run("up", story, "--name", name, "--steps").expect(0).stderr
        assert said == ("pinlab: step 1: host alice connect bob\n"
                        "pinlab: step 2: host alice stream bob 60 20ms what a long sentence\n")
    finally:
        pinlab.run("down", name)


def test_a_step_that_fails_is_no_lab(pinlab, write):
    path = write(ALICE.format(behaviour="full-cone", run="true", ready="exit") + STEPS.format(command="false"))
    name = f"work-{uuid.uuid4().hex[:12]}"
    result = pinlab.run("up", path, "--name", name, "--steps").expect(1)
    assert "[step 2]" in result.stderr and result.stdout == "" and name not in labs(pinlab)
