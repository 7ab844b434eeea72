/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces and what is done in them. */
#include "wiring/spaces.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "wiring/rtnl.h"

typedef struct Space {
    int fd;                 /* of the namespace, -1 before it is made */
    struct nl_sock *sock;   /* NETLINK_ROUTE there, when it is needed */
    struct nl_sock *filter; /* NETLINK_NETFILTER, once it was */
} Space;

struct PlSpaces {
    const PlTopology *topology;
    Space *spaces;
    unsigned n;
    int home;                           /* the caller's own namespace */
    unsigned here;                      /* the one the caller is in, or AT_HOME */
    struct ethtool_sfeatures *offloads; /* what is to be off; NULL before it is known */
};

#define AT_HOME UINT_MAX

static gboolean fail(const PlSpaces *spaces, unsigned space, int errnum, GError **error,
                     const char *what, const char *whom)
{
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "%s: cannot %s%s%s: %s",
                pl_space_name(spaces->topology, space), what, *whom ? " " : "", whom,
                g_strerror(errnum));
    return FALSE;
}

static int open_own(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

PlSpaces *pl_spaces_new(const PlTopology *topology, unsigned n, GError **error)
{
    g_autoptr(PlSpaces) spaces = g_new0(PlSpaces, 1);

    spaces->topology = topology;
    spaces->spaces = g_new0(Space, n);
    spaces->n = n;
    spaces->here = AT_HOME;
    for (unsigned i = 0; i < n; i++)
        spaces->spaces[i].fd = -1;
    spaces->home = open_own();
    if (spaces->home < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot open /proc/thread-self/ns/net: %s",
                    g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&spaces);
}

void pl_spaces_rest(PlSpaces *spaces)
{
    if (spaces->here != AT_HOME && setns(spaces->home, CLONE_NEWNET) < 0)
        g_error("cannot go back to a network namespace that is ours: %s", g_strerror(errno));
    spaces->here = AT_HOME;
    for (unsigned i = 0; i < spaces->n; i++)
        g_clear_pointer(&spaces->spaces[i].sock, nl_socket_free);
}

void pl_spaces_free(PlSpaces *spaces)
{
    if (!spaces)
        return;
    if (spaces->home >= 0)
        pl_spaces_rest(spaces);
    for (unsigned i = 0; i < spaces->n; i++)
        g_clear_pointer(&spaces->spaces[i].filter, nl_socket_free);
    /* One right after the other: the kernel takes apart together what it finds together, and all
       that comes later only after that. */
    for (unsigned i = 0; i < spaces->n; i++)
        if (spaces->spaces[i].fd >= 0)
            close(spaces->spaces[i].fd);
    if (spaces->home >= 0)
        close(spaces->home);
    g_free(spaces->offloads);
    g_free(spaces->spaces);
    g_free(spaces);
}

int pl_spaces_fd(const PlSpaces *spaces, unsigned space)
{
    return spaces->spaces[space].fd;
}

unsigned pl_spaces_count(const PlSpaces *spaces)
{
    return spaces->n;
}

struct nl_sock *pl_spaces_socket(PlSpaces *spaces, unsigned space, GError **error)
{
    Space *kept = &spaces->spaces[space];

    if (!kept->sock && pl_spaces_enter(spaces, space, error)) {
        kept->sock = pl_rtnl_open(NETLINK_ROUTE);
        if (!kept->sock)
            fail(spaces, space, errno, error, "open a netlink socket", "");
    }
    return kept->sock;
}

gboolean pl_spaces_enter(PlSpaces *spaces, unsigned space, GError **error)
{
    if (spaces->here == space)
        return TRUE;
    if (setns(spaces->spaces[space].fd, CLONE_NEWNET) < 0)
        return fail(spaces, space, errno, error, "enter its namespace", "");
    spaces->here = space;
    return TRUE;
}

static gboolean make_namespace(PlSpaces *spaces, unsigned space, GError **error)
{
    if (unshare(CLONE_NEWNET) < 0) {
        int errnum = errno;

        if (errnum == ENOSPC)
            g_set_error(error, PL_ERROR, PL_ERROR_LIMIT,
                        "no more network namespaces are allowed here: raise "
                        "user.max_net_namespaces with `sysctl -w` as root, or run fewer labs at a "
                        "time with --jobs");
        else if (errnum == EINVAL)
            g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED,
                        "this kernel has no network namespaces (CONFIG_NET_NS)");
        else
            fail(spaces, space, errnum, error, "make its network namespace", "");
        return FALSE;
    }
    spaces->here = space;
    spaces->spaces[space].fd = open_own();
    if (spaces->spaces[space].fd < 0)
        return fail(spaces, space, errno, error, "open", "/proc/thread-self/ns/net");
    return TRUE;
}

