/* alloc, errors and assert: the small ground that all else stands on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/errors.h"
#include "tests/lib/suite.h"

START_TEST(memory)
{
    unsigned char *zeros = mem_array(1000, 3);
    for (int i = 0; i < 3000; i++)
        ck_assert_uint_eq(zeros[i], 0);
    zeros[2999] = 7;
    zeros = mem_resize(zeros, 100000);
    ck_assert_uint_eq(zeros[2999], 7);
    unsigned char *copy = mem_dup(zeros, 3000);
    ck_assert_mem_eq(copy, zeros, 3000);
    mem_free(&zeros);
    ck_assert_ptr_null(zeros);
    mem_free(&zeros); /* NULL is fine */
    mem_free(&copy);

    char *s = mem_strdup("zone"), *printed = mem_printf("%s %d", s, 7);
    ck_assert_str_eq(printed, "zone 7");
    mem_free(&s);
    mem_free(&printed);

    void *empty[] = {mem_alloc(0), mem_zalloc(0), mem_array(0, 8), mem_resize(NULL, 0),
                     mem_dup("", 0)};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        ck_assert_ptr_nonnull(empty[i]);
        mem_free(&empty[i]);
    }
}
END_TEST

START_TEST(overflow)
{
    volatile size_t n = SIZE_MAX / 8 + 2; /* times 8 would be 8 octets */
    ck_assert_ptr_nonnull(mem_array(n, 8));
}
END_TEST

START_TEST(why_text)
{
    struct why why = {""};
    ck_assert_int_eq(why_set(&why, -E_FORMAT, "record %d", 3), -E_FORMAT);
    why_add(&why, ": %s", "rdata too short");
    ck_assert_str_eq(why.text, "record 3: rdata too short");
    why_set(&why, -E_IO, "%s", "new");
    ck_assert_str_eq(why.text, "new");
    ck_assert_int_eq(why_set(NULL, -E_LIMIT, "%d", 1), -E_LIMIT);
    why_add(NULL, "x");
}
END_TEST

/* Cut anywhere, the text stays whole UTF-8: only full copies of the character are left. */
START_TEST(why_cut)
{
    static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\x8a"};
    const char *character = characters[_i];
    size_t size = strlen(character);
    for (size_t shift = 0; shift < 4; shift++) {
        struct why why;
        why_set(&why, 0, "%.*s", (int)shift, "....");
        for (int i = 0; i < 600; i++)
            why_add(&why, "%s", character);
        size_t len = strlen(why.text);
        ck_assert_uint_lt(len, sizeof why.text);
        ck_assert_uint_gt(len + size, sizeof why.text - 1); /* as much as fits */
        ck_assert_uint_eq((len - shift) % size, 0);
        for (size_t at = shift; at < len; at += size)
            ck_assert_mem_eq(why.text + at, character, size);
    }
}
END_TEST

START_TEST(error_words)
{
    for (int a = E_OK; a <= E_AGAIN; a++) {
        ck_assert_str_eq(error_text(a), error_text(-a));
        ck_assert_str_ne(error_text(a), error_text(9999));
        for (int b = E_OK; b < a; b++)
            ck_assert_str_ne(error_text(a), error_text(b));
    }
}
END_TEST

/* What a broken promise leaves on stderr. */
static void broken_promise(int fd, int wanted)
{
    dup2(fd, STDERR_FILENO);
    ASSERT(wanted == 2);
    _exit(0);
}

START_TEST(assert_speaks)
{
    int fds[2], status;
    char text[16384] = "";
    ck_assert_int_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0)
        broken_promise(fds[1], 1);
    close(fds[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(fds[0], text + len, sizeof text - 1 - len)) > 0;)
        len += (size_t)n;
    text[len] = '\0';
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ck_assert_ptr_nonnull(strstr(text, "alloc_test.c:"));
    ck_assert_ptr_nonnull(strstr(text, "broken_promise: promise broken: wanted == 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "libc.so.6")); /* the trace reaches down to main's caller */
}
END_TEST

START_TEST(assert_kept)
{
    int evaluated = 0;
    ASSERT(++evaluated == 1);
    ck_assert_int_eq(evaluated, 1); /* once, in every build */
}
END_TEST

int main(void)
{
    struct suite s = suite_open("alloc");
    suite_add(s, memory);
    suite_add_abort(s, overflow);
    suite_add(s, why_text);
    tcase_add_loop_test(s.tcase, why_cut, 0, 4);
    suite_add(s, error_words);
    suite_add(s, assert_speaks);
    suite_add(s, assert_kept);
    return suite_run(s);
}
