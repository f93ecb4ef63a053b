/* accepted: see accepted.h. */
#include "tests/lib/accepted.h"

struct version *version_accepted(struct snapshot *s)
{
    struct chain *chain = chain_new(0, 1);
    const struct chain_input input = {.snapshot = s, .origin = "test"};
    struct candidate *c = chain_run(chain, NULL, &input, 1, NULL);
    struct version *v = candidate_take(c);
    candidate_free(&c);
    chain_unref(chain);
    snapshot_unref(s);
    return v;
}
