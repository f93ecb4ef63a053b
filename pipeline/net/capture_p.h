/* capture_p: what the parts of the capture reader hand each other. Only capture_*.c include this.
 *
 *          capture_read  packets of a file, link and IP headers  ──▶  struct segment
 *          capture_tcp   connections, order, loss                ──▶  octets of one direction
 *          capture_dns   messages, queries and their answers     ──▶  struct capture_handler
 */
#ifndef WEIR_NET_CAPTURE_P_H
#define WEIR_NET_CAPTURE_P_H

#include "pipeline/net/capture.h"

struct segment {                     /* one TCP packet */
    struct address from, to;
    uint32_t seq;
    bool syn, fin, reset;
    const uint8_t *data;
    size_t len;                      /* captured */
    size_t missing;                  /* octets after them that the packet had and the capture has not (snap length) */
    struct timespec at;
};

/* capture_dns.c: one connection's two streams. Side 0 opened the connection (or sent the first packet seen). */
struct dns_reader;
struct dns_connection;
struct dns_reader *dns_reader_new(const struct capture_handler *handler, void *ctx, struct capture_summary *summary);
void dns_reader_free(struct dns_reader **r);
struct dns_connection *dns_open(struct dns_reader *r, const struct address side[2], bool from_start);
void dns_data(struct dns_connection *c, int side, const uint8_t *data, size_t len, const struct timespec *at);
/* The stream of that side is of no more use: why it ended, NULL = in order. */
void dns_lost(struct dns_connection *c, const char *why);
void dns_close(struct dns_connection **c);

/* capture_tcp.c */
struct tcp_reader;
struct tcp_reader *tcp_reader_new(struct dns_reader *dns, struct capture_summary *summary);
void tcp_reader_free(struct tcp_reader **r);       /* what is open ends here */
void tcp_reader_segment(struct tcp_reader *r, const struct segment *s);

#endif
