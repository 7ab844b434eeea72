/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hosts run. Of programs that are known by a bare word nothing is left to a default: whom they
 * serve and ask stands in the topology, for engines that run no processes.
 */
#include <pinhole/hub.h>
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

/* A classification gives up by itself after 30 s. */
#define LIMIT_NS          (10 * PL_NS_PER_S)
#define LIMIT_CLASSIFY_NS (40 * PL_NS_PER_S)

static PlWord word_of(const char *program)
{
    static const char *const words[] = {
        [PL_WORD_HUB] = "hub",
        [PL_WORD_CLASSIFY] = "classify",
        [PL_WORD_NODE] = "node",
        [PL_WORD_LISTEN] = "listen",
    };

    for (gsize i = PL_WORD_HUB; i < G_N_ELEMENTS(words); i++)
        if (strcmp(words[i], program) == 0)
            return (PlWord)i;
    return PL_WORD_NONE;
}

/* What is true of a program when the file says nothing. */
static void set_defaults(PlProgram *program)
{
    program->time_limit_ns = LIMIT_NS;
    program->ready = PL_READY_STARTED;
    if (program->word == PL_WORD_HUB || program->word == PL_WORD_LISTEN) {
        program->ready = PL_READY_LINE;
        program->ready_text = g_strdup("ready");
    } else if (program->word == PL_WORD_CLASSIFY) {
        program->ready = PL_READY_EXIT;
        program->time_limit_ns = LIMIT_CLASSIFY_NS;
    } else if (program->word == PL_WORD_NODE) {
        /* Registered, or the hub is not there. */
        program->ready = PL_READY_LINE;
        program->ready_text = g_strdup("\"event\"");
    }
}

/* "started", "exit", "line TEXT", "udp PORT" or "tcp PORT". */
static gboolean read_ready(const PlIni *ini, const char *group, PlProgram *program, GError **error)
{
    const char *text = pl_ini_get(ini, group, "ready");

    if (!text)
        return TRUE;
    g_clear_pointer(&program->ready_text, g_free);
    if (strcmp(text, "started") == 0) {
        program->ready = PL_READY_STARTED;
    } else if (strcmp(text, "exit") == 0) {
        program->ready = PL_READY_EXIT;
    } else if (g_str_has_prefix(text, "line ")) {
        program->ready = PL_READY_LINE;
        program->ready_text = g_strstrip(g_strdup(text + 5));
    } else if (g_str_has_prefix(text, "udp ") && pl_port_parse(text + 4, &program->ready_port)) {
        program->ready = PL_READY_UDP;
    } else if (g_str_has_prefix(text, "tcp ") && pl_port_parse(text + 4, &program->ready_port)) {
        program->ready = PL_READY_TCP;
    } else {
        return pl_ini_fail(ini, group, "ready", error,
                           "bad readiness \"%s\" (expected started, exit, line TEXT, udp PORT or "
                           "tcp PORT)",
                           text);
    }
    return TRUE;
}

static gboolean has_port(const PlProgram *program, uint16_t port)
{
    for (unsigned i = 0; i < program->n_ports; i++)
        if (program->ports[i] == port)
            return TRUE;
    return FALSE;
}

static gboolean build_listen(PlProgram *program, const PlIni *ini, const char *group,
                             GError **error)
{
    for (char **word = program->argv + 1; *word; word++) {
        uint16_t port;

        if (!pl_port_parse(*word, &port))
            return pl_ini_fail(ini, group, "run", error,
                               "listen does not take \"%s\" (expected a port, 1 to 65535)", *word);
        if (has_port(program, port))
            return pl_ini_fail(ini, group, "run", error,
                               "port %u stands twice (expected each port once)", port);
        if (program->n_ports == PL_LISTEN_PORTS_MAX)
            return pl_ini_fail(ini, group, "run", error, "too many ports (expected at most %d)",
                               PL_LISTEN_PORTS_MAX);
        program->ports[program->n_ports++] = port;
    }
    return program->n_ports > 0 ||
           pl_ini_fail(ini, group, "run", error,
                       "there is nothing to listen on (expected listen PORT...)");
}

gboolean pl_build_program(PlNode *host, const PlIni *ini, GError **error)
{
    g_autofree char *group = pl_build_group(host);
    const char *run = pl_ini_get(ini, group, "run");
    PlProgram *program = &host->program;
    g_autoptr(GError) cause = NULL;

    if (!run) {
        const char *const needy[] = {"ready", "time-limit"};

        for (gsize i = 0; i < G_N_ELEMENTS(needy); i++)
            if (pl_ini_get(ini, group, needy[i]))
                return pl_ini_fail(ini, group, needy[i], error,
                                   "there is no program that this is about (expected run)");
        return TRUE;
    }
    if (!g_shell_parse_argv(run, NULL, &program->argv, &cause))
        return pl_ini_fail(ini, group, "run", error,
                           "not a command line: %s (expected a program "
                           "and its arguments, quoted as for a shell)",
                           cause->message);
    if (!*program->argv[0])
        return pl_ini_fail(ini, group, "run", error,
                           "the program's name is empty (expected a program and its arguments)");
    program->word = word_of(program->argv[0]);
    set_defaults(program);
    if (program->word == PL_WORD_LISTEN && !build_listen(program, ini, group, error))
        return FALSE;
    return read_ready(ini, group, program, error) &&
           pl_ini_duration(ini, group, "time-limit", 1000000, 3600 * PL_NS_PER_S,
                           &program->time_limit_ns, error);
}