/* Interface names have no dots here; in keys that have slashes sysctl would need them. */
static gboolean write_sysctl(PlSpaces *spaces, const PlOp *op, GError **error)
{
    g_autofree char *path = g_strconcat("/proc/sys/", op->key, NULL);
    gsize length = strlen(op->text);
    ssize_t n;
    int fd, errnum;

    if (!pl_spaces_enter(spaces, op->space, error))
        return FALSE;
    g_strdelimit(path + strlen("/proc/sys/"), ".", '/');
    fd = open(path, O_WRONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : write(fd, op->text, length);
    errnum = errno;
    if (fd >= 0)
        close(fd);
    if (n == (ssize_t)length || (op->optional && errnum == ENOENT))
        return TRUE;
    if (errnum == ENOENT || errnum == EROFS || errnum == EACCES || errnum == EPERM) {
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "cannot set %s: %s (%s)", op->key,
                    g_strerror(errnum),
                    errnum == ENOENT ? "this kernel has it not"
                                     : "a lab needs a writable /proc/sys/net; Docker gives it with "
                                       "--security-opt systempaths=unconfined, Podman with "
                                       "--security-opt unmask=ALL");
        return FALSE;
    }
    return fail(spaces, op->space, errnum, error, "set", op->key);
}

static int ethtool(struct nl_sock *sock, const char *interface, void *command)
{
    struct ifreq request = {.ifr_data = command};

    g_strlcpy(request.ifr_name, interface, sizeof(request.ifr_name));
    return ioctl(nl_socket_get_fd(sock), SIOCETHTOOL, &request) < 0 ? errno : 0;
}

/* Scatter-gather has to be named: some kernels keep it, and with it segmentation, without
 * checksums. */
static gboolean is_offload(const char *feature)
{
    return g_str_has_prefix(feature, "tx-checksum-") ||
           g_str_has_prefix(feature, "tx-scatter-gather") ||
           (g_str_has_prefix(feature, "tx-") && g_str_has_suffix(feature, "-segmentation")) ||
           strcmp(feature, "rx-gro") == 0;
}

/* Which of the kernel's features are to be off: the same of every interface, so it is asked once.
 */
static int find_offloads(struct nl_sock *sock, const char *interface,
                         struct ethtool_sfeatures **offloads)
{
    g_autofree struct ethtool_sset_info *sets = g_malloc0(sizeof(*sets) + sizeof(sets->data[0]));
    g_autofree struct ethtool_gstrings *names = NULL;
    uint32_t blocks;
    int result;

    sets->cmd = ETHTOOL_GSSET_INFO;
    sets->sset_mask = 1U << ETH_SS_FEATURES;
    result = ethtool(sock, interface, sets);
    if (result != 0)
        return result;
    names = g_malloc0(sizeof(*names) + (gsize)sets->data[0] * ETH_GSTRING_LEN);
    *names = (struct ethtool_gstrings){
        .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = sets->data[0]};
    result = ethtool(sock, interface, names);
    if (result != 0)
        return result;
    blocks = (names->len + 31) / 32;
    *offloads = g_malloc0(sizeof(**offloads) + blocks * sizeof((*offloads)->features[0]));
    **offloads = (struct ethtool_sfeatures){.cmd = ETHTOOL_SFEATURES, .size = blocks};
    for (uint32_t i = 0; i < names->len; i++)
        if (is_offload((const char *)names->data + (gsize)i * ETH_GSTRING_LEN))
            (*offloads)->features[i / 32].valid |= 1U << i % 32;
    return 0;
}

