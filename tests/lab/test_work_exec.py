# SPDX-License-Identifier: GPL-2.0-or-later
"""pinlab exec and shell: commands on a host of a lab, as ssh would run them."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import uuid

import pytest

from conftest import LIMIT_SECONDS, ROOT, gone, processes_with, select_for


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
