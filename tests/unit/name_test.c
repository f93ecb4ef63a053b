/* name: order, keys, packing and text, against published examples and slow models. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/zone/name.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

/* A valid name of 0..most labels. Octets: any, or few so that names share prefixes. */
static size_t some_name(struct random *random, uint8_t out[NAME_MAX_OCTETS], unsigned most)
{
    static const uint8_t few[] = {'a', 'A', 'b', 'z', '-', '_', '0', '9', 0,  255,
                                  '*', '.', '/', '`', '{', ':', '^', '@', '['};
    size_t n = 0;
    for (uint64_t labels = random_below(random, most + 1u); labels; labels--) {
        size_t len = 1 + random_below(random, random_below(random, 8) ? 4 : 63);
        if (n + 1 + len > NAME_MAX_OCTETS - 1)
            break;
        out[n++] = (uint8_t)len;
        bool any = random_below(random, 2);
        for (; len; len--)
            out[n++] = any ? (uint8_t)random_u64(random) : few[random_below(random, sizeof few)];
    }
    out[n++] = 0;
    return n;
}

static void parse(const char *text, uint8_t out[NAME_MAX_OCTETS])
{
    struct why why = {{0}};
    int n = name_parse(text, out, &why);
    ck_assert_msg(n > 0, "%s: %s", text, why.text);
    ck_assert_uint_eq((size_t)n, name_len(out));
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static int key_cmp(const struct trie_key *a, const struct trie_key *b)
{
    for (unsigned i = 0; i < a->len || i < b->len; i++) {
        int x = i < a->len ? a->digit[i] : 0, y = i < b->len ? b->digit[i] : 0;
        if (x != y)
            return x - y;
    }
    return 0;
}

/* The definition, said slowly: the list of labels from the right, each an octet string. */
static int model_cmp(const uint8_t *a, const uint8_t *b)
{
    unsigned na = name_labels(a), nb = name_labels(b);
    for (unsigned i = 1; i <= na && i <= nb; i++) {
        const uint8_t *x = name_strip(a, na - i), *y = name_strip(b, nb - i);
        for (unsigned k = 1; k <= x[0] && k <= y[0]; k++) {
            int cx = x[k] >= 'A' && x[k] <= 'Z' ? x[k] + 32 : x[k];
            int cy = y[k] >= 'A' && y[k] <= 'Z' ? y[k] + 32 : y[k];
            if (cx != cy)
                return cx - cy;
        }
        if (x[0] != y[0])
            return x[0] - y[0];
    }
    return (int)na - (int)nb;
}

static void check_pair(const uint8_t *a, const uint8_t *b)
{
    struct trie_key ka, kb;
    char ta[NAME_TEXT_MAX], tb[NAME_TEXT_MAX];
    name_key(a, &ka);
    name_key(b, &kb);
    int want = sign(model_cmp(a, b));
    ck_assert_msg(sign(name_cmp(a, b)) == want && sign(key_cmp(&ka, &kb)) == want &&
                      name_equal(a, b) == !want,
                  "%s and %s: name_cmp %d, keys %d, wanted %d", name_print(a, ta),
                  name_print(b, tb), name_cmp(a, b), key_cmp(&ka, &kb), want);
    if (want == 0)
        ck_assert_uint_eq(name_hash(a, 7), name_hash(b, 7));
    bool below = name_common_labels(a, b) == name_labels(b);
    ck_assert_int_eq(name_at_or_below(a, b), below);
    ck_assert_int_eq(kb.len <= ka.len && memcmp(ka.digit, kb.digit, kb.len) == 0, below);
}

START_TEST(order_of_rfc4034)
{
    static const char *const list[] = {"example",         "a.example",      "yljkjljk.a.example",
                                       "Z.a.example",     "zABC.a.EXAMPLE", "z.example",
                                       "\\001.z.example", "*.z.example",    "\\200.z.example"};
    uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS];
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (size_t j = 0; j < sizeof list / sizeof *list; j++) {
            parse(list[i], a);
            parse(list[j], b);
            ck_assert_int_eq(sign(name_cmp(a, b)), (i > j) - (i < j));
            check_pair(a, b);
        }
}
END_TEST

