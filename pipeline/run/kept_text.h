/* kept_text: what is kept over a restart as lines that a person can read: words parted by one blank, a line ended by \n.
 *
 * WHAT   Puts such lines together, and reads them again word by word. The reader goes on after what is wrong, and tells the first such
 *        thing: a text that is not exactly what is expected is refused as a whole by who reads it, for with half of it keys would do the
 *        wrong thing at the wrong time.
 * OWNS   A scan borrows the text.
 */
#ifndef WEIR_RUN_KEPT_TEXT_H
#define WEIR_RUN_KEPT_TEXT_H

#include "pipeline/base/growbuf.h"
#include "pipeline/run/keyring.h"

void kept_put(struct growbuf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);   /* fewer than 2,048 octets */
void kept_put_hex(struct growbuf *out, const uint8_t *octets, size_t n);
void kept_put_ttl(struct growbuf *out, const char *word, const struct keyring_ttl *t);

/* Of clocks that are kept: what is added to one and taken from it then stays within its type. */
#define KEPT_CLOCK_MAX (INT64_MAX / 4)
struct kept_scan {
    const char *p, *end;
    unsigned line;
    const char *expected;                /* of the first thing that was wrong; NULL: all is well */
};
struct kept_scan kept_open(const char *text, size_t len);
/* Is all well, and nothing left? -E_FORMAT with the line. */
int kept_close(struct kept_scan *s, struct why *why) MUST_CHECK;
void kept_wrong(struct kept_scan *s, const char *expected);
size_t kept_word(struct kept_scan *s, const char **out);            /* the next one of the line; 0: none */
bool kept_peek(const struct kept_scan *s, const char *text);        /* is that the next one? */
void kept_literal(struct kept_scan *s, const char *text);           /* it must be */
bool kept_flag(struct kept_scan *s, const char *text);              /* it, or "-" */
int kept_one_of(struct kept_scan *s, const char *const *words, int n);
int64_t kept_number(struct kept_scan *s, int64_t min, int64_t max);
/* Octets in hexadecimal, at least min; mem_alloc'ed, NULL when wrong. */
uint8_t *kept_hex(struct kept_scan *s, size_t min, size_t max, size_t *len, const char *expected);
void kept_ttl(struct kept_scan *s, struct keyring_ttl *t);          /* its three numbers */
void kept_line_end(struct kept_scan *s);
void kept_rest(struct kept_scan *s, char *out, size_t cap);         /* of the line, up to its end; printable */

#endif
