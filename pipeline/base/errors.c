/* Words for what went wrong in the world.
 *
 * The text is cut at the end of its buffer. It may quote UTF-8 of an operator's file, so the cut is
 * moved back to the start of a character: half a character would spoil the log line or JSON. */
#include "pipeline/base/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Octets of the last, unfinished UTF-8 character of text[0..len), or 0. */
static size_t utf8_tail(const char *text, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char c = (unsigned char)text[len - back];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return want > back ? back : 0;
    }
    return 0;
}

PRINTF_LIKE(3, 0) static void why_print(struct why *why, size_t at, const char *fmt, va_list args)
{
    size_t room = sizeof why->text - at;
    int n = vsnprintf(why->text + at, room, fmt, args);
    if (n < 0)
        why->text[at] = '\0';
    else if ((size_t)n >= room)
        why->text[sizeof why->text - 1 - utf8_tail(why->text, sizeof why->text - 1)] = '\0';
}

int why_set(struct why *why, int code, const char *fmt, ...)
{
    if (why) {
        va_list args;
        va_start(args, fmt);
        why_print(why, 0, fmt, args);
        va_end(args);
    }
    return code;
}

void why_add(struct why *why, const char *fmt, ...)
{
    if (!why)
        return;
    va_list args;
    va_start(args, fmt);
    why_print(why, strnlen(why->text, sizeof why->text - 1), fmt, args);
    va_end(args);
}

const char *error_text(int code)
{
    switch (code < 0 ? -code : code) {
    case E_OK:
        return "ok";
    case E_FORMAT:
        return "malformed";
    case E_LIMIT:
        return "limit";
    case E_NOENT:
        return "not found";
    case E_EXISTS:
        return "exists";
    case E_IO:
        return "system error";
    case E_TIMEOUT:
        return "timeout";
    case E_CLOSED:
        return "closed";
    case E_REFUSED:
        return "refused";
    case E_SPACE:
        return "no room";
    case E_CONF:
        return "configuration";
    case E_UNSUPPORTED:
        return "unsupported";
    case E_MISMATCH:
        return "mismatch";
    case E_AGAIN:
        return "again";
    case E_UNFIT:
        return "does not fit";
    default:
        return "unknown error";
    }
}