const char *pl_build_option(char ***argument, const char *name)
{
    const char *word = **argument;
    gsize length = strlen(name);

    if (strncmp(word, name, length) != 0 || (word[length] != '\0' && word[length] != '='))
        return NULL;
    ++*argument;
    if (word[length] == '=')
        return word + length + 1;
    return **argument ? *(*argument)++ : "";
}

const PhAddress *pl_build_address_of(const PlProgram *program, uint8_t family)
{
    for (unsigned i = 0; i < program->n_addresses; i++)
        if (program->addresses[i].family == family)
            return &program->addresses[i];
    return NULL;
}

static unsigned count_of(const PlProgram *program, uint8_t family)
{
    unsigned n = 0;

    for (unsigned i = 0; i < program->n_addresses; i++)
        n += program->addresses[i].family == family;
    return n;
}

/* ADDR or ADDR:PORT, one of the host's own. */
static gboolean add_listen(const PlIni *ini, const char *group, PlNode *host, const char *text,
                           GError **error)
{
    PlProgram *program = &host->program;
    PhAddress address, *first = &program->addresses[0];

    if (!ph_address_parse(text, &address) || !pl_build_is_own(host, &address))
        return pl_ini_fail(ini, group, "run", error,
                           "--listen \"%s\" (expected an address of %s, or one with :PORT)", text,
                           host->name);
    if (address.port == 0)
        address.port = PH_HUB_PORT;
    if (count_of(program, address.family) == PH_HUB_HOSTS)
        return pl_ini_fail(ini, group, "run", error,
                           "one address too many: --listen %s (expected two at most)", text);
    for (unsigned i = 0; i < program->n_addresses; i++)
        if (first->port != address.port || ph_address_equal(&program->addresses[i], &address))
            return pl_ini_fail(ini, group, "run", error,
                               "--listen %s (expected another %s address, with port %u as before)",
                               text, pl_family_name(address.family), first->port);
    program->addresses[program->n_addresses++] = address;
    return TRUE;
}

/* The first ones that it has, of the family of its first network. */
static void listen_anywhere(PlNode *host)
{
    PlProgram *program = &host->program;

    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len && program->n_addresses < PH_HUB_HOSTS;
             k++) {
            PhAddress address = g_array_index(attachment->addresses, PhAddress, k);

            if (address.family != pl_node_family(host))
                break;
            address.port = PH_HUB_PORT;
            program->addresses[program->n_addresses++] = address;
        }
    }
}

/* The command line with all that was chosen. */
static void complete(PlProgram *program)
{
    gboolean hub = program->word == PL_WORD_HUB;
    GPtrArray *words = g_ptr_array_new();
    char text[PH_ADDRESS_TEXT_MAX];

    g_ptr_array_add(words, g_strdup(program->argv[0]));
    for (unsigned i = 0; i < program->n_addresses; i++) {
        g_ptr_array_add(words, g_strdup(hub ? "--listen" : "--server"));
        g_ptr_array_add(words, g_strdup(ph_address_format(&program->addresses[i], text)));
    }
    if (hub) {
        g_ptr_array_add(words, g_strdup("--second-port"));
        g_ptr_array_add(words, g_strdup_printf("%u", program->second_port));
    }
    g_ptr_array_add(words, NULL);
    g_strfreev(program->argv);
    program->argv = (char **)g_ptr_array_free(words, FALSE);
}

static gboolean build_hub(PlNode *host, const PlIni *ini, const char *group, GError **error)
{
    PlProgram *program = &host->program;
    uint16_t port;

    for (char **argument = program->argv + 1; *argument;) {
        const char *word = *argument, *value;

        if ((value = pl_build_option(&argument, "--listen"))) {
            if (!add_listen(ini, group, host, value, error))
                return FALSE;
        } else if ((value = pl_build_option(&argument, "--second-port"))) {
            if (!pl_port_parse(value, &program->second_port))
                return pl_ini_fail(ini, group, "run", error,
                                   "--second-port \"%s\" (expected a port, 1 to 65535)", value);
        } else {
            return pl_ini_fail(ini, group, "run", error,
                               "hub does not take \"%s\" (expected --listen ADDRESS[:PORT], or "
                               "--second-port PORT)",
                               word);
        }
    }
    if (program->n_addresses == 0)
        listen_anywhere(host);
    port = program->addresses[0].port;
    if (program->second_port == 0)
        program->second_port = port == G_MAXUINT16 ? port - 1 : port + 1;
    if (program->second_port == port)
        return pl_ini_fail(ini, group, "run", error,
                           "--second-port %u is the first one, too (expected another)", port);
    complete(program);
    return TRUE;
}

