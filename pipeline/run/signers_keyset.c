/* What the stages and the keyring are told of the other signers. */
#include "pipeline/run/signers_p.h"

/* One that the stage would refuse, and with it the whole version, is not given to it. Nobody's key is somebody's who cannot be told yet. */
bool key_is_published(const struct signers *book, const struct book_key *k)
{
    if (k->ours || !k->member || !k->fits || k->gone)
        return false;
    return k->owner == OWNER_NOBODY || book->signer[k->owner].taken;
}

static void put_key(const struct signers *book, const struct book_key *k, struct keyset *out)
{
    const struct book_signer *s = k->owner == OWNER_NOBODY ? NULL : &book->signer[k->owner];
    bool publish = key_is_published(book, k);
    bool ds = s && !k->ours && s->asks_ds && key_wants_ds(book, s, k);
    if (!publish && !ds)
        return;
    struct keyset_foreign *f = keyset_add_foreign(out, k->rdata, k->len, k->ttl);
    f->publish = publish;
    f->ds = ds;
    f->csk = s && key_is_sep(k) && key_signs_zone(book, s, k);
}

void signers_keyset(const struct signers *book, const struct signers_policy *policy,
                    struct keyset *out)
{
    EACH_BOOK_KEY(book, k) put_key(book, k, out);
    for (const struct book_signer *s = book->signer; s < book->signer + SIGNERS_MAX; s++) {
        if (!s->name)
            continue;
        bool ns = s->step >= JOIN_EXCHANGE_NS && s->step <= JOINED;
        for (unsigned i = 0; policy->ns_union && ns && i < s->nown; i++)
            keyset_add_ns(out, s->own[i]);
        if (policy->csync_waiting && (s->step == JOIN_PARENT_NS || s->step == LEAVE_PARENT_NS))
            out->csync = true;
    }
}

/* ---- for the keyring */

/* One that has no servers cannot be asked, and does not count. One that was never seen has shown nothing. */
void book_others_make(struct signers *book)
{
    struct keyring_others *o = &book->others;
    uint8_t who = 0;
    *o = (struct keyring_others){0};
    EACH_SIGNER(book, s)
    {
        if (!book_counts(s))
            continue;
        if (s->polled)
            who |= book_bit(book, s);
        if (s->dnskey_ttl.ttl > o->dnskey_ttl)
            o->dnskey_ttl = s->dnskey_ttl.ttl;
    }
    book->counting = who;
    EACH_BOOK_KEY(book, k)
    if (k->ours && who && (k->all & who) == who && o->n < KEYRING_KEYS_MAX) {
        o->shown[o->n].rdata = k->rdata;
        o->shown[o->n++].len = k->len;
    }
}

const struct keyring_others *signers_others(const struct signers *book)
{
    return book->counting ? &book->others : NULL;
}
