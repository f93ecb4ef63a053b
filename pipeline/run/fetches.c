/* fetches: a short list, looked through. */
#include "pipeline/run/fetches.h"

#include "pipeline/base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>

const char *const fetch_kind_word[FETCH_KINDS] = {
    [FETCH_NONE] = "none",       [FETCH_AXFR] = "axfr",
    [FETCH_IXFR] = "ixfr",       [FETCH_IXFR_FULL] = "ixfr-full",
    [FETCH_CURRENT] = "current", [FETCH_COME_BY_TCP] = "come-by-tcp",
};

struct fetch_book {
    struct fetch_counters counters;
    pthread_mutex_t lock; /* for what follows */
    size_t n;
    struct fetch *list;
};

static void book_free(struct fetch_book *b)
{
    if (!b)
        return;
    pthread_mutex_destroy(&b->lock);
    mem_free(&b->list);
    mem_free(&b);
}

void fetches_fini(struct fetches *f)
{
    book_free(atomic_exchange(&f->book, NULL));
}

/* Two may make it at once; one of them is kept. */
static struct fetch_book *book_of(struct fetches *f)
{
    struct fetch_book *there = atomic_load(&f->book);
    if (there)
        return there;
    struct fetch_book *made = mem_zalloc(sizeof *made);
    pthread_mutex_init(&made->lock, NULL);
    if (atomic_compare_exchange_strong(&f->book, &there, made))
        return made;
    book_free(made);
    return there;
}

struct fetch_counters *fetches_counters(struct fetches *f)
{
    return &book_of(f)->counters;
}

const struct fetch_counters *fetches_counted(const struct fetches *f)
{
    static const struct fetch_counters none;
    const struct fetch_book *b = atomic_load(&f->book);
    return b ? &b->counters : &none;
}

static struct fetch *row_of(const struct fetch_book *b, const struct address *host)
{
    for (size_t i = 0; i < b->n; i++)
        if (address_same_host(&b->list[i].host, host))
            return &b->list[i];
    return NULL;
}

static struct fetch *row_new(struct fetch_book *b)
{
    if (b->n < FETCHES_MAX) {
        b->list = mem_resize(b->list, (b->n + 1) * sizeof b->list[0]);
        return &b->list[b->n++];
    }
    struct fetch *oldest = b->list;
    for (size_t i = 1; i < b->n; i++)
        if (b->list[i].at < oldest->at)
            oldest = &b->list[i];
    return oldest;
}

void fetches_note(struct fetches *f, const struct fetch *fetch)
{
    struct fetch_book *b = book_of(f);
    pthread_mutex_lock(&b->lock);
    struct fetch *row = row_of(b, &fetch->host);
    *(row ? row : row_new(b)) = *fetch;
    pthread_mutex_unlock(&b->lock);
}

bool fetches_find(const struct fetches *f, const struct address *host, struct fetch *out)
{
    struct fetch_book *b = atomic_load(&f->book);
    if (!b)
        return false;
    pthread_mutex_lock(&b->lock);
    const struct fetch *row = row_of(b, host);
    if (row)
        *out = *row;
    pthread_mutex_unlock(&b->lock);
    return row;
}
