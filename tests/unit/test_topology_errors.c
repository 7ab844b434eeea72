/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every kind of wrong topology file is refused, with its place and what was expected. */
#include <glib/gstdio.h>
#include <string.h>

#include "topology/topology.h"

/* A right file, to which each case adds its mistake. */
#define TITLE    "[topology]\ntitle = t\n"
#define INTERNET "[network internet]\nsubnet = 203.0.113.0/24\n"
#define HUB      "[host hub]\non = internet\naddress = 203.0.113.10\n"
#define NAT_OPEN "[nat home]\noutside = internet\ninside = 192.168.1.0/24\n"
#define NAT      NAT_OPEN "behaviour = port-restricted\n"
#define ALICE    "[host alice]\nbehind = home\n"
#define BASE     TITLE INTERNET HUB
#define HOME     BASE ALICE NAT
#define SYM      BASE ALICE NAT_OPEN "behaviour = symmetric\n"
#define WALL     BASE ALICE NAT_OPEN "behaviour = firewall\n"
#define PAIR     BASE "[host bob]\non = internet\n"

/* alice is a node, and so is bob. */
#define NODES                                                                                      \
    BASE "run = hub\n" NAT ALICE "run = node --connect bob\n[host bob]\nbehind = home\nrun = "     \
         "node\n"
#define TALK(rest) NODES "[step 1]\nat = 1s\ndo = host alice " rest "\n"

#define SEND(rest)    "[step 1]\nat = 1s\ndo = host alice send " rest
#define LISTEN(ports) BASE "[host a]\non = internet\nrun = listen " ports "\n"

typedef struct Case {
    const char *text;
    const char *error; /* a pattern of the message behind "t.ini" */
} Case;

static const Case files[] = {
    {"", ": there is no [topology]*(expected*"},
    {"title = x\n", ":1: a key before the first group (expected*"},
    {"[topology]\ntitle = t\n[nat\thome]\n", ":3: a tab in a group (expected*"},
    {"\xef\xbb\xbf[topology]\n", ":1: a byte order mark*(expected*"},
    {"[topology]\rtitle = t\r", ":1: a carriage return within a line (expected*"},
    {"\f[topology]\n", ":1: a control character (expected*"},
    {"[topology]\nnonsense\n", ":2: neither a group, a key nor a comment (expected*"},
    {"[topology]\n= 1\n", ":2: neither*(expected*"},
    {"[topology\n", ":1: not a group (expected*"},
    {"[]\n", ":1: not a group (expected*"},
    {"[a[b]]\n", ":1: not a group (expected*"},
    {"[topology]\ntitle[de] = x\n", ":2: brackets in a key (expected*"},
    {"[topology]\ntitle = a\x01b\n", ":2: a control character (expected*"},
    {"[topology]\ntitle = a\xc2\x9b"
     "b\n",
     ":2: a control character (expected*"},
    {"[topology]\ntitle = \xff\n", ": not UTF-8 at byte 19 (expected*"},
    {"[topology]\nabout = x\n", ":1: [topology] title: missing (expected*"},
    {"[topology]\ntitle =\n", ":2: [topology] title: empty (expected*"},
    {TITLE, ": nobody is in it (expected*"},
    {HOME "[topology]\ntitle = again\n",
     ":*: [topology]: stands twice (expected once; the first is on line 1)"},
    {HOME "[host bob]\nbehind = home\nbehind = home\n",
     ":*: [host bob] behind: stands twice (expected once*"},
    {HOME "[hots bob]\n", ":*: [hots bob]: unknown group (expected*did you mean \"host\"?)"},
    {HOME "[host]\n", ":*: [host]: a name is missing (expected*"},
    {HOME "[expect all]\n", ":*: [expect all]: a name too many (expected*"},
    {HOME "[host Bob]\n", ":*: bad name \"Bob\" (expected*"},
    {HOME "[host bob ]\n", ":*: bad name \"bob \" (expected*"},
    {HOME "[host 4]\n", ":*: bad name \"4\" (expected*"},
    {HOME "[host abcdefghijklmnopqrstuvwxyzabcdefg]\n", ":*: bad name*(expected*"},
    {HOME "[host home]\non = internet\n", ":*: [host home]: the name \"home\" is taken (expected*"},
    {HOME "[network alice]\nsubnet = 10.0.0.0/8\n", ":*: [network alice]: the name*is taken*"},
    {HOME "[host bob]\nbehid = home\n",
     ":*: [host bob] behid: unknown key (expected*did you mean \"behind\"?)"},
};

