/* dnssec: zones signed by ldns-signzone in every algorithm, one by one, in batches, by threads. */
#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec_parts.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"
#include "tests/lib/vectors.h"

#include <openssl/bn.h>
#include <pthread.h>
#include <unistd.h>

static struct dnssec_key *key_open(const struct record *dnskey)
{
    struct dnssec_key *key = NULL;
    struct why why = {""};
    ck_assert_msg(dnssec_key_open(dnskey->rdata, dnskey->len, &key, &why) == 0, "%s", why.text);
    return key;
}

static const char *const zone_text =
    "$ORIGIN Example.\n$TTL 300\n"
    "@ IN SOA ns1 Hostmaster.Example. 1 2 3 4 5\n@ NS NS1\n@ NS ns2.Other.\n@ MX 10 Mail\n@ TXT "
    "\"One\" \"two\"\n"
    "NS1 A 192.0.2.1\nns1 AAAA 2001:db8::1\nMAIL A 192.0.2.2\nmail A 192.0.2.3\nmail A 192.0.2.20\n"
    "*.Wild TXT \"wild\"\nsrv SRV 1 2 3 Target.Example.\nnaptr NAPTR 1 2 \"U\" \"E2U+sip\" "
    "\"!^.*$!sip:A@b!\" Repl\n"
    "alias CNAME Canonical\nSub DNAME Elsewhere.Test.\nchild NS ns.Child\nchild DS 1 13 2 "
    "C988EC423E3880EB8DD8A46FE06CA230EE23F35B578D64E78B29C3E1C83D245A\nns.child A 192.0.2.9\n"
    "rp RP Mbox.Example. Txt.Example.\nunknown TYPE65400 \\# 4 DEADBEEF\nptr PTR Host.Example.\n"
    "caa CAA 0 issue \"CA.example\"\ntlsa TLSA 3 1 1 AABBCC\nempty TXT \"\"\n";

struct signed_zone {
    char dir[64];
    struct record *record;
    size_t n;
    struct dnssec_key *key;
    struct dnssec_scratch *scratch;
};

