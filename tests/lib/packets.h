/* packets: captures made up packet by packet, and what the reader makes of them.
 *
 * WHAT   A tape is a pcap file in memory. A talk is a TCP connection on a tape, with both sides' numbers; talk_put writes any
 *        segment of it, so that a test can send them in any order, twice, or never.
 *        A play reads a tape with capture_read_stream and keeps all that was handed over.
 * UNITS  Places in a stream are counted in octets from its first one.
 */
#ifndef WEIR_TESTS_PACKETS_H
#define WEIR_TESTS_PACKETS_H

#include "pipeline/net/capture_p.h"

enum { PACKET_FIN = 1, PACKET_SYN = 2, PACKET_RST = 4, PACKET_PSH = 8, PACKET_ACK = 16 };

struct tape {
    char *octets; /* after tape_end */
    size_t len;
    /* how packets are wrapped; may be changed between them */
    int link;                          /* DLT_* */
    unsigned vlans;                    /* Ethernet */
    bool extensions;                   /* IPv6: hop-by-hop, routing, whole fragment, authentication, destination */
    bool no_length;                    /* IP length 0, as with segmentation offload */
    size_t padding;                    /* octets after the IP packet */
    size_t snap;                       /* octets captured of a packet; 0: all */
    struct timespec now;               /* goes on by a millisecond a packet */
    struct tape_private *private;
};
void tape_begin(struct tape *t, int link);
void tape_end(struct tape *t);         /* octets and len are set */
void tape_free(struct tape *t);
void tape_raw(struct tape *t, const void *packet, size_t len);      /* with link header and all */
void tape_ip(struct tape *t, const void *packet, size_t len);       /* gets a link header */
void tape_tcp(struct tape *t, const struct address *from, const struct address *to, uint32_t seq, uint32_t ack, unsigned flags,
              const void *data, size_t len);

struct talk {
    struct tape *tape;
    struct address side[2];            /* 0 opens */
    uint32_t first[2];                 /* number of each stream's first octet */
    size_t said[2];                    /* by talk_say */
};
/* "192.0.2.1@4000"; writes nothing. */
struct talk talk_between(struct tape *tape, const char *client, const char *server, uint32_t first0, uint32_t first1);
void talk_put(struct talk *k, int side, size_t at, unsigned flags, const void *data, size_t len);   /* acknowledges what the other said */
void talk_open(struct talk *k);                                     /* the handshake */
void talk_say(struct talk *k, int side, const void *data, size_t len);
void talk_close(struct talk *k);                                    /* FIN of both sides, server first */

/* A stream of messages with their prefixes. */
struct script {
    uint8_t *octets;
    size_t len, cap;
};
void script_add(struct script *s, const uint8_t *msg, size_t len);
void script_query(struct script *s, uint16_t id, const char *zone, uint16_t type);
void script_ixfr(struct script *s, uint16_t id, const char *zone, uint32_t serial);      /* a query */
/* An answer: question (type 0: none), then SOAs of the serials and `fill` records of other types, in the order of the text: "S1 R R S1" */
void script_answer(struct script *s, uint16_t id, const char *zone, uint16_t type, unsigned rcode, const char *records);
void script_free(struct script *s);

struct played {                        /* one transfer */
    struct capture_transfer about;
    struct script messages;            /* with prefixes, as they were sent */
    size_t nmessages;
    bool ended;
    unsigned ended_as;                 /* the how manieth to end, from 1 on */
    char *problem;
};
struct play {
    struct played *transfer;
    size_t n, ended;
    struct capture_summary summary;
    int err;
    struct why why;
    size_t refuse;                     /* begin() gives NULL for this one, from 1 on; 0: none */
};
void play_octets(struct play *p, const void *octets, size_t len);
void play_tape(struct play *p, struct tape *t);                     /* ends the tape and frees it */
void play_free(struct play *p);

#endif
