# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs on hosts: each host is a small machine, and a program that does not do what it should fails the run with its
last words."""

import resource

HOSTS = """[topology]
title = Two hosts with programs
[network internet]
subnet = 203.0.113.0/24
[host hub]
on = internet
addresses = 203.0.113.10
{hub}
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
{alice}
[expect]
alice.class = port-restricted
{expect}
"""


def lab(hub="", alice="", expect=""):
    return HOSTS.format(hub=hub, alice=alice, expect=expect)


def failed(pinlab, path):
    cell, result = pinlab.cell(path, status=1)
    assert cell["verdict"] == "fail"
    return " ".join(cell["reasons"]), result


def test_a_command_that_does_not_start_fails_by_name(pinlab, write):
    cell, _ = pinlab.cell(write(lab(alice="run = no-such-program --fast")), status=1)
    assert cell["reasons"] == ["host alice: cannot start `no-such-program`: No such file or directory"]


def test_a_command_that_never_gets_ready_fails_in_time(pinlab, write):
    alice = "run = sh -c 'echo warming up; exec sleep 600'\nready = line open for business\ntime-limit = 300ms"
    reasons, _ = failed(pinlab, write(lab(alice=alice)))
    assert "alice" in reasons and "open for business" in reasons and "0.3 s" in reasons and "warming up" in reasons


def test_a_port_that_never_opens_fails_in_time(pinlab, write):
    reasons, _ = failed(pinlab, write(lab(alice="run = sleep 600\nready = udp 4242\ntime-limit = 300ms")))
    assert "alice" in reasons and "4242" in reasons


def test_a_command_that_never_ends_fails_in_time(pinlab, write):
    alice = "run = sh -c 'echo counting sheep; exec sleep 600'\nready = exit\ntime-limit = 300ms"
    cell, _ = pinlab.cell(write(lab(alice=alice)), status=1)
    (reason,) = cell["reasons"]
    assert reason.startswith("host alice: `sh ") and "did not end within 0.3 s" in reason
    assert cell["hosts"]["alice"]["program"] == {"exit": None, "output": "counting sheep\n"}


def test_a_command_that_ends_before_it_is_ready_fails_with_its_last_words(pinlab, write):
    alice = "run = sh -c 'echo cannot find my teeth >&2; exit 3'\nready = line ready"
    reasons, _ = failed(pinlab, write(lab(alice=alice)))
    assert "cannot find my teeth" in reasons and "3" in reasons


def test_a_wrong_exit_status_fails(pinlab, write):
    reasons, _ = failed(pinlab, write(lab(alice="run = sh -c 'exit 4'\nready = exit")))
    assert "alice" in reasons and "4" in reasons


def test_a_program_that_ends_well_before_the_end_passes(pinlab, write):
    pinlab.cell(write(lab(alice="run = echo good morning\nready = line morning")), status=0)


def test_an_expected_exit_status_passes(pinlab, write):
    pinlab.cell(write(lab(alice="run = sh -c 'exit 4'\nready = exit", expect="alice.exit = 4")), status=0)


def test_output_that_does_not_come_fails(pinlab, write):
    alice = "run = echo good morning\nready = exit"
    reasons, _ = failed(pinlab, write(lab(alice=alice, expect="alice.output = good night")))
    assert "good night" in reasons


def test_hosts_know_each_other_by_name(pinlab, write):
    cell, _ = pinlab.cell(write(lab(alice="run = getent hosts hub\nready = exit", expect="alice.output = 203.0.113.10")),
                          status=0)
    assert "hub" in cell["hosts"]["alice"]["program"]["output"]


def test_hosts_have_tmp_and_run_of_their_own(pinlab, write):
    hub = "run = sh -c 'echo mine >/tmp/here; echo mine >/run/here; echo done; exec sleep 600'\nready = line done"
    alice = "run = sh -c 'ls -A /tmp /run; test ! -e /tmp/here && test ! -e /run/here && echo all mine'\nready = exit"
    pinlab.cell(write(lab(hub=hub, alice=alice, expect="alice.output = all mine")), status=0)


def test_programs_inherit_nothing_but_their_standard_streams(pinlab, write):
    # The one of ls itself is the directory that it reads.
    alice = "run = sh -c 'ls /proc/self/fd | wc -w; ulimit -n'\nready = exit"
    limit = 100

    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    with open("/dev/null", "rb") as stray:
        result = pinlab.run("run", write(lab(alice=alice)), "--json", "-", pass_fds=[stray.fileno()], preexec_fn=lower)
    assert result.expect(0).json()["hosts"]["alice"]["program"]["output"].split() == ["4", str(limit)]


def test_ping_and_tcp_cross_every_nat(pinlab, write):
    hub = "run = python3 -m http.server 80\nready = tcp 80"
    fetch = "import urllib.request as r; print(r.urlopen(\"http://hub/\", timeout=10).status)"
    alice = f"run = sh -c 'ping -c 1 -W 5 hub && /usr/bin/python3 -c \"$0\"' '{fetch}'\nready = exit"
    cell, _ = pinlab.cell(write(lab(hub=hub.replace("python3", "/usr/bin/python3"), alice=alice)), status=0)
    output = cell["hosts"]["alice"]["program"]["output"]
    assert "1 received" in output and "200" in output


def test_the_output_of_a_failed_run_is_shown(pinlab, write):
    path = write(lab(alice="run = sh -c 'echo my last words; exit 1'\nready = exit"))
    result = pinlab.run("run", path).expect(1)
    assert "my last words" in result.text and "--seed" in result.text


def test_a_step_that_changes_a_nats_address_changes_no_class(pinlab, write):
    path = write("""