/* All at once: each request waits for all others that change links, in whatever namespace. */
static int stop_offload(PlSpaces *spaces, struct nl_sock *sock, const char *interface)
{
    int result = spaces->offloads ? 0 : find_offloads(sock, interface, &spaces->offloads);

    return result == 0 ? ethtool(sock, interface, spaces->offloads) : result;
}

static gboolean link_error(const PlSpaces *spaces, const PlOp *op, int errnum, GError **error)
{
    static const struct {
        PlOpKind kind;
        const char *what, *option;
    } kinds[] = {
        {PL_OP_VETH, "veth pairs", "CONFIG_VETH"},
        {PL_OP_BRIDGE, "bridges", "CONFIG_BRIDGE"},
        {PL_OP_MACVLAN, "macvlan interfaces", "CONFIG_MACVLAN"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (op->kind != kinds[i].kind || errnum != EOPNOTSUPP)
            continue;
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED, "this kernel has no %s (%s)",
                    kinds[i].what, kinds[i].option);
        return FALSE;
    }
    return fail(spaces, op->space, errnum, error, "set up its interface",
                op->kind == PL_OP_MACVLAN ? op->peer : op->interface);
}

static int do_netlink(PlSpaces *spaces, struct nl_sock *sock, const PlOp *op)
{
    int peer = spaces->spaces[op->peer_space].fd;

    switch (op->kind) {
    case PL_OP_BRIDGE:
        return pl_rtnl_bridge(sock, op);
    case PL_OP_VETH:
        return pl_rtnl_veth(sock, op, peer);
    case PL_OP_MACVLAN:
        return pl_rtnl_macvlan(sock, op, peer);
    case PL_OP_OFFLOAD:
        return stop_offload(spaces, sock, op->interface);
    case PL_OP_ADDRESS:
    case PL_OP_UNADDRESS:
        return pl_rtnl_address(sock, op, op->kind == PL_OP_ADDRESS);
    case PL_OP_UP:
    case PL_OP_DOWN:
        return pl_rtnl_set_up(sock, op->interface, op->kind == PL_OP_UP);
    case PL_OP_MASTER:
        return pl_rtnl_set_master(sock, op);
    case PL_OP_DELETE:
        return pl_rtnl_delete(sock, op->interface);
    case PL_OP_ROUTE:
        return pl_rtnl_route(sock, op);
    case PL_OP_NETNS:
    case PL_OP_SYSCTL:
    case PL_OP_NFT:
    case PL_OP_N:
        break;
    }
    return ENOSYS;
}

gboolean pl_spaces_do(PlSpaces *spaces, const PlOp *op, GError **error)
{
    struct nl_sock *sock;
    int result;

    if (op->kind == PL_OP_NETNS)
        return make_namespace(spaces, op->space, error);
    if (op->kind == PL_OP_SYSCTL)
        return write_sysctl(spaces, op, error);
    sock = pl_spaces_socket(spaces, op->space, error);
    if (!sock)
        return FALSE;
    result = do_netlink(spaces, sock, op);
    return result == 0 || link_error(spaces, op, result, error);
}

gboolean pl_spaces_do_all(PlSpaces *spaces, const GArray *ops, GError **error)
{
    for (unsigned i = 0; i < ops->len; i++)
        if (!pl_spaces_do(spaces, &g_array_index(ops, PlOp, i), error))
            return FALSE;
    return TRUE;
}

gboolean pl_spaces_flush_conntrack(PlSpaces *spaces, unsigned space, GError **error)
{
    Space *kept = &spaces->spaces[space];
    int result;

    if (!kept->filter && !pl_spaces_enter(spaces, space, error))
        return FALSE;
    if (!kept->filter)
        kept->filter = pl_rtnl_open(NETLINK_NETFILTER);
    if (!kept->filter)
        return fail(spaces, space, errno, error, "open a netlink socket", "");
    result = pl_rtnl_flush_conntrack(kept->filter);
    if (result == EINVAL || result == EOPNOTSUPP || result == EPROTONOSUPPORT) {
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED,
                    "this kernel cannot forget connections (CONFIG_NF_CT_NETLINK)");
        return FALSE;
    }
    return result == 0 || fail(spaces, space, result, error, "forget its connections", "");
}
