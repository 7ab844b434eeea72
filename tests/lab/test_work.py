# SPDX-License-Identifier: GPL-2.0-or-later
"""Working in a lab: up, exec, shell, nat, capture, output, labs, down; what each says when something is not there, and
what is left of a lab whose holder was killed: nothing."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import uuid
from pathlib import Path

import pytest

from conftest import LIMIT_SECONDS, ROOT, gone, processes_with, select_for

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

SEND = ("import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 5000)); "
        "s.sendto(b'x', ('203.0.113.2', 4000))")


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

    def table(self):
        return self.nat("home", "table", "--json").expect(0).json()["connections"]


@contextlib.contextmanager
def standing(pinlab, topology, *options):
    name = f"work-{uuid.uuid4().hex[:12]}"
    assert pinlab.run("up", topology, "--name", name, *options).expect(0).stdout == f"{name}\n"
    try:
        yield Work(pinlab, name)
    finally:
        pinlab.run("down", name)


@pytest.fixture(scope="module")
def work(pinlab):
    with standing(pinlab, ROOT / "topologies/port-restricted.ini") as lab:
        yield lab


def labs(pinlab):
    return [lab["name"] for lab in pinlab.run("labs", "--json").expect(0).json()["labs"]]


# ---- up, labs, down ----


def test_a_lab_stands_until_it_is_taken_down(pinlab):
    with standing(pinlab, ROOT / "topologies/cgn.ini", "--seed", "7") as lab:
        (info,) = [info for info in pinlab.run("labs", "--json").json()["labs"] if info["name"] == lab.name]
        assert info["ready"] and info["seed"] == 7 and info["topology"].endswith("/topologies/cgn.ini")
        assert lab.name in pinlab.run("labs").stdout
        pinlab.run("down", lab.name).expect(0)
        assert lab.name not in labs(pinlab)
        assert is_dead(info["pid"])


def is_dead(pid):
    """Perhaps without its parent having taken notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z"
    except OSError:
        return True


def test_nobody_can_work_in_a_lab(nobody):
    """No root anywhere."""
    with standing(nobody, nobody.topologies / "port-restricted.ini") as lab:
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)
        assert [row["protocol"] for row in lab.table() if row["protocol"] != "udp"] == ["icmp"]
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


def test_others_directories_are_not_used(nobody):
    """A stranger could have made /tmp/pinlab-UID before."""
    runtime = Path(f"/tmp/pinlab-test-{uuid.uuid4().hex}")
    runtime.mkdir(mode=0o755)
    mine = os.geteuid() if not nobody.prefix else 65534
    os.chown(runtime, mine, -1)
    runtime.chmod(0o700)
    (runtime / "pinlab").mkdir(mode=0o777)
    (runtime / "pinlab").chmod(0o777)
    os.chown(runtime / "pinlab", mine, -1)
    try:
        if mine == 0:
            pytest.skip("root has a directory of its own")
        result = nobody.run("up", "open", env={"XDG_RUNTIME_DIR": str(runtime)}).expect(2)
        assert "not a directory of this user's alone" in result.stderr
    finally:
        (runtime / "pinlab").rmdir()
        runtime.rmdir()


# ---- exec and shell ----


def test_a_command_is_in_the_hosts_place(work):
    said = work.exec("alice", "sh", "-c", "hostname; pwd; ls /tmp; grep hub /etc/hosts; ip -4 -o address").expect(0)
    lines = said.stdout.splitlines()
    assert lines[:2] == ["alice", str(ROOT / "topologies")]
    assert "203.0.113.10 hub" in said.stdout and "192.168.1.2/24" in said.stdout


def test_a_nat_is_a_place_too(work):
    assert "table ip pinlab" in work.exec("home", "/usr/sbin/nft", "list", "ruleset").expect(0).stdout


def test_descriptors_are_the_callers(work, tmp_path):
    script = "cat; echo err >&2"
    with open(tmp_path / "in", "w+b") as stdin:
        stdin.write(b"bytes \0\xff\n")
        stdin.seek(0)
        done = subprocess.run(work.pinlab.command("exec", work.name, "alice", "--", "sh", "-c", script), stdin=stdin,
                              capture_output=True, check=True, timeout=LIMIT_SECONDS)
    assert (done.stdout, done.stderr) == (b"bytes \0\xff\n", b"err\n")


def test_the_environment_is_the_callers(work):
    said = work.exec("alice", "sh", "-c", "echo $MINE $PWD $TMPDIR", env={"MINE": "yes", "TMPDIR": "/elsewhere"})
    assert said.expect(0).stdout == f"yes {ROOT / 'topologies'}\n"


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)])
def test_the_exit_status_is_the_commands(work, script, status):
    work.exec("alice", "sh", "-c", script).expect(status)


