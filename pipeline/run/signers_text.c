/* The book as text: what is kept over a restart, in lines that a person can read (kept_text.h).
 *
 *   weir signers 1
 *   zone example.
 *   clock 86400 tick 1234 boot 5678
 *   dnskey-ttl 3600 3600 90000             as in the ring's text; ns-ttl, zone-ttl, ds-ttl, parent-ns-ttl likewise
 *   parent 1764009418 ds 86400 ns -1       its last view, and when it told these, by `clock`
 *   signer 0 knot joins wait-caches 1764009418 at 86400 - taken asks-ds … forced 0 prove 0
 *     from 86300 86350 -1 -1 -1 -1 seen 1764009418 86400
 *     dnskey-ttl …, ns-ttl …
 *     ns ns1.knot.example.                 one of its NS set, lines as many; "own" for its own
 *     record 48 3600 0101…                 of the DNSKEY, CDS and CDNSKEY sets as they were proved: type, TTL, rdata
 *     error …, alarm 86400 …, waits -1 …   words up to the end of the line
 *   key 0 signature - all 1 any 1 … ttl 3600 since 1764009418 rdata 0101…
 *   end
 */
#include "pipeline/run/signers_p.h"

#include "pipeline/run/kept_text.h"

#include <inttypes.h>

static const char *const wish_words[] = {"joins", "leaves"};
static const char *const by_words[] = {"nothing", "first", "cds", "file", "signature"};
#define FLAGS(s)                                                                                   \
    {                                                                                              \
        {"unconfigured", &(s)->unconfigured}, {"taken", &(s)->taken}, {"asks-ds", &(s)->asks_ds},  \
            {"exposed", &(s)->exposed}, {"stopped", &(s)->stopped}, {"waited", &(s)->waited},      \
            {"polled", &(s)->polled}, {"lies", &(s)->lies}, {"filed", &(s)->filed},                \
            {"has-cds", &(s)->has_cds}, {"ns-agreed", &(s)->ns_agreed},                            \
    }
#define MASKS(k)                                                                                   \
    {                                                                                              \
        {"all", &(k)->all}, {"any", &(k)->any}, {"zone", &(k)->zone}, {"keys", &(k)->keys},        \
            {"cds", &(k)->cds}, {"file", &(k)->file}, {"claims", &(k)->claims},                    \
            {"pinned", &(k)->pinned},                                                              \
    }
#define KEY_FLAGS(k)                                                                               \
    {                                                                                              \
        {"ours", &(k)->ours}, {"member", &(k)->member}, {"fits", &(k)->fits}, {"ds", &(k)->ds},    \
            {"gone", &(k)->gone},                                                                  \
    }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void put_words(struct growbuf *out, const char *text)
{
    growbuf_u8(out, ' ');
    for (; *text; text++)
        growbuf_u8(out, *text >= ' ' && *text <= '~' ? (uint8_t)*text : '?');
    growbuf_u8(out, '\n');
}

static void put_names(struct growbuf *out, const char *word, uint8_t *const *names, unsigned n)
{
    char text[NAME_TEXT_MAX];
    for (unsigned i = 0; i < n; i++)
        kept_put(out, "%s %s\n", word, name_print(names[i], text));
}

static void put_node(struct growbuf *out, const struct node *node)
{
    struct rrset set;
    struct rdata r;
    for (unsigned i = 0; node && i < node->nrrsets; i++) {
        node_rrset_at(node, i, &set);
        for (const uint8_t *p = set.rdata; rrset_next(&set, &p, &r);) {
            kept_put(out, "record %u %u ", set.type, set.ttl);
            kept_put_hex(out, r.data, r.len);
            growbuf_u8(out, '\n');
        }
    }
}

static void put_signer(struct growbuf *out, const struct signers *book, struct book_signer *s)
{
    const struct {
        const char *word;
        const bool *flag;
    } flags[] = FLAGS(s);
    kept_put(out, "signer %d %s %s %s %" PRId64 " at %" PRId64, (int)(s - book->signer), s->name,
             wish_words[s->wish], signer_step_text(s->step), (int64_t)s->step_since, s->step_at);
    for (unsigned i = 0; i < COUNT(flags); i++)
        kept_put(out, " %s", *flags[i].flag ? flags[i].word : "-");
    kept_put(out, " forced %u %u %" PRId64 "\n", s->forced, s->forced_step, (int64_t)s->forced_at);
    kept_put(out, "from %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
             s->keys_at, s->ds_at, s->ns_at, s->stop_at, s->gone_at, s->broken_at);
    kept_put(out, " seen %" PRId64 " %" PRId64 "\n", (int64_t)s->seen_at, s->seen);
    kept_put_ttl(out, "dnskey-ttl", &s->dnskey_ttl);
    kept_put_ttl(out, "ns-ttl", &s->ns_ttl);
    put_names(out, "ns", s->ns, s->nns);
    put_names(out, "own", s->own, s->nown);
    put_node(out, s->proved);
    kept_put(out, "error");
    put_words(out, s->error);
    kept_put(out, "alarm %" PRId64, s->alarm_at);
    put_words(out, s->alarm);
    kept_put(out, "waits %" PRId64, s->due);
    put_words(out, s->waits);
}

