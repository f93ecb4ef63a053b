/* denial_test: what a denial costs is the same in a small zone and in a large one, NSEC3 with opt-out included, where two
 * records may lie among a hundred thousand names that have none; and no zone can make it cost more than so much: by iterations and
 * salt, by depth, by chains of CNAMEs, by records of another chain. Counted, for one query: rrsets looked for, and blocks of SHA-1 (the
 * program is linked with --wrap for both).
 */
#include "tests/lib/held.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include "pipeline/base/log.h"
#include "pipeline/net/answer.h"
#include "pipeline/zone/dnssec.h"

#include <stdio.h>
#include <unistd.h>

enum { QUERIES = 500, FEW = 1000, MANY = 100000, MOST = 60 };
enum { BLOCKS_MOST = 4 * (DNSSEC_NSEC3_ITERATIONS_MAX + 1), STEPS_MOST = 256 };

static struct {
    unsigned rrsets, hashes, blocks;
} looked;

bool __real_node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out);
bool __wrap_node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out);
bool __wrap_node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out)
{
    looked.rrsets++;
    return __real_node_rrset(node, type, covered, out);
}

void __real_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20]);
void __wrap_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20]);
void __wrap_dnssec_nsec3_hash(const uint8_t *name, uint16_t iterations, const uint8_t *salt,
                              size_t salt_len, uint8_t out[20])
{
    unsigned first = (unsigned)(name_len(name) + salt_len) + 9,
             next = (unsigned)(20 + salt_len) + 9;
    looked.hashes++;
    looked.blocks += (first + 63) / 64 + iterations * ((next + 63) / 64);
    __real_dnssec_nsec3_hash(name, iterations, salt, salt_len, out);
}

/* Delegations without DS, and nothing else. The caller frees. */
static char *zone_text(unsigned n)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    fputs("$TTL 300\n@ SOA ns.other. host 1 1800 900 604800 900\n@ NS ns.other.\n", out);
    for (unsigned i = 0; i < n; i++)
        fprintf(out, "a%u NS ns.other.\n", i * 7919 % n);
    fclose(out);
    return text;
}

static struct answer_work work;
static uint8_t reply[4096];
static size_t reply_len;

static unsigned reply_authority(void)
{
    return get_u16(reply + 8);
}

/* Counts anew. */
static void ask(const struct held *held, const char *text)
{
    static struct msg_writer w;
    uint8_t name[NAME_MAX_OCTETS], msg[512];
    struct address peer = {.len = sizeof peer.v4, .v4 = {.sin_family = AF_INET}};
    struct answer_query q = {.zones = held->zones,
                             .conf = &held->config->server,
                             .peer = &peer,
                             .msg = msg,
                             .tcp = true};
    struct answer_result result;
    msg_begin(&w, msg, sizeof msg, 1, 0);
    ck_assert(name_parse(text, name, NULL) > 0 && msg_put_question(&w, name, RR_A, CLASS_IN) &&
              msg_put_opt(&w, 1232, 0, true, NULL, 0));
    q.len = msg_end(&w);
    memset(&looked, 0, sizeof looked);
    answer(&work, &q, reply, sizeof reply, &result);
    ck_assert_int_eq(result.kind, ANSWER_REPLY);
    ck_assert(!result.truncated);
    reply_len = result.reply_len;
}

/* The most that one denial costs, of names that are not there and of delegations without DS. */
static unsigned most_at(enum forge_denial denial, unsigned n)
{
    struct random random = {.state = n};
    struct held held = {0};
    char *text = zone_text(n), name[64];
    struct held_zone zone = {.name = "cost.", .text = text, .signed_ = true, .denial = denial};
    unsigned most = 0;
    held_open(&held, NULL, NULL, &zone, 1);
    answer_work_init(&work);
    for (unsigned i = 0; i < QUERIES; i++) {
        unsigned pick = (unsigned)random_below(&random, n);
        snprintf(name, sizeof(name), i % 2 ? "nosuch%u.cost." : "www.a%u.cost.", pick);
        ask(&held, name);
        ck_assert_uint_ge(reply_authority(), 3); /* a proof, and its signature, with an SOA or NS */
        most = looked.rrsets > most ? looked.rrsets : most;
    }
    held_close(&held);
    free(text);
    return most;
}

START_TEST(test_denial)
{
    unsigned few = most_at((enum forge_denial)_i, FEW), many = most_at((enum forge_denial)_i, MANY);
    ck_assert_uint_gt(few, 0);
    ck_assert_uint_le(few, MOST);
    ck_assert_uint_le(many, MOST);
}
END_TEST

/* ---- zones that want it to cost much ---- */

enum { DEEP = 120, LINKS = 20, SALT_MAX = 255 };

static const char *deep_name(const char *first, char out[2 * DEEP + 32])
{
    size_t n = (size_t)sprintf(out, "%s.", first);
    for (unsigned i = 0; i < DEEP; i++)
        n += (size_t)sprintf(out + n, "a.");
    strcpy(out + n, "cost.");
    return out;
}

/* A chain of wildcard CNAMEs, a delegation as deep as a name may be, and no record that could prove anything. */
static char *slow_text(unsigned iterations, unsigned salt_len)
{
    char *text, deep[2 * DEEP + 32];
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    fprintf(out,
            "$TTL 300\n@ SOA ns.other. host 1 1800 900 604800 900\n@ NS ns.other.\nflat NS "
            "ns.other.\n@ NSEC3PARAM 1 0 %u %s",
            iterations, salt_len ? "" : "-");
    for (unsigned i = 0; i < salt_len; i++)
        fprintf(out, "a5");
    fprintf(out, "\n%s NS ns.other.\n", deep_name("a", deep));
    for (unsigned i = 0; i < LINKS; i++)
        fprintf(out, "*.link%u CNAME x.link%u\n", i, i + 1);
    fclose(out);
    return text;
}

