/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a file to a topology: the groups, their names and keys, and the order of the stages. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "topology/build.h"
#include "topology/units.h"

typedef struct Kind {
    const char *word;
    gboolean named;
    const char *const *keys;
    gsize n_keys;
} Kind;

#define KEYS(...)                                                                                  \
    (const char *const[]){__VA_ARGS__},                                                            \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

static const Kind kinds[] = {
    {"topology", FALSE, KEYS("title", "about")},
    {"network", TRUE, KEYS("subnet")},
    {"nat", TRUE,
     KEYS("outside", "inside", "behaviour", "mapping", "filtering", "port-allocation", "block-size",
          "port-range", "pooling", "hairpin", "udp-timeout", "inbound-refresh", "unsolicited",
          "udp", "icmp", "address", "addresses", "inside-address", "forward", "rules",
          "rewrite-payload", "symmetric-after", "mapping-age", "icmp-drops-mapping",
          "early-port-reuse", "first-packet-lost", "mapping-rate", "port-overloading",
          "port-parity", "port-step")},
    {"host", TRUE,
     KEYS("behind", "on", "address", "addresses", "routes", "run", "ready", "time-limit",
          "probe-port")},
    {"link", TRUE,
     KEYS("delay", "jitter", "loss", "loss-burst", "loss-mask", "duplicate", "reorder", "rate",
          "queue", "mtu")},
    {"step", TRUE, KEYS("at", "do")},
    {"expect", FALSE, NULL, 0},
};

static const Kind *find_kind(const char *word)
{
    for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(kinds[i].word, word) == 0)
            return &kinds[i];
    return NULL;
}

static gboolean is_name(const char *name)
{
    gsize length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return g_ascii_islower(name[0]) && name[length] == '\0' && length <= PL_NAME_MAX;
}

/* One group's heading and keys; *ret_kind and *ret_name (which points into group) say what it is.
 */
static gboolean check_group(const PlIni *ini, const char *group, const Kind **ret_kind,
                            const char **ret_name, GError **error)
{
    const char *space = strchr(group, ' ');
    g_autofree char *word = space ? g_strndup(group, (gsize)(space - group)) : g_strdup(group);
    const Kind *kind = find_kind(word);

    if (!kind) {
        const char *words[G_N_ELEMENTS(kinds)];
        g_autofree char *expected = NULL;

        for (gsize i = 0; i < G_N_ELEMENTS(kinds); i++)
            words[i] = kinds[i].word;
        expected = pl_expected_words(word, words, G_N_ELEMENTS(kinds));
        return pl_ini_fail(ini, group, NULL, error, "unknown group %s", expected);
    }
    if (kind->named && !space)
        return pl_ini_fail(ini, group, NULL, error, "a name is missing (expected [%s NAME])", word);
    if (!kind->named && space)
        return pl_ini_fail(ini, group, NULL, error, "a name too many (expected [%s])", word);
    *ret_kind = kind;
    *ret_name = space ? space + 1 : NULL;
    /* Labels of links and numbers of steps are looked at where they are read. */
    if (space &&
        (strcmp(word, "network") == 0 || strcmp(word, "nat") == 0 || strcmp(word, "host") == 0) &&
        !is_name(*ret_name))
        return pl_ini_fail(ini, group, NULL, error,
                           "bad name \"%s\" (expected a lower-case letter, then at most %d lower-"
                           "case letters, digits and hyphens)",
                           *ret_name, PL_NAME_MAX - 1);
    return !kind->keys || pl_ini_only(ini, group, kind->keys, kind->n_keys, error);
}

char *pl_build_group(const PlNode *node)
{
    return g_strdup_printf("%s %s", node->kind == PL_NODE_NAT ? "nat" : "host", node->name);
}

static gboolean add_network(PlTopology *topology, const PlIni *ini, const char *group,
                            const char *name, const char *key, const char *text, GError **error)
{
    PlPrefix subnet;

    if (!pl_build_read_prefix(ini, group, key, text, &subnet, error))
        return FALSE;
    if (topology->networks->len >= PL_NETWORKS_MAX)
        return pl_ini_fail(ini, group, NULL, error, "too many networks (expected at most %d)",
                           PL_NETWORKS_MAX);
    pl_topology_add_network(topology, name, subnet);
    return TRUE;
}

static gboolean add_named(PlTopology *topology, const PlIni *ini, const char *group,
                          const Kind *kind, const char *name, GError **error)
{
    const char *subnet;

    if (pl_topology_node(topology, name) || pl_topology_network(topology, name))
        return pl_ini_fail(ini, group, NULL, error,
                           "the name \"%s\" is taken (expected each network, NAT and host to have "
                           "a name of its own)",
                           name);
    if (strcmp(kind->word, "network") == 0)
        return pl_ini_need(ini, group, "subnet", "a prefix such as 203.0.113.0/24", &subnet,
                           error) &&
               add_network(topology, ini, group, name, "subnet", subnet, error);
    if (topology->nodes->len >= PL_NODES_MAX)
        return pl_ini_fail(ini, group, NULL, error, "too many nodes (expected at most %d)",
                           PL_NODES_MAX);
    pl_topology_add_node(topology, strcmp(kind->word, "nat") == 0 ? PL_NODE_NAT : PL_NODE_HOST,
                         name);
    return TRUE;
}

