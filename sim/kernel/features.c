/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small ruleset for each feature, loaded where it does no harm. */
#include "kernel/features.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "kernel/nft.h"

typedef struct Feature {
    const char *word; /* a ruleset with this word in it needs the feature */
    const char *name;
    const char *rule; /* in a chain of `hook` */
    const char *hook;
} Feature;

#define FILTER "filter hook forward priority filter"
#define INPUT  "filter hook input priority filter"
#define PRE    "filter hook prerouting priority mangle"
#define DNAT   "nat hook prerouting priority dstnat"
#define SNAT   "nat hook postrouting priority srcnat"

/* The general ones first: without them the others fail, too. */
static const Feature features[] = {
    {"", "nftables (CONFIG_NF_TABLES, CONFIG_NF_TABLES_IPV4)", "accept", FILTER},
    {"ip6", "nftables for IPv6 (CONFIG_NF_TABLES_IPV6)", NULL, "ip6"},
    {"inet", "nftables for both families (CONFIG_NF_TABLES_INET)", NULL, "inet"},
    {"ct", "nftables ct (CONFIG_NFT_CT)", "ct state new accept", FILTER},
    {"type nat", "nftables nat (CONFIG_NFT_NAT)", "accept", SNAT},
    {"snat", "nftables nat (CONFIG_NFT_NAT)", "snat to 192.0.2.1", SNAT},
    {"dnat", "nftables nat (CONFIG_NFT_NAT)", "dnat to 192.0.2.1", DNAT},
    {"masquerade", "nftables masquerade (CONFIG_NFT_MASQ)", "masquerade", SNAT},
    {"redirect", "nftables redirect (CONFIG_NFT_REDIR)", "redirect", DNAT},
    {"jhash", "nftables jhash (CONFIG_NFT_HASH)", "meta mark set jhash ip saddr mod 2", FILTER},
    {"symhash", "nftables symhash (CONFIG_NFT_HASH)", "meta mark set symhash mod 2", FILTER},
    {"numgen", "nftables numgen (CONFIG_NFT_NUMGEN)", "meta mark set numgen inc mod 2", FILTER},
    {"reject", "nftables reject (CONFIG_NFT_REJECT, CONFIG_NFT_REJECT_IPV4)", "reject", FILTER},
    {"queue", "nftables queue (CONFIG_NFT_QUEUE)", "queue", FILTER},
    {"log", "nftables log (CONFIG_NFT_LOG)", "log", FILTER},
    {"limit", "nftables limit (CONFIG_NFT_LIMIT)", "limit rate 1/second accept", FILTER},
    {"quota", "nftables quota (CONFIG_NFT_QUOTA)", "quota over 1 mbytes drop", FILTER},
    {"ct count", "nftables ct count (CONFIG_NFT_CONNLIMIT)", "ct count over 1 drop", FILTER},
    {"fib", "nftables fib (CONFIG_NFT_FIB_IPV4)", "fib daddr type local accept", PRE},
    {"tproxy", "nftables tproxy (CONFIG_NFT_TPROXY)", "meta l4proto udp tproxy to :1", PRE},
    {"socket", "nftables socket (CONFIG_NFT_SOCKET)", "socket transparent 1 accept", PRE},
    {"synproxy", "nftables synproxy (CONFIG_NFT_SYNPROXY)", "tcp dport 1 synproxy", INPUT},
    {"dup to", "nftables dup (CONFIG_NFT_DUP_IPV4)", "dup to 192.0.2.1", FILTER},
    {"osf", "nftables osf (CONFIG_NFT_OSF)", "osf name \"unknown\" accept", INPUT},
};

static char *ruleset_of(const Feature *feature)
{
    if (!feature->rule)
        return g_strdup_printf("table %s probe { }\n", feature->hook);
    return g_strdup_printf("table ip probe {\n  chain c_probe {\n    type %s\n    %s\n  }\n}\n",
                           feature->hook, feature->rule);
}

static gboolean is_of_a_name(char c)
{
    return g_ascii_isalnum(c) || c == '_';
}

gboolean pl_features_used(const char *ruleset, const char *word)
{
    size_t length = strlen(word);
    char before = ' ', quote = '\0';

    for (const char *at = ruleset; *at; before = *at++) {
        if (quote) {
            if (*at == quote)
                quote = '\0';
        } else if (*at == '#') {
            quote = '\n';
        } else if (*at == '"') {
            quote = '"';
        } else if (!is_of_a_name(before) && strncmp(at, word, length) == 0 &&
                   (length == 0 || !is_of_a_name(at[length]))) {
            return TRUE;
        }
    }
    return FALSE;
}

static char *try_all(const char *ruleset)
{
    g_autoptr(PlNft) nft = pl_nft_new(NULL);

    for (unsigned i = 0; nft && i < G_N_ELEMENTS(features); i++) {
        g_autofree char *probe = ruleset_of(&features[i]);

        if (pl_features_used(ruleset, features[i].word) &&
            (!pl_nft_run(nft, probe, NULL) || !pl_nft_run(nft, "flush ruleset\n", NULL)))
            return g_strdup(features[i].name);
    }
    return NULL;
}

char *pl_features_missing(const char *ruleset)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    char *missing = NULL;

    if (home < 0)
        return NULL;
    if (unshare(CLONE_NEWNET) == 0) {
        missing = try_all(ruleset);
        if (setns(home, CLONE_NEWNET) < 0)
            g_error("cannot go back to a network namespace that is ours: %s", g_strerror(errno));
    }
    close(home);
    return missing;
}
