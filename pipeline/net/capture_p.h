/* capture_p: what the parts of the capture reader hand each other. Only capture_*.c and their tests include this.
 *
 *          capture_read  packets of a file, link and IP headers  ──▶  struct segment
 *          capture_tcp   connections, order, loss                ──▶  octets of one direction
 *          capture_dns   messages, queries and their answers     ──▶  struct capture_handler
 */
#ifndef WEIR_NET_CAPTURE_P_H
#define WEIR_NET_CAPTURE_P_H

#include "pipeline/net/capture.h"

#include <stdio.h>

/* Bounds. A hostile capture costs this much memory and no more; what goes past one is given up with a reason. */
enum {
    CAPTURE_CONNECTIONS = 65536,     /* remembered at once; the one that has been silent for longest goes first */
    CAPTURE_WAITING = 4 << 20,       /* octets that wait behind a gap, a direction: more, and the gap counts as loss */
    CAPTURE_WAITING_ALL = 256 << 20,
    CAPTURE_PIECES = 8192,           /* segments that wait behind a gap, a direction */
    CAPTURE_OPEN = 64,               /* transfers open on a connection */
    CAPTURE_OPEN_ALL = 4096,
    CAPTURE_CUT_ALL = 256 << 20,     /* octets of messages that are not whole yet, all connections */
};

struct segment {                     /* one TCP packet */
    struct address from, to;
    uint32_t seq, ack;
    bool syn, fin, reset, has_ack;
    const uint8_t *data;
    size_t len;                      /* captured */
    size_t missing;                  /* octets after them that the packet had and the capture has not (snap length) */
    struct timespec at;
};

/* capture_read.c: capture_read for a file that is open; name is for messages. The file is closed in any case. */
int capture_read_stream(FILE *file, const char *name, const struct capture_handler *handler, void *ctx,
                        struct capture_summary *summary, struct why *why) MUST_CHECK;

/* capture_dns.c: one connection's two streams. Side 0 opened the connection (or sent the first packet seen).
 * A side's octets are handed in from a place where a message begins, said by dns_align; dns_lost takes that back. */
struct dns_reader;
struct dns_connection;
struct dns_reader *dns_reader_new(const struct capture_handler *handler, void *ctx, struct capture_summary *summary);
void dns_reader_free(struct dns_reader **r);
struct dns_connection *dns_open(struct dns_reader *r, const struct address side[2]);
/* first: it is the stream's first octet, so that nothing of this side was missed. */
void dns_align(struct dns_connection *c, int side, bool first);
void dns_data(struct dns_connection *c, int side, const uint8_t *data, size_t len, const struct timespec *at);
/* That side's octets cannot be read from here on: its transfers end with the reason, and those asked for later, too. */
void dns_lost(struct dns_connection *c, int side, const char *why);
/* The other side has seen octets of that side which were not handed in (yet): a query may be among them. */
void dns_gap(struct dns_connection *c, int side, bool gap);
void dns_finish(struct dns_connection *c, int side);   /* that side closed its stream in order */
/* Transfers still open end with the reason. */
void dns_close(struct dns_connection **c, const char *why);
/* Do these octets look like the beginning of a query, whole, or of the first message of an answer to AXFR or IXFR? For streams
 * whose beginning is not in the capture. */
bool dns_message_begins(struct dns_reader *r, const uint8_t *data, size_t len);

/* capture_tcp.c */
struct tcp_reader;
struct tcp_reader *tcp_reader_new(struct dns_reader *dns, struct capture_summary *summary);
void tcp_reader_free(struct tcp_reader **r);       /* what is open ends here */
void tcp_reader_segment(struct tcp_reader *r, const struct segment *s);

#endif