START_TEST(order_of_every_octet)
{
    for (unsigned x = 0; x < 256; x++)
        for (unsigned y = 0; y < 256; y++) {
            uint8_t a[] = {1, (uint8_t)x, 1, 'e', 0}, b[] = {1, (uint8_t)y, 1, 'E', 0};
            uint8_t c[] = {2, 'q', (uint8_t)x, 0}, d[] = {3, 'Q', (uint8_t)y, 0, 0};
            check_pair(a, b);
            check_pair(c, d);
        }
}
END_TEST

START_TEST(order_of_random_names)
{
    struct random random = random_open();
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS];
        some_name(&random, a, 5);
        some_name(&random, b, 5);
        if (random_below(&random, 2)) { /* a relative: some of a's labels and a new one, or letters
                                           of the other case */
            const uint8_t *tail =
                name_strip(a, (unsigned)random_below(&random, name_labels(a) + 1u));
            size_t n = name_len(tail);
            b[0] = 1;
            b[1] = (uint8_t)random_u64(&random);
            size_t skip = random_below(&random, 2) && n + 2 <= NAME_MAX_OCTETS ? 2 : 0;
            memcpy(b + skip, tail, n);
            for (size_t k = skip; k < n + skip; k++)
                if (b[k] >= 'a' && b[k] <= 'z' && random_below(&random, 2))
                    b[k] ^= 0x20;
        }
        check_pair(a, b);
    }
}
END_TEST

START_TEST(longest_key)
{
    uint8_t name[NAME_MAX_OCTETS];
    memset(name, 0xff, sizeof name);
    name[0] = name[64] = name[128] = 63;
    name[192] = 61;
    name[254] = 0;
    ck_assert_int_eq(name_valid(name, sizeof name), 255);
    struct trie_key key;
    name_key(name, &key);
    ck_assert_uint_eq(key.len, 2 * 250 + 4);
    for (unsigned i = 0; i < key.len; i++)
        ck_assert_uint_lt(key.digit[i], TRIE_DIGITS);
    name_key(name_root, &key);
    ck_assert_uint_eq(key.len, 0);
}
END_TEST

START_TEST(digits_a_letter)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct trie_key key;
    parse("AZaz09-_.com", name);
    name_key(name, &key);
    ck_assert_uint_eq(key.len, 3 + 1 + 8 + 1);
    parse("*.com", name);
    name_key(name, &key);
    ck_assert_uint_eq(key.len, 3 + 1 + 2 + 1);
}
END_TEST

START_TEST(parts_of_names)
{
    uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS], apex[NAME_MAX_OCTETS];
    parse("wWw.Example.com", a);
    parse("example.COM", apex);
    ck_assert_uint_eq(name_labels(a), 3);
    ck_assert(name_equal(name_parent(a), apex));
    ck_assert(name_at_or_below(a, apex) && name_at_or_below(apex, apex) &&
              !name_at_or_below(apex, a));
    ck_assert(name_at_or_below(a, name_root));
    parse("wwwexample.com", b);
    ck_assert(!name_at_or_below(b, apex));
    /* The octets of "example.com." at the end, but not at a label: \007example\003com as text of
     * one. */
    parse("x\\007example\\003com", b);
    ck_assert(!name_at_or_below(b, apex));
    ck_assert(name_wildcard_of(apex, b));
    ck_assert(name_is_wildcard(b) && name_equal(name_parent(b), apex) && !name_is_wildcard(apex));
    ck_assert_uint_eq(name_copy_lower(b, a), name_len(a));
    ck_assert(memcmp(b, "\003www\007example\003com", 17) == 0);
    ck_assert_uint_eq(name_copy(b, a), 17);
    ck_assert(memcmp(b, a, 17) == 0);
    memset(a, 'x', sizeof a);
    a[0] = a[64] = a[128] = 63;
    a[192] = 61;
    a[254] = 0;
    ck_assert(!name_wildcard_of(a, b));
}
END_TEST