static const Case networks[] = {
    {TITLE "[network a]\n", ":3: [network a] subnet: missing (expected*"},
    {TITLE "[network a]\nsubnet = 10.0.0.0\n", ":4: [network a] subnet: bad prefix*(expected*"},
    {TITLE "[network a]\nsubnet = 10.0.0/24\n", ":4: * bad prefix*(expected*"},
    {TITLE "[network a]\nsubnet = 10.0.0.0/29\n",
     ":4: * the prefix length is 29 (expected 8 to 28*"},
    {TITLE "[network a]\nsubnet = 0.0.0.0/0\n", ":4: * the prefix length is 0 (expected 8 to 28*"},
    {TITLE "[network a]\nsubnet = 10.0.0.1/24\n", ":4: * host bits are set*(expected 10.0.0.0/24)"},
    {TITLE "[network a]\nsubnet = 127.0.0.0/8\n", ":4: * cannot be routed (expected*"},
    {TITLE "[network a]\nsubnet = 224.0.0.0/8\n", ":4: * cannot be routed (expected*"},
    {HOME "[network a]\nsubnet = 10.0.0.0/8\n", ":*: [network a]: nobody is on it (expected*"},
    {HOME "[network a]\nsubnet = 10.0.0.0/8\n[host bob]\non = a\n",
     ":*: [network a]: only one node is on it (expected*"},
    {HOME "[network a]\nsubnet = 10.0.0.0/8\n[host bob]\non = a\n[host carol]\non = a\n",
     ":*: [network a]: network a*cannot reach network internet (expected*"},
    {HOME "[network a]\nsubnet = 203.0.0.0/16\n[host bob]\non = a, internet\n[host carol]\non = a, "
          "internet\nroutes = yes\n",
     ":*: [network a] subnet: overlaps with 203.0.113.0/24, network internet (expected*"},
    {BASE ALICE
     "[nat home]\noutside = internet\ninside = 203.0.113.128/25\nbehaviour = symmetric\n",
     ":*: [nat home] inside: overlaps with 203.0.113.0/24*(expected*"},
    {HOME "[nat in]\noutside = home.inside\ninside = 192.168.0.0/16\nbehaviour = symmetric\n[host "
          "bob]\nbehind = in\n",
     ":*: [nat in] inside: overlaps with 192.168.1.0/24*(expected*"},
    {HOME "[nat b]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = symmetric\n[host "
          "bob]\non = home.inside, b.inside\n",
     ":*: [nat b] inside: overlaps*(expected*"},
    {HOME "[nat in]\noutside = home.inside\ninside = 203.0.0.0/16\nbehaviour = symmetric\n[host "
          "bob]\nbehind = in\n",
     ":*: [nat in] inside: overlaps with 203.0.113.0/24, network internet*"},
    {TITLE
     "[network deep]\nsubnet = 203.0.0.0/16\n[network internet]\nsubnet = 203.0.113.0/24\n" HUB NAT
         ALICE "[nat in]\noutside = home.inside\ninside = deep\nbehaviour = symmetric\n[host "
     "bob]\nbehind = in\n",
     ":*: [network internet] subnet: overlaps with 203.0.0.0/16, network deep*"},
    {BASE NAT, ":*: [nat home] inside: nobody is inside (expected*behind = home)"},
    {HOME "[network a]\nsubnet = 10.0.0.0/24\n[nat in]\noutside = a\ninside = "
          "home.inside\nbehaviour = symmetric\n",
     ":*: [nat in] inside: *is the inside of nat home already (expected*"},
    {HOME "[nat in]\noutside = home.inside\ninside = home.inside\nbehaviour = symmetric\n",
     ":*: [nat in] inside: a loop*(expected*"},
    {TITLE "[network a]\nsubnet = 10.0.0.0/24\n[network b]\nsubnet = 10.0.1.0/24\n[nat x]\noutside "
           "= a\ninside = b\nbehaviour = full-cone\n[nat y]\noutside = b\ninside = a\nbehaviour = "
           "full-cone\n",
     ":*: [nat y] outside: a loop*(expected*"},
    {HOME "[host r]\non = home.inside, internet\nroutes = yes\n",
     ":*: [nat home] outside: a loop*(expected*"},
    {HOME "[nat other]\noutside = internet\ninside = 10.0.0.0/24\nbehaviour = full-cone\n[host "
          "r]\non = home.inside, other.inside\nroutes = yes\n",
     ":*: [nat *] inside: nat * leads out of the same networks (expected*"},
};

static const Case hosts[] = {
    {BASE "[host a]\n", ":*: [host a] on: missing (expected*"},
    {HOME "[host a]\non = internet\nbehind = home\n",
     ":*: [host a] on: it is behind a NAT, too (expected*"},
    {BASE "[host a]\non =\n", ":*: [host a] on: empty (expected*"},
    {BASE "[host a]\non = internet,\n", ":*: [host a] on: an empty item in the list (expected*"},
    {BASE "[host a]\non = internet, internet\n",
     ":*: [host a] on: \"internet\" stands twice (expected*"},
    {BASE "[host a]\non = intrenet\n",
     ":*: [host a] on: there is no network \"intrenet\" (expected*did you mean \"internet\"?)"},
    {HOME "[host a]\nbehind = hoem\n",
     ":*: [host a] behind: there is no NAT \"hoem\" (expected*did you mean \"home\"?)"},
    {HOME "[host a]\nbehind = alice\n",
     ":*: [host a] behind: there is no NAT \"alice\" (expected*"},
    {BASE "[host a]\non = internet\nroutes = yes\n",
     ":*: [host a] routes: there is nothing to route between (expected*"},
    {BASE "[host a]\non = internet\nroutes = maybe\n",
     ":*: [host a] routes: unknown word \"maybe\" (expected no or yes)"},
    {BASE "[host a]\non = internet\nprobe-port = 0\n",
     ":*: [host a] probe-port: bad number \"0\" (expected 1 to 65535)"},
    {BASE "[host a]\non = internet\nprobe-port = 65536\n", ":*: bad number*(expected 1 to 65535)"},
    {BASE "[host a]\non = internet\nready = exit\n",
     ":*: [host a] ready: there is no program*(expected run)"},
    {BASE "[host a]\non = internet\ntime-limit = 1s\n",
     ":*: [host a] time-limit: there is no program*(expected run)"},
    {BASE "[host a]\non = internet\nrun = a 'b\n",
     ":*: [host a] run: not a command line*(expected*"},
    {BASE "[host a]\non = internet\nrun =\n", ":*: [host a] run: not a command line*(expected*"},
    {BASE "[host a]\non = internet\nrun = ''\n",
     ":*: [host a] run: the program's name is empty (expected*"},
    {BASE "[host a]\non = internet\nrun = classify\n",
     ":*: [host a] run: there is nobody to ask (expected a host with run = hub*"},
    {BASE "[host a]\non = internet\nrun = classify --json\n",
     ":*: [host a] run: classify does not take \"--json\" (expected --server*"},
    {BASE "[host a]\non = internet\nrun = node\n",
     ":*: [host a] run: there is no hub to register with (expected a host with run = hub*"},
    {BASE "[host a]\non = internet\nrun = node --any thing\n",
     ":*: [host a] run: node does not take \"--any\" (expected NAME, --connect PEER*"},
    {BASE "[host a]\non = internet\nrun = node a b\n",
     ":*: [host a] run: the name \"b\" is one too many (expected one*"},
    {BASE "[host a]\non = internet\nrun = node --connect\n",
     ":*: [host a] run: --connect \"\" (expected at most 63 letters*"},
    {BASE "[host a]\non = internet\nrun = node 'a b'\n",
     ":*: [host a] run: the name \"a b\" (expected at most 63 letters*"},
    {LISTEN(""), ":*: [host a] run: there is nothing to listen on (expected listen PORT...*"},
    {LISTEN("0"), ":*: [host a] run: listen does not take \"0\" (expected a port*"},
    {LISTEN("--help"), ":*: [host a] run: listen does not take \"--help\" (expected a port*"},
    {LISTEN("7 8 7"), ":*: [host a] run: port 7 stands twice (expected*"},
    {LISTEN("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"),
     ":*: [host a] run: too many ports (expected at most 16*"},
    {LISTEN("7") "[expect]\na.hears = x,,y\n", ":*: [expect] a.hears: *(expected*"},
    {LISTEN("7") "[expect]\nhub.hears = x\n", ":*: [expect] hub.hears: host hub runs nothing*"},
    {BASE "[host a]\non = internet\nrun = classify --server\n",
     ":*: [host a] run: --server \"\" (expected a host of this file, or an address*"},
    {BASE "[host a]\non = internet\nrun = classify --server nobody\n",
     ":*: [host a] run: --server \"nobody\" (expected a host of this file, or an address*"},
    {BASE "[host a]\non = internet\nrun = classify --server hub:0\n",
     ":*: [host a] run: --server \"hub:0\" (expected a host of this file*"},
    {BASE "[host a]\non = internet\nrun = classify --server [2001:db8::1]:3478\n",
     ":*: [host a] run: --server \"[2001:db8::1]:3478\" is IPv6, and a is judged in IPv4 "
     "(expected*"},
    {HOME "[host a]\non = internet\nrun = classify --server home\n",
     ":*: [host a] run: --server \"home\" (expected a host of this file*"},
    {BASE "[host a]\non = internet\nrun = hub more\n",
     ":*: [host a] run: hub does not take \"more\" (expected --listen*"},
    {BASE "[host a]\non = internet\nrun = hub --listen\n",
     ":*: [host a] run: --listen \"\" (expected an address of a*"},
    {BASE "[host a]\non = internet\nrun = hub --listen 203.0.113.10\n",
     ":*: [host a] run: --listen \"203.0.113.10\" (expected an address of a*"},
    {BASE "[host a]\non = internet\naddress = 203.0.113.20\n"
          "run = hub --listen 203.0.113.20 --listen 203.0.113.20:3478\n",
     ":*: [host a] run: --listen 203.0.113.20:3478 (expected another IPv4 address*"},
    {BASE "[host a]\non = internet\naddresses = 203.0.113.20, 203.0.113.21\n"
          "run = hub --listen 203.0.113.20 --listen 203.0.113.21:5000\n",
     ":*: [host a] run: --listen 203.0.113.21:5000 (expected another IPv4 address, with port "
     "3478*"},
    {BASE "[host a]\non = internet\naddresses = 203.0.113.20-203.0.113.22\n"
          "run = hub --listen 203.0.113.20 --listen 203.0.113.21 --listen 203.0.113.22\n",
     ":*: [host a] run: one address too many: --listen 203.0.113.22 (expected two at most)"},
    {BASE "[host a]\non = internet\nrun = hub --second-port 3478\n",
     ":*: [host a] run: --second-port 3478 is the first one, too (expected another)"},
    {BASE "[host a]\non = internet\nrun = hub --second-port 0\n",
     ":*: [host a] run: --second-port \"0\" (expected a port, 1 to 65535)"},
    {BASE "[host a]\non = internet\nrun = a\nready = soon\n",
     ":*: [host a] ready: bad readiness \"soon\" (expected*"},
    {BASE "[host a]\non = internet\nrun = a\nready = line\n",
     ":*: [host a] ready: bad readiness*(expected*"},
    {BASE "[host a]\non = internet\nrun = a\nready = udp x\n",
     ":*: [host a] ready: bad readiness*(expected*"},
    {BASE "[host a]\non = internet\nrun = a\ntime-limit = 5\n",
     ":*: [host a] time-limit: bad duration \"5\" (expected*such as 30s)"},
    {BASE "[host a]\non = internet\nrun = a\ntime-limit = 2000min\n",
     ":*: [host a] time-limit: bad duration*(expected*"},
};

