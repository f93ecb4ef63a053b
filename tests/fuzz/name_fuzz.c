/* name_fuzz: names out of hostile octets.
 *
 * The first two octets choose where in the rest, taken as a message, a name is read. Whatever is accepted must be a
 * valid name, must survive print and parse, and must order like its key against a second one. The rest is then
 * taken as text.
 */
#include "pipeline/base/buf.h"
#include "pipeline/zone/name.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int key_cmp(const uint8_t *a, const uint8_t *b)
{
    struct trie_key x, y;
    name_key(a, &x);
    name_key(b, &y);
    ASSERT(x.len <= TRIE_KEY_MAX && y.len <= TRIE_KEY_MAX);
    int d = memcmp(x.digit, y.digit, x.len < y.len ? x.len : y.len);
    return d ? d : x.len - y.len;
}

static void survives_text(const uint8_t *name, int n)
{
    char text[NAME_TEXT_MAX];
    uint8_t back[NAME_MAX_OCTETS];
    ASSERT(name_parse(name_print(name, text), back, NULL) == n &&
           memcmp(back, name, (size_t)n) == 0);
}

static void one_name(const uint8_t *msg, size_t len, size_t pos, uint8_t out[NAME_MAX_OCTETS])
{
    size_t at = pos;
    struct why why = {{0}};
    int n = name_unpack(msg, len, &at, out, &why);
    out[n < 0 ? 0 : n - 1] = 0;
    if (n < 0) {
        ASSERT(n == -E_FORMAT && why.text[0] && at == pos);
        return;
    }
    ASSERT(at > pos && at <= len && name_valid(out, (size_t)n) == n && name_len(out) == (size_t)n);
    survives_text(out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const uint8_t *msg = data + 2;
    size_t len = size - 2, pos = get_u16(data) % (len + 1);
    uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS], text_name[NAME_MAX_OCTETS];
    one_name(msg, len, pos, a);
    one_name(msg, len, 0, b);
    int d = name_cmp(a, b), k = key_cmp(a, b);
    ASSERT((d > 0) - (d < 0) == (k > 0) - (k < 0) && name_equal(a, b) == (d == 0));
    ASSERT(name_at_or_below(a, b) == (name_common_labels(a, b) == name_labels(b)));
    char text[2000];
    size_t n = len < sizeof text - 1 ? len : sizeof text - 1;
    memcpy(text, msg, n);
    text[n] = 0;
    int m = name_parse(text, text_name, NULL);
    if (m > 0) {
        ASSERT(name_valid(text_name, (size_t)m) == m);
        survives_text(text_name, m);
    }
    return 0;
}
