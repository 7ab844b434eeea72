/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The reader of captures: pcapng, and classic pcap. The file is in memory and trusted in nothing:
 * every length is checked against what is really there before it is used.
 */
#include <string.h>

#include "capture/pcapng.h"
#include "capture/pcapng_format.h"

#define PCAP_MICROSECONDS 0xA1B2C3D4u
#define PCAP_NANOSECONDS  0xA1B23C4Du
#define PCAP_HEADER       24u
#define PCAP_RECORD       16u

#define NS_PER_S G_GUINT64_CONSTANT(1000000000)

/* How an interface counts time. */
typedef struct Clock {
    uint64_t ticks_per_s; /* never 0 */
    int64_t offset_s;
    uint32_t snaplen; /* 0: none */
} Clock;

typedef struct Reader {
    const char *path;
    const uint8_t *data;
    size_t length;
    PlCapture *capture;
    GArray *clocks;      /* Clock, one for each of capture->interfaces */
    guint section_start; /* the section's first interface */
    gboolean swapped;
    uint64_t last_ns; /* for packets without a time of their own */
} Reader;

/* A piece of the file that is known to be there. */
typedef struct Piece {
    const uint8_t *data;
    size_t length;
} Piece;

static gboolean refuse(const Reader *reader, size_t offset, GError **error, const char *what)
{
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s: at offset %" G_GSIZE_FORMAT ": %s",
                reader->path, offset, what);
    return FALSE;
}

static uint16_t get_u16(const Reader *reader, const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return (uint16_t)(reader->swapped ? GUINT16_SWAP_LE_BE(value) : value);
}

static uint32_t get_u32(const Reader *reader, const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return reader->swapped ? GUINT32_SWAP_LE_BE(value) : value;
}

static uint64_t get_u64(const Reader *reader, const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return reader->swapped ? GUINT64_SWAP_LE_BE(value) : value;
}

/* The next option of a block; FALSE at the end of the list, or where it is broken. */
static gboolean next_option(const Reader *reader, Piece *options, unsigned *ret_code,
                            Piece *ret_value)
{
    size_t length;

    if (options->length < 4)
        return FALSE;
    *ret_code = get_u16(reader, options->data);
    length = get_u16(reader, options->data + 2);
    if (*ret_code == PCAPNG_OPTION_END || length > options->length - 4)
        return FALSE;
    *ret_value = (Piece){options->data + 4, length};
    length = MIN((length + 3) & ~(size_t)3, options->length - 4);
    options->data += 4 + length;
    options->length -= 4 + length;
    return TRUE;
}

/* §4.2: the high bit chooses a power of two, else it is one of ten. 0: more than we can count. */
static uint64_t resolution(uint8_t value)
{
    unsigned exponent = value & 0x7f;
    uint64_t ticks = 1;

    if (value & 0x80)
        return exponent < 64 ? G_GUINT64_CONSTANT(1) << exponent : 0;
    if (exponent > 19)
        return 0;
    while (exponent-- > 0)
        ticks *= 10;
    return ticks;
}

static void add_interface(Reader *reader, char *name, unsigned link_type, const Clock *clock)
{
    PlCaptureInterface interface = {.name = name, .link_type = link_type};

    g_array_append_val(reader->capture->interfaces, interface);
    g_array_append_val(reader->clocks, *clock);
}

