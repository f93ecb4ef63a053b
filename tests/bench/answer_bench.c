/* answer: queries to a signed TLD-like zone, in a loop, without sockets: answers a second of one core, by kind of query.
 *
 * The zone: N delegations (100,000), two NS each, a fifth with addresses of their own, 30 % with a DS ("bare": none); NSEC, or NSEC3 with
 * opt-out ("bare": two records in all); signatures of 64 octets (made up). Queries are made before the clock starts, names at random, so that each one meets cold memory as
 * a resolver's would. "mix" is what a TLD sees: 70 % referrals, 30 % NXDOMAIN, 80 % of all with DO.
 *
 * usage: answer_bench [DELEGATIONS [SECONDS]] */
#include "tests/lib/held.h"
#include "tests/lib/random.h"

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "pipeline/net/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { QUERIES = 1 << 16, QUERY_MAX = 96, LABEL_MAX = 24, BATCH = 1024 };

struct query {
    uint8_t len, msg[QUERY_MAX];
};
struct bench {
    struct held held = {0};
    struct random random;
    size_t n;
    char (*label)[LABEL_MAX];
    struct query *query;
    double seconds;
};

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void label_make(struct random *random, size_t i, char out[LABEL_MAX])
{
    static const char abc[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = 4 + random_below(random, 11);
    for (size_t k = 0; k < len; k++)
        out[k] = abc[random_below(random, sizeof abc - 1)];
    snprintf(out + len, LABEL_MAX - len, "%zx", i);
}

/* The caller frees. */
static char *zone_text(struct bench *b, bool some_ds)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ASSERT(out);
    fprintf(
        out,
        "$TTL 86400\n@ SOA ns1 host 1 1800 900 604800 900\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\n"
        "ns2 A 192.0.2.2\n");
    for (size_t i = 0; i < b->n; i++) {
        const char *l = b->label[i];
        label_make(&b->random, i, b->label[i]);
        if (random_below(&b->random, 5) == 0) {
            fprintf(out, "%s NS ns1.%s\n%s NS ns2.%s\n", l, l, l, l);
            fprintf(out, "ns1.%s A 192.0.2.7\nns2.%s A 192.0.2.8\n", l, l);
        } else {
            unsigned k = (unsigned)random_below(&b->random, 1000);
            fprintf(out, "%s NS ns1.host%u.example.\n%s NS ns2.host%u.example.\n", l, k, l, k);
        }
        if (some_ds && random_below(&b->random, 10) < 3)
            fprintf(out, "%s DS %u 13 2 %064x\n", l, 1 + (unsigned)random_below(&b->random, 65535),
                    7u);
    }
    fclose(out);
    return text;
}

static void query_make(struct query *q, const char *text, bool dnssec_ok)
{
    static struct msg_writer w;
    uint8_t name[NAME_MAX_OCTETS];
    struct why why;
    msg_begin(&w, q->msg, sizeof q->msg, 1, 0);
    bool made = name_parse(text, name, &why) > 0 && msg_put_question(&w, name, RR_A, CLASS_IN) &&
                (!dnssec_ok || msg_put_opt(&w, 1232, 0, true, NULL, 0));
    ASSERT(made);
    q->len = (uint8_t)msg_end(&w);
}

/* referrals and dnssec_ok: how many of a hundred. */
static void queries_make(struct bench *b, unsigned referrals, unsigned dnssec_ok)
{
    for (size_t i = 0; i < QUERIES; i++) {
        char text[QUERY_MAX], none[LABEL_MAX];
        const char *label = b->label[random_below(&b->random, b->n)];
        if (random_below(&b->random, 100) >= referrals) {
            label_make(&b->random, b->n + i, none);
            label = none;
        }
        snprintf(text, sizeof text, "www.%s.bench.", label);
        query_make(&b->query[i], text, random_below(&b->random, 100) < dnssec_ok);
    }
}

static double answers_per_s(struct bench *b, double *octets)
{
    static struct answer_work work;
    static uint8_t reply[4096];
    struct address peer = {.len = sizeof peer.v4, .v4 = {.sin_family = AF_INET}};
    struct answer_query q = {
        .zones = b->held.zones, .conf = &b->held.config->server, .peer = &peer};
    answer_work_init(&work);
    size_t n = 0, total = 0;
    double start = cpu_s(), now;
    do {
        for (size_t i = 0; i < BATCH; i++, n++) {
            struct answer_result result;
            q.msg = b->query[n % QUERIES].msg;
            q.len = b->query[n % QUERIES].len;
            answer(&work, &q, reply, sizeof reply, &result);
            ASSERT(result.kind == ANSWER_REPLY && !result.truncated);
            total += result.reply_len;
        }
        now = cpu_s();
    } while (now - start < b->seconds);
    *octets = (double)total / (double)n;
    return (double)n / (now - start);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned referrals, dnssec_ok;
        enum forge_denial denial;
        bool bare;
    } kinds[] = {
        {"referral", 100, 0, FORGE_NSEC, false},     {"referral-do", 100, 100, FORGE_NSEC, false},
        {"nxdomain", 0, 0, FORGE_NSEC, false},       {"nxdomain-do", 0, 100, FORGE_NSEC, false},
        {"mix", 70, 80, FORGE_NSEC, false},          {"optout-nx-do", 0, 100, FORGE_OPTOUT, false},
        {"optout-mix", 70, 80, FORGE_OPTOUT, false}, {"bare-nx-do", 0, 100, FORGE_OPTOUT, true},
        {"bare-mix", 70, 80, FORGE_OPTOUT, true}};
    struct bench b = {.n = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000,
                      .seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0};
    log_open(LOG_ERROR, STDERR_FILENO);
    b.random = random_open();
    b.label = mem_array(b.n, sizeof *b.label);
    b.query = mem_array(QUERIES, sizeof *b.query);
    bool bare = false;
    char *text = zone_text(&b, !bare);
    struct held_zone zone = {.name = "bench.", .text = text, .signed_ = true};
    held_open(&b.held, NULL, NULL, &zone, 1);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        double octets;
        if (kinds[i].denial != zone.denial || kinds[i].bare != bare) {
            held_close(&b.held);
            free(text);
            bare = kinds[i].bare;
            zone.text = text = zone_text(&b, !bare);
            zone.denial = kinds[i].denial;
            held_open(&b.held, NULL, NULL, &zone, 1);
        }
        queries_make(&b, kinds[i].referrals, kinds[i].dnssec_ok);
        double rate = answers_per_s(&b, &octets);
        printf("answer.%-12s %9.0f answers/s  %6.0f ns  %4.0f octets\n", kinds[i].name, rate,
               1e9 / rate, octets);
    }
    held_close(&b.held);
    free(text);
    mem_free(&b.query);
    mem_free(&b.label);
    return 0;
}
