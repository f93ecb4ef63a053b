/* The journal for people, from any process: which zones it has, the versions of one, and one of those as it was served. */
#include "pipeline/run/journal_p.h"

#include <string.h>

struct journal_reader {
    struct db *db;
};

int journal_reader_open(const char *folder, struct journal_reader **out, struct why *why)
{
    struct db *db;
    int err = db_open(folder, true, &db, why);
    if (err)
        return err;
    struct journal_reader *r = mem_zalloc(sizeof *r);
    r->db = db;
    *out = r;
    return 0;
}

void journal_reader_close(struct journal_reader **r)
{
    if (!*r)
        return;
    db_close(&(*r)->db);
    mem_free(r);
}

static struct journal_listed listed(const struct journal_row *row, const struct journal_step *s)
{
    struct journal_listed v = {
        .serial = s->to,
        .input_serial = s->input,
        .from_serial = s->from,
        .has_from = s->has_from,
        .ixfr = s->step + row->history > row->newest,
        .at = (time_t)s->at,
        .names = s->names,
        .records = s->records,
        .change_octets = s->octets,
        .notes = s->notes,
    };
    memcpy(v.origin, s->origin, sizeof v.origin);
    return v;
}

static int list_read(struct db_txn *txn, const uint8_t *name, struct journal_listing *out,
                     struct why *why)
{
    struct journal_row row;
    struct rbuf in = {0};
    int err = row_read(txn, name, &row, &in, why);
    if (err)
        return err;
    out->version = mem_array(row.newest + 1 - row.oldest + 1, sizeof out->version[0]);
    for (uint64_t n = row.newest; n >= row.oldest && n; n--) {
        struct journal_step step;
        if (step_read(txn, &row, n, &step, &in, &out->cut))
            break;
        out->version[out->n++] = listed(&row, &step);
    }
    for (unsigned i = 0; i < row.nlayers; i++)
        out->image_octets += row.layer[i].image_octets;
    (void)!timers_get(txn, row.zone, &out->checked_at, &out->expires_at, NULL);
    struct journal_key key = journal_key_id(JOURNAL_HELD, row.zone);
    out->held = !value_get(txn, &key, &in, NULL) && rbuf_u64(&in) == row.newest;
    return 0;
}

int journal_reader_list(struct journal_reader *r, const uint8_t *name, struct journal_listing *out,
                        struct why *why)
{
    struct db_txn *txn;
    *out = (struct journal_listing){0};
    int err = db_begin(r->db, false, &txn, why);
    if (err)
        return err;
    err = list_read(txn, name, out, why);
    db_abort(&txn);
    if (err)
        mem_free(&out->version);
    return err;
}

/* What the steps of a zone take: their values are not looked at. */
static int steps_measure(struct db_txn *txn, const struct journal_row *row,
                         struct journal_zone_listed *out, struct why *why)
{
    struct journal_key key = journal_key_step(row->zone, row->oldest);
    struct db_cursor *cursor;
    struct db_item item;
    uint64_t id, step;
    int err = db_cursor_open(txn, &cursor, why);
    if (err)
        return err;
    for (err = db_seek(cursor, key.octets, key.len, &item, why);
         !err && journal_key_has_id(&item, JOURNAL_STEP, &id, &step) && id == row->zone;
         err = db_next(cursor, &item, why)) {
        out->octets += item.value_len;
        out->versions++;
    }
    db_cursor_close(&cursor);
    return err == -E_NOENT ? 0 : err;
}

static int zone_measure(struct db_txn *txn, const uint8_t *name, struct journal_zone_listed *out)
{
    struct journal_row row;
    struct rbuf in = {0};
    int err = row_read(txn, name, &row, &in, &out->damage);
    if (err)
        return err;
    for (unsigned i = 0; i < row.nlayers; i++)
        out->octets += row.layer[i].image_octets;
    struct journal_step step;
    err = step_read(txn, &row, row.newest, &step, &in, &out->damage);
    if (!err)
        out->serial = step.to;
    return err ? err : steps_measure(txn, &row, out, &out->damage);
}

static int zones_read(struct db_txn *txn, struct journal_zones *out, struct why *why)
{
    struct journal_key key = journal_key(JOURNAL_ROW);
    struct db_cursor *cursor;
    struct db_item item;
    size_t cap = 0;
    int err = db_cursor_open(txn, &cursor, why);
    if (err)
        return err;
    for (err = db_seek(cursor, key.octets, key.len, &item, why); !err && item.key[0] == JOURNAL_ROW;
         err = db_next(cursor, &item, why)) {
        int len = name_valid(item.key + 1, item.key_len - 1);
        if (len < 0 || (size_t)len + 1 != item.key_len)
            continue; /* the next start says so */
        if (out->n == cap) {
            cap = cap ? 2 * cap : 64;
            out->zone = mem_resize(out->zone, cap * sizeof out->zone[0]);
        }
        struct journal_zone_listed *z = &out->zone[out->n++];
        *z = (struct journal_zone_listed){.octets = item.value_len};
        name_copy(z->name, item.key + 1);
        (void)!zone_measure(txn, z->name, z);
    }
    db_cursor_close(&cursor);
    return err == -E_NOENT ? 0 : err;
}

int journal_reader_zones(struct journal_reader *r, struct journal_zones *out, struct why *why)
{
    struct db_txn *txn;
    *out = (struct journal_zones){0};
    int err = db_begin(r->db, false, &txn, why);
    if (err)
        return err;
    err = zones_read(txn, out, why);
    db_abort(&txn);
    if (err)
        mem_free(&out->zone);
    return err;
}

/* From what is served back to where it had the serial: the history, turned round. */
static int rewind_to(struct snapshot **s, const struct journal_loaded *l, uint32_t serial,
                     struct why *why)
{
    struct soa soa;
    snapshot_soa(*s, &soa);
    size_t i = l->nchanges;
    while (soa.serial != serial) {
        const struct changeset *c = i ? l->change[--i].changes : NULL;
        if (!c || !c->has_from)
            return why_set(why, -E_NOENT, "the journal has no version with serial %u", serial);
        struct changeset *back = changeset_invert(c);
        struct edit *e = edit_open((*s)->family, *s, *s);
        struct snapshot *before = NULL;
        int err = change_apply(e, back, why);
        if (!err)
            err = edit_seal(&e, &before, NULL, why);
        edit_abort(&e);
        changeset_unref(back);
        if (err)
            return err;
        snapshot_unref(*s);
        *s = before;
        snapshot_soa(*s, &soa);
    }
    return 0;
}

int journal_reader_get(struct journal_reader *r, const uint8_t *name, const uint32_t *serial,
                       struct snapshot **out, struct why *why)
{
    struct journal_loaded *l;
    struct family *family = family_new(name);
    int err = zone_records_read(NULL, r->db, name, family, NULL, &l, why);
    family_unref(family);
    if (err)
        return err;
    struct snapshot *s = snapshot_ref(l->served);
    if (serial)
        err = rewind_to(&s, l, *serial, why);
    journal_loaded_free(&l);
    if (err)
        snapshot_unref(s);
    else
        *out = s;
    return err;
}
