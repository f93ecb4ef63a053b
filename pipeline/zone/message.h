/* message: DNS messages, read and built without allocation.
 *
 * WHAT   msg_reader steps over a message's records; names and known rdata come out uncompressed and
 *        checked. msg_writer builds one with name compression; a record that does not fit leaves the
 *        message as it was.
 * WHO    One thread an object. Both are plain structs, meant for the stack or a per-thread place.
 * OWNS   The reader borrows the message, the writer its buffer. struct rr points into the reader.
 * FAILS  -E_FORMAT with a why: section, record number, what, octet offset.
 * COST   Linear in the message; an owner equal to the one before is recognised without unpacking it twice.
 * SPEC   RFC 1035 4; RFC 3597 4 (what may be compressed); RFC 6891 (OPT).
 */
#ifndef WEIR_ZONE_MESSAGE_H
#define WEIR_ZONE_MESSAGE_H

#include "pipeline/zone/name.h"
#include "pipeline/zone/rrtype.h"
#include "pipeline/base/buf.h"

enum { MSG_HEADER = 12, MSG_MAX = 65535, CLASS_IN = 1, CLASS_CH = 3, CLASS_ANY = 255 };
enum { MSG_QR = 0x8000, MSG_AA = 0x0400, MSG_TC = 0x0200, MSG_RD = 0x0100, MSG_RA = 0x0080, MSG_AD = 0x0020, MSG_CD = 0x0010 };
enum { OPCODE_QUERY = 0, OPCODE_NOTIFY = 4, OPCODE_UPDATE = 5 };
enum {
    RCODE_NOERROR = 0, RCODE_FORMERR = 1, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_NOTIMP = 4, RCODE_REFUSED = 5,
    RCODE_YXDOMAIN = 6, RCODE_NOTAUTH = 9, RCODE_BADVERS = 16,
};
enum { SECTION_QUESTION, SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL };

const char *rcode_text(unsigned rcode);               /* "REFUSED"; "RCODE11" for the rest (static storage) */

struct rr {
    const uint8_t *owner;          /* uncompressed, valid until the next call */
    uint8_t owner_len;
    bool same_owner;               /* octet-equal (case too) to the previous record's */
    uint8_t section;
    uint16_t type, class;
    uint32_t ttl;
    const uint8_t *rdata;          /* uncompressed and valid for its type */
    uint16_t len;
    size_t at;                     /* octet offset of the record in the message */
};

struct msg_reader {
    const uint8_t *msg;
    size_t len, pos;
    uint16_t id, flags, count[4];
    unsigned section, index;       /* the record that comes next */
    size_t owner_at;               /* private: where the last owner's octets lie, pointers followed; 0: unknown */
    uint8_t owner_len;             /* private: 0 before the first record */
    uint8_t owner[NAME_MAX_OCTETS];
    uint8_t rdata[MSG_MAX];
};
static inline unsigned msg_opcode(uint16_t flags)
{
    return flags >> 11 & 15;
}
static inline unsigned msg_rcode(uint16_t flags)
{
    return flags & 15;
}
/* Reads the header. -E_FORMAT when shorter than 12 octets. The message is borrowed. */
int msg_open(struct msg_reader *r, const uint8_t *msg, size_t len, struct why *why) MUST_CHECK;
/* One question; call at most count[0] times, before msg_next: further calls are -E_FORMAT. */
int msg_question(struct msg_reader *r, uint8_t name[NAME_MAX_OCTETS], uint16_t *type, uint16_t *class, struct why *why) MUST_CHECK;
/* The next record of answer, authority, additional. 1: rr is filled; 0: the end (octets left over are -E_FORMAT); < 0 malformed.
 * Questions not read yet are stepped over. OPT, TSIG and classes other than IN come as they are (rdata unchecked).
 * A TTL with its top bit set is 0 (RFC 2181 8); OPT's is left alone. After an error the reader is dead. */
int msg_next(struct msg_reader *r, struct rr *rr, struct why *why) MUST_CHECK;

struct edns {                      /* of a query */
    bool present, dnssec_ok, bad;  /* bad: two OPTs, owner not the root, options that do not parse: FORMERR */
    uint8_t version;
    uint16_t udp_size;
    unsigned rcode;                /* its upper eight bits, in place: 16 for BADVERS */
    bool has_expire;               /* of a response: the EXPIRE option (RFC 7314) with a value */
    uint32_t expire_s;
};
enum { EDNS_EXPIRE = 9 };          /* option code */
/* Takes in an OPT record that msg_next gave; call for each, from a zeroed struct. */
void msg_edns(struct edns *edns, const struct rr *opt);

/* Compression: a table of places where a suffix of a name lies in the message (offset < 16,384). Case is kept: only
 * octet-equal suffixes are shared (RFC 5936 3.4). Past 16 KiB only what lies before serves, so messages of 16 KiB
 * compress best. */
enum { MSG_TABLE = 1024, MSG_NAMES_MAX = 768 };
struct msg_writer {
    uint8_t *msg;
    size_t cap, len;               /* cap may be lowered or raised between records */
    uint16_t count[4];
    unsigned section;
    uint32_t generation;           /* private: table slots of older generations are empty */
    uint16_t last_owner_at;        /* private: where the last owner lies, 0: nowhere within reach */
    uint16_t names;                /* private: suffixes in the table, in order of entry: */
    uint16_t entered[MSG_NAMES_MAX];
    struct msg_slot { uint32_t generation; uint32_t hash; uint16_t at; } table[MSG_TABLE];
};
/* Once a writer's life (clears the table), then msg_begin for every message. */
void msg_writer_init(struct msg_writer *w);
/* Starts a message with an empty header in buf (cap >= 12). */
void msg_begin(struct msg_writer *w, uint8_t *buf, size_t cap, uint16_t id, uint16_t flags);
/* All of these: true, or false when it does not fit (the message is unchanged). Sections only go forward. */
bool msg_put_question(struct msg_writer *w, const uint8_t *name, uint16_t type, uint16_t class);
bool msg_put_rr(struct msg_writer *w, unsigned section, const uint8_t *owner, uint16_t type, uint16_t class, uint32_t ttl,
                const uint8_t *rdata, uint16_t len);
/* A whole rrset of records in class IN, all or nothing; owner may differ from the node's (wildcards, question case). */
struct rrset;
bool msg_put_rrset(struct msg_writer *w, unsigned section, const uint8_t *owner, const struct rrset *set);
/* rcode: the whole 12 bits; the upper eight go in here, the lower four are in the flags of msg_begin. */
bool msg_put_opt(struct msg_writer *w, uint16_t udp_size, unsigned rcode, bool dnssec_ok, const uint8_t *options, uint16_t len);
/* Where the message stands, and back to it (names entered since are forgotten). */
struct msg_mark {
    size_t len;
    uint16_t count[4];
    uint16_t names;
    unsigned section;
};
struct msg_mark msg_mark(const struct msg_writer *w);
void msg_rewind(struct msg_writer *w, const struct msg_mark *mark);
/* Sets flags in the header later on (TC). */
static inline void msg_add_flags(struct msg_writer *w, uint16_t flags)
{
    put_u16(w->msg + 2, get_u16(w->msg + 2) | flags);
}
/* Writes header counts; returns the length. */
size_t msg_end(struct msg_writer *w);

#endif
