/* suite: the main() of a Check program with one test case.
 *
 *          int main(void)
 *          {
 *              struct suite s = suite_open("arena");
 *              suite_add(s, test_x);
 *              return suite_run(s);
 *          }
 *
 * WHAT   Each test runs in a process of its own (CK_FORK). suite_add_abort expects SIGABRT, which
 *        is how an ASSERT ends; its words and trace are kept off the terminal. suite_run gives the
 *        exit code: 0 when all passed. WEIR_ONLY=NAME runs the tests with NAME in their names alone.
 */
#ifndef WEIR_TESTS_SUITE_H
#define WEIR_TESTS_SUITE_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct suite {
    Suite *suite;
    TCase *tcase, *aborts;
};

static inline void suite_mute(void)
{
    if (!freopen("/dev/null", "w", stderr))
        _Exit(EXIT_FAILURE);
}

static inline struct suite suite_open(const char *name)
{
    struct suite s = {suite_create(name), tcase_create(name), tcase_create("aborts")};
    tcase_set_timeout(s.tcase, 120); /* a deadlock ends here; sanitizers are slow */
    tcase_set_timeout(s.aborts, 120);
    tcase_add_checked_fixture(s.aborts, suite_mute, NULL);
    suite_add_tcase(s.suite, s.tcase);
    suite_add_tcase(s.suite, s.aborts);
    return s;
}

/* WEIR_ONLY: the name of a test, or a part of it; the others are left out. */
static inline bool suite_wants(const char *test)
{
    const char *only = getenv("WEIR_ONLY");
    return !only || strstr(test, only);
}

#define suite_add(s, test)                                                                         \
    do                                                                                             \
        if (suite_wants(#test))                                                                    \
            tcase_add_test((s).tcase, test);                                                       \
    while (0)
#define suite_add_abort(s, test)                                                                   \
    do                                                                                             \
        if (suite_wants(#test))                                                                    \
            tcase_add_test_raise_signal((s).aborts, test, SIGABRT);                                \
    while (0)

static inline int suite_run(struct suite s)
{
    SRunner *runner = srunner_create(s.suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