static gboolean read_interface(Reader *reader, size_t offset, Piece body, GError **error)
{
    Clock clock = {.ticks_per_s = 1000000};
    char *name = NULL;
    unsigned code;
    Piece options, value;

    if (body.length < 8)
        return refuse(reader, offset, error, "an interface block too short (8 bytes expected)");
    clock.snaplen = get_u32(reader, body.data + 4);
    options = (Piece){body.data + 8, body.length - 8};
    while (next_option(reader, &options, &code, &value)) {
        if (code == PCAPNG_IF_NAME && !name)
            name = g_utf8_make_valid((const char *)value.data, (gssize)value.length);
        else if (code == PCAPNG_IF_TSRESOL && value.length >= 1)
            clock.ticks_per_s = resolution(value.data[0]);
        else if (code == PCAPNG_IF_TSOFFSET && value.length >= 8)
            clock.offset_s = (int64_t)get_u64(reader, value.data);
    }
    if (clock.ticks_per_s == 0) {
        g_free(name);
        return refuse(reader, offset, error,
                      "a timestamp resolution out of range (10^-19 or 2^-63 at the finest)");
    }
    add_interface(reader, name ? name : g_strdup(""), get_u16(reader, body.data), &clock);
    return TRUE;
}

static void add_frame(Reader *reader, guint interface, uint64_t time_ns, Piece data,
                      uint32_t original_length)
{
    PlFrame frame = {
        .interface = interface,
        .time_ns = time_ns,
        .data = data.data,
        .length = (uint32_t)data.length,
        .original_length = MAX(original_length, (uint32_t)data.length),
    };

    reader->last_ns = time_ns;
    g_array_append_val(reader->capture->frames, frame);
}

/* FALSE when the time is before 1970 or after 2554, where nanoseconds end. */
static gboolean to_ns(const Clock *clock, uint64_t ticks, uint64_t *ret_ns)
{
    __extension__ typedef __int128 Wide;
    Wide ns = (Wide)(ticks % clock->ticks_per_s) * (Wide)NS_PER_S / (Wide)clock->ticks_per_s +
              ((Wide)(ticks / clock->ticks_per_s) + clock->offset_s) * (Wide)NS_PER_S;

    if (ns < 0 || ns > (Wide)G_MAXUINT64)
        return FALSE;
    *ret_ns = (uint64_t)ns;
    return TRUE;
}

/* Finds the interface of the current section. */
static gboolean find_interface(Reader *reader, uint32_t number, guint *ret_index)
{
    if (number >= reader->capture->interfaces->len - reader->section_start)
        return FALSE;
    *ret_index = reader->section_start + number;
    return TRUE;
}

/* The enhanced block and its obsolete ancestor differ in the first word only. */
static gboolean read_packet(Reader *reader, size_t offset, Piece body, gboolean obsolete,
                            GError **error)
{
    uint64_t ticks, time_ns;
    uint32_t length, number;
    guint index;

    if (body.length < 20)
        return refuse(reader, offset, error, "a packet block too short (20 bytes expected)");
    number = obsolete ? get_u16(reader, body.data) : get_u32(reader, body.data);
    if (!find_interface(reader, number, &index))
        return refuse(reader, offset, error, "a packet of an interface that was not described");
    ticks = (uint64_t)get_u32(reader, body.data + 4) << 32 | get_u32(reader, body.data + 8);
    length = get_u32(reader, body.data + 12);
    if (length > body.length - 20)
        return refuse(reader, offset, error, "a packet longer than its block");
    if (!to_ns(&g_array_index(reader->clocks, Clock, index), ticks, &time_ns))
        return refuse(reader, offset, error, "a time out of range (1970 to 2554 expected)");
    add_frame(reader, index, time_ns, (Piece){body.data + 20, length},
              get_u32(reader, body.data + 16));
    return TRUE;
}

static gboolean read_simple_packet(Reader *reader, size_t offset, Piece body, GError **error)
{
    uint32_t original, length, snaplen;
    guint index;

    if (body.length < 4)
        return refuse(reader, offset, error, "a simple packet block too short (4 bytes expected)");
    if (!find_interface(reader, 0, &index))
        return refuse(reader, offset, error, "a packet of an interface that was not described");
    original = length = get_u32(reader, body.data);
    snaplen = g_array_index(reader->clocks, Clock, index).snaplen;
    if (snaplen && length > snaplen)
        length = snaplen;
    if (length > body.length - 4)
        return refuse(reader, offset, error, "a packet longer than its block");
    add_frame(reader, index, reader->last_ns, (Piece){body.data + 4, length}, original);
    return TRUE;
}

