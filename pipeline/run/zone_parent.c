/* zone_parent: see zone_parent.h. */
#include "pipeline/run/zone_parent.h"

#include "pipeline/run/zone_guard.h"
#include "pipeline/run/zone_keys.h"
#include "pipeline/run/zone_run_p.h"

static void want_change(struct zone *z, _Atomic bool *wanted, bool want)
{
    struct zone_shared *shared = z->run->shared;
    if (atomic_exchange(wanted, want) != want && shared->parent_listen)
        shared->parent_listen(shared->parent_ctx, z);
}

void zone_parent_want(struct zone *z, bool want)
{
    want_change(z, &z->parent_wanted, want);
}

void zone_parent_want_guard(struct zone *z, bool want)
{
    want_change(z, &z->parent_guard_wanted, want);
}

void zone_parent_want_ns(struct zone *z, bool want)
{
    want_change(z, &z->parent_ns_wanted, want);
}

struct parent_view *zone_parent_view(struct zone *z)
{
    pthread_mutex_lock(&z->lock);
    struct parent_view *v = z->parent ? parent_view_ref(z->parent) : NULL;
    pthread_mutex_unlock(&z->lock);
    return v;
}

void zone_parent_told(struct zone *z, const struct parent_view *view)
{
    pthread_mutex_lock(&z->lock);
    struct parent_view *old = z->parent;
    z->parent = parent_view_ref(view);
    pthread_mutex_unlock(&z->lock);
    parent_view_unref(old);
    zone_guard_parent(z, view);
    zone_keys_parent(z, view);
}
