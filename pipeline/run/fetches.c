/* fetches: a short list, looked through. */
#include "pipeline/run/fetches.h"

#include "pipeline/base/alloc.h"

const char *const fetch_kind_word[FETCH_KINDS] = {
    [FETCH_NONE] = "none",       [FETCH_AXFR] = "axfr",
    [FETCH_IXFR] = "ixfr",       [FETCH_IXFR_FULL] = "ixfr-full",
    [FETCH_CURRENT] = "current", [FETCH_COME_BY_TCP] = "come-by-tcp",
};

void fetches_init(struct fetches *f)
{
    *f = (struct fetches){0};
    pthread_mutex_init(&f->lock, NULL);
}

void fetches_fini(struct fetches *f)
{
    pthread_mutex_destroy(&f->lock);
    mem_free(&f->list);
}

static struct fetch *row_of(const struct fetches *f, const struct address *host)
{
    for (size_t i = 0; i < f->n; i++)
        if (address_same_host(&f->list[i].host, host))
            return &f->list[i];
    return NULL;
}

static struct fetch *row_new(struct fetches *f)
{
    if (f->n < FETCHES_MAX) {
        f->list = mem_resize(f->list, (f->n + 1) * sizeof f->list[0]);
        return &f->list[f->n++];
    }
    struct fetch *oldest = f->list;
    for (size_t i = 1; i < f->n; i++)
        if (f->list[i].at < oldest->at)
            oldest = &f->list[i];
    return oldest;
}

void fetches_note(struct fetches *f, const struct fetch *fetch)
{
    pthread_mutex_lock(&f->lock);
    struct fetch *row = row_of(f, &fetch->host);
    *(row ? row : row_new(f)) = *fetch;
    pthread_mutex_unlock(&f->lock);
}

bool fetches_find(struct fetches *f, const struct address *host, struct fetch *out)
{
    pthread_mutex_lock(&f->lock);
    const struct fetch *row = row_of(f, host);
    if (row)
        *out = *row;
    pthread_mutex_unlock(&f->lock);
    return row;
}
