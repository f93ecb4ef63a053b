/* text_field: one field of rdata, from text to octets.
 *
 * WHAT   A record's rdata is a row of fields; ldns's table says of which kind each is. This reads one,
 *        of any kind that ldns has, and the small things that also stand outside of rdata: names,
 *        time spans, numbers.
 * FAILS  -E_FORMAT, -E_LIMIT, -E_UNSUPPORTED, with the field's text in the why.
 */
#ifndef WEIR_ZONE_TEXT_FIELD_H
#define WEIR_ZONE_TEXT_FIELD_H

#include "pipeline/base/buf.h"
#include "pipeline/zone/name.h"
#include "pipeline/zone/text_entry.h"

#include <ldns/ldns.h>

struct text_field {
    ldns_rdf_type kind;
    const struct text_token *token; /* its first */
    unsigned n;                     /* tokens from there to the record's end, 1 or more */
    bool last;                      /* of its record: it may take all of them */
    const uint8_t *origin;
    ldns_buffer *line; /* scratch: a text made of several tokens */
    struct wbuf *out;  /* latches when it is full */
};
/* Returns how many tokens the field took. */
int text_field_parse(struct text_field *f, struct why *why) MUST_CHECK;

/* A name; "@" and relative names with their origin. Its length, or -E_FORMAT. */
int text_name(const struct text_token *token, const uint8_t *origin, uint8_t out[NAME_MAX_OCTETS],
              struct why *why) MUST_CHECK;
/* "3600", "1h30m", "2W": seconds. -E_FORMAT; -E_LIMIT: over 2^32 - 1. */
int text_period(const char *s, uint32_t *out) MUST_CHECK;
/* Decimal digits and nothing else. -E_FORMAT; -E_LIMIT: over max. */
int text_number(const char *s, uint64_t max, uint64_t *out) MUST_CHECK;

#endif