[topology]
title = A router gets a new address
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
[host hub]
on = internet
[step 1]
at = 1ms
do = nat home address 203.0.113.77
""")
    cell, _ = pinlab.cell(path, status=0)
    assert cell["nats"]["home"]["external"]["expected"] == "203.0.113.2, 203.0.113.77"
    assert cell["hosts"]["alice"]["external"]["certified"] == "203.0.113.2"
    assert cell["hosts"]["alice"]["external"]["observed"] == "203.0.113.77"
    assert cell["hosts"]["alice"]["class"]["observed"] == "port-restricted"


TWO_AT_ONCE = """
[topology]
title = Two programs at the same time
[network internet]
subnet = 203.0.113.0/24
[nat home]
outside = internet
inside = 192.168.1.0/24
behaviour = port-restricted
[host alice]
behind = home
run = sh -c 'sleep {alice}; echo alice is done'
time-limit = {limit}
[host hub]
on = internet
run = sh -c 'sleep 0.2; echo hub says hello; exec sleep 1000'
[expect]
alice.exit = 0
alice.output = alice is done
hub.output = says hello
"""


def test_expected_ends_and_outputs_are_waited_for(pinlab, write):
    cell, _ = pinlab.cell(write(TWO_AT_ONCE.format(alice="1.5", limit="20s")), status=0)
    assert cell["hosts"]["alice"]["program"]["exit"] == 0
    assert cell["hosts"]["hub"]["program"]["exit"] is None


def test_an_expected_end_is_waited_for_until_the_time_limit(pinlab, write):
    cell, _ = pinlab.cell(write(TWO_AT_ONCE.format(alice="1000", limit="300ms")), status=1)
    assert any("still running" in reason for reason in cell["reasons"])
    assert cell["duration_s"] < 30


def test_what_a_program_writes_beside_the_topology_stays(pinlab, write):
    path = write(lab(alice="run = sh -c 'hostname > result'\nready = exit", expect="alice.exit = 0"))
    pinlab.cell(path, status=0)
    assert (path.parent / "result").read_text() == "alice\n"
