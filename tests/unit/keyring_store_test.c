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

/* ---- the book of other signers, beside the state */

static char *folder_file(const char *name)
{
    return mem_printf("%s/keys/store.test/%s", folder, name);
}

static char *file_text(const char *name)
{
    char *path = folder_file(name), *text = mem_zalloc(65536);
    FILE *f = fopen(path, "re");
    if (f) {
        text[fread(text, 1, 65535, f)] = 0;
        fclose(f);
    } else {
        mem_free(&text);
    }
    mem_free(&path);
    return text;
}

static void book_begin(struct keyring_store *s, const char *name)
{
    struct signer_policy signer = {.name = name, .polled = true};
    struct signers_policy signers = {.n = 1, .signer = &signer};
    struct signers_facts facts = {.time = {.now = 7, .tick = 8, .boot = 9}, .ring = s->ring};
    struct signers_plan plan = {0};
    if (!s->book)
        s->book = signers_new(s->apex);
    signers_step(s->book, &signers, &facts, &plan);
    ck_assert(plan.changed);
}

static void saved(struct keyring_store *s)
{
    struct why why;
    ck_assert_msg(keyring_store_save(s, &why) == 0, "%s", why.text);
}

/* A zone without other signers has no such file; what one writes the other one reads. */
START_TEST(test_a_book_is_kept)
{
    struct keyring_store a, b;
    keyring_store_init(&a, folder, apex);
    keyring_store_init(&b, folder, apex);
    lock(&a);
    step(&a, true);
    ck_assert_ptr_null(a.book);
    ck_assert_ptr_null(file_text("signers"));
    book_begin(&a, "east");
    saved(&a);
    keyring_store_unlock(&a);
    char *text = file_text("signers");
    ck_assert_msg(text && strstr(text, "east"), "%s", text ? text : "there is no file");
    lock(&b);
    ck_assert_ptr_nonnull(b.book);
    char *printed = signers_print(b.book);
    ck_assert_str_eq(printed, text);
    book_begin(&b, "west");
    saved(&b);
    keyring_store_unlock(&b);
    lock(&a);
    mem_free(&printed);
    printed = signers_print(a.book);
    ck_assert_msg(strstr(printed, "west") != NULL, "%s", printed);
    keyring_store_clear(&a);
    keyring_store_clear(&b);
    mem_free(&printed);
    mem_free(&text);
}
END_TEST

/* Who knows it writes it again; weir itself never takes it away. */
START_TEST(test_a_book_that_is_gone_is_written_again)
{
    struct keyring_store s;
    char *path = folder_file("signers");
    keyring_store_init(&s, folder, apex);
    lock(&s);
    book_begin(&s, "east");
    saved(&s);
    keyring_store_unlock(&s);
    ck_assert_int_eq(unlink(path), 0);
    lock(&s);
    ck_assert_ptr_nonnull(s.book);
    saved(&s);
    ck_assert_int_eq(access(path, R_OK), 0);
    keyring_store_clear(&s);
    mem_free(&path);
}
END_TEST

/* No turn with half of what is known, and nothing is lost by that: when the file is whole again, all is there. */
START_TEST(test_a_book_that_cannot_be_read_stops_the_turns)
{
    struct keyring_store s;
    struct why why;
    keyring_store_init(&s, folder, apex);
    lock(&s);
    step(&s, true);
    book_begin(&s, "east");
    saved(&s);
    char *good = file_text("signers");
    ck_assert_int_eq(key_folder_write(s.folder, "signers", good, strlen(good) / 2, &why), 0);
    keyring_store_unlock(&s);
    ck_assert_int_eq(keyring_store_lock(&s, true, 0, &why), -E_FORMAT);
    ck_assert_msg(strstr(why.text, "/keys/store.test/signers: line ") != NULL, "%s", why.text);
    ck_assert_ptr_null(s.folder);
    ck_assert_ptr_nonnull(s.book); /* as it was last good */
    ck_assert_uint_eq(s.ring->n, 1);
    char *path = folder_file("signers");
    FILE *f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(good, f);
    fclose(f);
    lock(&s);
    char *now = signers_print(s.book);
    ck_assert_str_eq(now, good);
    keyring_store_clear(&s);
    mem_free(&now);
    mem_free(&good);
    mem_free(&path);
}
END_TEST

/* The ring may have followed what the book knows: without the book on disk, neither has happened. */
START_TEST(test_the_book_is_written_before_the_state)
{
    struct keyring_store s;
    struct why why;
    keyring_store_init(&s, folder, apex);
    lock(&s);
    step(&s, false);
    book_begin(&s, "east");
    char *path = folder_file("signers");
    ck_assert_int_eq(mkdir(path, 0700), 0); /* nothing can be renamed to it */
    ck_assert_int_ne(keyring_store_save(&s, &why), 0);
    ck_assert_ptr_null(file_text("state"));
    ck_assert_int_eq(rmdir(path), 0);
    keyring_store_forget(&s);
    keyring_store_unlock(&s);
    lock(&s);
    ck_assert_ptr_null(s.book);
    ck_assert_uint_eq(s.ring->n, 0);
    keyring_store_clear(&s);
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
    suite_add(s, test_a_book_is_kept);
    suite_add(s, test_a_book_that_is_gone_is_written_again);
    suite_add(s, test_a_book_that_cannot_be_read_stops_the_turns);
    suite_add(s, test_the_book_is_written_before_the_state);
    return suite_run(s);
}