static gboolean read_statistics(Reader *reader, size_t offset, Piece body, GError **error)
{
    unsigned code;
    guint index;
    Piece options, value;

    if (body.length < 12)
        return refuse(reader, offset, error, "a statistics block too short (12 bytes expected)");
    if (!find_interface(reader, get_u32(reader, body.data), &index))
        return refuse(reader, offset, error, "statistics of an interface that was not described");
    options = (Piece){body.data + 12, body.length - 12};
    while (next_option(reader, &options, &code, &value))
        if (code == PCAPNG_STATS_IF_DROP && value.length >= 8)
            g_array_index(reader->capture->interfaces, PlCaptureInterface, index).dropped =
                get_u64(reader, value.data);
    return TRUE;
}

static gboolean read_section(Reader *reader, size_t offset, Piece body, GError **error)
{
    unsigned major = get_u16(reader, body.data + 4);

    if (major != 1)
        return refuse(reader, offset, error, "a section of another version (1 expected)");
    reader->section_start = reader->capture->interfaces->len;
    return TRUE;
}

static gboolean read_block(Reader *reader, size_t offset, uint32_t type, Piece body, GError **error)
{
    switch (type) {
    case PCAPNG_SECTION:
        return read_section(reader, offset, body, error);
    case PCAPNG_INTERFACE:
        return read_interface(reader, offset, body, error);
    case PCAPNG_PACKET:
        return read_packet(reader, offset, body, TRUE, error);
    case PCAPNG_ENHANCED_PACKET:
        return read_packet(reader, offset, body, FALSE, error);
    case PCAPNG_SIMPLE_PACKET:
        return read_simple_packet(reader, offset, body, error);
    case PCAPNG_STATISTICS:
        return read_statistics(reader, offset, body, error);
    default:
        return TRUE;
    }
}

/* A section header says in which byte order even its own length stands. */
static gboolean begin_section(Reader *reader, size_t offset, GError **error)
{
    uint32_t magic;

    if (reader->length - offset < 28)
        return refuse(reader, offset, error, "the file ends within a section header");
    memcpy(&magic, reader->data + offset + 8, sizeof(magic));
    if (magic != PCAPNG_BYTE_ORDER && magic != GUINT32_SWAP_LE_BE(PCAPNG_BYTE_ORDER))
        return refuse(reader, offset, error, "no byte-order magic (1A2B3C4D expected)");
    reader->swapped = magic != PCAPNG_BYTE_ORDER;
    return TRUE;
}

static gboolean read_pcapng(Reader *reader, GError **error)
{
    size_t offset = 0;

    while (offset < reader->length) {
        uint32_t type, length;

        if (reader->length - offset < PCAPNG_BLOCK_LENGTH_MIN)
            return refuse(reader, offset, error, "the file ends within a block");
        type = get_u32(reader, reader->data + offset); /* a section's is a palindrome */
        if (type == PCAPNG_SECTION && !begin_section(reader, offset, error))
            return FALSE;
        length = get_u32(reader, reader->data + offset + 4);
        if (length < (type == PCAPNG_SECTION ? 28 : PCAPNG_BLOCK_LENGTH_MIN) || length % 4 != 0)
            return refuse(reader, offset, error, "an impossible block length");
        if (length > reader->length - offset)
            return refuse(reader, offset, error, "the file ends within a block");
        if (get_u32(reader, reader->data + offset + length - 4) != length)
            return refuse(reader, offset, error, "a block whose two lengths differ");
        if (!read_block(reader, offset, type,
                        (Piece){reader->data + offset + 8, length - PCAPNG_BLOCK_LENGTH_MIN},
                        error))
            return FALSE;
        offset += length;
    }
    return TRUE;
}

