/* signers_fuzz: the text of a book of other signers, as the disk may give it back.
 *
 * Whatever comes, it is refused with a line and what was expected there, or it is a book: printed and read again it is the same, it has words for
 * people, tells keyset and keyring something, and takes a turn.
 */
#include "pipeline/run/signers.h"

#include "pipeline/base/alloc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\4play\4test";

static void check_words(struct signers *book)
{
    const struct signers_policy none = {.parent_known = true, .ns_union = true};
    struct json *json = json_new();
    size_t len;
    char *text = signers_text(book, &none, 1764000000);
    json_object(json, NULL);
    signers_json(book, &none, 1764000000, json);
    json_end(json);
    ASSERT(text && json_text(json, &len) && len);
    json_free(&json);
    mem_free(&text);
    struct keyset *keys = keyset_new(0, 0, 0);
    signers_keyset(book, &none, keys);
    keyset_seal(keys);
    keyset_unref(keys);
    const struct keyring_others *others = signers_others(book);
    ASSERT(!others || others->n <= KEYRING_KEYS_MAX);
}

static void check_turn(struct signers *book)
{
    const struct signer_policy one = {.name = "b", .polled = true};
    const struct signers_policy policy = {.n = 1, .signer = &one, .ns_union = true};
    struct keyring *ring = keyring_new(apex);
    struct signers_facts facts = {.time = {1764000000, 5000, 1}, .ring = ring};
    static struct signers_plan plan;
    signers_step(book, &policy, &facts, &plan);
    facts.time.tick += 100000;
    signers_step(book, &policy, &facts, &plan);
    ASSERT(plan.nevents <= SIGNERS_EVENTS_MAX);
    keyring_free(&ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct signers *book = NULL, *again = NULL;
    struct why why = {""};
    char *copy = malloc(size + 1); /* of its own: a sanitizer sees what is read behind it */
    if (!copy)
        abort();
    memcpy(copy, data, size);
    int err = signers_parse(copy, size, apex, &book, &why);
    free(copy);
    if (err) {
        ASSERT(err == -E_FORMAT && why.text[0] && !book);
        return 0;
    }
    char *text = signers_print(book);
    err = signers_parse(text, strlen(text), apex, &again, &why);
    ASSERT(!err);
    char *second = signers_print(again);
    ASSERT(strcmp(text, second) == 0);
    mem_free(&text);
    mem_free(&second);
    signers_free(&again);
    check_words(book);
    check_turn(book);
    signers_free(&book);
    return 0;
}