def test_arguments_arrive_as_they_are(work):
    words = ["", " a  b ", "$HOME", "--", "-x", "\n", "ä"]
    said = work.python("alice", "import sys; print(sys.argv[1:])")
    assert said.expect(0).stdout == "[]\n"
    said = work.exec("alice", sys.executable, "-c", "import sys; print(sys.argv[1:])", *words)
    assert said.expect(0).stdout == f"{words}\n"


def test_a_signal_is_passed_on(work):
    process = work.pinlab.start("exec", work.name, "alice", "--", "sh", "-c",
                                "trap 'echo got it; exit 9' TERM; echo on; while :; do read -r x; done",
                                stdin=subprocess.PIPE)
    assert process.stdout.readline() == "on\n"
    process.send_signal(signal.SIGTERM)
    process.stdin.write("\n")
    stdout, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, stdout) == (9, "got it\n")


def test_a_command_is_hung_up_with_its_caller(work):
    marker = f"hung-{uuid.uuid4().hex}"
    process = work.pinlab.start("exec", work.name, "alice", "--", "tail", "-f", "/dev/null", marker)
    while len(processes_with(marker)) < 2:
        select_for(0.01)
    process.kill()
    process.communicate(timeout=LIMIT_SECONDS)
    assert not gone(marker)


def on_a_terminal(command, typed):
    """Runs it on a terminal of 40 rows and 111 columns, types, and returns exit status and all that was shown."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    termios.tcsetwinsize(master, (40, 111))
    os.write(master, typed.encode())
    shown = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 65536):
            shown += data
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def test_a_shell_on_a_terminal_has_one_of_its_own(work):
    """With job control, which only a controlling terminal gives, and this terminal's size."""
    command = ["/usr/bin/env", "SHELL=/bin/bash", *work.pinlab.command("shell", work.name, "alice")]
    status, shown = on_a_terminal(command, "stty size; tty; set -o | grep monitor; hostname; exit 5\n")
    assert status == 5, shown
    assert "40 111" in shown and "/dev/pts/" in shown and "alice" in shown
    assert "monitor        \ton" in shown and "no job control" not in shown


def test_a_key_interrupts_the_command_on_a_terminal(work):
    # One process: a shell that is about to run another may lose an interrupt between the two.
    command = work.pinlab.command("exec", work.name, "alice", "--", "/usr/bin/python3", "-c",
                                  "import signal; print(6 * 7, flush=True); signal.pause()")
    pid, master = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""
    while b"42" not in shown:
        shown += os.read(master, 1024)
    os.write(master, b"\x03")
    # A terminal that nobody reads from keeps whoever writes to it.
    with contextlib.suppress(OSError):
        while os.read(master, 1024):
            pass
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 130


def test_a_terminal_that_nobody_has_open_costs_nothing(work):
    """And one who opens it again is heard. It stays closed for a second, so that polling it for ever would show as
    a second of processor time."""
    code = ("import os, time; tty = os.ttyname(0); null = os.open('/dev/null', os.O_RDWR)\n"
            "for fd in range(3): os.dup2(null, fd)\n"
            "time.sleep(1)\n"
            "os.write(os.open(tty, os.O_RDWR | os.O_NOCTTY), b'back again')")
    before = os.times()
    status, shown = on_a_terminal(work.pinlab.command("exec", work.name, "alice", "--", "/usr/bin/python3", "-c",
                                                      "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
                                                      + code), "")
    after = os.times()
    assert status == 0 and "back again" in shown, shown
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert spent < 0.5


@pytest.mark.parametrize("command, status, text", [
    (["no-such-command"], 127, "no-such-command: command not found"),
    (["/no/such/command"], 127, "command not found"),
    (["/etc/passwd"], 126, "Permission denied"),
    (["/etc"], 126, "Permission denied"),
])
def test_what_cannot_be_run_is_said_as_a_shell_does(work, command, status, text):
    assert text in work.exec("alice", *command).expect(status).stderr


def test_no_such_lab_or_host_is_said(work, pinlab):
    assert "there is no lab nix (there are: " in pinlab.run("exec", "nix", "alice", "true").expect(125).stderr
    assert "no host or NAT nix (there are: home, alice, hub)" in work.exec("nix", "true").expect(125).stderr
    assert "a command" in pinlab.run("exec", work.name, "alice").expect(125).stderr
    assert "there is no lab nix" in pinlab.run("down", "nix").expect(2).stderr
    assert "there is no lab nix" in pinlab.run("nat", "nix", "home", "flush").expect(2).stderr