/* IPv6 */
#define INTERNET6 "[network internet6]\nsubnet = 2001:db8::/64\n"
#define HUB6      "[host hub6]\non = internet6\naddress = 2001:db8::10\n"
#define NAT6_OPEN "[nat home6]\noutside = internet6\ninside = 2001:db8:a::/64\n"
#define ALICE6    "[host alice6]\nbehind = home6\n"
#define BASE6     TITLE INTERNET6 HUB6
#define PAIR6     BASE6 "[host bob]\non = internet6\n"
#define HOME6     BASE6 ALICE6 NAT6_OPEN "behaviour = firewall\n"

static const Case ipv6[] = {
    {TITLE "[network a]\nsubnet = 2001:db8::/32\n",
     ":4: [network a] subnet: the prefix length is 32 (expected 64 to 120*"},
    {TITLE "[network a]\nsubnet = 2001:db8::/121\n",
     ":4: * the prefix length is 121 (expected 64 to 120*"},
    {TITLE "[network a]\nsubnet = 2001:db8::/129\n", ":4: * bad prefix*(expected*"},
    {TITLE "[network a]\nsubnet = [2001:db8::]/64\n", ":4: * bad prefix*(expected*"},
    {TITLE "[network a]\nsubnet = 2001:db8::\n", ":4: * bad prefix*(expected*"},
    {TITLE "[network a]\nsubnet = 2001:db8::1/64\n",
     ":4: * host bits are set*(expected 2001:db8::/64)"},
    {TITLE "[network a]\nsubnet = 2001:db8:0:0:ffff::/72\n",
     ":4: * host bits are set*(expected 2001:db8:0:0:ff00::/72)"},
    {TITLE "[network a]\nsubnet = ::/64\n", ":4: * cannot be routed (expected unicast*"},
    {TITLE "[network a]\nsubnet = ::/120\n", ":4: * cannot be routed (expected unicast*"},
    {TITLE "[network a]\nsubnet = ::ffff:192.0.2.0/120\n", ":4: * cannot be routed (expected*"},
    {TITLE "[network a]\nsubnet = fe80::/64\n", ":4: * cannot be routed (expected*"},
    {TITLE "[network a]\nsubnet = febf::/64\n", ":4: * cannot be routed (expected*"},
    {TITLE "[network a]\nsubnet = ff02::/64\n", ":4: * cannot be routed (expected*"},
    {PAIR6 "address = 2001:db8:0:1::1\n",
     ":*: [host bob] address: 2001:db8:0:1::1 is not on network internet6 (expected one of "
     "2001:db8::/64)"},
    {PAIR6 "address = 203.0.113.5\n",
     ":*: [host bob] address: 203.0.113.5 is not on network internet6*"},
    {PAIR6 "address = 2001:db8::\n", ":*: [host bob] address: *first or its last one (expected*"},
    {PAIR6 "address = 2001:db8::ffff:ffff:ffff:ffff\n",
     ":*: [host bob] address: *first or its last one (expected*"},
    {PAIR6 "address = 2001:db8::ffff:ffff:ffff:fffb\n",
     ":*: [host bob] address: *last four*the lab's own (expected*"},
    {PAIR6 "address = 2001:db8::10\n", ":*: [host bob] address: 2001:db8::10 belongs to hub6*"},
    {PAIR6 "address = [2001:db8::11]:80\n", ":*: [host bob] address: bad address*(expected*"},
    {PAIR6 "address = fe80::1%eth0\n", ":*: [host bob] address: bad address*(expected*"},
    {PAIR6 "addresses = 2001:db8::20-2001:db8::120\n",
     ":*: [host bob] addresses: *is too many (expected*"},
    {PAIR6 "addresses = 2001:db8::20-2001:db8:1::20\n",
     ":*: [host bob] addresses: *is too many (expected*"},
    {PAIR6 "addresses = 203.0.113.1-2001:db8::20\n",
     ":*: [host bob] addresses: *is too many (expected*"},
    {PAIR6 "addresses = 2001:db8::20-2001:db8::1f\n",
     ":*: [host bob] addresses: *runs backwards (expected*"},
    {BASE6 ALICE6 NAT6_OPEN "behaviour = full-cone\n",
     ":*: [nat home6] behaviour: translation of IPv6 is not supported by this version (expected*"},
    {BASE6 ALICE6 NAT6_OPEN "behaviour = firewall\nmapping = endpoint-independent\n",
     ":*: [nat home6] mapping: translation of IPv6 is not supported by this version (expected*"},
    {HOME INTERNET6 HUB6 "[nat sixty-four]\noutside = internet\ninside = internet6\n"
                         "behaviour = symmetric\n",
     ":*: [nat sixty-four] inside: internet6 is IPv6 and internet is IPv4: translation between "
     "families is not supported*"},
    {HOME INTERNET6 HUB6 "[host r]\non = internet6, internet\nroutes = yes\n",
     ":*: [host r] routes: network internet is IPv4, and the first one is not (expected*"},
    {HOME INTERNET6 HUB6 "[network lan6]\nsubnet = fd00::/64\n"
                         "[host a]\non = lan6\n[host b]\non = lan6, internet6\n",
     ":*: [network lan6]: network lan6*cannot reach network internet6 (expected*"},
    {HOME6 "[link alice6]\nmtu = 1279\n",
     ":*: [link alice6] mtu: 1279 is too small for IPv6 (expected 1280 or more)"},
    {BASE6 INTERNET HUB "run = hub\n[host b]\non = internet\n[host a]\non = internet6\n"
                        "run = classify\n",
     ":*: [host a] run: there is nobody to ask (expected a host with run = hub that has IPv6*"},
    {BASE6 INTERNET "[host h]\non = internet6, internet\naddresses = 2001:db8::20, 203.0.113.20\n"
                    "run = hub --listen 2001:db8::20 --listen 203.0.113.20:5000\n"
                    "[host a]\non = internet\n",
     ":*: [host h] run: --listen 203.0.113.20:5000 (expected another IPv4 address, with port "
     "3478*"},
    {HOME6 "[step 1]\nat = 1s\ndo = nat home6 address 2001:db8::30\n",
     ":*: [step 1] do: nat home6 translates nothing (expected*"},
};

