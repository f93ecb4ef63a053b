/* denial_test: what a denial costs is the same in a small zone and in a large one, NSEC3 with opt-out included, where two
 * records may lie among a hundred thousand names that have none. Counted: rrsets looked for (the program is linked with
 * --wrap=node_rrset), the most of any query.
 */
#include "tests/lib/held.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

#include "pipeline/base/log.h"
#include "pipeline/net/answer.h"

#include <stdio.h>
#include <unistd.h>

enum { QUERIES = 500, FEW = 1000, MANY = 100000, MOST = 60 };

static unsigned looked;

bool __real_node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out);
bool __wrap_node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out);
bool __wrap_node_rrset(const struct node *node, uint16_t type, uint16_t covered, struct rrset *out)
{
    looked++;
    return __real_node_rrset(node, type, covered, out);
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

static unsigned ask(const struct held *held, struct answer_work *work, const char *text)
{
    static struct msg_writer w;
    uint8_t name[NAME_MAX_OCTETS], msg[512], reply[4096];
    struct address peer = {.len = sizeof peer.v4, .v4 = {.sin_family = AF_INET}};
    struct answer_query q = {
        .zones = held->zones, .conf = &held->config->server, .peer = &peer, .msg = msg};
    struct answer_result result;
    msg_begin(&w, msg, sizeof msg, 1, 0);
    ck_assert(name_parse(text, name, NULL) > 0 && msg_put_question(&w, name, RR_A, CLASS_IN) &&
              msg_put_opt(&w, 1232, 0, true, NULL, 0));
    q.len = msg_end(&w);
    looked = 0;
    answer(work, &q, reply, sizeof reply, &result);
    ck_assert_int_eq(result.kind, ANSWER_REPLY);
    ck_assert(!result.truncated);
    ck_assert_uint_ge(get_u16(reply + 8), 3); /* a proof, and its signature, with an SOA or NS */
    return looked;
}

/* The most that one denial costs, of names that are not there and of delegations without DS. */
static unsigned most_at(enum forge_denial denial, unsigned n)
{
    static struct answer_work work;
    struct random random = {.state = n};
    struct held held;
    char *text = zone_text(n), name[64];
    struct held_zone zone = {.name = "cost.", .text = text, .signed_ = true, .denial = denial};
    unsigned most = 0;
    held_open(&held, NULL, NULL, &zone, 1);
    answer_work_init(&work);
    for (unsigned i = 0; i < QUERIES; i++) {
        unsigned pick = (unsigned)random_below(&random, n);
        snprintf(name, sizeof(name), i % 2 ? "nosuch%u.cost." : "www.a%u.cost.", pick);
        unsigned cost = ask(&held, &work, name);
        most = cost > most ? cost : most;
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

int main(void)
{
    log_open(LOG_ERROR, STDERR_FILENO);
    struct suite s = suite_open("denial");
    tcase_add_loop_test(s.tcase, test_denial, FORGE_NSEC, FORGE_OPTOUT + 1);
    return suite_run(s);
}