def test_a_closed_descriptor_is_an_empty_one(work):
    command = work.pinlab.command("exec", work.name, "alice", "--", "sh", "-c", "cat; echo end")
    result = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command], capture_output=True, text=True, check=False,
                            timeout=LIMIT_SECONDS)
    assert (result.returncode, result.stdout) == (0, "end\n"), result


def test_a_command_that_is_too_long_is_said(work):
    assert "too long" in work.exec("alice", "true", "x" * 120000, "y" * 120000).expect(125).stderr


# ---- nat ----


@pytest.fixture
def cone(pinlab, write):
    path = write(ALICE.format(behaviour="full-cone", run='sh -c "echo said; echo more >&2"', ready="exit"))
    with standing(pinlab, path, "--seed", "1") as lab:
        yield lab


def test_a_table_shows_what_conntrack_has(cone):
    cone.python("alice", SEND.replace("203.0.113.2", "203.0.113.3")).expect(0)
    (row,) = cone.table()
    assert row["inside"] == "192.168.7.2:5000" and row["remote"] == "203.0.113.3:4000"
    assert row["external"].startswith("203.0.113.2:") and row["from"] == "inside" and not row["replied"]
    shown = cone.nat("home", "table").expect(0).stdout.splitlines()
    assert shown[0].split() == ["proto", "inside", "external", "remote", "left", "state"]
    assert shown[1].split()[:5] == ["udp", row["inside"], row["external"], "->", row["remote"]]
    # A stranger comes in by the mapping: an entry from outside.
    host, port = row["external"].split(":")
    cone.python("hub", "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7777)); "
                f"s.sendto(b'x', ('{host}', {port}))").expect(0)
    (inward,) = [row for row in cone.table() if row["from"] == "outside"]
    assert inward == {**row, "remote": "203.0.113.3:7777", "from": "outside",
                      "expires_seconds": inward["expires_seconds"]}


@pytest.mark.parametrize("what", ["flush", "reboot"])
def test_mappings_are_forgotten(cone, what):
    cone.exec("alice", "ping", "-c", "1", "hub").expect(0)
    assert cone.table()
    cone.nat("home", what).expect(0)
    assert cone.table() == []
    cone.exec("alice", "ping", "-c", "1", "hub").expect(0)


def test_another_address_is_the_external_one(cone):
    cone.nat("home", "address", "203.0.113.77").expect(0)
    cone.exec("alice", "ping", "-c", "1", "hub").expect(0)
    assert {row["external"].split(":")[0] for row in cone.table()} == {"203.0.113.77"}


@pytest.mark.parametrize("words, text", [
    (["home", "explode"], "expected flush, reboot or address"),
    (["home", "flush", "now"], "expected flush, reboot or address"),
    (["home", "address", "192.0.2.1"], "no address of network internet"),
    (["home", "address", "nonsense"], "no address of network internet"),
    (["home", "address", "203.0.113.3"], "belongs to hub"),
    (["home", "address", "203.0.113.255"], "not its first or its last five"),
    (["alice", "flush"], "no NAT alice (there are: home)"),
])
def test_what_a_nat_cannot_is_said(cone, words, text):
    assert text in cone.nat(*words).expect(2).stderr


def test_a_nat_with_several_addresses_keeps_them(pinlab, write):
    behaviour = "full-cone\naddresses = 203.0.113.10, 203.0.113.11"
    with standing(pinlab, write(ALICE.format(behaviour=behaviour, run="true", ready="exit"))) as lab:
        assert "several addresses" in lab.nat("home", "address", "203.0.113.77").expect(2).stderr


def test_an_address_is_taken_while_somebody_has_it(pinlab):
    with standing(pinlab, ROOT / "topologies/two-homes.ini", "--seed", "1") as lab:
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)
        first = lab.nat("home-a", "table", "--json").json()["connections"][0]["external"].split(":")[0]
        assert "belongs to home-a" in lab.nat("home-b", "address", first).expect(2).stderr
        lab.nat("home-a", "address", "203.0.113.77").expect(0)
        assert "belongs to home-a" in lab.nat("home-b", "address", "203.0.113.77").expect(2).stderr
        lab.nat("home-b", "address", first).expect(0)
        assert "belongs to home-b" in lab.nat("home-a", "address", first).expect(2).stderr
        lab.exec("bob", "ping", "-c", "1", "hub").expect(0)
        lab.exec("alice", "ping", "-c", "1", "hub").expect(0)


