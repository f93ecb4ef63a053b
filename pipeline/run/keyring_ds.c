/* The names and types of the fields are those of the service that registrars' tools know (algorithm and digest_type are strings, flags and
 * key_tag numbers); `keys` and `waits_for` are ours.
 */
#include "pipeline/run/keyring_ds.h"

#include "pipeline/run/option.h"

#include <string.h>

enum { TIME_TEXT_MAX = 32 };

static const char *time_text(time_t t, char out[TIME_TEXT_MAX])
{
    struct tm tm;
    if (!t || !gmtime_r(&t, &tm))
        return NULL;
    strftime(out, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return out;
}

static char *hex(const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = mem_alloc(2 * n + 1);
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = 0;
    return out;
}

static char *base64(const uint8_t *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = mem_alloc((n + 2) / 3 * 4 + 1), *at = out;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < n ? p[i + 2] : 0);
        *at++ = digits[v >> 18];
        *at++ = digits[v >> 12 & 63];
        *at++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *at++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *at = 0;
    return out;
}

static char *digest(const uint8_t *apex, const struct keyring_key *k, uint8_t type)
{
    uint8_t ds[DNSSEC_DS_MAX];
    size_t len = dnssec_ds_make(apex, k->rdata, k->len, type, ds);
    return hex(ds + 4, len - 4);
}

char *keyring_ds_line(const uint8_t *apex, const struct keyring_key *k, uint8_t type)
{
    char name[NAME_TEXT_MAX], *text = digest(apex, k, type);
    char *line = mem_printf("%s %d IN DS %u %u %u %s", name_print(apex, name), DS_TTL_SHOWN, k->tag,
                            k->algorithm, type, text);
    mem_free(&text);
    return line;
}

char *keyring_dnskey_line(const uint8_t *apex, const struct keyring_key *k)
{
    char name[NAME_TEXT_MAX], *text = base64(k->rdata + 4, k->len - 4u);
    char *line = mem_printf("%s %d IN DNSKEY %u %u %u %s", name_print(apex, name), DS_TTL_SHOWN,
                            get_u16(k->rdata), k->rdata[2], k->algorithm, text);
    mem_free(&text);
    return line;
}

/* ---- for and of other signers
 * ------------------------------------------------------------------------------------------------- */

static void export_key(const struct keyring *ring, const struct keyring_key *k, uint32_t ttl,
                       FILE *out)
{
    enum { SHA256 = 2 };
    char name[NAME_TEXT_MAX];
    char *public = base64(k->rdata + 4, k->len - 4u), *sum = digest(ring->apex, k, SHA256);
    name_print(ring->apex, name);
    fprintf(out, "; %s, key tag %u, %s\n", keyring_role_text(k->role), k->tag,
            keyring_state_text(k->state));
    fprintf(out, "%s %u IN DNSKEY %u %u %u %s\n", name, ttl, get_u16(k->rdata), k->rdata[2],
            k->algorithm, public);
    if (ring->wish == KEYRING_ENABLED &&
        (k->ds.state == CELL_COMING || k->ds.state == CELL_PRESENT)) {
        fprintf(out, "%s %u IN CDS %u %u %u %s\n", name, ttl, k->tag, k->algorithm,
                (unsigned)SHA256, sum);
        fprintf(out, "%s %u IN CDNSKEY %u %u %u %s\n", name, ttl, get_u16(k->rdata), k->rdata[2],
                k->algorithm, public);
    }
    mem_free(&sum);
    mem_free(&public);
}

void keyring_export(const struct keyring *ring, FILE *out)
{
    uint32_t ttl = ring->dnskey_ttl.served ? ring->dnskey_ttl.served : DS_TTL_SHOWN;
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].state != KEY_DEAD && ring->key[i].state != KEY_REMOVED)
            export_key(ring, &ring->key[i], ttl, out);
}

static bool is_own(const struct keyset *keys, struct rdata key)
{
    for (unsigned i = 0; i < keys->n; i++)
        if (keys->key[i].len == key.len && memcmp(keys->key[i].rdata, key.data, key.len) == 0)
            return true;
    return false;
}

static void json_time(struct json *json, const char *key, time_t t)
{
    char text[TIME_TEXT_MAX];
    json_string(json, key, time_text(t, text));
}

/* NULL: nobody's that is known, so it came with the transfer. */
static const char *owner_of(const struct signers *book, struct rdata key, time_t *since)
{
    *since = 0;
    return book ? signers_owner(book, key.data, key.len, since) : NULL;
}

void keyring_foreign_json(const struct rrset *dnskey, const struct keyset *keys,
                          const struct signers *book, struct json *json)
{
    struct rdata key;
    time_t since;
    for (const uint8_t *p = dnskey->rdata; rrset_next(dnskey, &p, &key);) {
        if (is_own(keys, key))
            continue;
        char *public = base64(key.data + 4, key.len - 4u);
        const char *owner = owner_of(book, key, &since);
        json_object(json, NULL);
        json_string(json, "owner", owner ? owner : "transfer");
        json_string(json, "state", "published");
        json_time(json, "since", since);
        json_uint(json, "key_tag", dnssec_key_tag(key.data, key.len));
        json_uint(json, "flags", get_u16(key.data));
        json_uint(json, "algorithm", key.data[3]);
        json_string(json, "key_type", dnssec_algorithm_text(key.data[3]));
        json_string(json, "public_key", public);
        json_end(json);
        mem_free(&public);
    }
}

