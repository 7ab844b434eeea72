/* SPDX-License-Identifier: MIT */
/* Key files: what is written, and what is not taken. */
#include <glib/gstdio.h>
#include <pinhole/key.h>
#include <string.h>
#include <sys/stat.h>

/* RFC 7748 §6.1: Alice's key pair, in base64. */
#define ALICE_SECRET "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
#define ALICE_PUBLIC "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="

static char *directory;

static char *in_directory(const char *name)
{
    return g_build_filename(directory, name, NULL);
}

static char *write_file(const char *name, const char *text, mode_t mode)
{
    char *path = in_directory(name);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
    return path;
}

static void assert_refused(const char *path, int code)
{
    g_autoptr(GError) error = NULL;
    PhKey key;

    g_assert_false(ph_key_load(path, &key, &error));
    g_assert_error(error, G_IO_ERROR, code);
}

static void test_what_was_made_is_read(void)
{
    g_autofree char *path = in_directory("made");
    g_autoptr(GError) error = NULL;
    struct stat status;
    PhKey made, read;

    g_assert_true(ph_key_create(path, &made, &error));
    g_assert_no_error(error);
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & 07777, ==, 0600);
    g_assert_true(ph_key_load(path, &read, &error));
    g_assert_true(memcmp(&made, &read, sizeof(made)) == 0);
}

static void test_no_two_keys_are_alike(void)
{
    g_autofree char *a_path = in_directory("a"), *b_path = in_directory("b");
    PhKey a, b;

    g_assert_true(ph_key_create(a_path, &a, NULL));
    g_assert_true(ph_key_create(b_path, &b, NULL));
    g_assert_cmpint(memcmp(a.secret_half, b.secret_half, sizeof(a.secret_half)), !=, 0);
    g_assert_cmpint(memcmp(a.public_half, b.public_half, sizeof(a.public_half)), !=, 0);
}

static void test_the_pair_is_that_of_the_rfc(void)
{
    g_autofree char *path = write_file("rfc", "pinhole-secret-key " ALICE_SECRET "\n", 0600);
    char text[PH_KEY_TEXT_MAX];
    PhKey key;

    g_assert_true(ph_key_load(path, &key, NULL));
    g_assert_cmpstr(ph_key_format(&key, text), ==, ALICE_PUBLIC);
}

static void test_a_file_that_is_there_is_left_alone(void)
{
    g_autofree char *path = write_file("there", "precious", 0600), *text = NULL;
    g_autoptr(GError) error = NULL;
    PhKey key;

    g_assert_false(ph_key_create(path, &key, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "precious");
}

static void test_what_others_may_read_is_refused(void)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0610, 0700, 0644};

    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autofree char *path =
            write_file("open", "pinhole-secret-key " ALICE_SECRET "\n", modes[i]);

        assert_refused(path, G_IO_ERROR_PERMISSION_DENIED);
    }
}

static void test_what_is_no_file_is_refused(void)
{
    g_autofree char *fifo = in_directory("fifo"), *nothing = in_directory("nothing");

    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    assert_refused(fifo, G_IO_ERROR_PERMISSION_DENIED);
    assert_refused(directory, G_IO_ERROR_PERMISSION_DENIED);
    assert_refused(nothing, G_IO_ERROR_NOT_FOUND);
}

static void test_what_holds_no_key_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "\n",
        "pinhole-secret-key",
        ALICE_SECRET "\n",
        "pinhole-secret-key " ALICE_SECRET,
        "pinhole-secret-key " ALICE_SECRET "\n\n",
        "pinhole-secret-key  dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC=\n",
        "pinhole-secret-key dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo\n",
        "pinhole-secret-key !!dtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n",
        "pinhole-public-key " ALICE_SECRET "\n",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autofree char *path = write_file("wrong", texts[i], 0600);

        assert_refused(path, G_IO_ERROR_INVALID_DATA);
    }
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    directory = g_dir_make_tmp("pinhole-key-XXXXXX", NULL);
    g_test_add_func("/key/what_was_made_is_read", test_what_was_made_is_read);
    g_test_add_func("/key/no_two_keys_are_alike", test_no_two_keys_are_alike);
    g_test_add_func("/key/the_pair_is_that_of_the_rfc", test_the_pair_is_that_of_the_rfc);
    g_test_add_func("/key/a_file_that_is_there_is_left_alone",
                    test_a_file_that_is_there_is_left_alone);
    g_test_add_func("/key/what_others_may_read_is_refused", test_what_others_may_read_is_refused);
    g_test_add_func("/key/what_is_no_file_is_refused", test_what_is_no_file_is_refused);
    g_test_add_func("/key/what_holds_no_key_is_refused", test_what_holds_no_key_is_refused);
    status = g_test_run();
    for (const char *const *name =
             (const char *const[]){"made", "a", "b", "rfc", "there", "open", "fifo", "wrong", NULL};
         *name; name++) {
        g_autofree char *path = in_directory(*name);

        g_unlink(path);
    }
    g_rmdir(directory);
    g_free(directory);
    return status;
}
