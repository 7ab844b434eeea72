/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a session consists of, without a lab: messages, the registry, tables, scripts. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/conntrack.h"
#include "kernel/script.h"
#include "machine/parcel.h"
#include "session/registry.h"
#include "session/table.h"

/* ---- parcels ---- */

static void test_words_survive(void)
{
    const char *const words[] = {"exec", "", "a b", "\n", NULL};
    g_autoptr(GByteArray) parcel = pl_parcel_pack(words);
    g_autofree char **read = pl_parcel_words((char *)parcel->data, parcel->len);

    g_assert_cmpuint(parcel->len, ==, 12);
    g_assert_cmpstrv(read, words);
}

static void test_words_without_an_end_are_none(void)
{
    char cut[] = {'a', '\0', 'b'};

    g_assert_null(pl_parcel_words(cut, sizeof(cut)));
    g_assert_null(pl_parcel_words(cut, 0));
}

static unsigned count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

static void test_descriptors_come_with_a_message(void)
{
    int ends[2], pair[2], fds[PL_PARCEL_FDS];
    char data[16], byte = 0;
    size_t n_fds;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), ==, 0);
    g_assert_cmpint(pipe2(pair, O_CLOEXEC), ==, 0);
    g_assert_true(pl_parcel_send(ends[0], "hi", 2, pair, 2));
    g_assert_cmpint(pl_parcel_receive(ends[1], data, sizeof(data), fds, &n_fds), ==, 2);
    g_assert_cmpuint(n_fds, ==, 2);
    g_assert_cmpint(fcntl(fds[0], F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    g_assert_cmpint(read(pair[0], &byte, 1), ==, 1);
    g_assert_cmpint(byte, ==, 'x');
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(pair[i]);
        close(ends[i]);
    }
}

static void test_a_message_that_is_too_long_leaks_nothing(void)
{
    int ends[2], fds[PL_PARCEL_FDS];
    g_autofree char *large = g_malloc0(PL_PARCEL_MAX + 1);
    char data[4];
    size_t n_fds;
    unsigned before;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), ==, 0);
    g_assert_false(pl_parcel_send(ends[0], large, PL_PARCEL_MAX + 1, NULL, 0));
    g_assert_true(pl_parcel_send(ends[0], large, PL_PARCEL_MAX, ends, 2));
    before = count_fds();
    g_assert_cmpint(pl_parcel_receive(ends[1], data, sizeof(data), fds, &n_fds), ==, -1);
    g_assert_cmpuint(n_fds, ==, 0);
    g_assert_cmpuint(count_fds(), ==, before);
    close(ends[0]);
    g_assert_cmpint(pl_parcel_receive(ends[1], data, sizeof(data), fds, &n_fds), ==, 0);
    close(ends[1]);
}

/* ---- the registry ---- */

static char *unique_name(void)
{
    return g_strdup_printf("unit-%d-%u", (int)getpid(), g_random_int());
}

static gboolean is_listed(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) names = pl_registry_list(&error);

    g_assert_no_error(error);
    return g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL);
}