void keyring_foreign_text(const struct rrset *dnskey, const struct keyset *keys,
                          const struct signers *book, FILE *out)
{
    struct rdata key;
    time_t since;
    char text[TIME_TEXT_MAX];
    for (const uint8_t *p = dnskey->rdata; rrset_next(dnskey, &p, &key);) {
        if (is_own(keys, key))
            continue;
        const char *owner = owner_of(book, key, &since);
        fprintf(out, "  %s %5u  %-15s foreign: ", get_u16(key.data) & DNSKEY_SEP ? "KSK" : "ZSK",
                dnssec_key_tag(key.data, key.len), dnssec_algorithm_text(key.data[3]));
        if (owner && since)
            fprintf(out, "of signer %s since %s\n", owner, time_text(since, text));
        else
            fprintf(out, "%s%s\n", owner ? "of signer " : "another signer's, by the transfer",
                    owner ? owner : "");
    }
}

/* ---- JSON
 * ------------------------------------------------------------------------------------------------- */

static bool uses_nsec3(const struct zone_conf *zone)
{
    for (unsigned i = 0; i < zone->chain->n; i++) {
        const struct chain_stage *s = &zone->chain->stage[i];
        const struct option *o =
            s->type->keys_used ? option_find(s->type->options, "denial") : NULL;
        int word;
        if (!o || o->kind != OPTION_ENUM)
            continue;
        memcpy(&word, (const char *)s->conf + o->offset, sizeof word);
        return strcmp(o->words[word], "nsec3") == 0;
    }
    return false;
}

static time_t state_since(const struct keyring_key *k)
{
    const time_t at[KEY_STATES] = {
        [KEY_GENERATED] = k->created, [KEY_PUBLISHED] = k->publish, [KEY_READY] = k->ready,
        [KEY_ACTIVE] = k->active,     [KEY_RETIRED] = k->retire,    [KEY_DEAD] = k->dead,
        [KEY_REMOVED] = k->remove};
    return at[k->state];
}

void keyring_key_json(const struct keyring *ring, const struct keyring_policy *policy,
                      const struct keyring_key *k, time_t now, struct json *json)
{
    char *public = base64(k->rdata + 4, k->len - 4u);
    struct keyring_wait wait = keyring_waits(ring, policy, k, now);
    json_string(json, "owner", "ours");
    json_string(json, "role", keyring_role_text(k->role));
    json_string(json, "state", keyring_state_text(k->state));
    json_time(json, "since", state_since(k));
    json_uint(json, "key_tag", k->tag);
    json_uint(json, "flags", get_u16(k->rdata));
    json_uint(json, "algorithm", k->algorithm);
    json_string(json, "key_type", dnssec_algorithm_text(k->algorithm));
    json_string(json, "public_key", public);
    json_time(json, "created", k->created);
    json_time(json, "publish", k->publish);
    json_time(json, "ready", k->ready);
    json_time(json, "active", k->active);
    json_time(json, "retire", k->retire);
    json_time(json, "dead", k->dead);
    json_time(json, "remove", k->remove);
    json_string(json, "waits_for", wait.reason);
    json_time(json, "until", wait.until);
    json_string(json, "then", wait.next);
    mem_free(&public);
}

static void ds_null(struct json *json)
{
    static const char *const field[] = {"algorithm",   "digest",   "digest_algorithm",
                                        "digest_type", "ds",       "flags",
                                        "key_tag",     "key_type", "public_key"};
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++)
        json_string(json, field[i], NULL);
}

static void ds_fields(const uint8_t *apex, const struct keyring_key *k, struct json *json)
{
    char number[8], *line = keyring_ds_line(apex, k, 2), *sum = digest(apex, k, 2);
    char *public = base64(k->rdata + 4, k->len - 4u);
    snprintf(number, sizeof number, "%u", k->algorithm);
    json_string(json, "algorithm", number);
    json_string(json, "digest", sum);
    json_string(json, "digest_algorithm", "SHA256");
    json_string(json, "digest_type", "2");
    json_string(json, "ds", line);
    json_uint(json, "flags", get_u16(k->rdata));
    json_uint(json, "key_tag", k->tag);
    json_string(json, "key_type", dnssec_algorithm_text(k->algorithm));
    json_string(json, "public_key", public);
    mem_free(&public);
    mem_free(&sum);
    mem_free(&line);
}

static time_t modified(const struct keyring *ring)
{
    time_t last = ring->wish == KEYRING_DELETED ? 0 : ring->wish_at;
    for (unsigned i = 0; i < ring->n && ring->wish != KEYRING_DELETED; i++)
        last = last < ring->key[i].publish ? ring->key[i].publish : last;
    return last;
}