static const Case addresses[] = {
    {PAIR "address = 203.0.113.300\n", ":*: [host bob] address: bad address*(expected*"},
    {PAIR "address = 203.0.113.30:80\n", ":*: [host bob] address: bad address*(expected*"},
    {PAIR "address = ::1\n", ":*: [host bob] address: ::1 is not on network internet (expected*"},
    {PAIR "address = 203.0.114.30\n", ":*: [host bob] address: 203.0.114.30 is not on network "
                                      "internet (expected one of 203.0.113.0/24)"},
    {PAIR "address = 203.0.113.0\n", ":*: [host bob] address: *own address*(expected*"},
    {PAIR "address = 203.0.113.255\n", ":*: [host bob] address: *broadcast*(expected*"},
    {PAIR "address = 203.0.113.251\n",
     ":*: [host bob] address: *last four*the lab's own (expected*"},
    {PAIR "address = 203.0.113.254\n",
     ":*: [host bob] address: *last four*the lab's own (expected*"},
    {PAIR "address = 203.0.113.10\n",
     ":*: [host bob] address: 203.0.113.10 belongs to hub (expected*"},
    {PAIR "address = 203.0.113.20, 203.0.113.21\n",
     ":*: [host bob] address: more than one (expected*"},
    {PAIR "addresses = 203.0.113.20, 203.0.113.20\n",
     ":*: [host bob] addresses: 203.0.113.20 stands twice*"},
    {PAIR "addresses = 203.0.113.20-203.0.113.19\n",
     ":*: [host bob] addresses: *runs backwards (expected*"},
    {PAIR "addresses = 203.0.113.20-203.1.113.19\n",
     ":*: [host bob] addresses: *is too many (expected*"},
    {PAIR "address = 203.0.113.20\naddresses = 203.0.113.21\n",
     ":*: [host bob] addresses: there is address, too*"},
    {HOME "inside-address = 192.168.2.1\n",
     ":*: [nat home] inside-address: *is not on network home.inside*"},
    {HOME "[host bob]\nbehind = home\naddress = 192.168.1.1\n",
     ":*: [host bob] address: 192.168.1.1 belongs to home*"},
    {TITLE "[network n]\nsubnet = 10.0.0.0/28\n[host a]\non = n\naddresses = "
           "10.0.0.1-10.0.0.10\n[host b]\non = n\n",
     ":*: [host b]: network n has no address left for it (expected*"},
};

