/* What a turn on a zone's keys has to do with other signers: views that come in, files that are watched, a configuration that changes. */
#include "pipeline/base/log.h"
#include "pipeline/base/pool.h"
#include "pipeline/run/zone_keys.h"
#include "pipeline/run/zone_parent.h"
#include "pipeline/run/zone_signers.h"
#include "tests/lib/suite.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY                                                                                        \
    "@ 5 DNSKEY 256 3 13 "                                                                         \
    "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n"
#define CONF(signers)                                                                              \
    "server = { listen = (\"::1\"); }; remotes = ( { name = \"p\"; address = \"::1\"; } );\n"      \
    "zones = ( { name = \"b.test.\"; primaries = (\"p\"); mode = \"multi-signer\"; " signers       \
    "} );"
#define FILED  CONF("signers = ( { name = \"east\"; keys_file = \"east.keys\"; } ); ")
#define POLLED CONF("signers = ( { name = \"east\"; servers = (\"p\"); } ); ")

static char *folder;
static struct pool *pool;
static struct zone_table *table;
static unsigned wants;

static void on_want(void *ctx, struct zone *z)
{
    (void)ctx;
    (void)z;
    wants++;
}

static void put(const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", folder, name), *new = mem_printf("%s/new", folder);
    FILE *f = fopen(new, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    ck_assert_int_eq(rename(new, path), 0);
    mem_free(&path);
    mem_free(&new);
}

static struct zone *configure(const char *text)
{
    struct config *c;
    struct why why;
    char *path = mem_printf("%s/weir.conf", folder);
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_msg(config_parse(text, strlen(text), path, &c, &why) == 0, "%s", why.text);
    zone_table_apply(table, c, NULL);
    config_unref(c);
    mem_free(&path);
    ck_assert_int_gt(name_parse("b.test.", name, NULL), 0);
    return zone_table_get(table, name);
}

static void setup(void)
{
    char path[] = "/tmp/weir-book-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    folder = mem_strdup(path);
    log_open(LOG_ERROR, open("/dev/null", O_WRONLY));
    rcu_thread_start();
    pool = pool_new(0);
    table = zone_table_new(pool);
    zone_table_keys(table, folder);
    zone_table_listen_parent(table, on_want, NULL);
    wants = 0;
}

static void teardown(void)
{
    zone_table_drain(table);
    rcu_barrier_all();
    zone_table_free(&table);
    rcu_barrier_all();
    pool_free(&pool);
    rcu_thread_stop();
    char *command = mem_printf("rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    mem_free(&command);
    mem_free(&folder);
}

/* What the book says of the first signer's field; "" when there is none. */
static char *book_says(struct zone *z)
{
    struct signers *book = zone_signers_book(z);
    struct signers_policy none = {.n = 0};
    char *text = book ? signers_text(book, &none, 1000) : mem_strdup("");
    signers_free(&book);
    return text;
}

static void says(struct zone *z, const char *word, bool yes)
{
    char *text = book_says(z);
    ck_assert_msg((strstr(text, word) != NULL) == yes, "%s: %s", word, text);
    mem_free(&text);
}

/* At its first turn a zone makes its keys, by whose algorithm others' are judged. */
static struct zone *configure_new(const char *text)
{
    struct zone *z = configure(text);
    zone_keys_turn(z, false);
    return z;
}

static bool foreign(struct zone *z)
{
    return z->keys && z->keys->nforeign == 1 && z->keys->foreign[0].publish;
}

START_TEST(no_signers_no_book)
{
    struct zone *z = configure(CONF(""));
    char *path = mem_printf("%s/keys/b.test/signers", folder);
    ck_assert_ptr_null(zone_signers_book(z));
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert(!zone_signers_wanted(z));
    mem_free(&path);
}
END_TEST

/* Looked at by each turn, of which there is one a minute; what it said stays when it is wrong. */
START_TEST(a_file_is_watched)
{
    struct zone_keys_need need;
    put("east.keys", KEY);
    struct zone *z = configure_new(FILED);
    says(z, "east joins", true);
    ck_assert(foreign(z));
    ck_assert(zone_keys_need(z, &need));
    ck_assert_int_ge(need.wake_in, 1);
    ck_assert_int_le(need.wake_in, 60);
    put("east.keys", "www " KEY);
    zone_keys_turn(z, false);
    ck_assert(foreign(z));
    char *path = mem_printf("%s/east.keys", folder);
    ck_assert_int_eq(unlink(path), 0);
    zone_keys_turn(z, false);
    ck_assert(foreign(z));
    mem_free(&path);
}
END_TEST

/* What is on disk is what another weir begins with: before a file can be read again, or a server asked. */
START_TEST(a_restart_forgets_nothing)
{
    put("east.keys", KEY);
    configure_new(FILED);
    zone_table_drain(table);
    rcu_barrier_all();
    zone_table_free(&table);
    rcu_barrier_all();
    char *path = mem_printf("%s/east.keys", folder);
    ck_assert_int_eq(unlink(path), 0);
    mem_free(&path);
    table = zone_table_new(pool);
    zone_table_keys(table, folder);
    ck_assert(foreign(configure(FILED)));
}
END_TEST

/* One that is configured no longer leaves, with its keys there for as long as they are needed; configured again it joins. */
START_TEST(signers_come_and_go)
{
    put("east.keys", KEY);
    struct zone *z = configure_new(FILED);
    ck_assert(foreign(z));
    configure(CONF(""));
    says(z, "east leaves", true);
    ck_assert(foreign(z));
    configure(FILED);
    says(z, "east joins", true);
    ck_assert(foreign(z));
}
END_TEST

static void told(struct zone *z, const char *signer, const char *error)
{
    struct signer_view *v = signer_view_new(signer, 1);
    v->at = 1000;
    v->server[0].name = mem_strdup("p");
    v->server[0].said = SIGNER_NO_ANSWER;
    v->server[0].error = mem_strdup(error);
    zone_signers_told(z, v);
    signer_view_unref(v);
}

/* A view makes a turn; the net is told whom to ask when that changes, and not each time. */
START_TEST(views_come_in)
{
    struct zone *z = configure(POLLED);
    says(z, "east joins: prove", true);
    ck_assert(zone_signers_wanted(z) && zone_parent_wanted(z));
    unsigned before = wants;
    ck_assert_uint_ge(before, 1);
    told(z, "east", "nobody home");
    says(z, "nobody home", true);
    told(z, "east", "gone out");
    says(z, "gone out", true);
    says(z, "nobody home", false);
    ck_assert_uint_eq(wants, before);
    configure(CONF(""));
    ck_assert(!zone_signers_wanted(z));
    ck_assert_uint_gt(wants, before);
}
END_TEST

/* Views of signers that a reload has taken away do not pile up, nor hide others. */
START_TEST(views_of_nobody)
{
    struct zone *z = configure(POLLED);
    char name[8];
    for (unsigned i = 0; i < 3 * SIGNERS_MAX; i++) {
        snprintf(name, sizeof name, "x%u", i);
        told(z, name, "who is that");
    }
    told(z, "east", "it is me");
    says(z, "it is me", true);
    says(z, "who is that", false);
}
END_TEST

/* A book that is broken is no reason to do without: the keys stay as they are until somebody has mended it. */
START_TEST(a_broken_book_changes_nothing)
{
    put("east.keys", KEY);
    struct zone *z = configure_new(FILED);
    const struct keyset *keys = z->keys;
    put("keys/b.test/signers", "weir signers 1\nx\n");
    zone_keys_turn(z, false);
    ck_assert_ptr_eq(z->keys, keys);
    configure(CONF(""));
    ck_assert_ptr_eq(z->keys, keys);
    says(z, "east joins", true);
    struct zone_keys_need need;
    ck_assert(zone_keys_need(z, &need));
    ck_assert_int_le(need.wake_in, 30); /* it is tried again */
}
END_TEST

int main(void)
{
    struct suite s = suite_open("zone_book");
    tcase_add_checked_fixture(s.tcase, setup, teardown);
    suite_add(s, no_signers_no_book);
    suite_add(s, a_file_is_watched);
    suite_add(s, a_restart_forgets_nothing);
    suite_add(s, signers_come_and_go);
    suite_add(s, views_come_in);
    suite_add(s, views_of_nobody);
    suite_add(s, a_broken_book_changes_nothing);
    return suite_run(s);
}
