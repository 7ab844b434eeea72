# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs whose standard output nobody reads, or somebody slow: what they serve does not wait for that."""

import fcntl
import itertools
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import LIMIT_SECONDS
from test_status import Here

pytestmark = pytest.mark.usefixtures("our_pinlab")

PIPE_BYTES = 4096
PORTS = itertools.count(20000 + os.getpid() % 1000 * 10)  # others run at the same time


@pytest.fixture
def here(pinhole, tmp_path):
    with Here(pinhole, tmp_path) as made:
        yield made


@pytest.fixture
def unread(here, tmp_path):
    """A hub, and a node that writes more than its pipe and its own queue take."""
    address = f"127.0.77.9:{next(PORTS)}"
    subprocess.run([here.pinhole, "key", "new", tmp_path / "hub.key"], check=True, capture_output=True)
    key = here.hub(address, "--key", tmp_path / "hub.key").ready.split(" key ")[1].strip()
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    node = subprocess.Popen([here.pinhole, "node", "--hub", f"{key}@{address}", "--name", "alice", "--metrics", "1ms"],
                            env=here.env, stdin=subprocess.DEVNULL, stdout=writing)
    os.close(writing)
    node.stdout = open(reading, "rb")
    here.running.append(node)
    node.hub_words = f"{key}@{address}"
    while json.loads(node.stdout.readline())["event"] != "registered":
        pass
    return node


def ping(here, node, count=3):
    words = ["--hub", node.hub_words, "--count", str(count), "--interval", "50ms", "alice"]
    return subprocess.run([here.pinhole, "ping", *words], env=here.env, check=False, timeout=LIMIT_SECONDS, capture_output=True)


def test_a_node_that_nobody_reads_goes_on_and_says_what_was_lost(here, unread):
    events, end = [{"event": "registered"}], time.monotonic() + LIMIT_SECONDS
    while events[-1]["event"] != "gap":
        assert time.monotonic() < end
        done = ping(here, unread, 30)
        assert done.returncode == 0 and done.stdout.count(b"\n") == 30, done
        # More than is kept; if nothing was lost yet, nobody reads for that long again.
        for _ in range(1000):
            events.append(json.loads(unread.stdout.readline()))
            if events[-1]["event"] == "gap":
                break
    assert events[-1]["events-dropped"] > 0 and events[-1]["time"] > events[-2]["time"]
    unread.send_signal(signal.SIGTERM)
    events = [json.loads(line) for line in unread.stdout]  # each is whole
    assert events[-1]["event"] == "status" and unread.wait(LIMIT_SECONDS) == 0
    assert events[-1]["counters"]["messages-received"] >= 6


def test_a_node_that_nobody_reads_ends_when_it_is_asked_to(here, unread):
    assert ping(here, unread).returncode == 0
    unread.send_signal(signal.SIGTERM)
    assert unread.wait(LIMIT_SECONDS) == 0


def test_a_ping_that_nobody_reads_goes_on(here, unread):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with subprocess.Popen([here.pinhole, "ping", "--hub", unread.hub_words, "--interval", "1ms", "--count", "2000", "alice"],
                          env=here.env, stdout=writing) as process:
        os.close(writing)
        try:
            # The alice of this one counts what she is sent, and she is read.
            received = 0
            while received < 1000:
                assert process.poll() is None
                received = json.loads(unread.stdout.readline()).get("counters", {}).get("messages-received", received)
            with open(reading, encoding="utf-8") as lines:
                said = lines.read().splitlines()
            assert process.wait(LIMIT_SECONDS) == 0
        finally:
            process.kill()
    lost = sum(int(line.split()[0]) for line in said if line.endswith("that nobody read"))
    # The last ones have no longer to come than the interval.
    assert lost > 0 and 1950 <= lost + sum(" ms " in line for line in said) <= 2000, said
