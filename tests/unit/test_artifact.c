/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are written: nothing before they are all, and in an old one's place at once. */
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/artifact.h"
#include "topology/topology.h"

typedef struct Fixture {
    char *directory;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    fixture->directory = g_dir_make_tmp("artifact-XXXXXX", NULL);
}

/* Nothing of it is left, either. */
static void tear_down(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_assert_cmpint(rmdir(fixture->directory), ==, 0);
    g_free(fixture->directory);
}

static unsigned files_in(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}
static void test_artifact_is_nothing_before_it_is_all(Fixture *fixture,
                                                      gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(fixture->directory, "report.json", NULL);
    g_autoptr(GError) error = NULL;
    PlArtifact *artifact = pl_artifact_open(path, &error);

    g_assert_no_error(error);
    g_assert_true(pl_artifact_write(artifact, "{}", &error));
    g_assert_cmpuint(files_in(fixture->directory), ==, 0);
    g_assert_true(pl_artifact_publish(artifact, &error));
    g_assert_cmpuint(files_in(fixture->directory), ==, 1);

    artifact = pl_artifact_open(path, &error);
    g_assert_true(pl_artifact_write(artifact, "[]", &error));
    pl_artifact_discard(artifact);
    {
        g_autofree char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_cmpstr(text, ==, "{}");
    }
    g_assert_cmpint(unlink(path), ==, 0);
}

/* Reads what there is of events. */
static gboolean is_deleted(int events, const char *name)
{
    _Alignas(struct inotify_event) char buffer[4096];
    ssize_t n = read(events, buffer, sizeof buffer);
    gboolean deleted = FALSE;

    for (ssize_t i = 0; i < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(void *)(buffer + i);

        deleted |= event->mask & IN_DELETE && strcmp(event->name, name) == 0;
        i += (ssize_t)(sizeof *event + event->len);
    }
    return deleted;
}

static void test_artifact_takes_over(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(fixture->directory, "report.json", NULL);
    g_autofree char *stale = g_build_filename(fixture->directory, ".report.json.partial", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    PlArtifact *artifact;
    int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    g_assert_true(g_file_set_contents(path, "from before", -1, NULL));
    g_assert_true(g_file_set_contents(stale, "of one who was killed", -1, NULL));
    artifact = pl_artifact_open(path, &error);
    g_assert_no_error(error);
    g_assert_true(pl_artifact_write(artifact, "{}", &error));
    g_assert_cmpint(inotify_add_watch(events, fixture->directory, IN_DELETE | IN_MOVE), >=, 0);
    g_assert_true(pl_artifact_publish(artifact, &error));
    g_assert_false(is_deleted(events, "report.json"));
    close(events);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "{}");
    g_assert_cmpuint(files_in(fixture->directory), ==, 1);
    g_assert_cmpint(unlink(path), ==, 0);
}

static void test_artifact_that_fails(Fixture *fixture, gconstpointer data G_GNUC_UNUSED)
{
    g_autofree char *path = g_build_filename(fixture->directory, "report.json", NULL);
    g_autoptr(GError) error = NULL;
    PlArtifact *artifact = pl_artifact_open(path, &error);

    g_assert_no_error(error);
    g_assert_cmpint(mkdir(path, 0700), ==, 0);
    g_assert_false(pl_artifact_publish(artifact, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    g_assert_cmpuint(files_in(fixture->directory), ==, 1);
    g_assert_cmpint(rmdir(path), ==, 0);
}

static void test_artifact_may_be_a_device(void)
{
    g_autoptr(GError) error = NULL;
    PlArtifact *artifact = pl_artifact_open("/dev/null", &error);

    g_assert_no_error(error);
    g_assert_true(pl_artifact_write(artifact, "gone", &error));
    g_assert_true(pl_artifact_publish(artifact, &error));
    g_assert_true(g_file_test("/dev/null", G_FILE_TEST_EXISTS));
}

static void test_artifact_is_no_directory(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(pl_artifact_open("/tmp", &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    g_assert_cmpstr(error->message, ==, "cannot write /tmp: Is a directory");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
    g_test_add("/artifact/" name, Fixture, NULL, set_up, function, tear_down)
    ADD("it-is-nothing-before-it-is-all", test_artifact_is_nothing_before_it_is_all);
    ADD("it-takes-an-old-ones-place-at-once", test_artifact_takes_over);
    ADD("one-that-fails-leaves-nothing", test_artifact_that_fails);
#undef ADD
    g_test_add_func("/artifact/it-may-be-a-device", test_artifact_may_be_a_device);
    g_test_add_func("/artifact/it-is-no-directory", test_artifact_is_no_directory);
    return g_test_run();
}
