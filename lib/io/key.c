/* SPDX-License-Identifier: MIT */
#include <pinhole/key.h>

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORD     "pinhole-secret-key "
#define WORD_LEN (sizeof(WORD) - 1)
#define LINE_LEN (WORD_LEN + PH_KEY_TEXT_MAX - 1 + 1) /* with its end */
#define MODE     (S_IRUSR | S_IWUSR)

G_STATIC_ASSERT(PH_KEY_TEXT_MAX ==
                sodium_base64_ENCODED_LEN(PH_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL));
G_STATIC_ASSERT(PH_KEY_BYTES == crypto_scalarmult_BYTES);

static gboolean fail(GError **error, int number, const char *what, const char *path)
{
    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(number), "cannot %s %s: %s", what,
                path, g_strerror(number));
    return FALSE;
}

static gboolean refuse(GError **error, int code, const char *path, const char *why)
{
    g_set_error(error, G_IO_ERROR, code, "%s: %s", path, why);
    return FALSE;
}

static gboolean write_line(int fd, const char *line)
{
    size_t done = 0;

    while (done < LINE_LEN) {
        ssize_t n = write(fd, line + done, LINE_LEN - done);

        if (n < 0 && errno != EINTR)
            return FALSE;
        done += n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) == 0;
}

void ph_key_generate(PhKey *ret_key)
{
    randombytes_buf(ret_key->secret, sizeof(ret_key->secret));
    (void)crypto_scalarmult_base(ret_key->public, ret_key->secret);
}

gboolean ph_key_create(const char *path, PhKey *ret_key, GError **error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    char line[LINE_LEN + 1] = WORD;
    gboolean written;
    PhKey key;

    if (fd < 0)
        return fail(error, errno, "make", path);
    ph_key_generate(&key);
    sodium_bin2base64(line + WORD_LEN, PH_KEY_TEXT_MAX, key.secret, sizeof(key.secret),
                      sodium_base64_VARIANT_ORIGINAL);
    line[LINE_LEN - 1] = '\n';
    /* The umask may have taken more away than others' permissions. */
    written = fchmod(fd, MODE) == 0 && write_line(fd, line);
    sodium_memzero(line, sizeof(line));
    if (!written) {
        fail(error, errno, "write", path);
        unlink(path);
        close(fd);
        ph_key_wipe(&key);
        return FALSE;
    }
    close(fd);
    *ret_key = key;
    ph_key_wipe(&key);
    return TRUE;
}

/* Of the file that is open, so that nobody can put another in its place. */
static gboolean check_file(int fd, const char *path, GError **error)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return fail(error, errno, "read", path);
    if (!S_ISREG(status.st_mode))
        return refuse(error, G_IO_ERROR_PERMISSION_DENIED, path, "not a plain file");
    if (status.st_uid != geteuid())
        return refuse(error, G_IO_ERROR_PERMISSION_DENIED, path,
                      "the file belongs to somebody else");
    if (status.st_mode & 07777 & ~(mode_t)MODE) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                    "%s: mode %04o, expected 0600: nobody but its owner may read a secret key",
                    path, status.st_mode & 07777);
        return FALSE;
    }
    return TRUE;
}

static gboolean parse(const char *line, size_t length, PhKey *ret_key)
{
    size_t decoded;
    const char *end;

    return length == LINE_LEN && memcmp(line, WORD, WORD_LEN) == 0 && line[LINE_LEN - 1] == '\n' &&
           sodium_base642bin(ret_key->secret, PH_KEY_BYTES, line + WORD_LEN, PH_KEY_TEXT_MAX - 1,
                             NULL, &decoded, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           decoded == PH_KEY_BYTES && end == line + LINE_LEN - 1 &&
           crypto_scalarmult_base(ret_key->public, ret_key->secret) == 0;
}

/* Up to `size` bytes, or fewer at the end of the file; -1 with errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t done = 0;
    ssize_t n;

    do {
        n = read(fd, bytes + done, size - done);
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    } while (n != 0 && done < size);
    return (ssize_t)done;
}

gboolean ph_key_load(const char *path, PhKey *ret_key, GError **error)
{
    /* O_NONBLOCK: a FIFO of that name is refused, and not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char line[LINE_LEN + 1];
    gboolean ok = FALSE;
    ssize_t length;
    PhKey key;

    if (fd < 0)
        return fail(error, errno, "read", path);
    if (!check_file(fd, path, error)) {
        close(fd);
        return FALSE;
    }
    length = read_all(fd, line, sizeof(line));
    if (length < 0)
        fail(error, errno, "read", path);
    else if (!(ok = parse(line, (size_t)length, &key)))
        refuse(error, G_IO_ERROR_INVALID_DATA, path, "there is no pinhole secret key in it");
    close(fd);
    if (ok)
        *ret_key = key;
    sodium_memzero(line, sizeof(line));
    ph_key_wipe(&key);
    return ok;
}

void ph_key_wipe(PhKey *key)
{
    sodium_memzero(key, sizeof(*key));
}

char *ph_key_format_public(const uint8_t public[static PH_KEY_BYTES],
                           char buffer[static PH_KEY_TEXT_MAX])
{
    return sodium_bin2base64(buffer, PH_KEY_TEXT_MAX, public, PH_KEY_BYTES,
                             sodium_base64_VARIANT_ORIGINAL);
}

char *ph_key_format(const PhKey *key, char buffer[static PH_KEY_TEXT_MAX])
{
    return ph_key_format_public(key->public, buffer);
}

gboolean ph_key_parse_public(const char *text, uint8_t ret_public[static PH_KEY_BYTES])
{
    uint8_t public[PH_KEY_BYTES];
    size_t decoded;

    if (strlen(text) != PH_KEY_TEXT_MAX - 1 ||
        sodium_base642bin(public, sizeof(public), text, PH_KEY_TEXT_MAX - 1, NULL, &decoded, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        decoded != PH_KEY_BYTES)
        return FALSE;
    memcpy(ret_public, public, sizeof(public));
    return TRUE;
}
