/* keyring_fuzz: the text in which a zone's keys are kept, out of hostile octets.
 *
 * Held against what comes back: a refusal has a line and says what was expected; a ring prints as a text that is taken again and prints the same;
 * and the ring can be stepped, asked what it waits for, and made a keyset of, whatever its keys, times and cells say.
 */
#include "pipeline/base/alloc.h"
#include "pipeline/run/keyring.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t apex[] = "\4ring\4test";

static void step(struct keyring *ring, const struct keyring_policy *policy, int64_t tick)
{
    struct key_uses uses = {.rrsets = 3, .ttl_max = 3600};
    struct keyring_others others = {.dnskey_ttl = 7200};
    struct keyring_facts facts = {.time = {.now = 1764000000 + tick, .tick = tick, .boot = 1},
                                  .served = true,
                                  .current = tick & 1,
                                  .negative_ttl = 60,
                                  .uses = &uses,
                                  .others = tick & 2 ? &others : NULL};
    struct keyring_plan plan;
    for (unsigned i = 0; i < ring->n; i++) {
        const struct keyring_key *k = &ring->key[i];
        uses.use[uses.n++] = (struct key_use){
            .tag = k->tag, .algorithm = k->algorithm, .signatures = (uint64_t)(tick + i) % 5};
        others.shown[others.n++] = (struct keyring_shown){k->rdata, k->len};
    }
    keyring_step(ring, policy, &facts, &plan);
    ASSERT(plan.nevents <= KEYRING_EVENTS_MAX && plan.generate <= 2 && plan.wake_in >= 0);
}

static void play(struct keyring *ring)
{
    struct why why;
    struct keyring_policy policy = {.algorithm = 13,
                                    .double_ds = ring->n & 1,
                                    .generate = true,
                                    .zsk_lifetime_s = 86400,
                                    .ksk_lifetime_s = 864000,
                                    .propagation_delay_s = 60,
                                    .ds_ttl_s = 3600};
    for (int64_t tick = 0; tick < 4; tick++) {
        struct keyring_time time = {.now = 1764000000, .tick = tick, .boot = 1};
        step(ring, &policy, tick);
        (void)!keyring_fact_parent(ring, &(struct keyring_parent){.ttl = 3600, .time = time});
        (void)!keyring_ds_seen(ring, &time, &why);
        for (unsigned i = 0; i < ring->n; i++)
            (void)keyring_waits(ring, &policy, &ring->key[i], time.now);
        ASSERT(keyring_status(ring));
        keyset_unref(keyring_keyset(ring, &policy));
    }
    (void)!keyring_disable(ring, 1, &why);
    (void)!keyring_delete(ring, 1, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keyring *ring = NULL, *again = NULL;
    struct why why = {""};
    char *text = malloc(size + 1); /* of its own: a sanitizer sees what is read behind it */
    if (!text)
        abort();
    memcpy(text, data, size);
    int err = keyring_parse(text, size, apex, &ring, &why);
    free(text);
    if (err) {
        ASSERT(err == -E_FORMAT && !ring && strncmp(why.text, "line ", 5) == 0);
        return 0;
    }
    char *printed = keyring_print(ring);
    err = keyring_parse(printed, strlen(printed), apex, &again, &why);
    ASSERT(!err);
    char *reprinted = keyring_print(again);
    ASSERT(strcmp(printed, reprinted) == 0);
    mem_free(&printed);
    mem_free(&reprinted);
    play(again);
    keyring_free(&again);
    keyring_free(&ring);
    return 0;
}