static const Case nats[] = {
    {BASE ALICE NAT_OPEN, ":*: [nat home] behaviour: missing*(expected full-cone, *"},
    {BASE ALICE NAT_OPEN "mapping = endpoint-independent\n", ":*: [nat home] behaviour: missing*"},
    {BASE ALICE NAT_OPEN "behaviour = symetric\n",
     ":*: [nat home] behaviour: unknown word \"symetric\" (expected*did you mean "
     "\"symmetric\"?)"},
    {BASE ALICE "[nat home]\ninside = 10.0.0.0/24\nbehaviour = symmetric\n",
     ":*: [nat home] outside: missing*"},
    {BASE ALICE "[nat home]\noutside = internet\nbehaviour = symmetric\n",
     ":*: [nat home] inside: missing*"},
    {BASE ALICE "[nat home]\noutside = internet\ninside = lan\nbehaviour = symmetric\n",
     ":*: [nat home] inside: there is no network \"lan\"*"},
    {HOME "mapping = random\n", ":*: [nat home] mapping: unknown word*(expected none, *"},
    {HOME "filtering = none\n", ":*: [nat home] filtering: unknown word*(expected *"},
    {HOME "hairpin = yes\n", ":*: [nat home] hairpin: unknown word*(expected *"},
    {HOME "unsolicited = ignore\n", ":*: [nat home] unsolicited: unknown word*(expected *"},
    {HOME "udp = no\n", ":*: [nat home] udp: unknown word \"no\" (expected yes or blocked)"},
    {HOME "inbound-refresh = 1\n", ":*: [nat home] inbound-refresh: unknown word*"},
    {HOME "udp-timeout = 30\n",
     ":*: [nat home] udp-timeout: bad duration \"30\" (expected*unit ns, us, ms, s or min*"},
    {HOME "udp-timeout = 10ms\n", ":*: [nat home] udp-timeout: bad duration*(expected 1s to*"},
    {SYM "port-allocation = preserve\n",
     ":*: [nat home] port-allocation: a preserved port*(expected*"},
    {HOME "port-range = 2000-3000\n", ":*: [nat home] port-range: ports are preserved*(expected*"},
    {SYM "port-range = 3000-2000\n", ":*: [nat home] port-range: bad range*(expected*"},
    {SYM "port-range = 3000-3006\n", ":*: [nat home] port-range: 7 ports (expected at least 8)"},
    {SYM "block-size = 64\n", ":*: [nat home] block-size: there are no blocks (expected*"},
    {SYM "port-allocation = block\n", ":*: [nat home] block-size: missing (expected*"},
    {SYM "port-allocation = block\nblock-size = 7\n",
     ":*: [nat home] block-size: bad number \"7\" (expected 8 to 64512)"},
    {SYM "port-allocation = block\nblock-size = 32\nport-range = 2000-2063\n",
     ":*: [nat home] block-size: 2 blocks are too few for 3 subscribers*(expected*"},
    {SYM "port-allocation = block\nblock-size = 32\npooling = arbitrary\n",
     ":*: [nat home] pooling: *(expected*"},
    {HOME "pooling = arbitrary\n",
     ":*: [nat home] pooling: there is one external address only (expected*"},
    {WALL "port-allocation = random\n",
     ":*: [nat home] port-allocation: nothing is translated here (expected*"},
    {WALL "hairpin = none\n", ":*: [nat home] hairpin: nothing is translated here (expected*"},
    {WALL "forward = udp 1 -> alice:1\n",
     ":*: [nat home] forward: nothing is translated here (expected*"},
    {WALL "unsolicited = accept\n", ":*: [nat home] unsolicited: *(expected drop or reject)"},
    {WALL "addresses = 203.0.113.20, 203.0.113.21\n",
     ":*: [nat home] addresses: nothing is translated to them*"},
    {HOME "forward = udp 5000\n", ":*: [nat home] forward: bad forward*(expected*"},
    {HOME "forward = sctp 5000 -> alice:5000\n", ":*: [nat home] forward: bad forward*(expected*"},
    {HOME "forward = udp 5000 -> alice\n", ":*: [nat home] forward: bad forward*(expected*"},
    {HOME "forward = udp 5000 -> alice:0\n", ":*: [nat home] forward: bad port*(expected*"},
    {HOME "forward = udp 5000 -> hub:5000\n",
     ":*: [nat home] forward: nobody inside is \"hub\" (expected*"},
    {HOME "forward = udp 5000 -> 192.168.1.9:5000\n",
     ":*: [nat home] forward: nobody inside is*(expected*"},
    {HOME "forward = udp 5000 -> alice:1, udp 5000 -> alice:2\n",
     ":*: [nat home] forward: udp port 5000 is forwarded twice*"},
    {HOME "udp = blocked\nforward = udp 5000 -> alice:1\n",
     ":*: [nat home] forward: this NAT blocks UDP*"},
    {HOME "rewrite-payload = 1\n", ":*: [nat home] rewrite-payload: unknown word*(expected*yes*"},
    {HOME "port-step = 2\n", ":*: [nat home] port-step: ports are not counted through (expected*"},
    {SYM "port-overloading = yes\n",
     ":*: [nat home] port-overloading: ports are not preserved (expected*"},
    {HOME "port-parity = yes\n", ":*: [nat home] port-parity: ports are preserved*(expected*"},
    {SYM "symmetric-after = 4\n", ":*: [nat home] symmetric-after: it is symmetric*(expected*"},
    {HOME "symmetric-after = 4\n", ":*: [nat home] symmetric-after: a preserved port*(expected*"},
    {WALL "first-packet-lost = yes\n",
     ":*: [nat home] first-packet-lost: nothing is translated here (expected*"},
    {HOME "mapping-rate = 0\n", ":*: [nat home] mapping-rate: bad number*(expected 1 to *"},
    {HOME "rules =\n", ":*: [nat home] rules: empty (expected*"},
};

