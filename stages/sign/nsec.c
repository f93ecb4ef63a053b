/* nsec: denial by NSEC.
 *
 * One record at every name of the zone: the next name that has one, and the types that are there; at a cut those that the
 * parent answers for (RFC 4034 4.1, RFC 4035 2.3). Nothing beside the names themselves.
 */
#include "stages/sign/sign.h"

static bool nsec_at_name(const struct signing *s, struct worker *w, const struct owner *owner,
                         struct rrset *out)
{
    const uint8_t *next = owner->next ? node_name(owner->next) : s->apex_name;
    struct type_set *types = &w->types;
    struct wbuf rdata = worker_set_begin(w);
    wbuf_put(&rdata, next, name_len(next));
    typeset_begin(types);
    typeset_add_node(types, owner->node, owner->status);
    typeset_add(types, RR_NSEC);
    typeset_add(types, RR_RRSIG);
    typeset_write(types, &rdata);
    *out = worker_set_end(w, RR_NSEC, s->nsec_ttl, &rdata);
    return true;
}

const struct denial denial_nsec = {.at_name = nsec_at_name};
