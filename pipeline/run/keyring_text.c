/* The ring as text: what is kept over a restart, in lines that a person can read.
 *
 *   weir keys 1
 *   zone example.
 *   wish enabled 1764009418
 *   clock 86400 tick 1234 boot 5678
 *   dnskey-ttl 3600 3600 90000             served now, largest in a cache, of which something is there until then (by `clock`)
 *   zone-ttl …, ds-ttl …
 *   others counted 3600 3600 90000         or "others left"; the DNSKEY TTL of the other signers. No such line: nothing of any is in a cache
 *   ds-checked 1764009418
 *   resigned 2 1764009418                  so often, and last at; no such line: never
 *   key CSK wanted - - published active 7 dnskey present -1 zone present -1 ds coming 86400 state 2 times … rdata 0101…
 *                                          before "active", where it is so: "lacking"
 *   end
 *
 * A text that is not exactly this is refused as a whole: with half of it, keys would do the wrong thing at the wrong time.
 */
#include "pipeline/run/kept_text.h"

#include <inttypes.h>

static const char *const wish_words[] = {"enabled", "disabled", "deleted"};
static const char *const cell_words[] = {"absent", "coming", "present", "going"};

static bool others_matter(const struct keyring *ring)
{
    return ring->others || ring->others_ttl.ttl || ring->others_ttl.served;
}

static void put_key(struct growbuf *out, const struct keyring_key *k)
{
    kept_put(out, "key %s %s %s %s %s%s active %" PRId64, keyring_role_text(k->role),
             k->wanted ? "wanted" : "-", k->roll ? "roll" : "-", k->covers ? "covers" : "-",
             k->published ? "published" : "-", k->lacking ? " lacking" : "", k->active_at);
    kept_put(out, " dnskey %s %" PRId64 " zone %s %" PRId64 " ds %s %" PRId64,
             cell_words[k->dnskey.state], k->dnskey.at, cell_words[k->zone.state], k->zone.at,
             cell_words[k->ds.state], k->ds.at);
    kept_put(out, " state %d times %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
             k->state, (int64_t)k->created, (int64_t)k->publish, (int64_t)k->ready,
             (int64_t)k->active, (int64_t)k->retire);
    kept_put(out, " %" PRId64 " %" PRId64 " rdata ", (int64_t)k->dead, (int64_t)k->remove);
    kept_put_hex(out, k->rdata, k->len);
    kept_put(out, "\n");
}

char *keyring_print(const struct keyring *ring)
{
    struct growbuf out = {0};
    char apex[NAME_TEXT_MAX];
    name_print(ring->apex, apex);
    kept_put(&out, "weir keys 1\nzone ");
    growbuf_put(&out, apex, strlen(apex));
    kept_put(&out, "\nwish %s %" PRId64 "\n", wish_words[ring->wish], (int64_t)ring->wish_at);
    kept_put(&out, "clock %" PRId64 " tick %" PRId64 " boot %" PRIu64 "\n", ring->clock, ring->tick,
             ring->boot);
    kept_put_ttl(&out, "dnskey-ttl", &ring->dnskey_ttl);
    kept_put_ttl(&out, "zone-ttl", &ring->zone_ttl);
    kept_put_ttl(&out, "ds-ttl", &ring->ds_ttl);
    if (others_matter(ring))
        kept_put_ttl(&out, ring->others ? "others counted" : "others left", &ring->others_ttl);
    kept_put(&out, "ds-checked %" PRId64 "\n", (int64_t)ring->ds_checked);
    if (ring->resigns)
        kept_put(&out, "resigned %u %" PRId64 "\n", ring->resigns, (int64_t)ring->resigned_at);
    for (unsigned i = 0; i < ring->n; i++)
        put_key(&out, &ring->key[i]);
    kept_put(&out, "end\n");
    growbuf_u8(&out, 0);
    return (char *)out.p;
}

/* ---- back
 * ------------------------------------------------------------------------------------------------- */

static void scan_ttl(struct kept_scan *s, const char *name, struct keyring_ttl *t)
{
    kept_literal(s, name);
    kept_ttl(s, t);
    kept_line_end(s);
}

static void scan_others(struct kept_scan *s, struct keyring *ring)
{
    static const char *const words[] = {"left", "counted"};
    kept_literal(s, "others");
    ring->others = kept_one_of(s, words, 2) == 1;
    kept_ttl(s, &ring->others_ttl);
    kept_line_end(s);
}