static void put_key(struct growbuf *out, struct book_key *k)
{
    const struct {
        const char *word;
        const bool *flag;
    } flags[] = KEY_FLAGS(k);
    const struct {
        const char *word;
        const uint8_t *mask;
    } masks[] = MASKS(k);
    kept_put(out, "key %d %s", k->owner, by_words[k->by]);
    for (unsigned i = 0; i < COUNT(flags); i++)
        kept_put(out, " %s", *flags[i].flag ? flags[i].word : "-");
    for (unsigned i = 0; i < COUNT(masks); i++)
        kept_put(out, " %s %u", masks[i].word, *masks[i].mask);
    kept_put(out, " known %" PRId64 " idle %" PRId64 " ttl %u since %" PRId64 " rdata ",
             k->known_at, k->idle_at, k->ttl, (int64_t)k->since);
    kept_put_hex(out, k->rdata, k->len);
    growbuf_u8(out, '\n');
}

char *signers_print(const struct signers *given)
{
    struct growbuf out = {0};
    char apex[NAME_TEXT_MAX];
    struct signers copy = *given, *book = &copy; /* shallow: nothing is changed */
    kept_put(&out, "weir signers 1\nzone %s\n", name_print(book->apex, apex));
    kept_put(&out, "clock %" PRId64 " tick %" PRId64 " boot %" PRIu64 "\n", book->clock, book->tick,
             book->boot);
    kept_put_ttl(&out, "dnskey-ttl", &book->dnskey_ttl);
    kept_put_ttl(&out, "ns-ttl", &book->ns_ttl);
    kept_put_ttl(&out, "zone-ttl", &book->zone_ttl);
    kept_put_ttl(&out, "ds-ttl", &book->ds_ttl);
    kept_put_ttl(&out, "parent-ns-ttl", &book->parent_ns_ttl);
    kept_put(&out, "parent %" PRId64 " ds %" PRId64 " ns %" PRId64 "\n", (int64_t)book->parent_at,
             book->parent_ds, book->parent_ns);
    EACH_SIGNER(book, s) put_signer(&out, book, s);
    EACH_BOOK_KEY(book, k) put_key(&out, k);
    kept_put(&out, "end\n");
    growbuf_u8(&out, 0);
    return (char *)out.p;
}

/* ---- back */

static void scan_ttl(struct kept_scan *s, const char *word, struct keyring_ttl *t)
{
    kept_literal(s, word);
    kept_ttl(s, t);
    kept_line_end(s);
}

static int64_t number_after(struct kept_scan *s, const char *word, int64_t min)
{
    kept_literal(s, word);
    return kept_number(s, min, KEPT_CLOCK_MAX);
}

static void scan_name(struct kept_scan *s, char **out)
{
    const char *p;
    size_t n = kept_word(s, &p);
    bool good = n > 0 && n <= BOOK_NAME_MAX;
    for (size_t i = 0; good && i < n; i++)
        good = p[i] > ' ' && p[i] <= '~';
    if (!good)
        kept_wrong(s, "the name of a signer");
    *out = mem_zalloc(BOOK_NAME_MAX + 1);
    memcpy(*out, p, good ? n : 0);
}

/* Steps have their names among those of joining or of leaving. */
static enum signer_step scan_step(struct kept_scan *s, enum signer_wish wish)
{
    enum signer_step first = wish == SIGNER_JOINS ? JOIN_PROVE : LEAVE_REMOVE_NS;
    enum signer_step last = wish == SIGNER_JOINS ? JOINED : LEFT;
    const char *words[SIGNER_STEPS];
    for (enum signer_step step = first; step <= last; step++)
        words[step - first] = signer_step_text(step);
    return first + (enum signer_step)kept_one_of(s, words, (int)(last - first) + 1);
}

