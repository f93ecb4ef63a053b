/* rrtype: what weir knows about record types.
 *
 * WHAT   One row a type in rrtypes.def: mnemonic, code, layout of the rdata, and what may be done with
 *        names in it. A type that has no row is opaque octets (RFC 3597) and passes unharmed.
 * SPEC   Names in rdata: decompressed on input for the types of RFC 1035 and those of RFC 3597 4;
 *        compressed on output only for the types of RFC 1035 3.3; lower-cased in canonical form for the list of RFC 4034
 *        6.2 as amended by RFC 6840 5.1 (not NSEC).
 */
#ifndef WEIR_ZONE_RRTYPE_H
#define WEIR_ZONE_RRTYPE_H

#include "pipeline/base/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RRTYPE(mnemonic, code, layout, flags). A layout is read left to right, fields set apart by blanks:
 *   digits  that many octets             N  a name, never compressed on the wire
 *   C       a name that may come compressed (decompress on input)
 *   S       one character-string         T  one or more character-strings, to the end
 *   s       one that may be left out     B  type bitmap, to the end
 *   G       one octet of length, then that many octets          g  the same, at least one octet
 *   R       the rest, may be empty       O  the rest, at least one octet
 * and forms that one or two types have to themselves:
 *   W w     gateway of IPSECKEY, relay of AMTRELAY              L  LOC
 *   I       A6                           P  items of APL        H  HIP
 *   V       parameters of SVCB: (key, length, value) with increasing keys
 * flags: RRTYPE_COMPRESS  names C may be compressed on output
 *        RRTYPE_LOWER     names are lower-cased in canonical form
 *        RRTYPE_SINGLE    at most one record at an owner (SOA, CNAME, DNAME) */
enum { RRTYPE_COMPRESS = 1, RRTYPE_LOWER = 2, RRTYPE_SINGLE = 4 };

enum rrtype_code {
#define RRTYPE(mnemonic, code, layout, flags) RR_##mnemonic = code,
#include "pipeline/zone/rrtypes.def"
#undef RRTYPE
    /* query types and pseudo types, never in a zone */
    RR_OPT = 41, RR_NXNAME = 128, RR_TKEY = 249, RR_TSIG = 250, RR_IXFR = 251, RR_AXFR = 252, RR_MAILB = 253, RR_MAILA = 254,
    RR_ANY = 255,
};

struct rrtype {
    const char *mnemonic;
    uint16_t code;
    const char *layout;
    uint8_t flags;
};

const struct rrtype *rrtype_get(uint16_t code); /* NULL: unknown, opaque. O(1) */
/* "A", or "TYPE65400" into out; returns out. */
enum { RRTYPE_TEXT_MAX = 16 };
char *rrtype_print(uint16_t code, char out[RRTYPE_TEXT_MAX]);
int rrtype_parse(const char *text, uint16_t *code); /* both forms, any case; -E_NOENT */
bool rrtype_is_meta(uint16_t code);                 /* 0, OPT, 128..255 (RFC 6895 3.1, RFC 9824): must not be in a zone */
bool rrtype_may_compress(uint16_t code);            /* the layout has a C: on the wire, rdata may hold pointers */

/* Reads rdata at *pos of a message: rdlen octets. Writes it uncompressed to out (cap octets), returns its
 * length, or -E_FORMAT / -E_SPACE with a why that names field and octet. Checks the whole layout. */
int rdata_unpack(uint16_t type, const uint8_t *msg, size_t msg_len, size_t pos, uint16_t rdlen,
                 uint8_t *out, size_t cap, struct why *why);
/* The same check on uncompressed rdata. 0 or -E_FORMAT. */
int rdata_valid(uint16_t type, const uint8_t *rdata, size_t len, struct why *why);
/* Writes the canonical form (RFC 4034 6.2) to out, which has room for len octets; the length never changes. */
void rdata_canonical(uint16_t type, const uint8_t *rdata, size_t len, uint8_t *out);
/* Order of canonical forms as octet strings (RFC 4034 6.3), without building them. */
int rdata_cmp(uint16_t type, const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len);

/* The names in rdata, in order (no type has more than two; HIP's list of rendezvous servers is not looked
 * into). Rdata must be valid. Returns how many. */
struct rdata_name {
    uint16_t at, len;
};
unsigned rdata_names(uint16_t type, const uint8_t *rdata, size_t len, struct rdata_name out[2]);

/* Is type in the type bitmap (windows of RFC 4034 4.1.2)? The bitmap must be valid. */
bool type_bitmap_has(const uint8_t *bitmap, size_t len, uint16_t type);

#endif