static void scan_cell(struct kept_scan *s, const char *name, struct keyring_cell *c)
{
    kept_literal(s, name);
    c->state = (enum keyring_cell_state)kept_one_of(s, cell_words, 4);
    c->at = kept_number(s, -1, KEPT_CLOCK_MAX);
}

static void scan_rdata(struct kept_scan *s, struct keyring_key *k)
{
    size_t len = 0;
    kept_literal(s, "rdata");
    k->rdata = kept_hex(s, 5, DNSSEC_PUBLIC_MAX + 4, &len, "a key's rdata");
    if (!k->rdata)
        return;
    k->len = (uint16_t)len;
    k->algorithm = k->rdata[3];
    k->tag = dnssec_key_tag(k->rdata, k->len);
}

static void scan_key(struct kept_scan *s, struct keyring_key *k)
{
    static const char *const role[] = {"KSK", "ZSK", "CSK"};
    kept_literal(s, "key");
    k->role = (enum keyring_role)(kept_one_of(s, role, 3) + KEYRING_KSK);
    k->wanted = kept_flag(s, "wanted");
    k->roll = kept_flag(s, "roll");
    k->covers = kept_flag(s, "covers");
    k->published = kept_flag(s, "published");
    k->lacking = kept_peek(s, "lacking") && kept_flag(s, "lacking");
    kept_literal(s, "active");
    k->active_at = kept_number(s, -1, KEPT_CLOCK_MAX);
    scan_cell(s, "dnskey", &k->dnskey);
    scan_cell(s, "zone", &k->zone);
    scan_cell(s, "ds", &k->ds);
    kept_literal(s, "state");
    k->state = (enum keyring_state)kept_number(s, 0, KEY_STATES - 1);
    kept_literal(s, "times");
    time_t *time[] = {&k->created, &k->publish, &k->ready, &k->active,
                      &k->retire,  &k->dead,    &k->remove};
    for (int i = 0; i < 7; i++)
        *time[i] = (time_t)kept_number(s, 0, INT64_MAX);
    scan_rdata(s, k);
    kept_line_end(s);
}

static void scan_head(struct kept_scan *s, struct keyring *ring, const char *apex)
{
    kept_literal(s, "weir");
    kept_literal(s, "keys");
    kept_literal(s, "1");
    kept_line_end(s);
    kept_literal(s, "zone");
    kept_literal(s, apex);
    kept_line_end(s);
    kept_literal(s, "wish");
    ring->wish = (enum keyring_wish)kept_one_of(s, wish_words, 3);
    ring->wish_at = (time_t)kept_number(s, 0, INT64_MAX);
    kept_line_end(s);
    kept_literal(s, "clock");
    ring->clock = kept_number(s, 0, KEPT_CLOCK_MAX);
    kept_literal(s, "tick");
    ring->tick = kept_number(s, -1, KEPT_CLOCK_MAX);
    kept_literal(s, "boot");
    ring->boot = (uint64_t)kept_number(s, 0, INT64_MAX);
    kept_line_end(s);
    scan_ttl(s, "dnskey-ttl", &ring->dnskey_ttl);
    scan_ttl(s, "zone-ttl", &ring->zone_ttl);
    scan_ttl(s, "ds-ttl", &ring->ds_ttl);
    if (kept_peek(s, "others"))
        scan_others(s, ring);
    kept_literal(s, "ds-checked");
    ring->ds_checked = (time_t)kept_number(s, 0, INT64_MAX);
    kept_line_end(s);
    if (!kept_peek(s, "resigned"))
        return;
    kept_literal(s, "resigned");
    ring->resigns = (uint32_t)kept_number(s, 0, UINT32_MAX);
    ring->resigned_at = (time_t)kept_number(s, 0, INT64_MAX);
    kept_line_end(s);
}

int keyring_parse(const char *text, size_t len, const uint8_t *apex, struct keyring **out,
                  struct why *why)
{
    char name[NAME_TEXT_MAX];
    struct kept_scan s = kept_open(text, len);
    struct keyring *ring = keyring_new(apex);
    name_print(apex, name);
    scan_head(&s, ring, name);
    while (!s.expected && kept_peek(&s, "key")) {
        if (ring->n == KEYRING_KEYS_MAX) {
            kept_wrong(&s, "no more keys");
            break;
        }
        scan_key(&s, &ring->key[ring->n++]);
    }
    kept_literal(&s, "end");
    kept_line_end(&s);
    int err = kept_close(&s, why);
    if (err)
        keyring_free(&ring);
    else
        *out = ring;
    return err;
}
