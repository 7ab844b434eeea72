/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <pinhole/address.h>
#include <string.h>

static void reads_back_what_it_writes(void)
{
    /* As RFC 5952 §4 and §6 want them. */
    static const char *const canonical[] = {
        "0.0.0.0",
        "192.0.2.1",
        "255.255.255.255:65535",
        "192.0.2.1:53",
        "::",
        "::1",
        "2001:db8::1",
        "[2001:db8::1]:443",
        "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1",
        "2001:db8::1:0:0:1",
        "1:2:3:4:5:6:7:8",
        "1::",
        "[::]:1",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(canonical); i++) {
        char text[PH_ADDRESS_TEXT_MAX];
        PhAddress address;

        g_assert_true(ph_address_parse(canonical[i], &address));
        g_assert_cmpstr(ph_address_format(&address, text), ==, canonical[i]);
    }
}

static void other_spellings_mean_the_same(void)
{
    static const char *const pairs[][2] = {
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::ffff:192.0.2.1", "::ffff:c000:201"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"[::1]", "::1"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"0:0:0:0:0:0:192.0.2.1", "::c000:201"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        PhAddress left, right;

        g_assert_true(ph_address_parse(pairs[i][0], &left));
        g_assert_true(ph_address_parse(pairs[i][1], &right));
        g_assert_true(ph_address_equal(&left, &right));
        g_assert_cmpint(memcmp(&left, &right, sizeof(left)), ==, 0);
    }
}

static void what_is_no_address_is_refused_and_changes_nothing(void)
{
    static const char *const wrong[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:01",
        "1.2.3.4:65536",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.4/24",
        ":",
        ":::",
        "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "12345::",
        "[::1",
        "::1]",
        "[::1]:",
        "[1.2.3.4]",
        "g::",
        "::1.2.3",
        "fe80::1%1",
        "::1.2.3.4.5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5:6:7::8",
        "[::1]x",
        "-1.2.3.4",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        PhAddress address, before;

        memset(&address, 0x5a, sizeof(address));
        before = address;
        if (ph_address_parse(wrong[i], &address))
            g_error("\"%s\" was taken for an address", wrong[i]);
        g_assert_cmpint(memcmp(&address, &before, sizeof(address)), ==, 0);
    }
}

static void numbers_and_bytes_agree(void)
{
    PhAddress address = ph_address_ipv4(0xC0000201, 53), same, other;

    g_assert_cmphex(ph_address_ipv4_number(&address), ==, 0xC0000201);
    g_assert_true(ph_address_parse("192.0.2.1:53", &same));
    g_assert_cmpint(memcmp(&address, &same, sizeof(address)), ==, 0);
    g_assert_true(ph_address_parse("2001:db8::1", &other));
    g_assert_cmphex(ph_address_ipv4_number(&other), ==, 0);
}

static void order_is_by_family_host_and_port(void)
{
    static const char *const sorted[] = {"1.2.3.4", "1.2.3.4:5", "1.2.3.5",
                                         "::1",     "[::1]:9",   "1::"};

    for (gsize i = 0; i < G_N_ELEMENTS(sorted); i++) {
        for (gsize k = 0; k < G_N_ELEMENTS(sorted); k++) {
            PhAddress a, b;

            g_assert_true(ph_address_parse(sorted[i], &a));
            g_assert_true(ph_address_parse(sorted[k], &b));
            g_assert_cmpint(ph_address_compare(&a, &b), ==, (i > k) - (i < k));
        }
    }
}

static void same_host_means_whatever_port(void)
{
    PhAddress a = ph_address_ipv4(1, 2), b = ph_address_ipv4(1, 3), c = ph_address_ipv4(2, 2);

    g_assert_true(ph_address_equal_host(&a, &b));
    g_assert_false(ph_address_equal(&a, &b));
    g_assert_false(ph_address_equal_host(&a, &c));
}

static void no_family_is_written_as_none(void)
{
    char text[PH_ADDRESS_TEXT_MAX];
    PhAddress address = {0};

    g_assert_cmpstr(ph_address_format(&address, text), ==, "none");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/address/reads-back-what-it-writes", reads_back_what_it_writes);
    g_test_add_func("/address/other-spellings-mean-the-same", other_spellings_mean_the_same);
    g_test_add_func("/address/what-is-no-address-is-refused-and-changes-nothing",
                    what_is_no_address_is_refused_and_changes_nothing);
    g_test_add_func("/address/numbers-and-bytes-agree", numbers_and_bytes_agree);
    g_test_add_func("/address/order-is-by-family-host-and-port", order_is_by_family_host_and_port);
    g_test_add_func("/address/same-host-means-whatever-port", same_host_means_whatever_port);
    g_test_add_func("/address/no-family-is-written-as-none", no_family_is_written_as_none);
    return g_test_run();
}
