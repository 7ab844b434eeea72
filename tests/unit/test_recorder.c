/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recorder, on the loopback interfaces of network namespaces of its own (no root needed). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/packet.h"
#include "capture/pcapng.h"
#include "capture/points.h"
#include "capture/recorder.h"

static int netns[2]; /* [1] is the one we are in; -1 where there may be none */

static void set_loopback(gboolean up)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &request), ==, 0);
    close(fd);
}

static gboolean make_netns(void)
{
    netns[0] = netns[1] = -1;
    if (unshare(CLONE_NEWUSER) < 0)
        return FALSE;
    for (int i = 0; i < 2; i++) {
        if (unshare(CLONE_NEWNET) < 0)
            return FALSE;
        netns[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        set_loopback(TRUE);
    }
    return TRUE;
}

static gboolean is_possible(void)
{
    if (netns[1] < 0)
        g_test_skip("no user and network namespaces here");
    return netns[1] >= 0;
}

/* Sends numbered datagrams; nobody listens. */
static void send_datagrams(unsigned n)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (unsigned i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        g_assert_cmpint(sendto(fd, &i, sizeof(i), 0, (struct sockaddr *)&to, sizeof(to)), ==,
                        sizeof(i));
        close(fd);
    }
}

static int open_file(char **ret_path)
{
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("pinlab-XXXXXX.pcapng", ret_path, &error);

    g_assert_no_error(error);
    return fd;
}

static PlRecorder *start(int fd, const char *interface, GError **error)
{
    const PlRecorderPoint points[] = {
        {.netns_fd = netns[0], .interface = "lo", .name = "quiet"},
        {.netns_fd = netns[1], .interface = interface, .name = "busy", .description = "the one"},
    };

    return pl_recorder_start(points, G_N_ELEMENTS(points), fd, "test", error);
}

static PlCapture *load_and_remove(const char *path, int fd)
{
    g_autoptr(GError) error = NULL;
    PlCapture *capture = pl_capture_load(path, &error);

    g_assert_no_error(error);
    g_unlink(path);
    close(fd);
    return capture;
}

static void test_everything_from_start_to_stop_is_in_the_file(void)
{
    /* Loopback's frames are as large as its offloads make them: the ring holds 31 of them, and each
     * datagram and the ICMP error that answers it are seen twice. */
    const unsigned n = 7;
    g_autoptr(GError) error = NULL;
    g_autoptr(PlCapture) capture = NULL;
    g_autofree char *path = NULL;
    PlRecorder *recorder;
    unsigned next = 0;
    int fd;

    if (!is_possible())
        return;
    fd = open_file(&path);
    recorder = start(fd, "lo", &error);
    g_assert_no_error(error);
    send_datagrams(n);
    pl_recorder_stop(recorder, &error);
    g_assert_no_error(error);
    capture = load_and_remove(path, fd);
    g_assert_cmpuint(capture->interfaces->len, ==, 2);
    g_assert_cmpstr(g_array_index(capture->interfaces, PlCaptureInterface, 0).name, ==, "quiet");
    for (guint i = 0; i < capture->frames->len; i++) {
        const PlFrame *frame = &g_array_index(capture->frames, PlFrame, i);
        PlPacket packet;
        unsigned number;

        g_assert_cmpuint(frame->interface, ==, 1);
        if (!pl_packet_decode(frame->data, frame->length, &packet) ||
            packet.protocol != PL_PACKET_UDP)
            continue;
        g_assert_cmpuint(packet.mark_length, ==, sizeof(number));
        memcpy(&number, packet.mark, sizeof(number));
        /* Loopback shows each twice: leaving and arriving. */
        g_assert_true(number == next || (next > 0 && number == next - 1));
        next = number + 1;
    }
    g_assert_cmpuint(next, ==, n);
}

static void test_an_absent_interface_is_named(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    int fd;

    if (!is_possible())
        return;
    fd = open_file(&path);
    g_assert_null(start(fd, "absent0", &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "busy (absent0)"));
    g_unlink(path);
    close(fd);
}