def test_a_programs_output_can_be_seen(cone):
    assert cone.pinlab.run("output", cone.name, "alice").expect(0).stdout == "said\nmore\n"
    assert "runs nothing" in cone.pinlab.run("output", cone.name, "hub").expect(2).stderr


# ---- capture ----


def start_capture(lab, *words, **options):
    process = lab.pinlab.start("capture", lab.name, *words, **options)
    assert process.stderr.readline() == "pinlab: recording\n"
    return process


def tshark(path, *arguments):
    done = subprocess.run(["tshark", "-n", "-r", str(path), *arguments], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0 and "cut short" not in done.stderr, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_capture_is_whole_however_it_ends(work, tmp_path, how):
    path = tmp_path / "x.pcapng"
    process = start_capture(work, "home.outside", "-w", path)
    work.exec("alice", "ping", "-c", "2", "-i", "0.01", "hub").expect(0)
    process.send_signal(how)
    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == (0 if how != signal.SIGKILL else -9)
    end = 500
    while len(echoes := tshark(path, "-Y", "icmp")) < 4 and (end := end - 1):
        select_for(0.01)
    assert len(echoes) == 4 and "203.0.113.2" in echoes[0]


def test_a_capture_into_a_pipe_shows_packets_at_once(work):
    process = start_capture(work, "home.outside", "home.inside", "-w", "-")
    reader = subprocess.Popen(["tshark", "-n", "-l", "-r", "-", "-Y", "icmp", "-T", "fields", "-e", "ip.src"],
                              stdin=process.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    process.stdout.close()
    work.exec("alice", "ping", "-c", "1", "hub").expect(0)
    seen = [reader.stdout.readline().strip() for _ in range(4)]
    assert sorted(seen) == ["192.168.1.2", "203.0.113.10", "203.0.113.10", "203.0.113.2"]
    reader.kill()
    reader.communicate(timeout=LIMIT_SECONDS)
    # Nobody reads any more: it ends, without waiting for a packet.
    assert process.wait(timeout=LIMIT_SECONDS) == 0


def test_without_interfaces_all_are_captured(work, tmp_path):
    process = start_capture(work, "-w", tmp_path / "all.pcapng")
    work.exec("alice", "ping", "-c", "1", "hub").expect(0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_SECONDS)
    assert set(tshark(tmp_path / "all.pcapng", "-Y", "icmp", "-T", "fields", "-e", "frame.interface_name")) == {
        "home.inside", "home.outside", "hub"}


def test_what_cannot_be_captured_is_said(work, tmp_path):
    nix = work.pinlab.run("capture", work.name, "nix", "-w", tmp_path / "x").expect(2)
    assert "no interface nix (there are: home.inside, home.outside, alice, hub)" in nix.stderr
    assert "twice" in work.pinlab.run("capture", work.name, "hub", "hub", "-w", tmp_path / "x").expect(2).stderr
    assert not (tmp_path / "x").exists()
    assert "cannot write" in work.pinlab.run("capture", work.name, "hub", "-w", tmp_path / "no/x").expect(2).stderr


def test_a_recording_is_kept_until_another_takes_its_place(work, tmp_path):
    path = tmp_path / "precious.pcapng"
    precious = b"precious" * 100_000
    path.write_bytes(precious)
    work.pinlab.run("capture", "nix", "-w", path).expect(2)
    work.pinlab.run("capture", work.name, "nix", "-w", path).expect(2)
    assert path.read_bytes() == precious
    path.write_bytes(b"")
    work.pinlab.run("capture", work.name, "nix", "-w", path).expect(2)
    assert path.exists()
    path.write_bytes(precious)
    process = start_capture(work, "home.outside", "-w", path)
    work.exec("alice", "ping", "-c", "1", "hub").expect(0)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=LIMIT_SECONDS) == 0
    assert len(tshark(path, "-Y", "icmp")) == 2


def test_a_recording_that_cannot_be_written_ends(work):
    full = work.pinlab.run("capture", work.name, "home.outside", "-w", "/dev/full").expect(1)
    assert "cannot write the capture: No space left on device" in full.stderr and "recording\n" not in full.stderr


def test_a_file_called_as_standard_output_is_not_touched(work, tmp_path):
    (tmp_path / "-").write_bytes(b"")
    with open(tmp_path / "out", "wb") as out:
        work.pinlab.run("capture", work.name, "nix", "-w", "-", cwd=tmp_path, stdout=out).expect(2)
    assert (tmp_path / "-").exists() and (tmp_path / "out").exists()
