/* capture: transfers as pcap, in both directions.
 *
 * WHAT   The reader takes a pcap (or pcapng) file (Ethernet with VLAN tags, Linux cooked v1/v2, loopback/null, raw IP; IPv4 and
 *        IPv6), reassembles the TCP streams with reordering and retransmission, finds DNS transfers (query and answers on one
 *        connection, several one after another or interleaved by ID), and hands them over as they come.
 *        A connection that began before the capture is read from the first message that can be recognised.
 *        The writer records what came in as packets with synthesised TCP/IP headers that tshark dissects without a complaint.
 * WHO    One thread an object.
 * FAILS  -E_IO / -E_FORMAT with file and packet number. Loss (a gap that never fills) ends a transfer with a reason
 *        that names the stream and the octet. The writer: one line in the log, then it is silent; it never harms the daemon.
 * COST   Reader: memory a connection and in all is bounded (capture_p.h); what goes past a bound is given up with a reason.
 */
#ifndef WEIR_NET_CAPTURE_H
#define WEIR_NET_CAPTURE_H

#include "pipeline/run/address.h"
#include "pipeline/zone/message.h"

#include <time.h>

struct capture_transfer {            /* one transfer in a capture */
    uint8_t zone[NAME_MAX_OCTETS];
    uint16_t qtype, id;              /* AXFR or IXFR */
    struct address primary, secondary;
    struct timespec began, ended;    /* first and last packet of it */
    unsigned number;                 /* 1, 2 … in the file */
    bool has_client_serial;          /* the IXFR query was seen: */
    uint32_t client_serial;          /* what the secondary has */
};
struct capture_handler {             /* begin, message*, end for each; several may be open at once, told apart by the pointer */
    void *(*begin)(void *ctx, const struct capture_transfer *t);        /* NULL: not interested */
    void (*message)(void *ctx, void *transfer, const struct capture_transfer *t, const uint8_t *msg, size_t len);
    /* problem: NULL when the stream went on or closed in order, else "12 octets lost after octet 4711", … */
    void (*end)(void *ctx, void *transfer, const struct capture_transfer *t, const char *problem);
};
struct capture_summary {
    size_t packets, connections, transfers;
    size_t ignored_packets;          /* not TCP, cut in their headers, IP fragments, out of every window, of no known connection */
    size_t retransmitted, reordered; /* segments */
    size_t lost_octets;              /* in gaps of streams that were read */
    size_t headless;                 /* connections that began before the capture */
    size_t unread_octets;            /* of streams in which no message could be recognised (yet) */
};
int capture_read(const char *path, const struct capture_handler *handler, void *ctx, struct capture_summary *summary,
                 struct why *why) MUST_CHECK;

/* The daemon's writer: files DIR/weir-YYYYMMDDHHMMSS.mmm-N.pcap, readable by owner and group. What begins after a file has reached
 * max_bytes (0: never) goes into a new one; a stream stays in the file in which it began, so each file can be replayed alone. */
struct capture;
int capture_open(const char *dir, size_t max_bytes, struct capture **out, struct why *why) MUST_CHECK;
void capture_close(struct capture **c);
struct capture_stream;               /* one TCP connection */
struct capture_stream *capture_stream_open(struct capture *c, const struct address *local, const struct address *peer);
void capture_stream_data(struct capture_stream *s, bool from_peer, const uint8_t *data, size_t len, const struct timespec *at);
void capture_stream_close(struct capture_stream **s, bool reset);
/* A UDP datagram (SOA check, NOTIFY). */
void capture_datagram(struct capture *c, const struct address *from, const struct address *to, const uint8_t *data, size_t len,
                      const struct timespec *at);

#endif
