/* The buffer holds [begin, end) of what came in; begin stands on a length field or on its first
 * half.
 *
 * Room is made only when no whole message waits, so what is in the buffer is one unfinished
 * message, and moving it to the front is cheap: with pipelined small queries it is a few octets,
 * with a large message it happens once. */
#include "pipeline/net/tcp_input.h"

#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/assert.h"
#include "pipeline/base/buf.h"

enum { LENGTH_OCTETS = 2 };

/* Octets from `begin` to the end of the message there; a guess as long as its length is unknown. */
static size_t message_span(const struct tcp_input *in)
{
    if (in->end - in->begin < LENGTH_OCTETS)
        return LENGTH_OCTETS;
    return LENGTH_OCTETS + (size_t)get_u16(in->data + in->begin);
}

bool tcp_input_waits(const struct tcp_input *in)
{
    size_t held = in->end - in->begin;
    return held >= LENGTH_OCTETS && held >= message_span(in);
}

size_t tcp_input_room(struct tcp_input *in, uint8_t **p)
{
    ASSERT(!tcp_input_waits(in));
    if (in->begin > 0) {
        memmove(in->data, in->data + in->begin, in->end - in->begin);
        in->end -= in->begin;
        in->begin = 0;
    }
    size_t want = message_span(in);
    if (want > in->cap || !in->data) {
        in->cap = (uint32_t)(want > TCP_INPUT_SMALL ? want : TCP_INPUT_SMALL);
        in->data = mem_resize(in->data, in->cap);
    }
    *p = in->data + in->end;
    return in->cap - in->end;
}

void tcp_input_filled(struct tcp_input *in, size_t n)
{
    ASSERT(n <= in->cap - in->end);
    in->end += (uint32_t)n;
}

bool tcp_input_take(struct tcp_input *in, const uint8_t **msg, size_t *len)
{
    if (!tcp_input_waits(in))
        return false;
    size_t span = message_span(in);
    *msg = in->data + in->begin + LENGTH_OCTETS;
    *len = span - LENGTH_OCTETS;
    in->begin += (uint32_t)span;
    return true;
}

void tcp_input_relax(struct tcp_input *in)
{
    if (in->begin == in->end)
        tcp_input_fini(in);
}

void tcp_input_fini(struct tcp_input *in)
{
    mem_free(&in->data);
    *in = (struct tcp_input){0};
}
