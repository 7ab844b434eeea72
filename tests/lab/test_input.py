# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input: one clear error with file, group and key, and exit status 2."""

import os

import pytest

GOOD = """[topology]
title = A good one
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
addresses = 203.0.113.10
[expect]
alice.class = port-restricted
"""


def changed(old, new):
    assert old in GOOD
    return GOOD.replace(old, new, 1)


# name: (file, what the message must say besides the file's name)
WRONG = {
    "empty file": ("", []),
    "not INI": ("this is no topology\n", []),
    "binary": ("\x00\x01\x02[topology]\n", []),
    "no [topology]": (changed("[topology]\ntitle = A good one\n", ""), ["topology"]),
    "no title": (changed("title = A good one\n", ""), ["[topology]", "title"]),
    "unknown group": (GOOD + "[toaster kitchen]\nslots = 2\n", ["toaster kitchen"]),
    "group without a name": (GOOD + "[nat]\noutside = internet\n", ["[nat]"]),
    "unknown key": (changed("behaviour =", "behavior ="), ["[nat home]", "behavior", "behaviour"]),
    "doubled group": (GOOD + "[host alice]\nbehind = home\n", ["[host alice]"]),
    "doubled key": (changed("behind = home\n", "behind = home\nbehind = home\n"), ["[host alice]", "behind"]),
    "two nodes of one name": (GOOD + "[nat alice]\noutside = internet\ninside = 10.0.0.0/24\nbehaviour = full-cone\n",
                              ["alice"]),
    "unknown preset": (changed("= port-restricted", "= port-resticted"),
                       ["[nat home]", "behaviour", "port-resticted", "port-restricted"]),
    "unknown mapping": (changed("behaviour = port-restricted", "mapping = sometimes\nfiltering = address-dependent"),
                        ["[nat home]", "mapping", "sometimes", "endpoint-independent"]),
    "bad hairpin": (changed("behaviour = port-restricted", "behaviour = port-restricted\nhairpin = maybe"),
                    ["[nat home]", "hairpin", "maybe"]),
    "bad duration": (changed("behaviour = port-restricted", "behaviour = port-restricted\nudp-timeout = soon"),
                     ["[nat home]", "udp-timeout", "soon"]),
    "duration without a unit": (changed("behaviour = port-restricted", "behaviour = port-restricted\nudp-timeout = 30"),
                                ["[nat home]", "udp-timeout", "30"]),
    "bad subnet": (changed("203.0.113.0/24", "203.0.113.0/33"), ["[network internet]", "subnet", "203.0.113.0/33"]),
    "subnet with host bits": (changed("192.168.1.0/24", "192.168.1.7/24"), ["[nat home]", "inside", "192.168.1.7/24"]),
    "subnet too small": (changed("192.168.1.0/24", "192.168.1.0/31"), ["[nat home]", "inside"]),
    "overlapping subnets": (changed("192.168.1.0/24", "203.0.113.128/25"), ["203.0.113"]),
    "no subnet": (changed("subnet = 203.0.113.0/24\n", ""), ["[network internet]", "subnet"]),
    "no outside": (changed("outside = internet\n", ""), ["[nat home]", "outside"]),
    "no inside": (changed("inside = 192.168.1.0/24\n", ""), ["[nat home]", "inside"]),
    "unknown network": (changed("outside = internet", "outside = intranet"), ["[nat home]", "outside", "intranet"]),
    "unknown nat": (changed("behind = home", "behind = castle"), ["[host alice]", "behind", "castle"]),
    "host that is nowhere": (changed("behind = home\n", ""), ["[host alice]"]),
    "address outside of its network": (changed("203.0.113.10", "198.51.100.10"),
                                       ["[host hub]", "addresses", "198.51.100.10"]),
    "bad address": (changed("203.0.113.10", "203.0.113.300"), ["[host hub]", "addresses", "203.0.113.300"]),
    "address twice": (GOOD + "[host spoke]\non = internet\naddresses = 203.0.113.10\n", ["203.0.113.10"]),
    "expectation of nobody": (changed("alice.class", "bob.class"), ["[expect]", "bob"]),
    "expectation of nothing": (changed("alice.class", "alice.colour"), ["[expect]", "alice.colour"]),
    "expectation of no such word": (changed("alice.class = port-restricted", "alice.class = cone"),
                                    ["[expect]", "alice.class", "cone"]),
    "unclosed quote": (changed("behind = home\n", "behind = home\nrun = sh -c 'oops\n"), ["[host alice]", "run"]),
    "a network with one node": (changed("[host hub]\non = internet\naddresses = 203.0.113.10\n", ""),
                                ["[network internet]", "one node"]),
    "link of nobody": (GOOD + "[link bob]\ndelay = 10ms\n", ["[link bob]"]),
    "bad loss": (GOOD + "[link alice]\nloss = 200%\n", ["[link alice]", "loss", "200%"]),
    "step that nobody knows": (GOOD + "[step 1]\nat = 1s\ndo = dance\n", ["[step 1]", "do"]),
    "step without a time": (GOOD + "[step 1]\ndo = nat home flush\n", ["[step 1]", "at"]),
    "rules that are not there": (changed("behaviour = port-restricted",
                                         "behaviour = port-restricted\nrules = nowhere.nft"),
                                 ["[nat home]", "rules", "nowhere.nft"]),
    "loop of NATs": ("""[topology]
title = Each is behind the other
[network a]
subnet = 10.0.1.0/24
[nat one]
outside = two
inside = 10.1.0.0/24
behaviour = full-cone
[nat two]
outside = one
inside = 10.2.0.0/24
behaviour = full-cone
[host alice]
behind = one
""", ["nat"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused(pinlab, write, name):
    text, said = WRONG[name]
    path = write(text, "wrong.ini")
    for command in ("check", "run"):
        result = pinlab.run(command, path).expect(2)
        message = result.stderr.strip()
        assert "wrong.ini" in message, message
        for words in said:
            assert words in message, f"{command}: expected {words!r} in: {message}"
        assert len(message.splitlines()) == 1, f"one clear error, not: {message}"


def test_the_right_file_is_not_refused(pinlab, write):
    """All of the above differ from this one by one thing."""
    pinlab.run("check", write(GOOD)).expect(0)


def test_check_notes_what_the_engine_cannot_do(pinlab, write):
    path = write(GOOD + "\n[link alice]\nloss = 1%\n")
    assert pinlab.run("check", path).expect(0).stderr == f"{path}: note: engine kernel cannot express link alice loss\n"


def test_check_names_every_wrong_file(pinlab, write):
    paths = [write(GOOD, "good.ini"), write("", "one.ini"), write(changed("title", "titel"), "two.ini")]
    result = pinlab.run("check", *paths).expect(2)
    assert "one.ini" in result.stderr and "two.ini" in result.stderr and "good.ini" not in result.stderr


def test_bad_bytes_are_refused(pinlab, tmp_path):
    path = tmp_path / "latin1.ini"
    path.write_bytes(GOOD.replace("A good one", "Caf\u00e9").encode("latin-1"))
    assert "latin1.ini" in pinlab.run("check", path).expect(2).stderr


@pytest.mark.parametrize("kind", ["absent", "directory", "unreadable"])
def test_a_file_that_cannot_be_read_is_refused(nobody, shared, kind):
    path = shared / "lost.ini"
    if kind == "directory":
        path.mkdir()
    elif kind == "unreadable":
        path.write_text(GOOD)
        path.chmod(0)
    for command in ("check", "run", "matrix"):
        assert "lost.ini" in nobody.run(command, path).expect(2).stderr


@pytest.mark.parametrize("kind", ["absent", "directory", "device", "pipe", "unreadable", "large"])
def test_rules_that_cannot_be_read_are_refused_by_check(nobody, shared, kind):
    path, rules = shared / "case.ini", shared / "home.nft"
    path.write_text(changed("behaviour = port-restricted", "behaviour = port-restricted\nrules = "
                            + ("/dev/null" if kind == "device" else "home.nft")))
    if kind == "directory":
        rules.mkdir()
    elif kind == "pipe":
        os.mkfifo(rules, 0o666)
    elif kind == "unreadable":
        rules.write_text("")
        rules.chmod(0)
    elif kind == "large":
        rules.write_text("#" * (1024 * 1024 + 1))
    message = nobody.run("check", path).expect(2).stderr
    assert "case.ini:9: [nat home] rules: " in message and "(expected " in message, message


def test_a_file_name_does_not_steer_the_terminal(pinlab, tmp_path):
    path = tmp_path / "red\x1b[31m\u202e.ini"
    for command in ("check", "run", "matrix", "list"):
        message = pinlab.run(command, path).expect(2).stderr
        assert "red\\x1b[31m\\u202e.ini" in message and "\x1b" not in message, message
    assert len(pinlab.run("run", "x" * 100000).expect(2).stderr) < 4096


ARGUMENTS = {
    "no command": [],
    "unknown command": ["conquer"],
    "unknown option": ["run", "--colour-of-magic", "TOPOLOGY"],
    "run without a topology": ["run"],
    "unknown engine": ["run", "TOPOLOGY", "--engine", "steam"],
    "seed that is no number": ["run", "TOPOLOGY", "--seed", "lucky"],
    "negative seed": ["run", "TOPOLOGY", "--seed", "-1"],
    "zero jobs": ["matrix", "TOPOLOGY", "--jobs", "0"],
    "shard beyond the last": ["matrix", "TOPOLOGY", "--shard", "4/3"],
    "shard zero": ["matrix", "TOPOLOGY", "--shard", "0/3"],
    "shard that is none": ["matrix", "TOPOLOGY", "--shard", "half"],
    "zero repeats": ["matrix", "TOPOLOGY", "--repeat", "0"],
    "timeout that is none": ["run", "TOPOLOGY", "--timeout", "later"],
    "timeout in hexadecimal": ["run", "TOPOLOGY", "--timeout", "0x10"],
    "timeout with space": ["run", "TOPOLOGY", "--timeout", " 5"],
    "timeout with a sign": ["run", "TOPOLOGY", "--timeout", "+5"],
    "timeout without end": ["run", "TOPOLOGY", "--timeout", "inf"],
    "JSON into nothing": ["run", "TOPOLOGY", "--json", ""],
    "JUnit into nothing": ["run", "TOPOLOGY", "--junit", ""],
    "recordings into nothing": ["run", "TOPOLOGY", "--pcap", ""],
    "option without its value": ["run", "TOPOLOGY", "--seed"],
    "JSON into a directory that is not there": ["run", "TOPOLOGY", "--json", "/nowhere/report.json"],
    "two reports on standard output": ["run", "TOPOLOGY", "--json", "-", "--junit", "-"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_wrong_arguments_are_refused(pinlab, write, name):
    path = write(GOOD)
    result = pinlab.run(*(path if word == "TOPOLOGY" else word for word in ARGUMENTS[name])).expect(2)
    assert result.stderr and "Traceback" not in result.stderr


def test_a_story_is_found_by_its_name_like_any_topology(pinlab, tmp_path):
    stories = tmp_path / "topologies/stories"
    stories.mkdir(parents=True)
    (stories / "tale.ini").write_text(GOOD, encoding="utf-8")
    (tmp_path / "topologies/lesson.ini").write_text(GOOD, encoding="utf-8")
    pinlab.run("check", "tale", cwd=tmp_path).expect(0)
    listed = pinlab.run("list", cwd=tmp_path).expect(0).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["name", "lesson", "tale"]


def test_a_name_that_two_topologies_have_is_refused(pinlab, tmp_path):
    for folder in ("topologies", "topologies/stories"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tale.ini").write_text(GOOD, encoding="utf-8")
    for command in ("check", "run", "matrix", "up"):
        message = pinlab.run(command, "tale", cwd=tmp_path).expect(2).stderr
        assert "two topologies are called tale: topologies/tale.ini and topologies/stories/tale.ini (expected" in message
    pinlab.run("check", "topologies/tale.ini", cwd=tmp_path).expect(0)


@pytest.mark.parametrize("command", [[], ["list"], ["check"], ["run"], ["matrix"]], ids=lambda words: " ".join(words))
def test_every_command_has_help(pinlab, command):
    result = pinlab.run(*command, "--help").expect(0)
    assert result.stdout.startswith("Usage: pinlab") and not result.stderr


def test_version_is_that_of_the_project(pinlab):
    assert pinlab.run("--version").expect(0).stdout.strip() == "pinlab 0.1.0"
