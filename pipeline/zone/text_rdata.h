/* text_rdata: rdata between text and octets. The place where ldns is called.
 *
 * WHAT   The generic form of RFC 3597 5 ("\# 4 0A000001") is read for every type, its own form for
 *        the types that ldns knows. Printing chooses the form of the type where reading it would give the same
 *        octets back, and the generic form otherwise.
 * WHO    One thread at a time.
 * OWNS   What print returns is borrowed until the next call.
 * FAILS  parse: -E_FORMAT, -E_LIMIT (over 65,535 octets), -E_UNSUPPORTED (ldns has no text form for
 *        the type), with what ldns said in the why. print never fails.
 */
#ifndef WEIR_ZONE_TEXT_RDATA_H
#define WEIR_ZONE_TEXT_RDATA_H

#include "pipeline/zone/name.h"
#include "pipeline/zone/text_entry.h"

struct text_rdata;
struct text_rdata *text_rdata_new(void);
void text_rdata_free(struct text_rdata **t);
void text_rdata_origin(struct text_rdata *t,
                       const uint8_t *origin); /* for relative names; begins as the root */

enum { RDATA_MAX_OCTETS = 65535 };
int text_rdata_parse(struct text_rdata *t, uint16_t type, const struct text_token *token,
                     unsigned n, uint8_t out[RDATA_MAX_OCTETS], uint16_t *len,
                     struct why *why) MUST_CHECK;
const char *text_rdata_print(struct text_rdata *t, uint16_t type, const uint8_t *rdata,
                             uint16_t len);

#endif
