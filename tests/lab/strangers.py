# SPDX-License-Identifier: GPL-2.0-or-later
"""Two NAT judges that we did not write, as hosts run them: Debian's stun with its stund, and coturn's
turnutils_natdiscovery with turnserver. What they print is put into RFC 4787's words.

What they cannot express: stun says "dependent mapping" for both dependent mappings and then nothing of filtering;
natdiscovery says nothing of port allocation, and nothing at all when UDP is blocked."""

import re

import pytest

EI, AD, APD = "endpoint-independent", "address-dependent", "address-and-port-dependent"

def server(judge, first, second):
    """The command line of a judge's server, on these two addresses; it is ready with its second port, 3479."""
    return {
        "stun": f"stund -h {first} -a {second}",
        "coturn": f"turnserver -n -S -L {first} -L {second} --no-cli --log-file stdout --pidfile /tmp/turnserver.pid",
    }[judge]


def client(judge, address, port=5000, hub="203.0.113.10"):
    """The command line with which a host of this address asks. The local port is fixed, so that a hashed mapping, and
    with it every answer, is the same in each run. The exit status of stun is its verdict as a number."""
    return {
        "stun": f"sh -c 'stun {hub} -p {port}; exit 0'",
        "coturn": f"turnutils_natdiscovery -m -f -L {address} -l {port} {hub}",
    }[judge]


def stun_says(output):
    """stun's verdict as axes; those that it cannot express are absent."""
    line = re.search(r"^Primary: (.*)$", output, re.M)
    assert line, output
    words = [word.strip() for word in line.group(1).split(",")]
    says = {}
    if words[0] == "Independent Mapping":
        filters = {"Independent Filter": EI, "Address Dependent Filter": AD, "Port Dependent Filter": APD}
        says = {"mapping": EI, "filtering": filters[words[1]]}
    elif words[0] == "Dependent Mapping":
        says = {"mapping": "dependent"}
    else:
        classes = {"Open": "direct", "Firewall": "firewall", "Blocked or could not reach STUN server": "udp-blocked"}
        says = {"class": classes[words[0]]}
    if "preserves ports" in words or "random port" in words:
        says["preserves"] = "preserves ports" in words
    if "no hairpin" in words or "will hairpin" in words:
        says["hairpin"] = "will hairpin" in words
    return says


def coturn_says(output):
    kinds = {"Endpoint Independent": EI, "Address Dependent": AD, "Address and Port Dependent": APD}
    says = {}
    for kind, axis in re.findall(r"^NAT with (.*) (Mapping|Filtering)!", output, re.M):
        says[axis.lower()] = kinds[kind]
    if "No NAT! (Endpoint Independent Mapping)" in output:
        says["mapping"] = "none"
    return says


CELLS = [
    pytest.param(mapping, filtering, id=f"{mapping}-mapping,{filtering}-filtering")
    for mapping in (EI, AD, APD)
    for filtering in (EI, AD, APD)
]
