/* fetches: what each host fetched of a zone last.
 *
 * WHAT   One row a host, for `weir status`: how the transfer went out, which serials it led from and to, when. At most
 *        FETCHES_MAX hosts; a new one takes the place of the one heard of longest ago.
 *        And how many transfers went out, of each kind.
 * WHO    Any thread; the lock is inside.
 * COST   A look at each row. No memory until somebody asks for a transfer: most of ten thousands of zones are asked for none.
 */
#ifndef WEIR_RUN_FETCHES_H
#define WEIR_RUN_FETCHES_H

#include "pipeline/run/address.h"

#include <time.h>

enum { FETCHES_MAX = 64 };
enum fetch_kind {
    FETCH_NONE,
    FETCH_AXFR,                          /* asked for, and sent in full */
    FETCH_IXFR,                          /* a difference */
    FETCH_IXFR_FULL,                     /* IXFR asked for, sent in full: from is not in the history */
    FETCH_CURRENT,                       /* IXFR asked for, and there is nothing newer */
    FETCH_COME_BY_TCP,                   /* IXFR over UDP, where the difference does not fit: the SOA alone */
    FETCH_KINDS,
};
extern const char *const fetch_kind_word[FETCH_KINDS];

struct fetch {
    struct address host;
    enum fetch_kind kind;
    uint32_t from, to;                   /* serials; from: not of an AXFR */
    uint64_t octets;
    time_t at;
};
struct fetch_counters {                  /* ever, since start */
    _Atomic uint64_t transfers, refused, failed;
    _Atomic uint64_t by_kind[FETCH_KINDS];
};
struct fetches {
    struct fetch_book *_Atomic book;     /* zeroed: nobody has asked yet */
};
void fetches_fini(struct fetches *f);
struct fetch_counters *fetches_counters(struct fetches *f);            /* to count up */
const struct fetch_counters *fetches_counted(const struct fetches *f); /* to read */
void fetches_note(struct fetches *f, const struct fetch *fetch);
/* False: none is known of that host (any port). */
bool fetches_find(const struct fetches *f, const struct address *host, struct fetch *out);

#endif