static const struct slow {
    unsigned iterations, salt_len, hashes; /* hashes: of a name that is not there */
} slows[] = {{0, 0, 3},
             {1, 8, 3},
             {150, 0, 3},
             {150, SALT_MAX, 2},
             {DNSSEC_NSEC3_ITERATIONS_MAX, 0, 3},
             {500, 35, 3},
             {500, 36, 2},
             {500, SALT_MAX, 0},
             {DNSSEC_NSEC3_ITERATIONS_MAX + 1, 0, 0},
             {2500, 0, 0},
             {UINT16_MAX, SALT_MAX, 0}};

START_TEST(test_slow_zone)
{
    const struct slow *slow = &slows[_i];
    char *text = slow_text(slow->iterations, slow->salt_len), deep[2 * DEEP + 32];
    struct held_zone zone = {.name = "cost.", .text = text};
    struct held held = {0};
    held_open(&held, NULL, NULL, &zone, 1);
    answer_work_init(&work);
    ask(&held, "nosuch.cost.");
    ck_assert_uint_eq(looked.hashes, slow->hashes);
    ask(&held,
        "www.flat.cost."); /* the delegation and the apex; the next closer name is the delegation */
    ck_assert_uint_eq(looked.hashes, slow->hashes < 2 ? slow->hashes : 2);
    const char *names[] = {"nosuch.cost.", "x.link0.cost.", deep_name("www", deep), NULL};
    for (const char **name = names; *name; name++) {
        ask(&held, *name);
        ck_assert_uint_le(looked.blocks, BLOCKS_MOST);
        ck_assert_uint_le(looked.hashes, DEEP + LINKS);
    }
    if (slow->iterations == 0)
        ck_assert_uint_eq(looked.hashes, DEEP + 2); /* all the way up from the deep delegation */
    held_close(&held);
    free(text);
}
END_TEST

/* `n` records of the chain with this salt, at random hashes; the apex's own first. */
static void put_chain(FILE *out, uint8_t salt, unsigned n)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    struct random random = {.state = salt};
    uint8_t apex[NAME_MAX_OCTETS], hash[20];
    ck_assert_int_gt(name_parse("cost.", apex, NULL), 0);
    __real_dnssec_nsec3_hash(apex, 0, &salt, 1, hash);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned d = 0; d < 32; d++) {
            unsigned bit = 5 * d,
                     two = (unsigned)(hash[bit / 8] << 8 | (bit / 8 < 19 ? hash[bit / 8 + 1] : 0));
            fputc(digits[two >> (11 - bit % 8) & 31], out);
        }
        fprintf(out, " NSEC3 1 1 0 %02x 00000000000000000000000000000000 A\n", salt);
        for (unsigned o = 0; o < sizeof hash; o++)
            hash[o] = (uint8_t)random_below(&random, 256);
    }
}

static void held_chains(struct held *held, unsigned ours, unsigned others)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    fputs("$TTL 300\n@ SOA ns.other. host 1 1800 900 604800 900\n@ NS ns.other.\n@ NSEC3PARAM 1 0 "
          "0 01\n",
          out);
    put_chain(out, 1, ours);
    put_chain(out, 2, others);
    fclose(out);
    struct held_zone zone = {.name = "cost.", .text = text};
    held_open(held, NULL, NULL, &zone, 1);
    free(text);
}

/* While a zone changes its salt, one chain lies among the records of another: as many, or far more. What is proved is the
 * same, except where more than STEPS_MOST would have to be passed. */
START_TEST(test_two_chains)
{
    enum { OURS = 2000, NAMES = 200 };
    static uint8_t want[NAMES][512];
    static size_t want_len[NAMES];
    struct held held = {0};
    char name[32];
    unsigned most = 0;
    answer_work_init(&work);
    held_chains(&held, OURS, 0);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "nosuch%u.cost.", i);
        ask(&held, name);
        ck_assert_uint_ge(reply_authority(), 3); /* SOA, the apex, and what covers the name */
        ck_assert_uint_le(reply_len, sizeof want[i]);
        memcpy(want[i], reply, want_len[i] = reply_len);
    }
    held_close(&held);
    held_chains(&held, OURS, OURS);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "nosuch%u.cost.", i);
        ask(&held, name);
        ck_assert_uint_eq(reply_len, want_len[i]);
        ck_assert_mem_eq(reply, want[i], reply_len);
        most = looked.rrsets > most ? looked.rrsets : most;
    }
    ck_assert_uint_le(most, 2 * MOST);
    held_close(&held);
    held_chains(&held, 2, MANY);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "nosuch%u.cost.", i);
        ask(&held, name);
        ck_assert_uint_ge(reply_authority(), 2); /* SOA and the apex at least */
        ck_assert_uint_le(looked.rrsets, STEPS_MOST + MOST);
    }
    held_close(&held);
}
END_TEST

int main(void)
{
    log_open(LOG_ERROR, STDERR_FILENO);
    struct suite s = suite_open("denial");
    tcase_add_loop_test(s.tcase, test_denial, FORGE_NSEC, FORGE_OPTOUT + 1);
    tcase_add_loop_test(s.tcase, test_slow_zone, 0, (int)(sizeof slows / sizeof slows[0]));
    suite_add(s, test_two_chains);
    return suite_run(s);
}