static void test_a_full_disk_is_an_error_at_stop(void)
{
    g_autoptr(GError) error = NULL;
    PlRecorder *recorder;
    int fd;

    if (!is_possible())
        return;
    fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    recorder = start(fd, "lo", &error);
    g_assert_no_error(error);
    g_assert_false(pl_recorder_stop(recorder, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    close(fd);
}

static void test_an_interface_that_goes_down_and_up_stays_recorded(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlCapture) capture = NULL;
    g_autofree char *path = NULL;
    PlRecorder *recorder;
    int fd;

    if (!is_possible())
        return;
    fd = open_file(&path);
    recorder = start(fd, "lo", &error);
    g_assert_no_error(error);
    set_loopback(FALSE);
    set_loopback(TRUE);
    send_datagrams(1);
    pl_recorder_stop(recorder, &error);
    g_assert_no_error(error);
    capture = load_and_remove(path, fd);
    g_assert_cmpuint(capture->frames->len, >=, 2);
}

/* Waits until the process is gone. */
static gboolean ends(pid_t pid)
{
    for (gint64 start = g_get_monotonic_time();
         g_get_monotonic_time() - start < 10 * G_USEC_PER_SEC; g_thread_yield())
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return TRUE;
    return FALSE;
}

/* The recorder is the only child of ours: its process id is what waitpid would wait for. */
static pid_t find_child(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/children", getpid());
    g_autofree char *children = NULL;

    if (!g_file_get_contents(path, &children, NULL, NULL))
        return -1;
    return (pid_t)g_ascii_strtoll(children, NULL, 10);
}

static void test_it_ends_with_its_parent(void)
{
    int pipes[2], status, fd;
    g_autofree char *path = NULL;
    pid_t parent, recorder = -1;

    if (!is_possible())
        return;
    fd = open_file(&path);
    g_unlink(path);
    g_assert_cmpint(pipe(pipes), ==, 0);
    parent = fork();
    if (parent == 0) {
        g_autoptr(GError) error = NULL;

        if (start(fd, "lo", &error))
            recorder = find_child();
        if (write(pipes[1], &recorder, sizeof(recorder)) != sizeof(recorder))
            _exit(1);
        raise(SIGKILL);
    }
    g_assert_cmpint(read(pipes[0], &recorder, sizeof(recorder)), ==, sizeof(recorder));
    g_assert_cmpint(waitpid(parent, &status, 0), ==, parent);
    g_assert_cmpint(recorder, >, 0);
    g_assert_true(ends(recorder));
    close(pipes[0]);
    close(pipes[1]);
    close(fd);
}

static void test_it_can_be_killed(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    PlRecorder *recorder;
    int fd;

    pl_recorder_kill(NULL);
    if (!is_possible())
        return;
    fd = open_file(&path);
    recorder = start(fd, "lo", &error);
    g_assert_no_error(error);
    pl_recorder_kill(recorder);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    g_unlink(path);
    close(fd);
}

static void test_points_are_both_sides_of_nats_and_hosts_outside(void)
{
    static const char text[] = "[topology]\ntitle = t\n"
                               "[network internet]\nsubnet = 203.0.113.0/24\n"
                               "[nat a]\noutside = internet\ninside = 192.168.1.0/24\n"
                               "behaviour = full-cone\n"
                               "[nat b]\noutside = internet\ninside = 192.168.2.0/24\n"
                               "behaviour = symmetric\n"
                               "[host alice]\nbehind = a\n[host bob]\nbehind = b\n"
                               "[host hub]\non = internet\n";
    static const char *const labels[] = {"a.inside", "a.outside", "b.inside", "b.outside", "hub"};
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_parse("t.ini", text, strlen(text), &error);
    g_autoptr(GPtrArray) points = NULL;

    g_assert_no_error(error);
    points = pl_capture_points(topology);
    g_assert_cmpuint(points->len, ==, G_N_ELEMENTS(labels));
    for (guint i = 0; i < points->len; i++)
        g_assert_cmpstr(((PlAttachment *)g_ptr_array_index(points, i))->label, ==, labels[i]);
}

int main(int argc, char **argv)
{
    make_netns();
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/recorder/" #name, test_##name)
    TEST(everything_from_start_to_stop_is_in_the_file);
    TEST(an_absent_interface_is_named);
    TEST(a_full_disk_is_an_error_at_stop);
    TEST(an_interface_that_goes_down_and_up_stays_recorded);
    TEST(it_ends_with_its_parent);
    TEST(it_can_be_killed);
    TEST(points_are_both_sides_of_nats_and_hosts_outside);
    return g_test_run();
}