static const Case stories[] = {
    {HOME "[link alise]\ndelay = 1ms\n",
     ":*: [link alise]: there is no link \"alise\" (expected*did you mean \"alice\"?)"},
    {HOME "[link home]\ndelay = 1ms\n",
     ":*: [link home]: there is no link*did you mean \"home.inside\"?)"},
    {HOME "[link alice]\ndelay = 2min\n",
     ":*: [link alice] delay: bad duration*(expected 0s to 60s*"},
    {HOME "[link alice]\ndelay = 1ms\njitter = 2ms\n",
     ":*: [link alice] jitter: more than the delay*"},
    {HOME "[link alice]\nloss = 0.01\n", ":*: [link alice] loss: bad share*(expected*"},
    {HOME "[link alice]\nloss = 101%\n", ":*: [link alice] loss: bad share*(expected*"},
    {HOME "[link alice]\nloss = 0.00001%\n", ":*: [link alice] loss: bad share*(expected*"},
    {HOME "[link alice]\nrate = 10\n", ":*: [link alice] rate: bad rate*(expected*"},
    {HOME "[link alice]\nrate = 101gbit\n", ":*: [link alice] rate: bad rate*(expected*"},
    {HOME "[link alice]\nloss-mask = 012\n", ":*: [link alice] loss-mask: bad mask*(expected*"},
    {HOME "[link alice]\nloss-mask = 01\nloss = 1%\n", ":*: [link alice] loss-mask: *(expected*"},
    {HOME "[link alice]\nloss-burst = 3\n",
     ":*: [link alice] loss-burst: nothing is lost (expected*"},
    {HOME "[link alice]\nreorder = 1%\n", ":*: [link alice] reorder: there is no delay*(expected*"},
    {HOME "[link alice]\nqueue = 10\n", ":*: [link alice] queue: nothing waits (expected*"},
    {HOME "[link alice]\nduplicate = 1\n", ":*: [link alice] duplicate: bad share*(expected*"},
    {HOME "[link alice]\nmtu = 500\n",
     ":*: [link alice] mtu: bad number \"500\" (expected 576 to 9000)"},
    {HOME "[step x]\n", ":*: [step x]: bad number \"x\" (expected*"},
    {HOME "[step 01]\n", ":*: [step 01]: bad number \"01\" (expected*"},
    {HOME "[step 1]\ndo = nat home flush\n", ":*: [step 1] at: missing*"},
    {HOME "[step 1]\nat = 1s\n", ":*: [step 1] do: missing*"},
    {HOME "[step 1]\nat = 1\ndo = nat home flush\n", ":*: [step 1] at: bad duration*"},
    {HOME "[step 1]\nat = 1s\ndo = dance\n", ":*: [step 1] do: bad step \"dance\" (expected*"},
    {HOME "[step 1]\nat = 1s\ndo = nat home explode\n",
     ":*: [step 1] do: bad step*(expected nat NAME flush*"},
    {HOME "[step 1]\nat = 1s\ndo = nat alice flush\n",
     ":*: [step 1] do: there is no NAT \"alice\"*"},
    {HOME "[step 1]\nat = 1s\ndo = nat home address 203.0.113.10\n",
     ":*: [step 1] do: 203.0.113.10 belongs to hub*"},
    {HOME "[step 1]\nat = 1s\ndo = nat home address 10.0.0.1\n",
     ":*: [step 1] do: 10.0.0.1 is not on network internet*"},
    {HOME "addresses = 203.0.113.20, 203.0.113.21\n[step 1]\nat = 1s\ndo = nat home address "
          "203.0.113.22\n",
     ":*: [step 1] do: nat home has several addresses*"},
    {WALL "[step 1]\nat = 1s\ndo = nat home address 203.0.113.22\n",
     ":*: [step 1] do: nat home translates nothing*"},
    {HOME "[step 1]\nat = 1s\ndo = link alice sideways\n",
     ":*: [step 1] do: bad step*(expected link LABEL down*"},
    {HOME "[step 1]\nat = 1s\ndo = link nobody down\n", ":*: [step 1] do: there is no link*"},
    {HOME "[step 1]\nat = 1s\ndo = host alice kill\n", ":*: [step 1] do: host alice runs nothing*"},
    {HOME "[step 1]\nat = 1s\ndo = host alice run\n", ":*: [step 1] do: not a command line*"},
    {HOME "[step 1]\nat = 1s\ndo = host alice jump\n",
     ":*: [step 1] do: bad step*(expected host NAME run*"},
    {HOME SEND("") "\n", ":*: [step 1] do: bad step*(expected host alice send PORT -> HOST:PORT*"},
    {HOME SEND("0 -> hub:1 x") "\n", ":*: [step 1] do: bad step*(expected host alice send PORT*"},
    {HOME SEND("1 to hub:1 x") "\n", ":*: [step 1] do: bad step*(expected host alice send PORT*"},
    {HOME SEND("1 -> hub x") "\n", ":*: [step 1] do: bad receiver \"hub\" (expected HOST:PORT*"},
    {HOME SEND("1 -> hub:0 x") "\n", ":*: [step 1] do: bad receiver \"hub:0\" (expected HOST:*"},
    {HOME SEND("1 -> hubb:1 x") "\n", ":*: [step 1] do: there is no node \"hubb\"*mean \"hub\"*"},
    {HOME SEND("1 -> :1 x") "\n", ":*: [step 1] do: bad address \"\" (expected*"},
    {HOME SEND("1 -> 2001:db8::1:1 x") "\n",
     ":*: [step 1] do: bad receiver*IPv6 is not supported by send*"},
    {HOME SEND("1 -> 1.2.3:1 x") "\n", ":*: [step 1] do: bad address \"1.2.3\" (expected*"},
    {HOME SEND("1 -> 224.0.0.1:1 x") "\n", ":*: [step 1] do: nothing can be sent to 224.0.0.1*"},
    {HOME SEND("1 -> alice:1 x") "\n", ":*: [step 1] do: host alice would send to itself*"},
    {HOME SEND("1 -> hub:1 \\n") "\n", ":*: [step 1] do: a * begins nothing (expected*"},
    {HOME "[step 1]\nat = 1s\ndo = host home send 1 -> hub:1 x\n",
     ":*: [step 1] do: there is no host \"home\"*"},
    {TALK("tell bob short"), ":*: [step 1] do: the text has 5 bytes (expected 8 to 1000)"},
    {TALK("tell bob 14 bytes it is"),
     ":*: [step 1] do: \"14 bytes it is\" has 14 bytes, as many as an answer to a ping*"},
    {TALK("tell carol something"), ":*: [step 1] do: there is no host \"carol\"*"},
    {TALK("tell hub something"), ":*: [step 1] do: host hub is no node (expected*"},
    {TALK("tell alice something"), ":*: [step 1] do: host alice and itself (expected*"},
    {TALK("connect bob now"), ":*: [step 1] do: bad step*(expected nothing behind the peer)"},
    {TALK("stream bob 1 1s something"), ":*: [step 1] do: bad stream \"1 1s\" (expected COUNT*"},
    {TALK("stream bob 2 1us something"), ":*: [step 1] do: bad stream \"2 1us\" (expected COUNT*"},
    {TALK("stream bob 2 1s"), ":*: [step 1] do: the text has 0 bytes*"},
    {TALK("stream bob 20 1s twelve bytes"), ":*: [step 1] do: \"twelve bytes 1\" has 14 bytes*"},
    {TALK("dance"), ":*: [step 1] do: bad step*tell PEER TEXT or stream PEER*"},
    {HOME "[step 1]\nat = 1s\ndo = host alice start\n",
     ":*: [step 1] do: host alice runs nothing*"},
    {NODES "[expect]\nalice -> bob at noon = punched\n",
     ":*: [expect] alice -> bob at noon: bad time \"at noon\" (expected at MOMENT*"},
    {NODES "[expect]\nalice -> bob at 1s 2s = punched\n", ":*: bad time \"at 1s 2s\"*"},
    {NODES "[expect]\nalice -> bob at step 1 = punched\n", ":*: bad time \"at step 1\"*"},
    {NODES "[expect]\nalice -> bob at step = punched\n", ":*: bad time \"at step\"*"},
    {NODES "[expect]\nalice -> bob within 1s = punched\n", ":*: bad time \"within 1s\"*"},
    {NODES "[expect]\nalice -> bob within = punched\n", ":*: bad time \"within\"*"},
    {NODES "[expect]\nalice -> bob from 1s to = punched\n", ":*: bad time \"from 1s to\"*"},
    {NODES "[expect]\nalice -> bob from 2s to 1s = punched\n",
     ":*: bad time \"from 2s to 1s\" (expected *the second is not before the first)"},
    {NODES "[expect]\nalice.upgrades at 1s = 1\n",
     ":*: [expect] alice.upgrades at 1s: this is known at the end only*"},
    {NODES "[expect]\nalice -> bob.lost at 1s = 1\n", ":*: this is known at the end only*"},
    {NODES "[expect]\nalice -> bob.health = ill\n",
     ":*: [expect] alice -> bob.health: unknown word \"ill\"*"},
    {NODES "[expect]\nalice -> bob.losst = 0\n",
     ":*: \"losst\" is nothing of two nodes (expected*did you mean \"lost\"?)"},
    {NODES "[expect]\nalice -> hub.lost = 0\n", ":*: host hub is no node*"},
    {NODES "[expect]\nhub.upgrades = 0\n", ":*: host hub is no node*"},
    {NODES "[expect]\nalice.relayd = 0\n", ":*: *(expected*; did you mean \"relayed\"?)"},
    {NODES "[expect]\nalice.upgrades = few\n", ":*: bad number \"few\" (expected N, at least N*"},
    {NODES "[expect]\nalice.upgrades = 3 to 2\n", ":*: bad number \"3 to 2\"*"},
    {NODES "[expect]\nalice -> bob.first-byte = 5\n", ":*: bad duration \"5\"*"},
    {NODES "[expect]\nalice->bob = punched\nalice -> bob = relayed\n",
     ":*: this path stands twice*"},
    {HOME "[expect]\nalice.hears = x\n", ":*: [expect] alice.hears: host alice runs nothing*"},
    {PAIR "run = true\n[expect]\nbob.hears = x\n", ":*: [expect] bob.hears: host bob does not*"},
    {HOME "[expect]\nhome.hears = x\n", ":*: [expect] home.hears: \"hears\" is nothing that*"},
    {HOME "[expect]\nalice = symmetric\n",
     ":*: [expect] alice: bad expectation (expected NODE.AXIS*"},
    {HOME "[expect]\nbob.class = symmetric\n", ":*: [expect] bob.class: there is no node \"bob\"*"},
    {HOME "[expect]\nalice.klass = symmetric\n",
     ":*: [expect] alice.klass: *(expected*did you mean \"class\"?)"},
    {HOME "[expect]\nalice.hairpin = none\n",
     ":*: [expect] alice.hairpin: *nothing that a host shows (expected*"},
    {HOME "[expect]\nhome.exit = 0\n",
     ":*: [expect] home.exit: *nothing that a NAT shows (expected*"},
    {HOME "[expect]\nalice.class = cone\n", ":*: [expect] alice.class: unknown word \"cone\"*"},
    {HOME "[expect]\nalice.external = x\n", ":*: [expect] alice.external: bad address*"},
    {HOME "[expect]\nhome.ports = many\n", ":*: [expect] home.ports: bad number*unlimited)"},
    {HOME "[expect]\nhome.port-range = 5\n", ":*: [expect] home.port-range: bad range*"},
    {HOME "[expect]\nhome.udp-timeout = 5\n", ":*: [expect] home.udp-timeout: bad duration*"},
    {HOME "[expect]\nhome.ports = unlimited\n",
     ":*: [expect] home.ports: nobody counts the ports of nat home (expected*64 ports or fewer*"},
    {HOME "port-allocation = block\nblock-size = 65\n[expect]\nhome.ports = 65\n",
     ":*: [expect] home.ports: nobody counts*"},
    {HOME "[expect]\nhome.udp-timeout = 30s\n", ":*: [expect] home.udp-timeout: nobody waits for "
                                                "the timeout of nat home (expected*10s or less)"},
    {HOME "[expect]\nhome.inbound-refresh = yes\n",
     ":*: [expect] home.inbound-refresh: nobody waits*"},
    {HOME "[expect]\nhome.inbound-refresh = ok\n",
     ":*: [expect] home.inbound-refresh: unknown word \"ok\" (expected yes or no)"},
    {HOME "[expect]\nhome.forwards = ok\n",
     ":*: [expect] home.forwards: nat home forwards nothing*"},
    {HOME "[expect]\nhome.forwards = yes\n",
     ":*: [expect] home.forwards: unknown word \"yes\" (expected ok)"},
    {HOME "[expect]\nalice.exit = 0\n", ":*: [expect] alice.exit: host alice runs nothing*"},
    {HOME "[expect]\nalice -> hub = maybe\n",
     ":*: [expect] alice -> hub: bad path*(expected direct, *"},
    {HOME "[expect]\nalice -> hub = relayed(hub)\n",
     ":*: [expect] alice -> hub: relayed by one of its ends*"},
    {HOME "[expect]\nalice -> hub = direct(x)\n", ":*: [expect] alice -> hub: bad path*"},
    {HOME "[expect]\nalice -> hub = none(\n", ":*: [expect] alice -> hub: bad path*"},
    {HOME "[expect]\nalice -> hub = none(timeuot)\n",
     ":*: [expect] alice -> hub: unknown reason*(expected first, *udp-blocked*did you mean "
     "\"timeout\"?)"},
    {NODES "[expect]\nalice -> bob.reason = magic\n",
     ":*: [expect] alice -> bob.reason: unknown reason \"magic\" (expected first, *"},
    {HOME "[expect]\nalice -> alice = direct\n",
     ":*: [expect] alice -> alice: a path from a host to itself*"},
    {HOME "[expect]\nalice -> home = direct\n",
     ":*: [expect] alice -> home: there is no host \"home\"*"},
    {HOME "[expect]\nalice -> hub = direct\nalice->hub = punched\n",
     ":*: [expect] alice->hub: this path stands twice*"},
    {HOME "[expect]\nalice.class =\n", ":*: [expect] alice.class: empty*"},
};

