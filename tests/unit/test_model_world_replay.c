/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same again, to the byte: same seed, same observations, whatever was before and beside it. */
#include "model_world.h"
#include "topology/random.h"
#include "trace.h"

/* What everybody must see, whatever compiled the model. Another model is another number. */
#define TRACE G_GUINT64_CONSTANT(0xb8818cb2799a0351)

/* A firewall, a NAT behind a NAT, and every link with everything that can go wrong. */
static const char text[] = HEAD ALICE BOB FIREWALL
    "[nat cgn]\noutside = internet\ninside = 100.64.0.0/24\nbehaviour = symmetric\n"
    "addresses = 203.0.113.40-203.0.113.43\npooling = arbitrary\n"
    "[nat home]\noutside = cgn.inside\ninside = 192.168.1.0/24\nbehaviour = restricted\n"
    "hairpin = external-source\n"
    "[host erin]\nbehind = home\n[host frank]\nbehind = home\n[host grace]\nbehind = cgn\n";

static const PlLink everything = {.delay_ns = 3 * MS,
                                  .jitter_ns = 2 * MS,
                                  .loss_ppm = 20000,
                                  .burst_packets = 3,
                                  .duplicate_ppm = 20000,
                                  .reorder_ppm = 20000,
                                  .rate_bps = 3000000,
                                  .queue_packets = 20,
                                  .mtu_bytes = 1100};

static const char *const labels[] = {"alice", "bob",   "dave",      "erin",
                                     "frank", "grace", "@internet", "@cgn.inside"};
static const char *const froms[] = {"203.0.113.10:1000", "203.0.113.20:1000", "198.51.100.10:1000",
                                    "192.168.1.2:1000",  "192.168.1.3:1000",  "100.64.0.3:1000",
                                    "203.0.113.251:7",   "100.64.0.253:1000"};
static const char *const tos[] = {"203.0.113.10:1000", "203.0.113.20:1000", "198.51.100.10:1000",
                                  "203.0.113.40:1024", "203.0.113.41:1025", "203.0.113.99:1",
                                  "203.0.113.251:7",   "203.0.113.5:9"};

typedef struct Story {
    Lab lab;
    uint64_t began;
    uint64_t hash;       /* of all that is seen */
    uint64_t hashes[32]; /* of what each node's attachments see */
    unsigned seen, received;
} Story;

static void see(const PlAttachment *seen, gboolean outgoing, const PlDatagram *datagram,
                uint64_t time_ns, gpointer data)
{
    Story *story = data;
    uint64_t *hash = &story->hashes[seen->node->index];

    g_assert_cmpuint(seen->node->index, <, G_N_ELEMENTS(story->hashes));
    story->seen++;
    for (unsigned i = 0; i < 2; i++, hash = &story->hash) {
        trace_number(hash, (uint64_t)seen->network->index << 1 | (uint64_t)outgoing);
        trace_packet(hash, datagram, time_ns - story->began);
    }
}

static void fetch(Story *story, uint64_t now)
{
    PlWorldPlace to;
    PlDatagram *got;
    uint64_t arrived;

    while ((got = pl_world_receive(story->lab.world, now, &to, &arrived))) {
        trace_packet(&story->hash, got, arrived - story->began);
        pl_datagram_free(got);
        story->received++;
    }
}

/* 3000 packets in 3 s, from anybody to anybody. */
static void tell(Story *story, uint64_t began)
{
    uint64_t random = 99, now = began;

    story->began = began;
    story->hash = 0;
    story->seen = story->received = 0;
    memset(story->hashes, 0, sizeof(story->hashes));
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t draw = pl_random_next(&random);
        unsigned who = draw % G_N_ELEMENTS(labels);

        now += draw >> 8 & 0x1fffff;
        fetch(story, now);
        send_packet(&story->lab, labels[who], now,
                    (Sent){froms[who], tos[draw >> 32 & 7], 60 + (unsigned)(draw >> 40) % 1400,
                           draw >> 36 & 3 ? 64 : 1 + (draw >> 60 & 3), (draw >> 35 & 1) != 0});
    }
    fetch(story, now + 60 * S);
    g_assert_cmpuint(story->seen, >, 5000);
    g_assert_cmpuint(story->received, >, 1000);
}

