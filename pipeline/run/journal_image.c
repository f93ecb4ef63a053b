/* A layer's records as a whole.
 *
 * An image is a run of chunks, each a value of about 64 KiB with whole nodes in canonical order. It belongs to nobody until
 * a zone's row names it, so it can be written over many transactions, other zones' versions in between; if weir dies meanwhile, the
 * chunks are found to be nobody's at the next start, and deleted. The snapshot that it is made from does not change. */
#include "pipeline/run/journal_p.h"

struct journal_image *image_new(struct journal *j, const struct snapshot *s)
{
    struct journal_image *im = mem_zalloc(sizeof *im);
    im->id = atomic_fetch_add(&j->next_image, 1);
    im->snapshot = snapshot_ref(s);
    im->node = snapshot_first(&im->it, s);
    return im;
}

void image_free(struct journal_image **im)
{
    if (!*im)
        return;
    snapshot_unref((*im)->snapshot);
    journal_zone_unref((*im)->zone);
    mem_free(im);
}

static int chunk_write(struct journal *j, struct db_txn *txn, struct journal_image *im,
                       struct why *why)
{
    struct growbuf *out = &j->scratch;
    uint32_t nodes = 0;
    out->len = 0;
    growbuf_u32(out, 0);
    for (; im->node && out->len < CHUNK_OCTETS; im->node = snapshot_next(&im->it), nodes++)
        node_save(im->node, out);
    put_u32(out->p, nodes);
    struct journal_key key = journal_key_chunk(im->id, im->chunks);
    int err = value_put(j, txn, &key, out, why);
    im->octets += out->len;
    im->chunks++;
    return err;
}

int image_write(struct journal *j, struct db_txn *txn, struct journal_image *im, size_t most,
                struct why *why)
{
    uint64_t end = im->octets + most;
    int err = 0;
    while (!err && im->node && im->octets < end)
        err = chunk_write(j, txn, im, why);
    return err;
}

void image_layer(const struct journal_image *im, uint64_t step, struct journal_layer *out)
{
    *out = (struct journal_layer){
        .image = im->id, .image_step = step, .image_octets = im->octets, .chunks = im->chunks};
}

/* A restart reads at most one and a half times the zone, and what is written for an octet of change is at most three. */
bool image_due(const struct journal_layer *layer)
{
    return layer->step_octets > layer->image_octets / 2 + CHUNK_OCTETS;
}