static void shell(const char *fmt, const char *a, const char *b)
{
    char command[512];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(command, sizeof(command), fmt, a, b);
#pragma GCC diagnostic pop
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void zone_sign(struct signed_zone *z, const char *algorithm)
{
    char path[128];
    strcpy(z->dir, "/tmp/weir-dnssec-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(z->dir));
    snprintf(path, sizeof(path), "%s/zone", z->dir);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(zone_text, out);
    fclose(out);
    shell("cd %s && ldns-keygen -a %s -b 1024 -r /dev/urandom example. >/dev/null", z->dir,
          algorithm);
    shell("cd %s && ldns-signzone -i 20240101000000 -e 20340101000000 -f signed zone $(basename -s "
          ".private "
          "K*.private)%s",
          z->dir, "");
    snprintf(path, sizeof(path), "%s/signed", z->dir);
    z->record = records_read(path, &z->n);
    z->scratch = dnssec_scratch_new();
    for (size_t i = 0; i < z->n; i++)
        if (z->record[i].type == RR_DNSKEY)
            z->key = key_open(&z->record[i]);
    ck_assert_ptr_nonnull(z->key);
}

static void zone_drop(struct signed_zone *z)
{
    shell("rm -r %s%s", z->dir, "");
    for (size_t i = 0; i < z->n; i++)
        record_free(&z->record[i]);
    mem_free(&z->record);
    dnssec_key_close(&z->key);
    dnssec_scratch_free(&z->scratch);
}

/* The set that a signature record covers, as a node of all records at its owner. */
static struct node *covered_by(const struct signed_zone *z, const struct record *rrsig,
                               struct rrset *set)
{
    struct record *at = mem_array(z->n + 1, sizeof(*at));
    size_t n = 0;
    at[n++] = *rrsig;
    for (size_t i = 0; i < z->n; i++)
        at[n++] = z->record[i];
    struct node *node = node_of(at, n);
    mem_free(&at);
    ck_assert(node_rrset(node, get_u16(rrsig->rdata), 0, set));
    return node;
}

/* Every octet of the signature, of the RRSIG's head and of the covered rdata, turned: never valid.
 */
static void check_flips(struct signed_zone *z, struct record *s, const struct node *node,
                        const struct rrset *set)
{
    struct rrsig sig;
    ck_assert(rrsig_parse(s->rdata, s->len, &sig));
    for (size_t i = 0; i < s->len; i++) {
        uint8_t turn =
            i >= 18 && i < sig.head_len ? 0x01 : 0x80; /* a case bit of the signer does not count */
        s->rdata[i] ^= turn;
        enum dnssec_result got =
            dnssec_verify(z->scratch, z->key, node_name(node), set, s->rdata, s->len);
        if (i == 2)
            ck_assert_int_ne(got, DNSSEC_VALID); /* the algorithm */
        else
            ck_assert_msg(got == DNSSEC_BOGUS, "octet %zu of %u", i, s->len);
        s->rdata[i] ^= turn;
    }
    ck_assert_int_eq(dnssec_verify(z->scratch, z->key, node_name(node), set, s->rdata, s->len),
                     DNSSEC_VALID);
    ck_assert_int_eq(dnssec_verify(z->scratch, z->key, node_name(node), set, s->rdata, s->len - 1U),
                     DNSSEC_BOGUS);
}

static void check_signed_by(const char *algorithm, uint8_t code, unsigned bits)
{
    struct signed_zone z = {.n = 0};
    zone_sign(&z, algorithm);
    ck_assert_uint_eq(dnssec_key_info(z.key)->algorithm, code);
    ck_assert_uint_eq(dnssec_key_info(z.key)->bits, bits);
    unsigned verified = 0, flipped = 0;
    for (size_t i = 0; i < z.n; i++) {
        struct record *s = &z.record[i];
        struct rrset set;
        if (s->type != RR_RRSIG)
            continue;
        struct node *node = covered_by(&z, s, &set);
        ck_assert_msg(dnssec_verify(z.scratch, z.key, s->owner, &set, s->rdata, s->len) ==
                          DNSSEC_VALID,
                      "signature %zu over type %u", i, set.type);
        verified++;
        if (set.type == RR_A && flipped++ == 0)
            check_flips(&z, s, node, &set);
        node_unref(node);
    }
    ck_assert_uint_gt(verified, 30);
    ck_assert_uint_gt(flipped, 0);
    zone_drop(&z);
}

static const struct {
    const char *name;
    uint8_t code;
    unsigned bits;
} every_algorithm[] = {
    {"RSASHA1", 5, 1024},         {"RSASHA1-NSEC3-SHA1", 7, 1024},
    {"RSASHA256", 8, 1024},       {"RSASHA512", 10, 1024},
    {"ECDSAP256SHA256", 13, 256}, {"ECDSAP384SHA384", 14, 384},
    {"ED25519", 15, 256},         {"ED448", 16, 456},
};
enum { ALGORITHMS = sizeof(every_algorithm) / sizeof(every_algorithm[0]) };

START_TEST(test_signed_zone)
{
    check_signed_by(every_algorithm[_i].name, every_algorithm[_i].code, every_algorithm[_i].bits);
}
END_TEST

/* A wildcard's signature at the names it is expanded to, and labels fields that lie. */
START_TEST(test_wildcard)
{
    struct signed_zone z = {.n = 0};
    zone_sign(&z, "ECDSAP256SHA256");
    const struct record *s = NULL;
    for (size_t i = 0; i < z.n; i++)
        if (z.record[i].type == RR_RRSIG && z.record[i].owner[1] == '*' &&
            get_u16(z.record[i].rdata) == RR_TXT)
            s = &z.record[i];
    ck_assert_ptr_nonnull(s);
    ck_assert_uint_eq(s->rdata[3], 2);
    struct rrset set;
    struct node *node = covered_by(&z, s, &set);
    const struct {
        const char *owner;
        size_t len;
        enum dnssec_result want;
    } at[] = {
        {"\1*\4Wild\7Example", 16, DNSSEC_VALID},
        {"\1a\4wild\7example", 16, DNSSEC_VALID},
        {"\1A\1b\1c\4WILD\7EXAMPLE", 20, DNSSEC_VALID},
        {"\1*\1b\4wild\7example", 18, DNSSEC_VALID},
        {"\4wild\7example", 14, DNSSEC_BOGUS}, /* two labels: the name itself, not the wildcard */
        {"\7example", 9, DNSSEC_BOGUS},        /* fewer labels than the field says */
        {"\1a\4wolf\7example", 16, DNSSEC_BOGUS},
        {"", 1, DNSSEC_BOGUS},
    };
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        ck_assert_msg(dnssec_verify(z.scratch, z.key, (const uint8_t *)at[i].owner, &set, s->rdata,
                                    s->len) == at[i].want,
                      "owner %zu", i);
    struct rrsig sig;
    size_t len;
    ck_assert(rrsig_parse(s->rdata, s->len, &sig));
    sig.labels = 3; /* the "*" does not count */
    ck_assert_ptr_null(
        dnssec_input(z.scratch, (const uint8_t *)"\1*\4wild\7example", &set, &sig, s->rdata, &len));
    ck_assert_ptr_nonnull(
        dnssec_input(z.scratch, (const uint8_t *)"\1a\4wild\7example", &set, &sig, s->rdata, &len));
    node_unref(node);
    zone_drop(&z);
}
END_TEST

/* ---- many keys, many threads, batches ---- */

struct everything {
    struct signed_zone zone[ALGORITHMS];
    struct dnssec_job *job;
    struct node **node;
    size_t n, cap;
};

static void everything_add(struct everything *all, struct signed_zone *z)
{
    for (size_t i = 0; i < z->n; i++) {
        struct record *s = &z->record[i];
        if (s->type != RR_RRSIG)
            continue;
        if (all->n == all->cap) {
            all->cap = all->cap ? 2 * all->cap : 64;
            all->job = mem_resize(all->job, all->cap * sizeof(*all->job));
            all->node = mem_resize(all->node, all->cap * sizeof(struct node *));
        }
        struct dnssec_job *job = &all->job[all->n];
        all->node[all->n++] = covered_by(z, s, &job->set);
        job->key = z->key;
        job->owner = s->owner;
        job->rrsig = s->rdata;
        job->rrsig_len = s->len;
    }
}

static struct everything everything_make(bool tables)
{
    struct everything all = {.n = 0};
    for (int i = 0; i < ALGORITHMS; i++) {
        zone_sign(&all.zone[i], every_algorithm[i].name);
        if (tables)
            dnssec_key_expect(all.zone[i].key, 1000000);
        everything_add(&all, &all.zone[i]);
    }
    ck_assert((all.zone[4].key->tables != NULL) == tables);
    return all;
}

static void everything_drop(struct everything *all)
{
    for (size_t i = 0; i < all->n; i++)
        node_unref(all->node[i]);
    for (int i = 0; i < ALGORITHMS; i++)
        zone_drop(&all->zone[i]);
    mem_free(&all->job);
    mem_free(&all->node);
}

/* Batches of random jobs, a fifth of them broken in some way: the same answers as one by one. */
START_TEST(test_batch_equals_single)
{
    enum { JOBS = 700 };
    struct random random = random_open();
    struct everything all = everything_make(true);
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    struct dnssec_job *jobs = mem_array(JOBS, sizeof(*jobs));
    uint8_t(*broken)[512] = mem_array(JOBS, 512);
    unsigned seen[3] = {0};
    for (int round = 0; round < 3; round++) {
        size_t first = round == 2 ? 4 * all.n / ALGORITHMS : 0; /* the last round: P-256 only */
        size_t from = round == 2 ? all.n / ALGORITHMS : all.n;
        for (size_t i = 0; i < JOBS; i++) {
            jobs[i] = all.job[first + random_below(&random, from)];
            if (random_below(&random, 5))
                continue;
            memcpy(broken[i], jobs[i].rrsig, jobs[i].rrsig_len);
            broken[i][random_below(&random, jobs[i].rrsig_len)] ^=
                (uint8_t)(1 + random_below(&random, 255));
            jobs[i].rrsig = broken[i];
            if (!random_below(&random, 10))
                memset(broken[i] + jobs[i].rrsig_len - 32, 0, 32); /* s = 0 */
        }
        dnssec_verify_batch(scratch, jobs, JOBS);
        for (size_t i = 0; i < JOBS; i++) {
            ck_assert_int_eq(jobs[i].result,
                             dnssec_verify(scratch, jobs[i].key, jobs[i].owner, &jobs[i].set,
                                           jobs[i].rrsig, jobs[i].rrsig_len));
            seen[jobs[i].result]++;
        }
    }
    ck_assert_uint_gt(seen[DNSSEC_VALID], JOBS);
    ck_assert_uint_gt(seen[DNSSEC_BOGUS], 100);
    dnssec_verify_batch(scratch, jobs, 0);
    mem_free(&jobs);
    mem_free(&broken);
    dnssec_scratch_free(&scratch);
    everything_drop(&all);
}
END_TEST

static void *verify_all(void *arg)
{
    struct everything *all = arg;
    struct dnssec_scratch *scratch = dnssec_scratch_new();
    struct dnssec_job *jobs = mem_dup(all->job, all->n * sizeof(*jobs));
    intptr_t bad = 0;
    dnssec_verify_batch(scratch, jobs, all->n);
    for (size_t i = 0; i < all->n; i++)
        bad += jobs[i].result != DNSSEC_VALID ||
               dnssec_verify(scratch, jobs[i].key, jobs[i].owner, &jobs[i].set, jobs[i].rrsig,
                             jobs[i].rrsig_len) != DNSSEC_VALID;
    mem_free(&jobs);
    dnssec_scratch_free(&scratch);
    return (void *)bad;
}

START_TEST(test_threads_share_keys)
{
    enum { THREADS = 4 };
    struct everything all = everything_make(true);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, verify_all, &all), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad;
        ck_assert_int_eq(pthread_join(thread[i], &bad), 0);
        ck_assert_ptr_null(bad);
    }
    everything_drop(&all);
}
END_TEST

