/* tcp_input: octets in, whole DNS messages out.
 *
 * WHAT   The framing of DNS over TCP (two octets of length, then the message) apart from any
 *        socket: pieces of any size go in, messages come out. The buffer starts with nothing, grows
 *        when a message needs it, and is given back when it is empty.
 * OWNS   A message that was taken is borrowed until the next tcp_input_room() or _fini().
 * COST   At most one message of the largest size (2 + 65,535 octets) is held, or pieces of small
 *        ones.
 * SPEC   RFC 1035 4.2.2, RFC 7766 8.
 */
#ifndef WEIR_NET_TCP_INPUT_H
#define WEIR_NET_TCP_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TCP_INPUT_SMALL = 4096, TCP_INPUT_MAX = 2 + 65535 };

struct tcp_input {
    uint8_t *data;
    uint32_t cap, begin, end;
};

/* Where to put what comes next: at least one octet of room. Call only when no whole message waits.
 */
size_t tcp_input_room(struct tcp_input *in, uint8_t **p);
void tcp_input_filled(struct tcp_input *in, size_t n);
bool tcp_input_waits(const struct tcp_input *in); /* is there a whole message? */
bool tcp_input_take(struct tcp_input *in, const uint8_t **msg, size_t *len);
void tcp_input_relax(struct tcp_input *in); /* frees the buffer when nothing is in it */
void tcp_input_fini(struct tcp_input *in);

#endif
