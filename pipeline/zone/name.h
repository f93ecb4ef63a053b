/* name: a domain name in wire form.
 *
 * WHAT   A name is `const uint8_t *`: labels with length octets, uncompressed, ending in the root's zero
 *        octet. Its length is read off itself. Case is kept; comparing ignores it (ASCII only).
 *        Order is the canonical order of DNS names: from the rightmost label, absent before present,
 *        octets unsigned, upper case as lower.
 * UNITS  lengths count octets with the final zero: 1..255. Labels do not count the root.
 * FAILS  Functions on names expect a valid name (name_valid or a parser made it); parsers check everything.
 * SPEC   RFC 1035 3.1, 4.1.4; RFC 4034 6.1; RFC 4343.
 */
#ifndef WEIR_ZONE_NAME_H
#define WEIR_ZONE_NAME_H

#include "pipeline/base/errors.h"
#include "pipeline/base/trie.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_MAX_OCTETS = 255, NAME_MAX_LABELS = 127, NAME_TEXT_MAX = 1024 };

extern const uint8_t name_root[1];
extern const uint8_t name_lower_table[256]; /* 'A'..'Z' to 'a'..'z', all else itself (length octets too) */

size_t name_len(const uint8_t *name);
unsigned name_labels(const uint8_t *name);
int name_cmp(const uint8_t *a, const uint8_t *b);       /* canonical order: <0, 0, >0 */
bool name_equal(const uint8_t *a, const uint8_t *b);
bool name_at_or_below(const uint8_t *name, const uint8_t *apex);
unsigned name_common_labels(const uint8_t *a, const uint8_t *b); /* counted from the root */
/* The name with its first n labels left off (a pointer into it). */
const uint8_t *name_strip(const uint8_t *name, unsigned n);
static inline const uint8_t *name_parent(const uint8_t *name)
{
    return name + 1 + name[0];
}
bool name_is_wildcard(const uint8_t *name);             /* first label is "*" */
/* "*." + parent into out; false when it would pass 255 octets. */
bool name_wildcard_of(const uint8_t *parent, uint8_t out[NAME_MAX_OCTETS]);
size_t name_copy(uint8_t *out, const uint8_t *name);        /* returns length */
size_t name_copy_lower(uint8_t *out, const uint8_t *name);  /* returns length */
uint32_t name_hash(const uint8_t *name, uint32_t seed);     /* case-insensitive */

/* The trie key: per label from the right its octets as one digit (letters, digits, '-', '_') or two,
 * then digit 0. Keys order as names do; an ancestor's key is a prefix of its descendants'. */
void name_key(const uint8_t *name, struct trie_key *out);

/* Is there a whole valid name in the first n octets? Its length, or -E_FORMAT. Pointers are refused. */
int name_valid(const uint8_t *p, size_t n);

/* Reads a possibly compressed name at *pos of a message. Writes it to out, advances *pos behind it, and
 * returns its length; or -E_FORMAT with why: "compression loop", "forward pointer", "name over 255
 * octets", "reserved label type", "runs past the end", "too many compression pointers". A pointer must point before the
 * place where the name (or the jump target it came from) began, so there is no loop; at most 256 are followed.
 * COST O(255). */
int name_unpack(const uint8_t *msg, size_t msg_len, size_t *pos, uint8_t out[NAME_MAX_OCTETS], struct why *why);

/* Master-file text. print: always terminated, always with the final dot, odd octets as \DDD. */
char *name_print(const uint8_t *name, char out[NAME_TEXT_MAX]); /* returns out */
int name_parse(const char *text, uint8_t out[NAME_MAX_OCTETS], struct why *why); /* length or -E_FORMAT; "." final dot optional */

#endif