typedef struct Table {
    const Case *cases;
    gsize n;
} Table;

static void all_are_refused(gconstpointer data)
{
    const Table *table = data;

    for (gsize i = 0; i < table->n; i++) {
        g_autofree char *pattern = g_strconcat("t.ini", table->cases[i].error, NULL);
        g_autoptr(GError) error = NULL;
        g_autoptr(PlTopology) topology =
            pl_topology_parse("t.ini", table->cases[i].text, strlen(table->cases[i].text), &error);

        if (topology)
            g_error("this was accepted, not \"%s\":\n%s", pattern, table->cases[i].text);
        g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
        if (!g_pattern_match_simple(pattern, error->message))
            g_error("expected \"%s\"\n     got \"%s\"\nfor\n%s", pattern, error->message,
                    table->cases[i].text);
    }
}

static void assert_refused(const char *text, gsize length, const char *pattern)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_parse("t.ini", text, length, &error);

    g_assert_null(topology);
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    if (!g_pattern_match_simple(pattern, error->message))
        g_error("expected \"%s\", got \"%s\"", pattern, error->message);
}

static void what_is_too_large_is_refused(void)
{
    g_autofree char *large = g_malloc(1024 * 1024 + 1);
    g_autoptr(GString) many = g_string_new(BASE), forwards = g_string_new(HOME "forward = ");

    memset(large, '\n', 1024 * 1024 + 1);
    assert_refused(large, 1024 * 1024 + 1, "t.ini: the file is too large (expected at most 1 MiB)");
    assert_refused("[topology]\ntitle = a\0b\n", 24, "t.ini: a NUL byte in the file (expected*");
    for (unsigned i = 1; i <= 200; i++)
        g_string_append_printf(many, "[host h%u]\non = internet\n", i);
    assert_refused(many->str, many->len, "t.ini:*: [host h200]: too many nodes (expected*");
    for (unsigned i = 1; i <= 65; i++)
        g_string_append_printf(forwards, "%sudp %u -> alice:1", i == 1 ? "" : ", ", i);
    assert_refused(forwards->str, forwards->len, "t.ini:*forward: too many forwards (expected*");
}

