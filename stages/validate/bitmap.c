/* bitmap: the types that an NSEC or NSEC3 lists against the types that are there.
 *
 * Both are sorted: a bitmap by its form (windows ascending, bits from the left), a node by (type,
 * covered). So one merge finds every difference, and nothing is built.
 *
 * What must be listed (RFC 4034 4.1.2, 6840 5.1, RFC 5155 7.1): at a name of the zone, all types,
 * RRSIG with them. At a cut, only what the parent answers for: NS, and DS and NSEC with their
 * signatures, not the glue. In an NSEC3 never what only the hashed name itself brings (NSEC3, and
 * the RRSIG over it), for that is another name.
 */
#include "stages/validate/validate.h"

#include <stdio.h>

struct bitmap_iter {
    const uint8_t *p, *end; /* the rest, from a window's head */
    unsigned bit;           /* next bit to look at in the window */
};

/* The next type in a valid bitmap, or -1. */
static int bitmap_next(struct bitmap_iter *it)
{
    while (it->p < it->end) {
        unsigned window = it->p[0], octets = it->p[1];
        for (; it->bit < octets * 8; it->bit++)
            if (it->p[2 + it->bit / 8] & 0x80 >> it->bit % 8)
                return (int)(window << 8 | it->bit++);
        it->p += 2 + octets;
        it->bit = 0;
    }
    return -1;
}

struct there_iter {
    const struct node *node;
    enum bitmap_rule rule;
    bool for_nsec3;
    unsigned index;
    int last;
};

static bool there_counts(const struct there_iter *it, const struct rrset_head *head)
{
    uint16_t type = head->type == RR_RRSIG ? head->covered : head->type;
    if (it->for_nsec3 && type == RR_NSEC3)
        return false;
    if (it->rule == BITMAP_ALL)
        return true;
    return type == RR_DS || type == RR_NSEC || head->type == RR_NS;
}

/* The next type that must be listed, or -1. */
static int there_next(struct there_iter *it)
{
    while (it->node && it->index < it->node->nrrsets) {
        const struct rrset_head *head = &it->node->head[it->index++];
        if (head->type != it->last && there_counts(it, head))
            return it->last = head->type;
    }
    return -1;
}

struct bitmap_text {
    char *out;
    size_t n;
    unsigned more;
};

static void bitmap_tell(struct bitmap_text *text, const char *word, int type)
{
    char name[RRTYPE_TEXT_MAX];
    if (text->n > BITMAP_TEXT_MAX - 64) {
        text->more++;
        return;
    }
    text->n += (size_t)snprintf(text->out + text->n, BITMAP_TEXT_MAX - text->n, "%s%s %s",
                                text->n ? ", " : "", word, rrtype_print((uint16_t)type, name));
}

bool bitmap_check(const struct node *node, enum bitmap_rule rule, bool for_nsec3,
                  const uint8_t *bitmap, size_t len, char out[BITMAP_TEXT_MAX])
{
    struct bitmap_iter listed_it = {.p = bitmap, .end = bitmap + len};
    struct there_iter there_it = {.node = node, .rule = rule, .for_nsec3 = for_nsec3, .last = -1};
    struct bitmap_text text = {.out = out};
    out[0] = '\0';
    int listed = bitmap_next(&listed_it), there = there_next(&there_it);
    while (listed >= 0 || there >= 0) {
        if (listed == there) {
            listed = bitmap_next(&listed_it);
            there = there_next(&there_it);
        } else if (listed < 0 || (there >= 0 && there < listed)) {
            bitmap_tell(&text, "lacks", there);
            there = there_next(&there_it);
        } else {
            bitmap_tell(&text, "lists", listed);
            listed = bitmap_next(&listed_it);
        }
    }
    if (text.more > 0)
        snprintf(out + text.n, BITMAP_TEXT_MAX - text.n, " and %u more", text.more);
    return text.n == 0;
}