START_TEST(valid_or_not)
{
    uint8_t p[300];
    memset(p, 1, sizeof p);
    ck_assert_int_eq(name_valid((const uint8_t *)"\001a", 3), 3);
    ck_assert_int_eq(name_valid((const uint8_t *)"\001a", 2), -E_FORMAT);
    ck_assert_int_eq(name_valid((const uint8_t *)"", 0), -E_FORMAT);
    ck_assert_int_eq(name_valid((const uint8_t *)"", 1), 1);
    ck_assert_int_eq(name_valid((const uint8_t *)"\300\014", 3), -E_FORMAT);
    ck_assert_int_eq(name_valid((const uint8_t *)"\100a", 3), -E_FORMAT);
    p[254] = 0; /* 127 labels of one octet */
    ck_assert_int_eq(name_valid(p, sizeof p), 255);
    ck_assert_uint_eq(name_labels(p), NAME_MAX_LABELS);
    p[254] = 1;
    p[256] = 0;
    ck_assert_int_eq(name_valid(p, sizeof p), -E_FORMAT);
    p[0] = 2, p[254] = 1, p[255] = 0; /* 256 octets */
    ck_assert_int_eq(name_valid(p, sizeof p), -E_FORMAT);
}
END_TEST

struct packed {
    const char *what;
    const char *octets;
    size_t n, at;
    int len;      /* or -E_FORMAT */
    size_t after; /* where the reader stands then */
    const char *why;
};
#define OCTETS(s) s, sizeof(s) - 1

START_TEST(unpacking)
{
    static const struct packed cases[] = {
        {"plain", OCTETS("\003www\0"), 0, 5, 5, NULL},
        {"root", OCTETS("x\0"), 1, 1, 2, NULL},
        {"pointer", OCTETS("\001a\0\003www\300\0"), 3, 7, 9, NULL},
        {"pointer to pointer", OCTETS("\001a\0\300\0\300\3"), 5, 3, 7, NULL},
        {"forward", OCTETS("\300\2\1a\0"), 0, -E_FORMAT, 0, "forward pointer at octet 0 (to 2)"},
        {"to itself", OCTETS("\300\0"), 0, -E_FORMAT, 0,
         "compression loop: pointer at octet 0 to 0"},
        {"into itself", OCTETS("\001a\001b\300\2"), 0, -E_FORMAT, 0,
         "compression loop: pointer at octet 4 to 2"},
        {"two that chase each other", OCTETS("\300\2\300\0"), 2, -E_FORMAT, 0,
         "forward pointer at octet 0 (to 2)"},
        {"loop by way of a label", OCTETS("\001a\300\0\300\0"), 4, -E_FORMAT, 0,
         "compression loop: pointer at octet 2 to 0"},
        {"half a pointer", OCTETS("\001a\0\300"), 3, -E_FORMAT, 0, "runs past the end at octet 3"},
        {"cut label", OCTETS("\004abc"), 0, -E_FORMAT, 0, "runs past the end at octet 0"},
        {"no end", OCTETS("\003abc"), 0, -E_FORMAT, 0, "runs past the end at octet 4"},
        {"nothing", OCTETS(""), 0, -E_FORMAT, 0, "runs past the end at octet 0"},
        {"label type 01", OCTETS("\101a\0"), 0, -E_FORMAT, 0,
         "reserved label type 0x41 at octet 0"},
        {"label type 10", OCTETS("\201a\0"), 0, -E_FORMAT, 0,
         "reserved label type 0x81 at octet 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct packed *c = &cases[i];
        uint8_t out[NAME_MAX_OCTETS],
            *msg = malloc(c->n + 1); /* its own block: a sanitizer sees what is read */
        memcpy(msg, c->octets, c->n);
        struct why why = {{0}};
        size_t pos = c->at;
        int n = name_unpack(msg, c->n, &pos, out, &why);
        ck_assert_msg(n == c->len, "%s: %d %s", c->what, n, why.text);
        ck_assert_msg(!c->why || strstr(why.text, c->why), "%s: %s", c->what, why.text);
        ck_assert_msg(pos == (n < 0 ? c->at : c->after), "%s: stands at %zu", c->what, pos);
        if (n > 0)
            ck_assert_int_eq(name_valid(out, (size_t)n), n);
        free(msg);
    }
}
END_TEST

START_TEST(unpacking_at_the_bound)
{
    /* \1a \1a … : 126 labels, the root; then names that lead into it. */
    uint8_t msg[400], out[NAME_MAX_OCTETS];
    struct why why = {{0}};
    for (size_t i = 0; i < 252; i += 2)
        msg[i] = 1, msg[i + 1] = 'a';
    msg[252] = 0;
    memcpy(msg + 253, "\001b\300\0\002bb\300\0", 9);
    size_t pos = 253;
    ck_assert_int_eq(name_unpack(msg, 262, &pos, out, &why), 255);
    ck_assert_uint_eq(pos, 257);
    ck_assert_int_eq(name_unpack(msg, 262, &pos, out, &why), -E_FORMAT);
    ck_assert(strstr(why.text, "name over 255 octets at octet 257"));
    /* A chain of pointers, each to the one before: legal, but nobody is made to walk 8,000 of them
     * for a name. */
    static uint8_t chain[16384];
    memcpy(chain, "\001a", 3);
    size_t at = 3, to = 0;
    for (unsigned jumps = 1; at + 2 < sizeof chain; to = at, at += 2, jumps++) {
        chain[at] = (uint8_t)(0xc0 | to >> 8);
        chain[at + 1] = (uint8_t)to;
        pos = at;
        int n = name_unpack(chain, sizeof chain, &pos, out, &why);
        ck_assert_int_eq(n, jumps <= 256 ? 3 : -E_FORMAT);
    }
    ck_assert(strstr(why.text, "too many compression pointers"));
}
END_TEST

START_TEST(text_and_back)
{
    struct random random = random_open();
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS];
        char text[NAME_TEXT_MAX];
        size_t n = some_name(&random, a, 8);
        name_print(a, text);
        ck_assert_uint_lt(strlen(text), NAME_TEXT_MAX);
        for (const char *s = text; *s; s++)
            ck_assert(*s > ' ' && *s < 0x7f);
        parse(text, b);
        ck_assert_msg(memcmp(a, b, n) == 0, "%s", text);
    }
    uint8_t longest[NAME_MAX_OCTETS];
    char text[NAME_TEXT_MAX];
    memset(longest, 0xff, sizeof longest);
    longest[0] = longest[64] = longest[128] = 63;
    longest[192] = 61;
    longest[254] = 0;
    ck_assert_uint_eq(strlen(name_print(longest, text)), 4 * 250 + 4);
    ck_assert_str_eq(name_print(name_root, text), ".");
}
END_TEST