/* HOST or HOST:PORT, HOST an address or the name of a host, which may have one of `family`. */
static gboolean read_server(const PlTopology *topology, const PlIni *ini, const char *group,
                            const char *text, uint8_t family, PhAddress *ret_server, GError **error)
{
    const char *colon = strchr(text, ':');
    g_autofree char *name = colon ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    const PlNode *host = pl_topology_node(topology, name);
    PhAddress address;
    uint16_t port = 0;

    if (ph_address_parse(text, &address)) {
        if (address.port == 0)
            address.port = PH_HUB_PORT;
        *ret_server = address;
        return TRUE;
    }
    if (!host || host->kind != PL_NODE_HOST || (colon && !pl_port_parse(colon + 1, &port)))
        return pl_ini_fail(ini, group, "run", error,
                           "--server \"%s\" (expected a host of this file, or an address; with "
                           ":PORT perhaps)",
                           text);
    if (host->program.word == PL_WORD_HUB) {
        const PhAddress *own = pl_build_address_of(&host->program, family);

        *ret_server = own ? *own : host->program.addresses[0];
    } else {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, 0);

        for (unsigned i = 1;
             i < host->attachments->len && pl_network_family(attachment->network) != family; i++)
            attachment = g_ptr_array_index(host->attachments, i);
        *ret_server = g_array_index(attachment->addresses, PhAddress, 0);
        ret_server->port = PH_HUB_PORT;
    }
    if (port)
        ret_server->port = port;
    return TRUE;
}

const PlNode *pl_build_first_hub(const PlTopology *topology, uint8_t family)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->program.word == PL_WORD_HUB && pl_build_address_of(&node->program, family))
            return node;
    }
    return NULL;
}

static gboolean build_classify(PlTopology *topology, PlNode *host, const PlIni *ini,
                               const char *group, GError **error)
{
    PlProgram *program = &host->program;
    const uint8_t family = pl_node_family(host);
    const PlNode *hub = pl_build_first_hub(topology, family);

    for (char **argument = program->argv + 1; *argument;) {
        const char *word = *argument, *server = pl_build_option(&argument, "--server");

        if (!server)
            return pl_ini_fail(ini, group, "run", error,
                               "classify does not take \"%s\" (expected --server HOST[:PORT])",
                               word);
        if (!read_server(topology, ini, group, server, family, &program->addresses[0], error))
            return FALSE;
        /* What it finds is compared with what is certified of the host. */
        if (program->addresses[0].family != family)
            return pl_ini_fail(ini, group, "run", error,
                               "--server \"%s\" is %s, and %s is judged in %s (expected one of "
                               "the family of its first network)",
                               server, pl_family_name(program->addresses[0].family), host->name,
                               pl_family_name(family));
        program->n_addresses = 1;
    }
    if (program->n_addresses == 0) {
        if (!hub)
            return pl_ini_fail(
                ini, group, "run", error,
                "there is nobody to ask (expected a host with run = hub that has %s, or "
                "--server HOST[:PORT])",
                pl_family_name(family));
        program->addresses[0] = *pl_build_address_of(&hub->program, family);
        program->n_addresses = 1;
    }
    complete(program);
    return TRUE;
}

static gboolean build_word(PlTopology *topology, PlNode *host, const PlIni *ini, const char *group,
                           GError **error)
{
    if (host->program.word == PL_WORD_HUB)
        return build_hub(host, ini, group, error);
    if (host->program.word == PL_WORD_CLASSIFY)
        return build_classify(topology, host, ini, group, error);
    return pl_build_node(topology, host, ini, group, error);
}

gboolean pl_build_words(PlTopology *topology, const PlIni *ini, GError **error)
{
    /* Hubs first, since they are asked. */
    for (PlWord word = PL_WORD_HUB; word <= PL_WORD_NODE; word++) {
        for (unsigned i = 0; i < topology->nodes->len; i++) {
            PlNode *node = g_ptr_array_index(topology->nodes, i);
            g_autofree char *group = pl_build_group(node);

            if (node->program.word == word && !build_word(topology, node, ini, group, error))
                return FALSE;
        }
    }
    return TRUE;
}

GPtrArray *pl_topology_programs(const PlTopology *topology)
{
    GPtrArray *programs = g_ptr_array_new();
    gint n_hubs = 0;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->program.word == PL_WORD_HUB)
            g_ptr_array_insert(programs, n_hubs++, node);
        else if (node->program.argv)
            g_ptr_array_add(programs, node);
    }
    return programs;
}

void pl_listen_line(GString *out, uint16_t port, const PhAddress *from, const void *bytes,
                    gsize length)
{
    g_autofree char *text = pl_bytes_format(bytes, length);
    char address[PH_ADDRESS_TEXT_MAX];

    g_string_append_printf(out, "%u from %s: %s\n", port, ph_address_format(from, address), text);
}
