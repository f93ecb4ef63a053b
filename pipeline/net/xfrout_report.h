/* xfrout_report: what is told of transfers out: a zone's counters, the log, each host's last one.
 *
 * WHO    Query threads.
 */
#ifndef WEIR_NET_XFROUT_REPORT_H
#define WEIR_NET_XFROUT_REPORT_H

#include "pipeline/run/zone_table.h"

struct answer_result;
struct xfrout;

/* A transfer over TCP begins. */
void xfrout_report_begin(struct zone *zone, enum fetch_kind kind);
/* … and ends; reason NULL: all of it is with the kernel. */
struct xfrout_course {
    const struct xfrout *x;
    struct fetch fetch;              /* octets and at are filled in */
    size_t records;                  /* that it will have in all; 0: not known */
    double seconds;
};
void xfrout_report_end(struct zone *zone, struct xfrout_course *course, const char *reason);
/* An IXFR query that one message answered. */
void xfrout_report_answer(const struct answer_result *result, const struct address *peer);

#endif