START_TEST(text_that_is_no_name)
{
    char long_label[80], long_name[300];
    memset(long_label, 'a', 64);
    long_label[64] = 0;
    for (size_t i = 0; i < 256; i += 2)
        long_name[i] = 'a', long_name[i + 1] = '.';
    long_name[254] = 0; /* 127 labels: 255 octets */
    uint8_t out[NAME_MAX_OCTETS];
    ck_assert_int_eq(name_parse(long_name, out, NULL), 255);
    long_name[254] = 'a', long_name[255] = 0; /* 128 labels */
    const struct {
        const char *text, *why;
    } cases[] = {
        {"", "empty name"},        {"..", "empty label"},      {".a", "empty label"},
        {"a..b", "empty label"},   {"a\\", "lone backslash"},  {"a\\25", "two more digits"},
        {"\\256", "not an octet"}, {long_label, "label over"}, {long_name, "name over 255"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct why why = {{0}};
        ck_assert_int_eq(name_parse(cases[i].text, out, &why), -E_FORMAT);
        ck_assert_msg(strstr(why.text, cases[i].why), "%s: %s", cases[i].text, why.text);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("name");
    suite_add(s, order_of_rfc4034);
    suite_add(s, order_of_every_octet);
    suite_add(s, order_of_random_names);
    suite_add(s, longest_key);
    suite_add(s, digits_a_letter);
    suite_add(s, parts_of_names);
    suite_add(s, valid_or_not);
    suite_add(s, unpacking);
    suite_add(s, unpacking_at_the_bound);
    suite_add(s, text_and_back);
    suite_add(s, text_that_is_no_name);
    return suite_run(s);
}
