# SPDX-License-Identifier: GPL-2.0-or-later
"""pinlab exec and shell: commands on a host of a lab, as ssh would run them."""

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import uuid

import pytest

from conftest import LIMIT_SECONDS, ROOT, gone, processes_with, select_for
from workbench import standing


def test_a_command_is_in_the_hosts_place(work):
    said = work.exec("alice", "sh", "-c", "hostname; pwd; ls /tmp; grep hub /etc/hosts; ip -4 -o address").expect(0)
    lines = said.stdout.splitlines()
    assert lines[:2] == ["alice", str(ROOT / "topologies")]
    assert "203.0.113.10 hub" in said.stdout and "192.168.1.2/24" in said.stdout


def test_a_name_never_means_somebody_elses_address(pinlab):
    """Both homes are 192.168.1.0/24: what bob has in his, alice has in hers."""
    with standing(pinlab, "two-homes") as lab:
        def names(host):
            return {line.split()[1] for line in lab.exec(host, "cat", "/etc/hosts").expect(0).stdout.splitlines()}

        assert names("alice") == {"localhost", "alice", "hub"} and names("bob") == {"localhost", "bob", "hub"}
        assert names("hub") == {"localhost", "hub"} and names("home-a") == {"localhost", "alice", "hub"}
        assert lab.exec("alice", "ping", "-c1", "-W1", "bob").status == 2
        lab.exec("alice", "ping", "-c1", "hub").expect(0)


def test_a_nat_is_a_place_too_where_it_is_none_of_a_model(work):
    if work.engine == "fabric":
        assert "cannot run programs on nat home: it is a model" in work.exec("home", "true").expect(125).stderr
        return
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


def test_large_input_and_output_are_unchanged(work, tmp_path):
    """Through pipes, which hold far less, and each byte value."""
    data = bytes(range(256)) * 80_000
    done = subprocess.run(work.pinlab.command("exec", work.name, "alice", "--", "cat"), input=data, capture_output=True,
                          check=True, timeout=LIMIT_SECONDS)
    assert done.stdout == data and done.stderr == b""


def test_an_output_that_nobody_reads_ends_the_command(work):
    command = work.pinlab.command("exec", work.name, "alice", "--", "yes")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGPIPE


@pytest.mark.parametrize("stdin", ["a pipe", "nothing"])
def test_without_a_terminal_there_is_none(work, stdin):
    options = {"input": ""} if stdin == "a pipe" else {"stdin": subprocess.DEVNULL}
    command = work.pinlab.command("exec", work.name, "alice", "--", "sh", "-c", "tty; test -t 0 -o -t 1 -o -t 2; echo $?")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS, **options)
    assert done.stdout == "not a tty\n1\n"


class Typist:
    """A command on a terminal, that one reads and types on."""

    def __init__(self, command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execv(command[0], command)
        self.shown = b""

    def until(self, text):
        end = time.monotonic() + LIMIT_SECONDS / 4
        while text not in self.shown:
            assert select.select([self.master], [], [], max(0, end - time.monotonic()))[0], self.shown
            self.shown += os.read(self.master, 65536)

    def type(self, text):
        os.write(self.master, text)

    def end(self):
        with contextlib.suppress(OSError):
            while data := os.read(self.master, 65536):
                self.shown += data
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


def test_a_terminal_that_changes_its_size_is_followed(work):
    code = ("import os, signal\n"
            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\n"
            "print('6x' + '7', flush=True)\n"
            "signal.sigwait([signal.SIGWINCH])\n"
            "print(os.get_terminal_size())")
    typist = Typist(work.pinlab.command("exec", work.name, "alice", "--", "/usr/bin/python3", "-c", code))
    typist.until(b"6x7")
    termios.tcsetwinsize(typist.master, (33, 99))
    assert typist.end() == 0
    assert b"columns=99, lines=33" in typist.shown


def test_a_shell_has_job_control(work):
    """A key stops what runs, and fg goes on with it."""
    typist = Typist(["/usr/bin/env", "SHELL=/bin/bash", *work.pinlab.command("shell", work.name, "alice")])
    typist.type(b"python3 -c 'print(\"on-\" + \"line\", flush=True); print(input() + \" heard\")'\n")
    typist.until(b"on-line")
    typist.type(b"\x1a")
    typist.until(b"Stopped")
    typist.type(b"jobs -s | wc -l; fg\n")
    typist.until(b"fg\r\n")
    typist.type(b"a-word\n")
    typist.until(b"a-word heard")
    typist.type(b"exit 4\n")
    assert typist.end() == 4, typist.shown


def test_the_end_of_input_typed_on_a_terminal_ends_a_shell(work):
    # One without an editor of lines, which would take the key for another when it comes early.
    typist = Typist(["/usr/bin/env", "SHELL=/bin/sh", *work.pinlab.command("shell", work.name, "alice")])
    typist.type(b"echo rea''dy; (exit 6)\n")
    typist.until(b"ready")
    typist.type(b"\x04")
    assert typist.end() == 6, typist.shown
