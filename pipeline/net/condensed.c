/* condensed: two walks over the same steps, one for what went and one for what came.
 *
 * A transfer goes forward only, and what went comes before what came, so the history is merged twice; to keep the pairs
 * from the first time would be memory for as long as a slow client reads. The SOA of the apex is part of both sides' nodes
 * and stands between them instead.
 */
#include "pipeline/net/condensed.h"

void condensed_begin(struct condensed *d, const struct version *version, unsigned first,
                     struct history_cursor *cursors)
{
    const struct history *h = version->history; /* not NULL: `first` is one of its steps */
    ASSERT(first < h->n);
    /* The apex comes first of all names, and changes whenever the serial does. */
    const struct node *was = h->step[first].changes->change[0].was;
    *d = (struct condensed){.history = h,
                            .first = first,
                            .cursors = cursors,
                            .was = was,
                            .now = snapshot_apex(version->served)};
    ASSERT(was && name_equal(node_name(was), node_name(d->now)));
}

static bool put_soa(struct condensed *d, struct msg_writer *w, const struct node *apex)
{
    struct rrset set;
    struct rdata soa;
    bool there = node_rrset(apex, RR_SOA, 0, &set) && rrset_first(&set, &soa);
    ASSERT(there);
    if (!msg_put_rr(w, SECTION_ANSWER, node_name(apex), RR_SOA, CLASS_IN, set.ttl, soa.data,
                    soa.len))
        return false;
    d->put++;
    return true;
}

/* The next record of this side. False: there are no more, or (*paused) too many changes have none. */
static bool record_next(struct condensed *d, uint64_t most, bool *paused)
{
    struct change change;
    for (;;) {
        while (record_walk_next(&d->records, &d->record))
            if (d->records.set.type != RR_SOA)
                return true;
        *paused = d->walk.visited >= most;
        if (*paused || !history_walk_next(&d->walk, &change))
            return false;
        if (d->phase == CONDENSED_WENT)
            record_walk_begin(&d->records, change.was, change.now);
        else
            record_walk_begin(&d->records, change.now, change.was);
    }
}

static enum condensed_stop put_side(struct condensed *d, struct msg_writer *w, uint64_t most)
{
    bool paused = false;
    while (d->waits || record_next(d, most, &paused)) {
        const struct rrset *set = &d->records.set;
        d->waits = !msg_put_rr(w, SECTION_ANSWER, node_name(d->records.a), set->type, CLASS_IN,
                               set->ttl, d->record.data, d->record.len);
        if (d->waits)
            return CONDENSED_FULL;
        d->put++;
    }
    return paused ? CONDENSED_PAUSED : CONDENSED_ENDED;
}

static void side_begin(struct condensed *d)
{
    history_walk_begin(&d->walk, d->history, d->first, d->cursors);
    d->records = (struct record_walk){0};
}

enum condensed_stop condensed_put(struct condensed *d, struct msg_writer *w, unsigned work)
{
    uint64_t most = d->walk.visited + work;
    while (d->phase != CONDENSED_DONE) {
        bool side = d->phase == CONDENSED_WENT || d->phase == CONDENSED_CAME;
        if (side) {
            enum condensed_stop stop = put_side(d, w, most);
            if (stop != CONDENSED_ENDED)
                return stop;
        } else if (!put_soa(d, w, d->phase == CONDENSED_OLD_SOA ? d->was : d->now)) {
            return CONDENSED_FULL;
        }
        if (side) { /* the other one counts anew */
            d->walk = (struct history_walk){0};
            most = work;
        }
        if (++d->phase == CONDENSED_WENT || d->phase == CONDENSED_CAME)
            side_begin(d);
    }
    return CONDENSED_ENDED;
}

const uint8_t *condensed_owner(const struct condensed *d)
{
    return node_name(d->waits ? d->records.a : d->now);
}

uint16_t condensed_type(const struct condensed *d)
{
    return d->waits ? d->records.set.type : RR_SOA;
}