static void scan_names(struct kept_scan *s, const char *word, uint8_t **names, unsigned *n)
{
    while (!s->expected && kept_peek(s, word)) {
        uint8_t wire[NAME_MAX_OCTETS];
        char text[NAME_TEXT_MAX];
        const char *p;
        kept_literal(s, word);
        size_t len = kept_word(s, &p);
        if (len >= sizeof text || *n == SIGNER_NS_MAX) {
            kept_wrong(s, "a name, and not too many");
            return;
        }
        memcpy(text, p, len);
        text[len] = 0;
        int octets = name_parse(text, wire, NULL);
        if (octets < 0 || names_have(names, *n, wire)) {
            kept_wrong(s, "the name of a server");
            return;
        }
        names[(*n)++] = mem_dup(wire, (size_t)octets);
        kept_line_end(s);
    }
}

enum { PROVED_RECORDS_MAX = 256 };
static void scan_record(struct kept_scan *s, struct node_builder *b)
{
    size_t len = 0;
    kept_literal(s, "record");
    uint16_t type = (uint16_t)kept_number(s, 1, UINT16_MAX);
    uint32_t ttl = (uint32_t)kept_number(s, 0, UINT32_MAX);
    uint8_t *rdata = kept_hex(s, 1, UINT16_MAX, &len, "a record's rdata");
    bool known = type == RR_DNSKEY || type == RR_CDS || type == RR_CDNSKEY || type == RR_RRSIG;
    if (rdata && (!known || rdata_valid(type, rdata, len, NULL) != 0))
        kept_wrong(s, "a record of the DNSKEY, CDS or CDNSKEY set");
    if (!s->expected && node_builder_add(b, type, ttl, rdata, (uint16_t)len) != 0)
        kept_wrong(s, "fewer records");
    mem_free(&rdata);
    kept_line_end(s);
}

static struct node *scan_node(struct kept_scan *s, const uint8_t *apex)
{
    if (!kept_peek(s, "record"))
        return NULL;
    struct node_builder *b = node_builder_new();
    node_builder_begin(b, apex);
    for (unsigned n = 0; !s->expected && kept_peek(s, "record"); n++) {
        if (n == PROVED_RECORDS_MAX)
            kept_wrong(s, "no more records");
        else
            scan_record(s, b);
    }
    struct node *node = node_builder_seal(b);
    node_builder_free(&b);
    return node;
}

static void scan_words(struct kept_scan *s, char out[BOOK_WORDS])
{
    kept_rest(s, out, BOOK_WORDS);
    kept_line_end(s);
}

static void scan_signer_end(struct kept_scan *s, const uint8_t *apex, struct book_signer *out)
{
    scan_ttl(s, "dnskey-ttl", &out->dnskey_ttl);
    scan_ttl(s, "ns-ttl", &out->ns_ttl);
    scan_names(s, "ns", out->ns, &out->nns);
    scan_names(s, "own", out->own, &out->nown);
    out->proved = scan_node(s, apex);
    kept_literal(s, "error");
    scan_words(s, out->error);
    out->alarm_at = number_after(s, "alarm", 0);
    scan_words(s, out->alarm);
    out->due = number_after(s, "waits", -1);
    scan_words(s, out->waits);
}

static void scan_signer(struct kept_scan *s, struct signers *book)
{
    kept_literal(s, "signer");
    struct book_signer *out = &book->signer[kept_number(s, 0, SIGNERS_MAX - 1)];
    if (out->name) {
        kept_wrong(s, "each slot once");
        return;
    }
    char *name;
    scan_name(s, &name);
    if (book_signer(book, name))
        kept_wrong(s, "each signer once");
    out->name = name;
    const struct {
        const char *word;
        bool *flag;
    } flags[] = FLAGS(out);
    out->wish = (enum signer_wish)kept_one_of(s, wish_words, 2);
    out->step = scan_step(s, out->wish);
    out->step_since = (time_t)kept_number(s, 0, INT64_MAX);
    out->step_at = number_after(s, "at", 0);
    for (unsigned i = 0; i < COUNT(flags); i++)
        *flags[i].flag = kept_flag(s, flags[i].word);
    kept_literal(s, "forced");
    out->forced = (uint32_t)kept_number(s, 0, (1 << SIGNER_STEPS) - 1);
    out->forced_step = (enum signer_step)kept_number(s, 0, SIGNER_STEPS - 1);
    out->forced_at = (time_t)kept_number(s, 0, INT64_MAX);
    kept_line_end(s);
    kept_literal(s, "from");
    int64_t *const from[] = {&out->keys_at, &out->ds_at,   &out->ns_at,
                             &out->stop_at, &out->gone_at, &out->broken_at};
    for (unsigned i = 0; i < COUNT(from); i++)
        *from[i] = kept_number(s, -1, KEPT_CLOCK_MAX);
    kept_literal(s, "seen");
    out->seen_at = (time_t)kept_number(s, 0, INT64_MAX);
    out->seen = kept_number(s, -1, KEPT_CLOCK_MAX);
    kept_line_end(s);
    scan_signer_end(s, book->apex, out);
}

