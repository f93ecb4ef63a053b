/* text_entry: one entry of a master file, as tokens.
 *
 * WHAT   RFC 1035 5.1: an entry is a line, or several joined by parentheses; comments go from ';'
 *        to the end of the line. A token is kept as it was written, escapes and quotes included;
 *        one that begins with a quote ends with it, a quote inside a token (alpn="h2,h3") keeps
 *        blanks inside that token.
 * OWNS   Tokens point into the entry and live until the next read.
 * FAILS  -E_FORMAT, -E_LIMIT, -E_IO; `line`: where the entry began; on failure, where it broke
 *        (for a '(' that is not closed, where the entry began).
 */
#ifndef WEIR_ZONE_TEXT_ENTRY_H
#define WEIR_ZONE_TEXT_ENTRY_H

#include "pipeline/base/errors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Room for 65,535 octets written as \DDD, and as much again in blanks. */
enum { TEXT_ENTRY_MAX = 1 << 19 };

struct text_token {
    char *s; /* terminated */
    uint32_t len;
};
struct text_entry {
    struct text_token *token;
    unsigned n;
    bool owner_omitted; /* the entry began with a blank */
    unsigned line;
    /* private */
    char *buf;
    size_t buf_len, buf_cap;
    unsigned token_cap;
};

void text_entry_init(struct text_entry *e);
void text_entry_fini(struct text_entry *e);
/* The next entry that has tokens: 1, or 0 at the end of the file. *line is the file's running line
 * number, 1 at its start. */
int text_entry_read(struct text_entry *e, FILE *in, unsigned *line, struct why *why) MUST_CHECK;

#endif
