# SPDX-License-Identifier: GPL-2.0-or-later
"""HOST.unasked: what came to a host that it had not asked for, by the recording alone."""

import pytest

# bob has asked nobody; west lets everybody in to him once he has sent. mary asks eve last of all.
LAB = """[topology]
title = Who is sent what
[network internet]
subnet = 203.0.113.0/24
[nat west]
outside = internet
inside = 192.168.1.0/24
behaviour = full-cone
port-allocation = preserve
[host bob]
behind = west
[host mary]
on = internet
[host eve]
on = internet
[step 1]
at = 100ms
do = host eve send 5000 -> mary:6000 first
[step 2]
at = 200ms
do = host eve send 5001 -> mary:6000 second
[step 3]
at = 300ms
do = host mary send 7000 -> eve:5000 asked
[step 4]
at = 400ms
do = host eve send 5002 -> mary:6001 answer
[step 5]
at = 500ms
do = host bob send 8000 -> mary:6000 hello
[step 6]
at = 600ms
do = host eve send 5000 -> west:8000 stranger
[step 7]
at = 700ms
do = host mary send 6000 -> west:8000 answer
[expect]
mary.unasked = {mary}
bob.unasked = {bob}
"""


@pytest.fixture(params=["virtual", "kernel", "fabric"])
def on(request, pinlab, write):
    def run(mary, bob, status=0):
        cell, _ = pinlab.on(request.param).cell(write(LAB.format(mary=mary, bob=bob)), status=status)
        return cell

    return run


def test_what_was_not_asked_for_is_counted(on):
    assert on(3, 1)["verdict"] == "pass"


def test_another_number_fails_and_says_who_sent_the_first(on):
    cell = on(0, "at least 2", status=1)
    assert [reason for reason in cell["reasons"] if "unasked" in reason] == [
        'mary.unasked: expected 0, found 3 (the first is "203.0.113.4:5000")',
        'bob.unasked: expected at least 2, found 1 (the first is "203.0.113.4:5000")']


def test_it_is_a_number(pinlab, write):
    path = write(LAB.format(mary="none", bob=0))
    assert 'bad number "none" (expected N, at least N, at most N or N to N)' in pinlab.run("check", path).expect(2).text
