/* errors: how a function says that the world, not weir, went wrong.
 *
 * WHAT   A function that can fail returns int: 0, or one of the negative codes below. Outputs are
 *        set only on success. The code tells a program what to do; `struct why` tells a person what
 *        was wrong and where. The innermost function that knows the reason fills it.
 * OWNS   `struct why` is a plain buffer on the caller's stack; NULL is allowed everywhere.
 * UNITS  text is UTF-8, truncated, always terminated; no trailing newline or full stop.
 */
#ifndef WEIR_BASE_ERRORS_H
#define WEIR_BASE_ERRORS_H

#include "pipeline/base/assert.h"

enum {
    E_OK = 0,
    E_FORMAT = 1,      /* bytes or text that do not parse */
    E_LIMIT = 2,       /* a configured or built-in bound was crossed */
    E_NOENT = 3,       /* what was asked for is not there */
    E_EXISTS = 4,      /* it is there already */
    E_IO = 5,          /* the operating system said no; errno was put into the why text */
    E_TIMEOUT = 6,     /* a deadline passed */
    E_CLOSED = 7,      /* the peer went away */
    E_REFUSED = 8,     /* the peer said no (RCODE, policy) */
    E_SPACE = 9,       /* the output buffer is too small; nothing was written */
    E_CONF = 10,       /* the operator's configuration is wrong */
    E_UNSUPPORTED = 11,/* well formed, but not something weir can do */
    E_MISMATCH = 12,   /* well formed, but not what was asked for (wrong ID, wrong zone) */
    E_AGAIN = 13,      /* nothing to do now; call again later */
    E_UNFIT = 14,      /* a well-formed difference, but not one from what is held */
};

struct why {
    char text[480];
};

/* Sets or appends to the text; no-ops when why is NULL. why_set returns `code` so that
 * `return why_set(why, -E_FORMAT, "...")` reads as one step. */
int why_set(struct why *why, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void why_add(struct why *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* One or two words for a code, for logs: "malformed", "limit", ... Takes the negative or positive form. */
const char *error_text(int code);

#endif