static gboolean read_pcap(Reader *reader, uint64_t ticks_per_s, GError **error)
{
    Clock clock = {.ticks_per_s = ticks_per_s};
    size_t offset = PCAP_HEADER;

    if (reader->length < PCAP_HEADER)
        return refuse(reader, 0, error, "the file ends within its header (24 bytes expected)");
    /* The upper bits say things about the frame check sequence. */
    add_interface(reader, g_strdup(""), get_u32(reader, reader->data + 20) & 0x0fffffff, &clock);
    while (offset < reader->length) {
        const uint8_t *record = reader->data + offset;
        uint32_t length;

        if (reader->length - offset < PCAP_RECORD)
            return refuse(reader, offset, error, "the file ends within a packet's header");
        length = get_u32(reader, record + 8);
        if (length > reader->length - offset - PCAP_RECORD)
            return refuse(reader, offset, error, "the file ends within a packet");
        add_frame(reader, 0,
                  get_u32(reader, record) * NS_PER_S +
                      get_u32(reader, record + 4) * (NS_PER_S / ticks_per_s),
                  (Piece){record + PCAP_RECORD, length}, get_u32(reader, record + 12));
        offset += PCAP_RECORD + length;
    }
    return TRUE;
}

static gboolean read_any(Reader *reader, GError **error)
{
    uint32_t magic;

    if (reader->length < sizeof(magic))
        return refuse(reader, 0, error, "no capture (pcapng or pcap expected)");
    memcpy(&magic, reader->data, sizeof(magic));
    if (magic == PCAPNG_SECTION)
        return read_pcapng(reader, error);
    reader->swapped = magic == GUINT32_SWAP_LE_BE(PCAP_MICROSECONDS) ||
                      magic == GUINT32_SWAP_LE_BE(PCAP_NANOSECONDS);
    magic = get_u32(reader, reader->data);
    if (magic == PCAP_MICROSECONDS)
        return read_pcap(reader, 1000000, error);
    if (magic == PCAP_NANOSECONDS)
        return read_pcap(reader, NS_PER_S, error);
    return refuse(reader, 0, error, "no capture (pcapng or pcap expected)");
}

static gint compare_frames(gconstpointer left, gconstpointer right)
{
    const PlFrame *a = left, *b = right;

    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return (a->data > b->data) - (a->data < b->data);
}

static void interface_clear(gpointer data)
{
    g_free(((PlCaptureInterface *)data)->name);
}

PlCapture *pl_capture_parse(const char *path, GBytes *bytes, GError **error)
{
    g_autoptr(PlCapture) capture = g_new0(PlCapture, 1);
    g_autoptr(GArray) clocks = g_array_new(FALSE, FALSE, sizeof(Clock));
    gsize length;
    Reader reader = {.path = path, .capture = capture, .clocks = clocks};

    reader.data = g_bytes_get_data(bytes, &length);
    reader.length = length;
    capture->bytes = g_bytes_ref(bytes);
    capture->frames = g_array_new(FALSE, FALSE, sizeof(PlFrame));
    capture->interfaces = g_array_new(FALSE, FALSE, sizeof(PlCaptureInterface));
    g_array_set_clear_func(capture->interfaces, interface_clear);
    if (!read_any(&reader, error))
        return NULL;
    g_array_sort(capture->frames, compare_frames);
    return g_steal_pointer(&capture);
}

PlCapture *pl_capture_load(const char *path, GError **error)
{
    g_autoptr(GError) failed = NULL;
    g_autoptr(GBytes) bytes = NULL;
    char *data;
    gsize length;

    if (!g_file_get_contents(path, &data, &length, &failed)) {
        g_set_error_literal(error, PL_ERROR, PL_ERROR_INPUT, failed->message);
        return NULL;
    }
    bytes = g_bytes_new_take(data, length);
    return pl_capture_parse(path, bytes, error);
}

void pl_capture_free(PlCapture *capture)
{
    if (!capture)
        return;
    g_array_unref(capture->interfaces);
    g_array_unref(capture->frames);
    g_bytes_unref(capture->bytes);
    g_free(capture);
}
