/* capture_fuzz: capture files.
 *
 * Whatever a file holds, transfers begin with the numbers 1, 2, 3 …, get messages only while they are open, and end once each,
 * with a reason that is a text or none; and no more octets come out than went in.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/net/capture_p.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

struct seen {
    unsigned begun;
    size_t open, octets;
};
struct seen_transfer {
    unsigned number;
};

static void *on_begin(void *ctx, const struct capture_transfer *t)
{
    struct seen *s = ctx;
    ASSERT(t->number == ++s->begun);
    ASSERT(t->qtype == RR_AXFR || t->qtype == RR_IXFR);
    ASSERT(t->primary.len && t->secondary.len);
    if (t->number % 8 == 0)
        return NULL;
    struct seen_transfer *h = mem_alloc(sizeof *h);
    h->number = t->number;
    s->open++;
    return h;
}

static void on_message(void *ctx, void *handle, const struct capture_transfer *t,
                       const uint8_t *msg, size_t len)
{
    struct seen *s = ctx;
    struct seen_transfer *h = handle;
    ASSERT(h->number == t->number);
    for (size_t i = 0; i < len; i++)
        sink = msg[i]; /* a sanitizer sees whether it is there */
    s->octets += 2 + len;
}

static void on_end(void *ctx, void *handle, const struct capture_transfer *t, const char *problem)
{
    struct seen *s = ctx;
    struct seen_transfer *h = handle;
    ASSERT(h->number == t->number);
    ASSERT(!problem || problem[0]);
    s->open--;
    mem_free(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct capture_handler handler = {on_begin, on_message, on_end};
    struct capture_summary summary;
    struct seen seen = {0};
    struct why why = {{0}};
    uint8_t *copy = mem_dup(data, size ? size : 1);
    FILE *file = fmemopen(copy, size ? size : 1, "rb");
    ASSERT(file);
    int err = capture_read_stream(file, "fuzz", &handler, &seen, &summary, &why);
    ASSERT(err == 0 || (err < 0 && strncmp(why.text, "fuzz: ", 6) == 0));
    ASSERT(seen.open == 0);
    ASSERT(seen.begun == summary.transfers);
    ASSERT(seen.octets <= size);
    ASSERT(summary.connections <= summary.packets && summary.headless <= summary.connections);
    ASSERT(summary.ignored_packets <= summary.packets && summary.unread_octets <= size);
    mem_free(&copy);
    return 0;
}
