/* mutations: zones that are right, and in each of them one thing made wrong, in every way there is.
 *
 * The kinds are a table, tests/lib/mutation_kinds.c: what is done, and what exactly must refuse it. Each is judged from
 * nothing, as a change, as a whole transfer, and after it was let through and mended (tests/lib/trial.h). First in a small
 * zone that has a place for each, NSEC, NSEC3 and opt-out, by one key, by a KSK and a ZSK, by two algorithms, and
 * signatures by every algorithm there is. Then in random zones.
 *
 * WEIR_ROUNDS=N: so many random zones more.
 */
#include "tests/lib/suite.h"
#include "tests/lib/trial.h"

#include "pipeline/run/registry.h"
#include "pipeline/stage.h"

#include <string.h>

static struct random seed; /* from before the tests part into processes */

/* --- the small zone --- */

/* Each with NSEC and with NSEC3; and opt-out with salt, with the first keys: they have nothing to do with keys. */
static struct trial_zone small_zone(unsigned i)
{
    bool opt_out = i == 2 * trial_keys_n;
    return (struct trial_zone){.keys = opt_out ? trial_keys : &trial_keys[i / 2],
                               .nsec3 = opt_out || i % 2,
                               .opt_out = opt_out,
                               .iterations = opt_out,
                               .salt_len = opt_out ? 4 : 0};
}

START_TEST(test_small_zone)
{
    struct random random = {seed.state + (uint64_t)_i};
    struct trial_zone zone = small_zone((unsigned)_i);
    struct trial *trial = trial_open(&zone, &random);
    unsigned tried = 0;
    for (size_t k = 0; k < mutation_kinds_n; k++)
        if (trial_fits(&zone, &mutation_kinds[k])) {
            ck_assert_msg(trial_run(trial, &mutation_kinds[k]), "no place for %s",
                          mutation_kinds[k].what);
            tried++;
        }
    ck_assert_uint_gt(tried, 0);
    trial_close(&trial);
}
END_TEST

/* So every kind was tried there. */
START_TEST(test_all_kinds_fit)
{
    for (size_t k = 0; k < mutation_kinds_n; k++) {
        bool fits = false;
        for (unsigned i = 0; i <= 2 * trial_keys_n; i++) {
            struct trial_zone zone = small_zone(i);
            fits |= trial_fits(&zone, &mutation_kinds[k]);
        }
        ck_assert_msg(fits, "%s fits no zone", mutation_kinds[k].what);
    }
}
END_TEST

/* --- random zones --- */

enum { SLOTS_LEAST = 16, SLOTS_MORE = 24, ROUNDS = 1, ROUNDS_MOST = 300 };

static struct trial_zone random_zone(struct random *random)
{
    struct trial_zone zone = {.keys = &trial_keys[random_below(random, 3)],
                              .nsec3 = random_below(random, 2),
                              .slots = SLOTS_LEAST + (unsigned)random_below(random, SLOTS_MORE)};
    if (zone.nsec3) {
        zone.opt_out = random_below(random, 2);
        zone.iterations = (unsigned)random_below(random, 3);
        zone.salt_len = (unsigned)random_below(random, 9);
    }
    return zone;
}

/* Rounds with all kinds; then with those that no zone had a place for so far. */
START_TEST(test_random_zones)
{
    struct random random = random_fork(&seed);
    const char *given = getenv("WEIR_ROUNDS");
    unsigned rounds = ROUNDS + (given ? (unsigned)strtoul(given, NULL, 10) : 0), left = 1;
    unsigned *tried = mem_array(mutation_kinds_n, sizeof(tried[0]));
    for (unsigned round = 0; round < rounds || left > 0; round++) {
        struct trial_zone zone = random_zone(&random);
        struct trial *trial = trial_open(&zone, &random);
        left = 0;
        for (size_t k = 0; k < mutation_kinds_n; k++) {
            if (trial_fits(&zone, &mutation_kinds[k]) && (round < rounds || tried[k] == 0))
                tried[k] += trial_run(trial, &mutation_kinds[k]);
            if (tried[k] == 0 && !(mutation_kinds[k].where & FIXED)) {
                left++;
                ck_assert_msg(round < ROUNDS_MOST, "no zone had a place for %s",
                              mutation_kinds[k].what);
            }
        }
        trial_close(&trial);
    }
    mem_free(&tried);
}
END_TEST

/* --- the table --- */

/* What no change in one place brings about. */
static const struct {
    const char *code, *because;
} elsewhere[] = {
    {"nsec3-work",
     "takes a zone of names made to be deep, or a salt of 255 octets; golden nsec3-work"},
};

static bool kind_wants(const struct mutation_kind *kind, const char *code)
{
    size_t len = strlen(code);
    for (const char *p = kind->want; (p = strstr(p, code)); p += len)
        if ((p[len] == '\0' || p[len] == ' ' || p[len] == '/') &&
            (p == kind->want || p[-1] == ' ' || p[-1] == '~'))
            return true;
    return false;
}

/* Every finding of the stage is what some row wants for certain, or listed. */
START_TEST(test_all_codes)
{
    const struct finding_type *findings = registry_find("validate")->findings;
    for (; findings->code; findings++) {
        unsigned found = 0;
        for (size_t k = 0; k < mutation_kinds_n; k++)
            found += kind_wants(&mutation_kinds[k], findings->code);
        bool listed = false;
        for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
            listed |= strcmp(elsewhere[i].code, findings->code) == 0;
        ck_assert_msg(found || listed, "no mutation shows %s", findings->code);
        ck_assert_msg(!found || !listed, "%s is shown, and listed as if it were not",
                      findings->code);
    }
}
END_TEST

int main(void)
{
    struct suite s = suite_open("mutations");
    seed = random_open();
    if (getenv("WEIR_ROUNDS"))
        tcase_set_timeout(s.tcase, 0);
    tcase_add_loop_test(s.tcase, test_small_zone, 0, (int)(2 * trial_keys_n + 1));
    suite_add(s, test_all_kinds_fit);
    suite_add(s, test_random_zones);
    suite_add(s, test_all_codes);
    return suite_run(s);
}