void keyring_ds_json(const struct keyring *ring, const struct zone_conf *zone, time_t now,
                     struct json *json)
{
    const struct keyring_key *k = ring ? keyring_ds_key(ring) : NULL;
    json_string(json, "zone", zone->text);
    json_string(json, "status", ring ? keyring_status(ring) : "pending");
    json_bool(json, "dnssec_multi_signer", zone->mode && !strcmp(zone->mode, "multi-signer"));
    json_bool(json, "dnssec_presigned", false);
    json_bool(json, "ksk_elsewhere", zone->keys.policy.offline_ksk);
    json_bool(json, "dnssec_use_nsec3", uses_nsec3(zone));
    if (k)
        ds_fields(ring->apex, k, json);
    else
        ds_null(json);
    json_time(json, "modified_on", ring ? modified(ring) : 0);
    json_time(json, "resigned_on", ring ? ring->resigned_at : 0);
    json_bool(json, "ds_may_be_added", k && k->ds.state != CELL_ABSENT);
    json_array(json, "keys");
    for (unsigned i = 0; ring && i < ring->n; i++) {
        json_object(json, NULL);
        keyring_key_json(ring, &zone->keys.policy, &ring->key[i], now, json);
        json_end(json);
    }
    json_end(json);
}

/* ---- text
 * ------------------------------------------------------------------------------------------------- */

void keyring_key_text(const struct keyring *ring, const struct keyring_policy *policy,
                      const struct keyring_key *k, time_t now, FILE *out)
{
    struct keyring_wait wait = keyring_waits(ring, policy, k, now);
    char text[TIME_TEXT_MAX];
    fprintf(out, "  %s %5u  %-15s %s", keyring_role_text(k->role), k->tag,
            dnssec_algorithm_text(k->algorithm), keyring_state_text(k->state));
    if (wait.reason)
        fprintf(out, ": %s", wait.reason);
    if (wait.reason && wait.until)
        fprintf(out, " (until %s)", time_text(wait.until, text));
    if (wait.reason)
        fprintf(out, ", then %s", wait.next);
    fputc('\n', out);
}

static const char *status_words(const struct keyring *ring, const struct keyring_policy *policy)
{
    static const char *const words[][2] = {
        {"pending", "signed; the DS is not at the parent yet"},
        {"active", "signed, and the parent has the DS"},
        {"pending-disabled", "still signed, until the DS is gone from the parent and the caches"},
        {"disabled", "the DS is gone: `weir dnssec ZONE delete` takes the signatures away"},
    };
    const char *status = keyring_status(ring);
    if (ring->wish == KEYRING_DELETED)
        return "not signed";
    if (policy->offline_ksk)
        return "signed; the KSK is elsewhere, and its holder looks after the DS";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], status) == 0)
            return words[i][1];
    UNREACHABLE();
}

static bool another_stays(const struct keyring *ring, const struct keyring_key *but)
{
    for (unsigned i = 0; i < ring->n; i++)
        if (&ring->key[i] != but && ring->key[i].ds.state == CELL_PRESENT)
            return true;
    return false;
}

static void ds_advice(const struct keyring *ring, const struct keyring_key *k, FILE *out)
{
    char *line = keyring_ds_line(ring->apex, k, 2);
    if (k->ds.state == CELL_ABSENT)
        fprintf(out, "do not give this DS to the parent yet: signatures must first reach every "
                     "cache\n");
    else if (k->ds.state == CELL_COMING && k->ds.at < 0)
        fprintf(out,
                "give this DS to the parent now%s (then, if weir does not ask the parent's "
                "servers: `weir dnssec ZONE ds-seen`):\n",
                another_stays(ring, k) ? ", beside the one that is there" : "");
    fprintf(out, "  %s\n", line);
    mem_free(&line);
    for (unsigned i = 0; i < ring->n; i++) {
        const struct keyring_key *o = &ring->key[i];
        if (o->ds.state == CELL_GOING && o->ds.at < 0)
            fprintf(out, "the DS with key tag %u should go from the parent now\n", o->tag);
    }
}

void keyring_ds_text(const struct keyring *ring, const struct zone_conf *zone, time_t now,
                     FILE *out)
{
    if (!ring) {
        fprintf(out, "zone %s: pending: it has no keys yet\n", zone->text);
        return;
    }
    const struct keyring_key *k = keyring_ds_key(ring);
    fprintf(out, "zone %s: %s: %s\n", zone->text, keyring_status(ring),
            status_words(ring, &zone->keys.policy));
    if (k && ring->wish == KEYRING_ENABLED) {
        char *line = keyring_dnskey_line(ring->apex, k);
        ds_advice(ring, k, out);
        fprintf(out, "  %s\n", line);
        mem_free(&line);
    }
    fprintf(out, "keys:\n");
    for (unsigned i = 0; i < ring->n; i++)
        if (ring->key[i].state != KEY_REMOVED)
            keyring_key_text(ring, &zone->keys.policy, &ring->key[i], now, out);
}