static void test_names_are_plain(void)
{
    static const char *const good[] = {"a", "cgn-home", "Lab_2.x", "7"};
    static const char *const bad[] = {"", ".", "..", "-a", "_a", "a/b", "a b", "ä", "a\n"};
    g_autofree char *longest = g_strnfill(64, 'a'), *longer = g_strnfill(65, 'a');

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
        g_assert_true(pl_registry_is_name(good[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_false(pl_registry_is_name(bad[i]));
    g_assert_true(pl_registry_is_name(longest));
    g_assert_false(pl_registry_is_name(longer));
}

static void test_a_claim_is_there_until_it_is_freed(void)
{
    g_autofree char *name = unique_name(), *info = NULL;
    g_autoptr(GError) error = NULL;
    PlClaim *claim = pl_claim_new(name, &error);
    int connection;

    g_assert_no_error(error);
    g_assert_true(is_listed(name));
    g_assert_null(pl_registry_info(name));
    g_assert_true(pl_claim_publish(claim, "known\n", &error));
    info = pl_registry_info(name);
    g_assert_cmpstr(info, ==, "known\n");
    connection = pl_registry_connect(name, NULL, &error);
    g_assert_no_error(error);
    close(connection);
    pl_claim_free(claim);
    g_assert_false(is_listed(name));
    g_assert_cmpint(pl_registry_connect(name, NULL, &error), ==, -1);
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    g_assert_nonnull(strstr(error->message, "there is no lab unit-"));
}

static void test_a_name_is_claimed_once(void)
{
    g_autofree char *name = unique_name();
    g_autoptr(GError) error = NULL;
    g_autoptr(PlClaim) claim = pl_claim_new(name, NULL);

    g_assert_nonnull(claim);
    g_assert_null(pl_claim_new(name, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    g_assert_nonnull(strstr(error->message, "already"));
    g_assert_true(is_listed(name));
}

/* Its process ended without a word, as by SIGKILL. */
static void test_a_dead_claim_is_swept(void)
{
    g_autofree char *name = unique_name();
    pid_t pid = fork();

    if (pid == 0)
        _exit(pl_claim_new(name, NULL) ? 0 : 1);
    {
        int status;

        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
    }
    g_assert_false(is_listed(name));
    {
        g_autoptr(PlClaim) again = pl_claim_new(name, NULL);

        g_assert_nonnull(again);
    }
}

/* ---- connections ---- */

static void put_tuple(struct nl_msg *message, int type, const PhAddress *from, const PhAddress *to)
{
    struct nlattr *tuple = nla_nest_start(message, type);
    struct nlattr *part = nla_nest_start(message, CTA_TUPLE_IP);

    if (from->family == PH_FAMILY_IPV6) {
        nla_put(message, CTA_IP_V6_SRC, 16, from->bytes);
        nla_put(message, CTA_IP_V6_DST, 16, to->bytes);
    } else {
        nla_put_u32(message, CTA_IP_V4_SRC, htonl(ph_address_ipv4_number(from)));
        nla_put_u32(message, CTA_IP_V4_DST, htonl(ph_address_ipv4_number(to)));
    }
    nla_nest_end(message, part);
    part = nla_nest_start(message, CTA_TUPLE_PROTO);
    nla_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
    nla_put_u16(message, CTA_PROTO_SRC_PORT, htons(from->port));
    nla_put_u16(message, CTA_PROTO_DST_PORT, htons(to->port));
    nla_nest_end(message, part);
    nla_nest_end(message, tuple);
}

/* inside, external and remote end of the tests' connection */
static PhAddress ends[3];

static struct nl_msg *entry(const PhAddress *tuples[static 4], uint32_t status)
{
    struct nl_msg *message =
        nlmsg_alloc_simple((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW, 0);
    struct nfgenmsg info = {.nfgen_family = AF_INET};

    nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO);
    put_tuple(message, CTA_TUPLE_ORIG, tuples[0], tuples[1]);
    put_tuple(message, CTA_TUPLE_REPLY, tuples[2], tuples[3]);
    nla_put_u32(message, CTA_STATUS, htonl(status));
    nla_put_u32(message, CTA_TIMEOUT, htonl(27));
    return message;
}

/* Behind the tests' NAT: its inside network, and its own address. */
static GArray *home(void)
{
    GArray *prefixes = g_array_new(FALSE, FALSE, sizeof(PlPrefix));
    const PlPrefix inside = {ph_address_ipv4(0xc0a80100, 0), 24};
    const PlPrefix own = {ph_address_ipv4(0xcb007102, 0), 32};

    g_array_append_val(prefixes, inside);
    g_array_append_val(prefixes, own);
    return prefixes;
}

static gboolean parse(const struct nlmsghdr *header, PlConnection *ret_connection)
{
    g_autoptr(GArray) prefixes = home();

    return pl_conntrack_parse(header, prefixes, ret_connection);
}

static void assert_ends(const PlConnection *connection)
{
    g_assert_true(ph_address_equal(&connection->inside, &ends[0]));
    g_assert_true(ph_address_equal(&connection->external, &ends[1]));
    g_assert_true(ph_address_equal(&connection->remote, &ends[2]));
    g_assert_cmpuint(connection->protocol, ==, IPPROTO_UDP);
    g_assert_cmpuint(connection->expires_s, ==, 27);
}

static void test_a_flow_from_inside(void)
{
    const PhAddress *tuples[] = {&ends[0], &ends[2], &ends[2], &ends[1]};
    struct nl_msg *message = entry(tuples, IPS_SRC_NAT | IPS_SEEN_REPLY);
    PlConnection connection;

    g_assert_true(parse(nlmsg_hdr(message), &connection));
    assert_ends(&connection);
    g_assert_false(connection.from_outside);
    g_assert_true(connection.replied);
    g_assert_false(connection.assured);
    nlmsg_free(message);
}

static void test_a_flow_from_outside(void)
{
    const PhAddress *tuples[] = {&ends[2], &ends[1], &ends[0], &ends[2]};
    struct nl_msg *message = entry(tuples, IPS_DST_NAT);
    PlConnection connection;

    g_assert_true(parse(nlmsg_hdr(message), &connection));
    assert_ends(&connection);
    g_assert_true(connection.from_outside);
    nlmsg_free(message);
}

/* Who began it, where the translation does not say so. */
static void test_where_a_flow_began_is_told_by_who_is_at_home(void)
{
    const PhAddress gateway = ph_address_ipv4(0xcb007102, 7000),
                    second = ph_address_ipv4(0xc0a80103, 9);
    const PhAddress *remote = &ends[2], *inside = &ends[0], *own = &gateway, *other = &second;
    const struct {
        const PhAddress *tuples[4];
        uint32_t status;
        gboolean from_outside;
    } cases[] = {
        {{inside, remote, remote, inside}, 0, FALSE}, /* a firewall's */
        {{remote, inside, inside, remote}, 0, TRUE},
        {{remote, own, own, remote}, 0, TRUE}, /* the NAT's own */
        {{own, remote, remote, own}, 0, FALSE},
        {{inside, own, own, inside}, 0, FALSE},
        {{remote, own, inside, other},
         IPS_DST_NAT | IPS_SRC_NAT,
         TRUE},                                           /* a forward, masqueraded */
        {{other, own, inside, other}, IPS_DST_NAT, TRUE}, /* a hairpin, seen by its far end */
        {{other, own, inside, own}, IPS_DST_NAT | IPS_SRC_NAT, FALSE},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const PhAddress *tuples[] = {cases[i].tuples[0], cases[i].tuples[1], cases[i].tuples[2],
                                     cases[i].tuples[3]};
        struct nl_msg *message = entry(tuples, cases[i].status);
        PlConnection connection;

        g_test_message("case %zu", i);
        g_assert_true(parse(nlmsg_hdr(message), &connection));
        g_assert_cmpint(connection.from_outside, ==, cases[i].from_outside);
        nlmsg_free(message);
    }
}

static void test_a_flow_of_ipv6(void)
{
    g_autoptr(GArray) prefixes = g_array_new(FALSE, FALSE, sizeof(PlPrefix));
    PlPrefix inside = {.length = 64};
    PhAddress near, far;
    const PhAddress *tuples[] = {&near, &far, &far, &near};
    struct nl_msg *message;
    struct nlmsghdr *header;
    PlConnection connection;

    g_assert_true(ph_address_parse("2001:db8:a::", &inside.address));
    g_assert_true(ph_address_parse("[2001:db8:a::2]:5000", &near));
    g_assert_true(ph_address_parse("[2001:db8::10]:4000", &far));
    g_array_append_val(prefixes, inside);
    message = entry(tuples, 0);
    header = nlmsg_hdr(message);
    g_assert_true(pl_conntrack_parse(header, prefixes, &connection));
    g_assert_true(ph_address_equal(&connection.inside, &near));
    g_assert_true(ph_address_equal(&connection.external, &near));
    g_assert_true(ph_address_equal(&connection.remote, &far));
    g_assert_false(connection.from_outside);
    for (uint32_t length = sizeof(*header); length < header->nlmsg_len; length++) {
        g_autofree struct nlmsghdr *cut = g_memdup2(header, length);

        cut->nlmsg_len = length;
        (void)!pl_conntrack_parse(cut, prefixes, &connection);
    }
    nlmsg_free(message);
}

/* Every length of it, and other kinds, without a fault. */
static void test_a_cut_entry_is_none(void)
{
    const PhAddress *tuples[] = {&ends[0], &ends[2], &ends[2], &ends[1]};
    struct nl_msg *message = entry(tuples, 0);
    struct nlmsghdr *header = nlmsg_hdr(message);
    uint32_t whole = header->nlmsg_len;
    PlConnection connection;

    for (uint32_t length = sizeof(*header); length < whole; length++) {
        g_autofree struct nlmsghdr *cut = g_memdup2(header, length);

        cut->nlmsg_len = length;
        (void)!parse(cut, &connection);
    }
    header->nlmsg_type = NLMSG_DONE;
    g_assert_false(parse(header, &connection));
    nlmsg_free(message);
}

static void test_a_table_can_be_printed(void)
{
    g_autoptr(GArray) connections = g_array_new(FALSE, FALSE, sizeof(PlConnection));
    PlConnection connection = {.protocol = IPPROTO_UDP,
                               .inside = ends[0],
                               .external = ends[1],
                               .remote = ends[2],
                               .from_outside = TRUE,
                               .expires_s = 9};
    g_autofree char *json = NULL, *shown = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    size_t length;
    FILE *file = open_memstream(&shown, &length);

    g_array_append_val(connections, connection);
    json = pl_table_json("home", connections);
    g_assert_true(json_parser_load_from_data(parser, json, -1, NULL));
    g_assert_true(pl_table_print(file, json_parser_get_root(parser)));
    fclose(file);
    g_assert_nonnull(strstr(shown, "udp    192.168.1.2:5000       203.0.113.2:6000       <-  "
                                   "203.0.113.10:4000         9 s  one way\n"));
}

static void test_what_is_no_table_is_not_printed(void)
{
    static const char *const texts[] = {"[]", "{}", "{\"connections\": 1}",
                                        "{\"connections\": [1, null, {\"inside\": 3}]}", "null"};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(JsonParser) parser = json_parser_new();
        FILE *file = fopen("/dev/null", "w");

        g_assert_true(json_parser_load_from_data(parser, texts[i], -1, NULL));
        g_assert_false(pl_table_print(file, json_parser_get_root(parser)));
        fclose(file);
    }
}

/* ---- scripts ---- */

static void test_every_topology_becomes_a_script(void)
{
    g_autoptr(GDir) dir = g_dir_open(PL_SOURCE_DIR "/topologies", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(PL_SOURCE_DIR "/topologies", name, NULL);
        g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GError) error = NULL;
        g_autoptr(PlTopology) topology = NULL;
        g_autofree char *first = NULL, *second = NULL;

        if (!g_str_has_suffix(name, ".ini"))
            continue;
        topology = pl_topology_load(path, &error);
        g_assert_no_error(error);
        pl_kernel_refuse_wiring(topology, reasons);
        if (reasons->len > 0)
            continue;
        first = pl_script_text(topology, 1, &error);
        second = pl_script_text(topology, 1, &error);
        g_assert_no_error(error);
        g_assert_true(g_str_has_prefix(first, "#!/bin/sh\n"));
        g_assert_cmpstr(first, ==, second);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ends[0] = ph_address_ipv4(0xc0a80102, 5000);
    ends[1] = ph_address_ipv4(0xcb007102, 6000);
    ends[2] = ph_address_ipv4(0xcb00710a, 4000);
    g_test_add_func("/session/words-survive", test_words_survive);
    g_test_add_func("/session/words-without-an-end-are-none", test_words_without_an_end_are_none);
    g_test_add_func("/session/descriptors-come-with-a-message",
                    test_descriptors_come_with_a_message);
    g_test_add_func("/session/a-message-that-is-too-long-leaks-nothing",
                    test_a_message_that_is_too_long_leaks_nothing);
    g_test_add_func("/session/names-are-plain", test_names_are_plain);
    g_test_add_func("/session/a-claim-is-there-until-it-is-freed",
                    test_a_claim_is_there_until_it_is_freed);
    g_test_add_func("/session/a-name-is-claimed-once", test_a_name_is_claimed_once);
    g_test_add_func("/session/a-dead-claim-is-swept", test_a_dead_claim_is_swept);
    g_test_add_func("/session/a-flow-from-inside", test_a_flow_from_inside);
    g_test_add_func("/session/a-flow-from-outside", test_a_flow_from_outside);
    g_test_add_func("/session/a-flow-of-ipv6", test_a_flow_of_ipv6);
    g_test_add_func("/session/where-a-flow-began-is-told-by-who-is-at-home",
                    test_where_a_flow_began_is_told_by_who_is_at_home);
    g_test_add_func("/session/a-cut-entry-is-none", test_a_cut_entry_is_none);
    g_test_add_func("/session/a-table-can-be-printed", test_a_table_can_be_printed);
    g_test_add_func("/session/what-is-no-table-is-not-printed",
                    test_what_is_no_table_is_not_printed);
    g_test_add_func("/session/every-topology-becomes-a-script",
                    test_every_topology_becomes_a_script);
    return g_test_run();
}