/* More keys than a scratch keeps, closed and opened again, so that addresses come back: each
 * answers for itself. */
START_TEST(test_scratch_evicts)
{
    enum { KEYS = 2 * DNSSEC_SCRATCH_KEYS + 3 };
    struct random random = random_open();
    struct signed_zone z = {.n = 0};
    zone_sign(&z, "ECDSAP256SHA256");
    struct record dnskey = {.type = 0}, *s = NULL;
    for (size_t i = 0; i < z.n; i++) {
        if (z.record[i].type == RR_DNSKEY)
            dnskey = z.record[i];
        if (z.record[i].type == RR_RRSIG && get_u16(z.record[i].rdata) == RR_SOA)
            s = &z.record[i];
    }
    struct rrset set;
    struct node *node = covered_by(&z, s, &set);
    uint8_t other[68];
    memcpy(other, dnskey.rdata, 68);
    /* the same x with the other y (p - y) is another point of the curve */
    BIGNUM *p = NULL, *y = BN_bin2bn(other + 36, 32, NULL);
    BN_hex2bn(&p, "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF");
    BN_sub(y, p, y);
    BN_bn2binpad(y, other + 36, 32);
    BN_free(p);
    BN_free(y);
    struct dnssec_key *key[KEYS] = {NULL};
    bool good[KEYS];
    for (int i = 0; i < 3000; i++) {
        size_t k = random_below(&random, KEYS);
        if (!key[k] || !random_below(&random, 4)) {
            dnssec_key_close(&key[k]);
            good[k] = random_below(&random, 2);
            ck_assert_int_eq(dnssec_key_open(good[k] ? dnskey.rdata : other, 68, &key[k], NULL), 0);
        }
        ck_assert_int_eq(dnssec_verify(z.scratch, key[k], s->owner, &set, s->rdata, s->len),
                         good[k] ? DNSSEC_VALID : DNSSEC_BOGUS);
    }
    for (int k = 0; k < KEYS; k++)
        dnssec_key_close(&key[k]);
    node_unref(node);
    zone_drop(&z);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("dnssec_zone");
    tcase_add_loop_test(s.tcase, test_signed_zone, 0, ALGORITHMS);
    suite_add(s, test_wildcard);
    suite_add(s, test_batch_equals_single);
    suite_add(s, test_threads_share_keys);
    suite_add(s, test_scratch_evicts);
    return suite_run(s);
}
