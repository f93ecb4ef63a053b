/* keyring_store: a ring in its folder, with somebody else at the same folder, and whoever dies half way.
 */
#include "tests/lib/suite.h"

#include "pipeline/run/keyring_store.h"

#include <unistd.h>

static const uint8_t apex[] = "\5Store\4test";
static const struct keyring_policy policy = {
    .algorithm = 13, .csk = true, .generate = true, .ds_ttl_s = 10};

static char *folder;

static void setup(void)
{
    char path[] = "/tmp/weir-store-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    folder = mem_strdup(path);
}

static void teardown(void)
{
    char *command = mem_printf("rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
    mem_free(&command);
    mem_free(&folder);
}

static void lock(struct keyring_store *s)
{
    struct why why;
    int err = keyring_store_lock(s, true, 0, &why);
    ck_assert_msg(!err, "%s", why.text);
}

static void step(struct keyring_store *s, bool save)
{
    struct keyring_facts facts = {.time = {.now = 7, .tick = 8, .boot = 9}};
    struct keyring_plan plan;
    struct why why;
    int err = keyring_store_step(s, &policy, &facts, &plan, &why);
    if (!err && save)
        err = keyring_store_save(s, &why);
    ck_assert_msg(!err, "%s", why.text);
}

static size_t files(struct keyring_store *s)
{
    struct key_file *list;
    size_t n;
    struct why why;
    ck_assert_int_eq(key_folder_list(s->folder, &list, &n, &why), 0);
    key_files_free(&list, n);
    return n;
}

/* A key that no state names is taken before another is made: its maker was killed in between. */
START_TEST(test_a_key_of_one_who_died_is_used)
{
    struct keyring_store s;
    keyring_store_init(&s, folder, apex);
    lock(&s);
    step(&s, false);
    uint16_t tag = s.ring->key[0].tag;
    keyring_store_clear(&s);
    keyring_store_init(&s, folder, apex);
    lock(&s);
    ck_assert_uint_eq(s.ring->n, 0);
    step(&s, true);
    ck_assert_uint_eq(s.ring->n, 1);
    ck_assert_uint_eq(s.ring->key[0].tag, tag);
    ck_assert_ptr_nonnull(s.ring->key[0].private);
    ck_assert_uint_eq(files(&s), 1);
    keyring_store_clear(&s);
}
END_TEST

/* What one writes the other sees at his next turn, and none has a turn while another has his. */
START_TEST(test_two_take_turns)
{
    struct keyring_store a, b;
    struct why why;
    keyring_store_init(&a, folder, apex);
    keyring_store_init(&b, folder, apex);
    lock(&a);
    step(&a, true);
    ck_assert_int_eq(keyring_store_lock(&b, true, 0, &why), -E_TIMEOUT);
    keyring_store_unlock(&a);
    lock(&b);
    ck_assert_uint_eq(b.ring->n, 1);
    ck_assert_int_eq(keyring_disable(b.ring, 5, &why), 0);
    ck_assert_int_eq(keyring_store_save(&b, &why), 0);
    keyring_store_unlock(&b);
    ck_assert_int_eq(a.ring->wish, KEYRING_ENABLED);
    lock(&a);
    ck_assert_int_eq(a.ring->wish, KEYRING_DISABLED);
    ck_assert_ptr_nonnull(a.ring->key[0].private);
    /* Removed: first the state, then the files. */
    ck_assert_int_eq(keyring_delete(a.ring, 6, &why), 0);
    ck_assert_uint_eq(files(&a), 1);
    ck_assert_int_eq(keyring_store_save(&a, &why), 0);
    ck_assert_uint_eq(files(&a), 0);
    keyring_store_clear(&a);
    keyring_store_clear(&b);
}
END_TEST

/* A private half that goes and comes back, and a state that says something else. */
START_TEST(test_what_cannot_be_used_is_named)
{
    struct keyring_store s;
    struct why why;
    keyring_store_init(&s, folder, apex);
    lock(&s);
    step(&s, true);
    keyring_store_clear(&s);
    char *hide = mem_printf("cd %s/keys/*/ && mv *.pem x", folder);
    char *show = mem_printf("cd %s/keys/*/ && mv x $(basename *.key .key).pem", folder);
    ck_assert_int_eq(system(hide), 0);
    keyring_store_init(&s, folder, apex);
    lock(&s);
    ck_assert_uint_eq(s.missing, 1);
    ck_assert_msg(strstr(s.missing_why.text, "/Kstore.test.+013+") != NULL, "%s",
                  s.missing_why.text);
    keyring_store_unlock(&s);
    ck_assert_int_eq(system(show), 0);
    lock(&s);
    ck_assert_uint_eq(s.missing, 0);
    ck_assert_ptr_nonnull(s.ring->key[0].private);
    ck_assert_int_eq(key_folder_write(s.folder, "state", "weir keys 2\n", 12, &why), 0);
    keyring_store_unlock(&s);
    ck_assert_int_eq(keyring_store_lock(&s, true, 0, &why), -E_FORMAT);
    ck_assert_msg(strstr(why.text, "/state: line 1: expected 1") != NULL, "%s", why.text);
    ck_assert_ptr_null(s.folder);
    keyring_store_clear(&s);
    mem_free(&hide);
    mem_free(&show);
}
END_TEST

/* Who only looks changes nothing, not even a folder. */
START_TEST(test_to_borrow_leaves_no_trace)
{
    uint8_t name[sizeof apex];
    struct zone_conf zone = {.name = name, .keys = {.policy = policy}};
    struct keyset *keys, *again;
    struct why why;
    memcpy(name, apex, sizeof apex);
    ck_assert_int_eq(keyring_store_borrow(folder, &zone, &keys, &why), 0);
    ck_assert(keys->n == 1 && keys->key[0].private && keys->key[0].signs_zone);
    char *path = mem_printf("%s/keys", folder);
    ck_assert_int_ne(access(path, F_OK), 0);
    struct keyring_store s;
    keyring_store_init(&s, folder, apex);
    lock(&s);
    step(&s, true);
    uint16_t tag = s.ring->key[0].tag;
    keyring_store_clear(&s);
    ck_assert_int_eq(keyring_store_borrow(folder, &zone, &again, &why), 0);
    ck_assert_uint_eq(again->key[0].tag, tag);
    keyset_unref(keys);
    keyset_unref(again);
    mem_free(&path);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("keyring_store");
    tcase_add_checked_fixture(s.tcase, setup, teardown);
    suite_add(s, test_a_key_of_one_who_died_is_used);
    suite_add(s, test_two_take_turns);
    suite_add(s, test_what_cannot_be_used_is_named);
    suite_add(s, test_to_borrow_leaves_no_trace);
    return suite_run(s);
}