static void what_cannot_be_read_is_refused(void)
{
    static const char *const paths[] = {"/nonexistent/x.ini", "/", "/dev/null"};

    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(PlTopology) topology = pl_topology_load(paths[i], &error);

        g_assert_null(topology);
        g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
        g_assert_true(g_str_has_prefix(error->message, paths[i]));
        g_assert_nonnull(strstr(error->message, "(expected "));
    }
}

static void rules_must_exist_when_a_file_is_loaded(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = g_dir_make_tmp("topology-XXXXXX", &error);
    g_autofree char *path = g_build_filename(directory, "t.ini", NULL);
    g_autofree char *rules = g_build_filename(directory, "mine.nft", NULL);
    PlTopology *topology;

    g_assert_no_error(error);
    g_assert_true(g_file_set_contents(path, HOME "rules = mine.nft\n", -1, NULL));
    g_assert_null(pl_topology_load(path, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    g_assert_nonnull(strstr(error->message, "[nat home] rules: "));
    g_clear_error(&error);
    g_assert_true(g_file_set_contents(rules, "", -1, NULL));
    topology = pl_topology_load(path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(pl_topology_node(topology, "home")->rules, ==, rules);
    g_assert_cmpstr(topology->name, ==, "t");
    pl_topology_free(topology);
    g_unlink(path);
    g_unlink(rules);
    g_rmdir(directory);
}

/* Writing from right to left begins, and ends. */
#define OVERRIDE "\xe2\x80\xae\xe2\x80\xac"

/* Whatever is wrong is said in a line that fits, and obeyed by no terminal. */
static void messages_are_short_and_clean(void)
{
    static const char *const places[] = {"[%s]\n", "[topology]\n%s = 1\n",
                                         HOME "[host bob]\nbehind = %s\n",
                                         HOME "[host %s]\nbehind = home\n"};
    g_autofree char *many = g_strnfill(100000, 'x');
    g_autofree char *name = g_strconcat(many, OVERRIDE, many, NULL);
    static const char path[] = "a\x1b[31m" OVERRIDE "\xff.ini";

    for (gsize i = 0; i < G_N_ELEMENTS(places); i++) {
        g_auto(GStrv) halves = g_strsplit(places[i], "%s", 2);
        g_autofree char *text = g_strconcat(halves[0], name, halves[1], NULL);
        g_autofree char *rename = g_strconcat(halves[0], OVERRIDE, halves[1], NULL);
        g_autoptr(GError) error = NULL;

        g_assert_null(pl_topology_parse(path, text, strlen(text), &error));
        g_assert_cmpuint(strlen(error->message), <, 1024);
        g_assert_true(g_str_has_prefix(error->message, "a\\x1b[31m\\u202e\\u202c\\xff.ini:"));
        g_assert_nonnull(strstr(error->message, "(expected "));
        g_clear_error(&error);
        g_assert_null(pl_topology_parse(path, rename, strlen(rename), &error));
        g_assert_true(g_str_is_ascii(error->message));
        g_assert_nonnull(strstr(error->message, "\\u202e"));
    }
}

#define ADD(name)                                                                                  \
    static const Table name##_table = {name, G_N_ELEMENTS(name)};                                  \
    g_test_add_data_func("/topology/refused/" #name, &name##_table, all_are_refused)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(files);
    ADD(networks);
    ADD(hosts);
    ADD(ipv6);
    ADD(addresses);
    ADD(nats);
    ADD(stories);
    g_test_add_func("/topology/what-is-too-large-is-refused", what_is_too_large_is_refused);
    g_test_add_func("/topology/what-cannot-be-read-is-refused", what_cannot_be_read_is_refused);
    g_test_add_func("/topology/messages-are-short-and-clean", messages_are_short_and_clean);
    g_test_add_func("/topology/rules-must-exist-when-a-file-is-loaded",
                    rules_must_exist_when_a_file_is_loaded);
    return g_test_run();
}