static gboolean read_groups(PlTopology *topology, const PlIni *ini, GError **error)
{
    const char *const *groups = pl_ini_groups(ini);

    for (unsigned i = 0; groups[i]; i++) {
        const Kind *kind;
        const char *name;

        if (!check_group(ini, groups[i], &kind, &name, error))
            return FALSE;
        if ((strcmp(kind->word, "network") == 0 || strcmp(kind->word, "nat") == 0 ||
             strcmp(kind->word, "host") == 0) &&
            !add_named(topology, ini, groups[i], kind, name, error))
            return FALSE;
    }
    return TRUE;
}

/* The networks that NATs bring along: "home-a.inside", which no [network] can be called. */
static gboolean read_insides(PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autofree char *group = pl_build_group(node);
        g_autofree char *name = g_strconcat(node->name, ".inside", NULL);
        const char *inside = node->kind == PL_NODE_NAT ? pl_ini_get(ini, group, "inside") : NULL;

        if (inside && strchr(inside, '/') &&
            !add_network(topology, ini, group, name, "inside", inside, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean read_header(PlTopology *topology, const PlIni *ini, GError **error)
{
    const char *title;

    if (!pl_ini_has_group(ini, "topology"))
        return pl_ini_fail(ini, NULL, NULL, error,
                           "there is no [topology] (expected [topology] with a title)");
    if (!pl_ini_need(ini, "topology", "title", "one line that says what this is", &title, error))
        return FALSE;
    topology->title = g_strdup(title);
    topology->about = g_strdup(pl_ini_get(ini, "topology", "about"));
    return TRUE;
}

/* Why it cannot be read as text, in words and with what was expected; NULL when it can. It is
 * opened and not only looked at: whether we may read it, the kernel says best. */
static char *unreadable(const char *path, const char *expected)
{
    /* A FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *why = NULL;
    struct stat status;

    if (fd < 0)
        return errno == ENOENT ? g_strdup_printf("no such file (expected %s)", expected)
                               : g_strdup_printf("cannot be read: %s (expected %s)",
                                                 g_strerror(errno), expected);
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        why = g_strdup_printf("not a file (expected %s)", expected);
    else if (status.st_size > PL_FILE_MAX_BYTES)
        why = g_strdup("the file is too large (expected at most 1 MiB)");
    close(fd);
    return why;
}

static gboolean check_rules(const PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autofree char *group = pl_build_group(node);
        g_autofree char *why =
            node->rules
                ? unreadable(node->rules, "an nftables file, relative to the topology's directory")
                : NULL;

        if (why)
            return pl_ini_fail(ini, group, "rules", error, "%s: %s", node->rules, why);
    }
    return TRUE;
}

static PlTopology *build(const char *path, const char *text, gsize length, gboolean loaded,
                         GError **error)
{
    g_autoptr(PlIni) ini = pl_ini_parse(path, text, length, error);
    g_autoptr(PlTopology) topology = NULL;

    if (!ini)
        return NULL;
    topology = pl_topology_new(path);
    if (!read_groups(topology, ini, error) || !read_header(topology, ini, error) ||
        !read_insides(topology, ini, error) || !pl_build_attach(topology, ini, error) ||
        !pl_build_graph(topology, ini, error) || !pl_build_links(topology, ini, error) ||
        !pl_build_steps(topology, ini, error) || !pl_build_addresses(topology, ini, error) ||
        !pl_build_words(topology, ini, error) || !pl_build_sends(topology, ini, error) ||
        !pl_build_nats(topology, ini, error) || !pl_build_expects(topology, ini, error) ||
        (loaded && !check_rules(topology, ini, error)))
        return NULL;
    return g_steal_pointer(&topology);
}

PlTopology *pl_topology_parse(const char *path, const char *text, gsize length, GError **error)
{
    return build(path, text, length, /* loaded= */ FALSE, error);
}

PlTopology *pl_topology_load(const char *path, GError **error)
{
    g_autofree char *text = NULL, *why = unreadable(path, "a topology file");
    g_autofree char *shown = pl_printable(path, PATH_MAX);
    g_autoptr(GError) cause = NULL;
    gsize length;

    if (!why && !g_file_get_contents(path, &text, &length, &cause))
        why = g_strdup(cause->message);
    if (why) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s: %s", shown, why);
        return NULL;
    }
    return build(path, text, length, /* loaded= */ TRUE, error);
}