static void story_clear(Story *story)
{
    lab_clear(&story->lab);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Story, story_clear)

static void story_init(Story *story, uint64_t seed)
{
    *story = (Story){0};
    story->lab.topology = parse(text);
    for (unsigned i = 0; i < story->lab.topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(story->lab.topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++)
            ((PlAttachment *)g_ptr_array_index(node->attachments, k))->link = everything;
    }
    story->lab.world = pl_world_new(story->lab.topology, seed, 0);
    pl_world_observe(story->lab.world, see, story);
}

static void the_same_seed_is_the_same_story(void)
{
    g_auto(Story) one = {0}, two = {0}, other = {0};

    story_init(&one, 5);
    story_init(&two, 5);
    story_init(&other, 6);
    tell(&one, 0);
    tell(&two, 0);
    tell(&other, 0);
    g_assert_cmpuint(one.hash, ==, two.hash);
    g_assert_cmpuint(one.hash, !=, other.hash);
    g_assert_cmphex(one.hash, ==, TRACE);
}

/* When a world begins does not matter, nor what was before a reset. */
static void after_a_reset_all_is_as_new(void)
{
    g_auto(Story) story = {0};
    uint64_t first;

    story_init(&story, 5);
    tell(&story, 0);
    first = story.hash;
    send_packet(&story.lab, "erin", 200 * S, udp(froms[3], tos[0], 100));
    pl_world_nat_flush(story.lab.world, pl_topology_node(story.lab.topology, "cgn"), 300 * S);
    send_packet(&story.lab, "erin", 400 * S, udp(froms[3], tos[0], 100));
    pl_world_reset(story.lab.world, 500 * S + 1);
    tell(&story, 500 * S + 1);
    g_assert_cmpuint(story.hash, ==, first);
}

/* alice's network interface sees more; erin's and grace's, far away, see the same as before. */
static void a_packet_more_changes_nothing_elsewhere(void)
{
    g_auto(Lab) one = {0}, two = {0};
    Lab *labs[] = {&one, &two};
    uint64_t hashes[2] = {0, 0};

    for (unsigned which = 0; which < 2; which++) {
        Lab *lab = labs[which];

        lab_init(lab, HEAD ALICE BOB CAROL "[host dora]\non = internet\n");
        attachment(lab, "alice")->link = everything;
        attachment(lab, "bob")->link = everything;
        attachment(lab, "carol")->link = everything;
        attachment(lab, "dora")->link = everything;
        pl_world_reset(lab->world, 0);
        for (unsigned i = 0; i < 500; i++) {
            PlWorldPlace to;
            PlDatagram *got;
            uint64_t arrived;

            send_packet(lab, "carol", i * 10 * MS, udp("203.0.113.30:1", "203.0.113.2:1", 900));
            if (which == 1 && i == 100) /* between the two others */
                send_packet(lab, "alice", i * 10 * MS + 1, udp(froms[0], froms[1], 900));
            while ((got = pl_world_receive(lab->world, i * 10 * MS + 9 * MS, &to, &arrived))) {
                if (to.attachment == attachment(lab, "dora"))
                    trace_packet(&hashes[which], got, arrived);
                pl_datagram_free(got);
            }
        }
    }
    g_assert_cmpuint(hashes[0], !=, 0);
    g_assert_cmpuint(hashes[0], ==, hashes[1]);
    g_assert_cmpuint(pl_world_counters(two.world)->sent, ==, 501);
}

#define CASE(name) g_test_add_func("/model/world/replay/" #name, name)

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    CASE(the_same_seed_is_the_same_story);
    CASE(after_a_reset_all_is_as_new);
    CASE(a_packet_more_changes_nothing_elsewhere);
    return g_test_run();
}
