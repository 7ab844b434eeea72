/* SPDX-License-Identifier: MIT */
/* The control socket: who may have it, who is answered, and who can be no harm. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/pinhole/control.h"
#include "../../tools/pinhole/control_place.h"

#define LARGE (1024 * 1024)

typedef struct Place {
    char *directory, *path;
} Place;

static void place_init(Place *place)
{
    g_autoptr(GError) error = NULL;

    place->directory = g_dir_make_tmp("pinhole-control-XXXXXX", &error);
    g_assert_no_error(error);
    place->path = g_build_filename(place->directory, "socket", NULL);
}

static void place_clear(Place *place)
{
    (void)g_unlink(place->path);
    g_assert_cmpint(g_rmdir(place->directory), ==, 0);
    g_free(place->directory);
    g_free(place->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

static void show_word(JsonBuilder *builder, gpointer data)
{
    json_builder_set_member_name(builder, "word");
    json_builder_add_string_value(builder, data);
}

static Control *open_at(const Place *place, const char *word)
{
    const ControlOptions options = {.path = place->path};
    int status;
    Control *control = control_open(&options, "test", NULL, show_word, (gpointer)word, &status);

    g_assert_nonnull(control);
    g_assert_cmpint(status, ==, EXIT_SUCCESS);
    return control;
}

typedef struct Asking {
    const char *path;
    char *answer;
    GError *error;
    gboolean done;
} Asking;

static gpointer ask_apart(gpointer data)
{
    Asking *asking = data;

    asking->answer = control_ask(asking->path, &asking->error);
    g_atomic_int_set(&asking->done, TRUE);
    g_main_context_wakeup(NULL);
    return NULL;
}

/* The answer, while the control socket is served. */
static char *ask(const char *path, GError **error)
{
    Asking asking = {.path = path};
    GThread *thread = g_thread_new("ask", ask_apart, &asking);

    while (!g_atomic_int_get(&asking.done))
        g_main_context_iteration(NULL, TRUE);
    g_thread_join(thread);
    if (asking.error)
        g_propagate_error(error, asking.error);
    return asking.answer;
}

static void who_connects_is_answered_and_only_this_user_may(void)
{
    g_auto(Place) place = {0};
    g_autoptr(Control) control = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *answer = NULL;
    struct stat status;

    place_init(&place);
    control = open_at(&place, "hello");
    g_assert_cmpint(stat(place.path, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 0777, ==, 0600);
    answer = ask(place.path, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(answer, "\"kind\":\"test\""));
    g_assert_nonnull(strstr(answer, "\"word\":\"hello\""));
    g_assert_true(g_str_has_suffix(answer, "}\n"));
    control = control_free(g_steal_pointer(&control));
    g_assert_cmpint(stat(place.path, &status), <, 0);
}

static void a_dead_ones_socket_is_replaced_and_a_live_one_is_not(void)
{
    g_auto(Place) place = {0};
    g_autoptr(Control) control = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *answer = NULL;
    int fd;

    place_init(&place);
    fd = control_listen(place.path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(control_listen(place.path, &error), ==, -1);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    g_assert_nonnull(strstr(error->message, place.path));
    g_clear_error(&error);
    close(fd); /* as a SIGKILL leaves it */
    control = open_at(&place, "second");
    answer = ask(place.path, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(answer, "second"));
}

static void what_is_no_socket_stays(void)
{
    g_auto(Place) place = {0};
    g_autoptr(GError) error = NULL;

    place_init(&place);
    g_assert_true(g_file_set_contents(place.path, "mine", -1, &error));
    g_assert_cmpint(control_listen(place.path, &error), ==, -1);
    g_assert_nonnull(error);
    g_assert_true(g_file_test(place.path, G_FILE_TEST_IS_REGULAR));
}

static void the_socket_of_another_one_is_not_removed_at_the_end(void)
{
    g_auto(Place) place = {0};
    g_autoptr(GError) error = NULL;
    Control *control;
    int other;

    place_init(&place);
    control = open_at(&place, "first");
    g_assert_cmpint(g_unlink(place.path), ==, 0);
    other = control_listen(place.path, &error);
    g_assert_no_error(error);
    control_free(control);
    g_assert_true(g_file_test(place.path, G_FILE_TEST_EXISTS));
    close(other);
}

/* They get an answer that no buffer holds, read nothing, and say all that they can. */
static void who_reads_nothing_keeps_others_waiting_for_a_while_only(void)
{
    g_auto(Place) place = {0};
    g_autoptr(Control) control = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *large = g_strnfill(LARGE, 'x'), *answer = NULL;
    int hostile[12];

    place_init(&place);
    control = open_at(&place, large);
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        while ((hostile[i] = control_connect(place.path)) < 0)
            g_main_context_iteration(NULL, FALSE); /* the backlog is full */
        while (send(hostile[i], large, LARGE, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
            ;
    }
    answer = ask(place.path, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(answer), >, LARGE);
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++)
        close(hostile[i]);
}

static void an_end_or_silence_is_an_error(void)
{
    g_auto(Place) place = {0};
    g_autoptr(GError) error = NULL;
    int fd;

    place_init(&place);
    g_assert_null(control_ask(place.path, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_clear_error(&error);
    fd = control_listen(place.path, &error);
    g_assert_null(control_ask(place.path, &error)); /* nobody accepts */
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    g_clear_error(&error);
    close(fd);
    g_assert_null(control_ask(place.path, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
}

/* /tmp is everybody's: what is not this user's alone is not used. */
static void a_directory_that_others_have_made_is_not_used(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *runtime = g_dir_make_tmp("pinhole-runtime-XXXXXX", &error);
    g_autofree char *wanted = g_build_filename(runtime, "pinhole", NULL), *used = NULL;

    g_assert_no_error(error);
    g_setenv("XDG_RUNTIME_DIR", runtime, TRUE);
    used = control_directory(&error);
    g_assert_cmpstr(used, ==, wanted);
    g_assert_cmpint(g_chmod(wanted, 0755), ==, 0);
    g_free(used);
    used = control_directory(&error);
    g_assert_cmpstr(used, !=, wanted);
    g_assert_cmpint(g_rmdir(wanted), ==, 0);
    g_assert_cmpint(symlink("/", wanted), ==, 0);
    g_free(used);
    used = control_directory(&error);
    g_assert_cmpstr(used, !=, wanted);
    g_assert_cmpint(g_unlink(wanted), ==, 0);
    g_assert_cmpint(g_rmdir(runtime), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/control/" path, function)
    ADD("who-connects-is-answered-and-only-this-user-may",
        who_connects_is_answered_and_only_this_user_may);
    ADD("a-dead-ones-socket-is-replaced-and-a-live-one-is-not",
        a_dead_ones_socket_is_replaced_and_a_live_one_is_not);
    ADD("what-is-no-socket-stays", what_is_no_socket_stays);
    ADD("the-socket-of-another-one-is-not-removed-at-the-end",
        the_socket_of_another_one_is_not_removed_at_the_end);
    ADD("who-reads-nothing-keeps-others-waiting-for-a-while-only",
        who_reads_nothing_keeps_others_waiting_for_a_while_only);
    ADD("an-end-or-silence-is-an-error", an_end_or_silence_is_an_error);
    ADD("a-directory-that-others-have-made-is-not-used",
        a_directory_that_others_have_made_is_not_used);
    return g_test_run();
}
