/* A file with another signer's keys: read when it is another, kept when it is wrong, and what is wrong is said with file and line. */
#include "pipeline/run/signer_keys.h"

#include "pipeline/base/alloc.h"
#include "pipeline/zone/dnssec.h"
#include "pipeline/zone/name.h"
#include "tests/lib/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define KEY(flags)                                                                                 \
    "DNSKEY " flags " 3 13 "                                                                       \
    "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
#define ONE "example. 3600 IN " KEY("257") "\n"
#define TWO ONE "@ 60 " KEY("256") "\n"

static char folder[] = "/tmp/signer-keys-XXXXXX", path[64];
static uint8_t apex[NAME_MAX_OCTETS];

static void open_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.keys", folder);
    ck_assert_int_gt(name_parse("example.", apex, NULL), 0);
}

static void close_folder(void)
{
    unlink(path);
    rmdir(folder);
}

/* As who writes it should: by rename, so it is another file each time. */
static void put(const char *text)
{
    char new[80];
    snprintf(new, sizeof new, "%s.new", path);
    FILE *f = fopen(new, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(rename(new, path), 0);
}

static unsigned keys(const struct signer_keys *k)
{
    struct rrset set = {.count = 0};
    if (k->node)
        node_rrset(k->node, RR_DNSKEY, 0, &set);
    return set.count;
}

START_TEST(read_when_it_is_another)
{
    struct signer_keys k = {.path = NULL};
    struct why why;
    open_folder();
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), -E_IO);
    ck_assert_msg(strstr(why.text, path) && strstr(why.text, "No such file"), "%s", why.text);
    ck_assert_ptr_null(k.node);
    put(ONE);
    ck_assert_msg(signer_keys_look(&k, path, apex, &why) == 0, "%s", why.text);
    ck_assert_uint_eq(keys(&k), 1);
    const struct node *node = k.node;
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    ck_assert_ptr_eq(k.node, node); /* not read again */
    put("; the same key, of another TTL\n$TTL 5\nEXAMPLE. " KEY("257") "\n");
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    ck_assert_ptr_ne(k.node, node);
    put(TWO);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    ck_assert_uint_eq(keys(&k), 2);
    signer_keys_clear(&k);
    close_folder();
}
END_TEST

/* Written in place, with the same size, in the same second. */
START_TEST(read_when_it_is_written_over)
{
    struct signer_keys k = {.path = NULL};
    struct why why;
    open_folder();
    put(ONE);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    FILE *f = fopen(path, "r+e");
    ck_assert_ptr_nonnull(f);
    fputs("example. 3600 IN " KEY("256"), f);
    fclose(f);
    struct timeval at[2] = {{1000, 0}, {1000, 1}};
    ck_assert_int_eq(utimes(path, at), 0);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    struct rrset set;
    struct rdata r;
    ck_assert(node_rrset(k.node, RR_DNSKEY, 0, &set) && rrset_first(&set, &r));
    ck_assert_uint_eq(get_u16(r.data), 256);
    signer_keys_clear(&k);
    close_folder();
}
END_TEST

static const struct {
    const char *text, *say;
} bad[] = {
    {"", "%s: there is no DNSKEY in it"},
    {"; nothing\n", "%s: there is no DNSKEY in it"},
    {ONE "example. 60 CDS 1 13 2 00\nother. 60 " KEY("256"),
     "%s:3: other. is outside of the zone example."},
    {ONE "www 60 " KEY("256") "\n",
     "%s:2: a record of www.example.: expected those of example. alone"},
    {"@ 60 NS ns\n", "%s:1: a record of type NS: expected DNSKEY, CDS, CDNSKEY, RRSIG"},
    {ONE "@ 60 DNSKEY 256 3\n", "%s:2: DNSKEY of example.: "},
    {ONE "\n\nexample. x\n", "%s:4: \"x\" is neither a TTL nor a class nor a type"},
    {KEY("256") "\n", "%s:1: "},
    {"$INCLUDE ../x\n", "%s:1: $INCLUDE"},
};

START_TEST(wrong_ones_are_told_and_change_nothing)
{
    struct signer_keys k = {.path = NULL};
    struct why why;
    char say[300];
    open_folder();
    put(TWO);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    const struct node *good = k.node;
    put(bad[_i].text);
    for (int again = 0; again < 2; again++) {
        why.text[0] = 0;
        ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), -E_FORMAT);
        char *fmt = mem_strdup(bad[_i].say + 2);
        snprintf(say, sizeof say, "%s%s", path, fmt);
        mem_free(&fmt);
        ck_assert_msg(strncmp(why.text, say, strlen(say)) == 0, "%s\nexpected %s", why.text, say);
        ck_assert_ptr_eq(k.node, good);
    }
    unlink(path);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), -E_IO);
    ck_assert_ptr_eq(k.node, good);
    put(ONE);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    ck_assert_uint_eq(keys(&k), 1);
    signer_keys_clear(&k);
    close_folder();
}
END_TEST

START_TEST(large_and_odd_ones_are_not_read)
{
    struct signer_keys k = {.path = NULL};
    struct why why;
    open_folder();
    char *text = mem_alloc(SIGNER_KEYS_FILE_MAX + 2);
    memset(text, ';', SIGNER_KEYS_FILE_MAX + 1);
    text[SIGNER_KEYS_FILE_MAX + 1] = 0;
    put(text);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), -E_LIMIT);
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), -E_IO);
    ck_assert_msg(strstr(why.text, "not a regular file"), "%s", why.text);
    unlink(path);
    size_t at = 0;
    for (int i = 0; i <= SIGNER_KEYS_RECORDS_MAX; i++)
        at += (size_t)sprintf(text + at, "@ 60 CDS %d 13 2 00\n", i);
    put(text);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), -E_LIMIT);
    ck_assert_ptr_null(k.node);
    mem_free(&text);
    signer_keys_clear(&k);
    close_folder();
}
END_TEST

/* Another file's keys are not this one's. */
START_TEST(another_path_begins_anew)
{
    struct signer_keys k = {.path = NULL};
    struct why why;
    open_folder();
    put(ONE);
    ck_assert_int_eq(signer_keys_look(&k, path, apex, &why), 0);
    ck_assert_int_eq(signer_keys_look(&k, "/nowhere/at/all", apex, &why), -E_IO);
    ck_assert_ptr_null(k.node);
    signer_keys_clear(&k);
    close_folder();
}
END_TEST

int main(void)
{
    struct suite s = suite_open("signer_keys");
    suite_add(s, read_when_it_is_another);
    suite_add(s, read_when_it_is_written_over);
    tcase_add_loop_test(s.tcase, wrong_ones_are_told_and_change_nothing, 0,
                        sizeof bad / sizeof bad[0]);
    suite_add(s, large_and_odd_ones_are_not_read);
    suite_add(s, another_path_begins_anew);
    return suite_run(s);
}