static void scan_key(struct kept_scan *s, struct signers *book)
{
    struct book_key k = {0};
    const struct {
        const char *word;
        bool *flag;
    } flags[] = KEY_FLAGS(&k);
    const struct {
        const char *word;
        uint8_t *mask;
    } masks[] = MASKS(&k);
    kept_literal(s, "key");
    k.owner = (int8_t)kept_number(s, OWNER_NOBODY, SIGNERS_MAX - 1);
    k.by = (enum owner_by)kept_one_of(s, by_words, COUNT(by_words));
    for (unsigned i = 0; i < COUNT(flags); i++)
        *flags[i].flag = kept_flag(s, flags[i].word);
    for (unsigned i = 0; i < COUNT(masks); i++)
        *masks[i].mask = (uint8_t)number_after(s, masks[i].word, 0);
    k.known_at = number_after(s, "known", 0);
    k.idle_at = number_after(s, "idle", -1);
    kept_literal(s, "ttl");
    k.ttl = (uint32_t)kept_number(s, 0, UINT32_MAX);
    k.since = (time_t)number_after(s, "since", 0);
    kept_literal(s, "rdata");
    size_t len = 0;
    uint8_t *rdata = kept_hex(s, 5, DNSSEC_PUBLIC_MAX + 4, &len, "a key's rdata");
    kept_line_end(s);
    if (k.owner != OWNER_NOBODY && !book->signer[k.owner].name)
        kept_wrong(s, "a key of a signer that is there");
    if (rdata && book_key(book, rdata, (uint16_t)len))
        kept_wrong(s, "each key once");
    struct book_key *out = s->expected ? NULL : book_key_add(book, rdata, (uint16_t)len, k.since);
    if (out) {
        k.rdata = out->rdata;
        k.len = out->len;
        k.tag = out->tag;
        k.algorithm = out->algorithm;
        *out = k;
    } else {
        kept_wrong(s, "no more keys");
    }
    mem_free(&rdata);
}

static void scan_head(struct kept_scan *s, struct signers *book)
{
    char apex[NAME_TEXT_MAX];
    kept_literal(s, "weir");
    kept_literal(s, "signers");
    kept_literal(s, "1");
    kept_line_end(s);
    kept_literal(s, "zone");
    kept_literal(s, name_print(book->apex, apex));
    kept_line_end(s);
    book->clock = number_after(s, "clock", 0);
    book->tick = number_after(s, "tick", -1);
    kept_literal(s, "boot");
    book->boot = (uint64_t)kept_number(s, 0, INT64_MAX);
    kept_line_end(s);
    scan_ttl(s, "dnskey-ttl", &book->dnskey_ttl);
    scan_ttl(s, "ns-ttl", &book->ns_ttl);
    scan_ttl(s, "zone-ttl", &book->zone_ttl);
    scan_ttl(s, "ds-ttl", &book->ds_ttl);
    scan_ttl(s, "parent-ns-ttl", &book->parent_ns_ttl);
    kept_literal(s, "parent");
    book->parent_at = (time_t)kept_number(s, 0, INT64_MAX);
    book->parent_ds = number_after(s, "ds", -1);
    book->parent_ns = number_after(s, "ns", -1);
    kept_line_end(s);
}

int signers_parse(const char *text, size_t len, const uint8_t *apex, struct signers **out,
                  struct why *why)
{
    struct kept_scan s = kept_open(text, len);
    struct signers *book = signers_new(apex);
    scan_head(&s, book);
    while (!s.expected && kept_peek(&s, "signer"))
        scan_signer(&s, book);
    while (!s.expected && kept_peek(&s, "key"))
        scan_key(&s, book);
    kept_literal(&s, "end");
    kept_line_end(&s);
    int err = kept_close(&s, why);
    if (err) {
        signers_free(&book);
        return err;
    }
    book_others_make(book);
    *out = book;
    return 0;
}
