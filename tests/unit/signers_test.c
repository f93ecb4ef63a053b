/* signers: joining and leaving, step by step. Each wait of draft-ietf-dnsop-dnssec-automation's JOIN and LEAVE has a test that shows that it is
 * not gone past early, and one that shows what undoes it. */
#include "tests/lib/crypto_memo.h"
#include "tests/lib/random.h"
#include "tests/lib/signersplay.h"
#include "tests/lib/suite.h"

#include "pipeline/base/alloc.h"

enum { B, C };

static void at(const struct play *p, unsigned i, enum signer_step step, const char *waits)
{
    const struct book_signer *s = play_signer(p, i);
    ck_assert_msg(s->step == step, "%s is at %s and not at %s: %s", s->name,
                  signer_step_text(s->step), signer_step_text(step), s->waits);
    ck_assert_msg(!waits || strstr(s->waits, waits), "%s waits: %s", s->name, s->waits);
}

/* RFC 8901: the whole way, with what each step has weir do. */
START_TEST(test_a_signer_joins)
{
    struct play p;
    play_open(&p, 1);
    struct rdata zsk = play_zsk(&p.other[B].side), ksk = play_ksk(&p.other[B].side);
    play_turn(&p);
    at(&p, B, JOIN_PROVE, "its servers have not all answered yet");
    ck_assert(!play_publishes(&p, zsk) && !signers_others(p.book) && p.plan.ask_signers);
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, "our key");
    ck_assert(play_publishes(&p, zsk) && !play_asks_ds(&p, ksk) && !signers_others(p.book));
    play_import(&p);
    play_settle(&p);
    at(&p, B, JOIN_PARENT_DS, "the DS of its key");
    ck_assert(play_asks_ds(&p, ksk) && !play_asks_ds(&p, zsk) && p.plan.ask_parent);
    ck_assert_ptr_nonnull(signers_others(p.book));
    play_parent_ds(&p);
    play_settle(&p);
    at(&p, B, JOIN_WAIT_CACHES, "must be gone from every cache");
    ck_assert_uint_eq(p.other[B].side.ns.n, 2);
    play_reach(&p, B, JOIN_EXCHANGE_NS);
    ck_assert_uint_eq(p.us.ns.n, 4);
    p.other[B].side.ns = p.us.ns;
    play_settle(&p);
    at(&p, B, JOIN_PARENT_NS, "must be in the delegation");
    struct keyset *k = keyset_new(0, 0, 0);
    signers_keyset(p.book, &p.policy, k);
    ck_assert(k->csync && k->nns == 2);
    keyset_unref(k);
    play_parent_ns(&p);
    play_settle(&p);
    at(&p, B, JOINED, "");
    k = keyset_new(0, 0, 0);
    signers_keyset(p.book, &p.policy, k);
    ck_assert(!k->csync && k->nns == 2);
    keyset_unref(k);
    ck_assert_uint_eq(signers_others(p.book)->dnskey_ttl, 600);
    ck_assert_uint_eq(signers_others(p.book)->n, 1);
    play_close(&p);
}
END_TEST

START_TEST(test_a_signer_leaves)
{
    struct play p;
    struct why why;
    play_open(&p, 1);
    struct rdata zsk = play_zsk(&p.other[B].side), ksk = play_ksk(&p.other[B].side);
    play_reach(&p, B, JOINED);
    ck_assert_int_eq(signers_leave(p.book, "x", p.now, &why), -E_NOENT);
    ck_assert_int_eq(signers_leave(p.book, "b", p.now, &why), 0);
    ck_assert_int_eq(signers_leave(p.book, "b", p.now, &why), -E_MISMATCH);
    play_turn(&p);
    at(&p, B, LEAVE_REMOVE_NS, "must be gone from the NS set that we serve");
    p.us.ns = p.ours_in;
    play_serve(&p);
    at(&p, B, LEAVE_REMOVE_NS, "must be gone from the NS set of b");
    p.other[B].side.ns = p.us.ns;
    play_settle(&p);
    at(&p, B, LEAVE_PARENT_NS, "must be gone from the delegation");
    play_parent_ns(&p);
    play_settle(&p);
    at(&p, B, LEAVE_NS_WAIT, "NS sets with its servers");
    ck_assert(play_publishes(&p, zsk) && play_asks_ds(&p, ksk) && signers_others(p.book));
    play_reach(&p, B, LEAVE_STOP_ANSWERING);
    p.other[B].said = SIGNER_NOT_SERVED;
    play_settle(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, "its DNSKEY sets must be gone from every cache");
    ck_assert(play_asks_ds(&p, ksk) && signers_others(p.book));
    play_reach(&p, B, LEAVE_REMOVE_DS);
    ck_assert(play_publishes(&p, zsk) && !play_asks_ds(&p, ksk) && !signers_others(p.book));
    play_parent_ds(&p);
    play_settle(&p);
    at(&p, B, LEAVE_DS_WAIT, "its DS and its signatures");
    ck_assert(play_publishes(&p, zsk));
    play_reach(&p, B, LEFT);
    ck_assert(!play_publishes(&p, zsk) && !signers_others(p.book));
    ck_assert_int_eq(signers_join(p.book, "b", p.now, &why), 0);
    p.other[B].said = SIGNER_ANSWERED;
    p.other[B].side.ns.n = 0; /* its own again */
    names_put(&p.other[B].side.ns, (const uint8_t *)"\2b9\4test");
    play_turn(&p);
    at(&p, B, JOIN_PROVE, NULL);
    play_reach(&p, B, JOIN_WAIT_CACHES);
    play_close(&p);
}
END_TEST

/* ---- each step of JOIN: not gone past early, and gone back to when undone */

START_TEST(test_prove_waits_for_all_servers_and_a_proof)
{
    struct play p;
    play_open(&p, 1);
    struct play_other *b = &p.other[B];
    b->second = SIGNER_NO_ANSWER;
    play_settle(&p);
    at(&p, B, JOIN_PROVE, "b-2: time-out");
    b->second = SIGNER_ANSWERED;
    b->lies = true;
    play_settle(&p);
    at(&p, B, JOIN_PROVE, "b-2: key");
    b->lies = false;
    b->anchored = false; /* then it is the DS at the parent, which has ours only */
    play_settle(&p);
    at(&p, B, JOIN_PROVE, "b-1: none of its 2 keys is named by a DS at the parent");
    ck_assert(!play_publishes(&p, play_zsk(&b->side)) && p.plan.ask_parent);
    set_put(&p.ds, play_ksk(&b->side));
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, NULL);
    play_close(&p);
}
END_TEST

/* RFC 8901 4, RFC 5011 2.1, RFC 4034 2.1.1: a key that must not be in our set is named, and nothing of the signer is taken. */
START_TEST(test_prove_names_the_key_that_does_not_fit)
{
    const struct {
        uint16_t flags;
        uint8_t algorithm;
        const char *words;
    } bad[] = {{256, ALG_ECDSAP256, "(algorithm 13, flags 256)"},
               {256 | DNSKEY_REVOKE, ALG_ED25519, "flags 384"},
               {0, ALG_ED25519, "flags 0"}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct play p;
        uint8_t rdata[SIGNER_KEY_MAX];
        play_open(&p, 1);
        struct play_side *side = &p.other[B].side;
        unsigned index = signer_add_key(&side->signer, 256, bad[i].algorithm, 77);
        struct rdata key = provider_key(&side->signer, index);
        memcpy(rdata, key.data, key.len);
        put_u16(rdata, bad[i].flags);
        set_put(&side->dnskey, (struct rdata){rdata, key.len});
        play_settle(&p);
        at(&p, B, JOIN_PROVE, bad[i].words);
        ck_assert(!play_publishes(&p, play_zsk(side)));
        set_drop(&side->dnskey, (struct rdata){rdata, key.len});
        play_settle(&p);
        at(&p, B, JOIN_EXCHANGE_KEYS, NULL);
        /* Later: it goes back, what was taken stays, and that key is never given to the stage, which would refuse the version. */
        play_reach(&p, B, JOIN_WAIT_CACHES);
        set_put(&side->dnskey, (struct rdata){rdata, key.len});
        play_look(&p);
        at(&p, B, JOIN_PROVE, bad[i].words);
        ck_assert(play_publishes(&p, play_zsk(side)));
        ck_assert(!play_publishes(&p, (struct rdata){rdata, key.len}));
        play_close(&p);
    }
}
END_TEST

START_TEST(test_exchange_keys_waits_for_us_and_for_them)
{
    struct play p;
    play_open(&p, 1);
    struct play_other *b = &p.other[B];
    struct node *without = node_ref(p.apex);
    play_import(&p);
    b->lacks = play_zsk(&p.us); /* at its second server */
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, "our key");
    b->lacks = (struct rdata){0};
    node_unref(p.apex);
    p.apex = node_ref(without); /* the stage has not made a version with its keys yet */
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, "must be in the DNSKEY set that we serve");
    node_unref(p.apex);
    p.apex = NULL; /* what we serve is not known */
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, "what we serve is not known");
    play_serve(&p);
    at(&p, B, JOIN_PARENT_DS, NULL);
    set_drop(&b->side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, "our key");
    node_unref(without);
    play_close(&p);
}
END_TEST

/* RFC 8901 3: every ZSK in every signer's set. Each of the four, and a signer that only has a file. */
START_TEST(test_exchange_keys_waits_for_every_other_signer)
{
    struct play p;
    play_open(&p, 2);
    struct play_side *b = &p.other[B].side, *c = &p.other[C].side;
    p.other[C].unasked = true;
    play_reach(&p, B, JOINED);
    p.other[C].unasked = false;
    set_drop(&b->dnskey, play_zsk(c));
    set_drop(&c->dnskey, play_zsk(b));
    play_settle(&p);
    at(&p, C, JOIN_EXCHANGE_KEYS, "c's key");
    set_put(&b->dnskey, play_zsk(c));
    play_settle(&p);
    at(&p, C, JOIN_EXCHANGE_KEYS, "b's key");
    set_put(&c->dnskey, play_zsk(b));
    play_settle(&p);
    at(&p, C, JOIN_PARENT_DS, NULL);
    at(&p, B, JOINED, "");
    play_close(&p);
    play_open(&p, 1);
    p.other[B].polled = false;
    play_turn(&p);
    at(&p, B, JOIN_PROVE, "neither servers nor a file");
    p.other[B].filed = true;
    play_settle(&p);
    at(&p, B, JOIN_PARENT_DS, NULL); /* the first half only: what it serves is not known, … */
    ck_assert_ptr_null(signers_others(p.book)); /* … so our keys do not wait for it, … */
    char *text = signers_text(p.book, &p.policy, p.now);
    ck_assert_ptr_nonnull(strstr(text, "our keys do not wait for it")); /* … and that is said */
    mem_free(&text);
    play_close(&p);
}
END_TEST

START_TEST(test_parent_ds_waits_for_both_on_all_servers)
{
    struct play p;
    play_open(&p, 1);
    struct rdata theirs = play_ksk(&p.other[B].side), ours = play_ksk(&p.us);
    play_reach(&p, B, JOIN_PARENT_DS);
    p.ds_split = true; /* the first server has followed, the second has not */
    p.ds_second = p.ds;
    set_put(&p.ds, theirs);
    play_settle(&p);
    at(&p, B, JOIN_PARENT_DS, "the DS of its key");
    p.ds_split = false;
    p.parent_silent = true;
    play_settle(&p);
    at(&p, B, JOIN_PARENT_DS, "the parent's servers have not all answered");
    p.parent_silent = false;
    set_drop(&p.ds, ours);
    play_settle(&p);
    at(&p, B, JOIN_PARENT_DS, "the DS of our key");
    set_put(&p.ds, ours);
    play_settle(&p);
    at(&p, B, JOIN_WAIT_CACHES, NULL);
    set_drop(&p.ds, theirs);
    play_settle(&p);
    at(&p, B, JOIN_PARENT_DS, "the DS of its key");
    ck_assert(play_asks_ds(&p, theirs));
    play_close(&p);
}
END_TEST

/* DNSKEY-Wait and DS-Wait. keys_ttl: of its DNSKEY set, ours has 600. */
static void wait_for_caches(uint32_t keys_ttl, uint32_t ds_ttl, int64_t want)
{
    struct play p;
    play_open(&p, 1);
    p.other[B].side.dnskey_ttl = keys_ttl;
    p.ds_ttl = ds_ttl;
    play_reach(&p, B, JOIN_PARENT_DS);
    play_parent_ds(&p);
    play_look(&p);
    at(&p, B, JOIN_WAIT_CACHES, "must be gone from every cache");
    struct book_signer *s = play_signer(&p, B);
    int64_t from = ds_ttl > keys_ttl ? s->ds_at : s->keys_at;
    ck_assert_int_eq(s->due, from + want);
    ck_assert_int_eq(p.plan.wake_in, s->due - p.book->clock);
    play_pass(&p, s->due - p.book->clock - 2);
    play_look(&p); /* a second early */
    ck_assert_int_eq(p.book->clock, s->due - 1);
    at(&p, B, JOIN_WAIT_CACHES, "must be gone from every cache");
    play_pass(&p, 1);
    play_turn(&p); /* in time, but nobody has looked */
    at(&p, B, JOIN_WAIT_CACHES, "once more");
    ck_assert(ds_ttl > keys_ttl ? p.plan.ask_parent : p.plan.ask_signers);
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_NS, NULL);
    play_close(&p);
}

START_TEST(test_wait_caches_waits_for_the_largest_ttl)
{
    wait_for_caches(60, 10, 600 + 10 + 1); /* our DNSKEY set, and the propagation delay */
    wait_for_caches(5000, 300, 5000 + 10 + 1);
    wait_for_caches(60, 9000, 9000 + 1);
}
END_TEST

/* What is seen not to be so ends the wait, and it begins anew; so does a TTL that was larger before. */
START_TEST(test_wait_caches_begins_anew)
{
    struct play p;
    play_open(&p, 1);
    play_reach(&p, B, JOIN_WAIT_CACHES);
    struct book_signer *s = play_signer(&p, B);
    int64_t due = s->due;
    play_pass(&p, 300);
    set_drop(&p.other[B].side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, NULL);
    set_put(&p.other[B].side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOIN_WAIT_CACHES, NULL);
    ck_assert_int_eq(s->due, p.book->clock + 600 + 10 + 1);
    ck_assert_int_gt(s->due, due);
    p.other[B].said = SIGNER_NO_ANSWER; /* who is silent sends nobody back, and lets nobody on */
    play_pass(&p, 700);
    play_look(&p);
    at(&p, B, JOIN_WAIT_CACHES, "all of b's servers must be seen once more");
    p.other[B].said = SIGNER_ANSWERED;
    p.parent_silent = true;
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_NS, NULL); /* its DS was seen when that wait was over */
    play_close(&p);
}
END_TEST

/* A clock that is set moves nothing, and what passed while the machine was off counts for nothing. */
START_TEST(test_waits_are_not_hastened_by_a_clock)
{
    struct play p;
    play_open(&p, 1);
    play_reach(&p, B, JOIN_WAIT_CACHES);
    int64_t due = play_signer(&p, B)->due, clock = p.book->clock;
    p.now += 86400 * 20;
    play_look(&p);
    at(&p, B, JOIN_WAIT_CACHES, NULL);
    p.now -= 86400 * 30;
    play_look(&p);
    at(&p, B, JOIN_WAIT_CACHES, NULL);
    ck_assert_int_eq(play_signer(&p, B)->due, due);
    ck_assert_int_eq(p.book->clock, clock + 2);
    p.now = 1764000000 + 20000;
    p.boot++;
    p.tick += 50000;
    play_restart(&p);
    play_look(&p);
    at(&p, B, JOIN_WAIT_CACHES, NULL);
    ck_assert_int_eq(p.book->clock, clock + 2);
    play_close(&p);
}
END_TEST

START_TEST(test_exchange_ns_waits_for_the_same_set_everywhere)
{
    struct play p;
    play_open(&p, 1);
    p.policy.ns_union = false; /* the operator puts the names into the zone */
    play_reach(&p, B, JOIN_EXCHANGE_NS);
    struct play_side *b = &p.other[B].side;
    struct play_names own = b->ns;
    at(&p, B, JOIN_EXCHANGE_NS, "must be in the NS set that we serve");
    for (unsigned i = 0; i < own.n; i++)
        names_put(&p.ours_in, own.name[i]);
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_NS, "a1.test. must be in its NS set");
    b->ns = p.us.ns;
    p.other[B].lacks_ns = p.us.ns.name[0];
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_NS, "all of its servers must have the same NS set");
    p.other[B].lacks_ns = NULL;
    names_put(&b->ns, (const uint8_t *)"\2x1\4test");
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_NS, "its server x1.test. must be in the NS set that we serve");
    names_drop(&b->ns, (const uint8_t *)"\2x1\4test");
    play_settle(&p);
    at(&p, B, JOIN_PARENT_NS, NULL);
    names_drop(&b->ns, own.name[0]);
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_NS, "must be in its NS set");
    play_close(&p);
}
END_TEST

START_TEST(test_parent_ns_waits_for_all_of_the_parents_servers)
{
    struct play p;
    play_open(&p, 1);
    play_reach(&p, B, JOIN_PARENT_NS);
    at(&p, B, JOIN_PARENT_NS, "b1.test. must be in the delegation");
    ck_assert(p.plan.ask_parent && p.plan.ask_parent_ns);
    play_parent_ns(&p);
    p.parent_lacks_ns = p.us.ns.name[0];
    play_settle(&p);
    at(&p, B, JOIN_PARENT_NS, "a1.test. must be in the delegation");
    p.parent_lacks_ns = NULL;
    names_put(&p.parent_ns, (const uint8_t *)"\2x1\4test");
    play_settle(&p);
    at(&p, B, JOIN_PARENT_NS, "x1.test. must be gone from the delegation");
    names_drop(&p.parent_ns, (const uint8_t *)"\2x1\4test");
    p.parent_silent = true;
    play_settle(&p);
    at(&p, B, JOIN_PARENT_NS, "have not all told the NS");
    p.parent_silent = false;
    play_settle(&p);
    at(&p, B, JOINED, "");
    play_close(&p);
}
END_TEST

/* ---- each step of LEAVE */

static void leave_open(struct play *p, enum signer_step step)
{
    struct why why;
    play_open(p, 1);
    play_reach(p, B, JOINED);
    ck_assert_int_eq(signers_leave(p->book, "b", p->now, &why), 0);
    play_turn(p);
    play_reach(p, B, step);
}

START_TEST(test_leave_parent_ns_waits_and_is_gone_back_to)
{
    struct play p;
    leave_open(&p, LEAVE_PARENT_NS);
    const uint8_t *name = play_servers[1][1];
    p.parent_ns = p.us.ns;
    names_put(&p.parent_ns, name);
    play_settle(&p);
    at(&p, B, LEAVE_PARENT_NS, "b2.test. must be gone from the delegation");
    p.parent_lacks_ns = name; /* at one server of two */
    play_settle(&p);
    at(&p, B, LEAVE_PARENT_NS, "b2.test. must be gone");
    names_drop(&p.parent_ns, name);
    p.parent_silent = true;
    play_settle(&p);
    at(&p, B, LEAVE_PARENT_NS, "have not all told");
    p.parent_silent = false;
    play_settle(&p);
    at(&p, B, LEAVE_NS_WAIT, NULL);
    names_put(&p.parent_ns, name);
    play_settle(&p);
    at(&p, B, LEAVE_PARENT_NS, "b2.test. must be gone");
    p.parent_lacks_ns = NULL;
    names_drop(&p.parent_ns, name);
    play_settle(&p);
    names_put(&p.other[B].side.ns, name); /* … and from the first step */
    play_settle(&p);
    at(&p, B, LEAVE_REMOVE_NS, "must be gone from the NS set of b");
    play_close(&p);
}
END_TEST

/* NS-Wait: the largest of the parent's and all signers'. */
static void ns_wait(uint32_t parent, uint32_t ours, uint32_t theirs, int64_t want)
{
    struct play p;
    struct why why;
    play_open(&p, 1);
    p.parent_ns_ttl = parent;
    p.us.ns_ttl = ours;
    p.other[B].side.ns_ttl = theirs;
    play_reach(&p, B, JOINED);
    ck_assert_int_eq(signers_leave(p.book, "b", p.now, &why), 0);
    play_turn(&p);
    play_reach(&p, B, LEAVE_NS_WAIT);
    struct book_signer *s = play_signer(&p, B);
    ck_assert_int_eq(s->due, s->ns_at + want + 10 + 1);
    play_pass(&p, s->due - p.book->clock - 2);
    play_look(&p);
    ck_assert_int_eq(p.book->clock, s->due - 1);
    at(&p, B, LEAVE_NS_WAIT, "must be gone from every cache");
    play_pass(&p, 1);
    play_turn(&p);
    at(&p, B, LEAVE_NS_WAIT, "the parent's servers must be asked once more");
    ck_assert(p.plan.ask_parent_ns);
    play_look(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, NULL);
    play_close(&p);
}

START_TEST(test_ns_wait_waits_for_the_largest_ttl)
{
    ns_wait(5000, 10, 20, 5000);
    ns_wait(10, 6000, 20, 6000);
    ns_wait(10, 20, 7000, 7000);
}
END_TEST

START_TEST(test_stop_answering_waits_for_a_clear_word)
{
    struct play p;
    leave_open(&p, LEAVE_STOP_ANSWERING);
    play_pass(&p, 100000);
    play_look(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, "must say that they do not serve the zone");
    p.other[B].said = SIGNER_NO_ANSWER;
    play_pass(&p, 100000);
    play_look(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, "must say"); /* a time-out is no word */
    p.other[B].said = SIGNER_ANSWERED;
    p.other[B].second = SIGNER_NOT_SERVED;
    play_look(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, "must say"); /* one of two */
    p.other[B].said = SIGNER_NOT_SERVED;
    play_look(&p);
    int64_t due = play_signer(&p, B)->due;
    ck_assert_int_eq(due, p.book->clock + 600 + 10 + 1); /* what it answered last, in caches */
    play_pass(&p, due - p.book->clock - 2);
    play_look(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, "must be gone from every cache");
    ck_assert(signers_others(p.book));
    play_look(&p);
    at(&p, B, LEAVE_REMOVE_DS, NULL);
    p.other[B].said = p.other[B].second = SIGNER_ANSWERED; /* it is back */
    play_look(&p);
    at(&p, B, LEAVE_STOP_ANSWERING, "must say");
    play_close(&p);
}
END_TEST

START_TEST(test_remove_ds_waits_for_all_of_the_parents_servers)
{
    struct play p;
    leave_open(&p, LEAVE_REMOVE_DS);
    struct play_set both = p.ds;
    play_settle(&p);
    at(&p, B, LEAVE_REMOVE_DS, "the DS of its key");
    set_drop(&p.ds, play_ksk(&p.other[B].side));
    p.ds_split = true;
    p.ds_second = both;
    play_settle(&p);
    at(&p, B, LEAVE_REMOVE_DS, "the DS of its key");
    p.ds_split = false;
    p.parent_silent = true;
    play_settle(&p);
    at(&p, B, LEAVE_REMOVE_DS, "have not all answered");
    p.parent_silent = false;
    play_settle(&p);
    at(&p, B, LEAVE_DS_WAIT, NULL);
    p.ds = both;
    play_settle(&p);
    at(&p, B, LEAVE_REMOVE_DS, "the DS of its key");
    play_close(&p);
}
END_TEST

/* The largest of one and a half DS TTLs, the zone's TTL and the DNSKEY TTL; its keys stay until then. */
static void ds_wait(uint32_t ds, uint32_t zone, uint32_t dnskey, int64_t want)
{
    struct play p;
    struct why why;
    play_open(&p, 1);
    p.ds_ttl = ds;
    p.zone_ttl = zone;
    p.us.dnskey_ttl = dnskey;
    play_reach(&p, B, JOINED);
    ck_assert_int_eq(signers_leave(p.book, "b", p.now, &why), 0);
    play_turn(&p);
    play_reach(&p, B, LEAVE_DS_WAIT);
    struct book_signer *s = play_signer(&p, B);
    ck_assert_int_eq(s->due, s->gone_at + want + 10 + 1);
    play_pass(&p, s->due - p.book->clock - 2);
    play_look(&p);
    at(&p, B, LEAVE_DS_WAIT, "must be gone from every cache");
    ck_assert(play_publishes(&p, play_zsk(&p.other[B].side)));
    play_pass(&p, 1);
    play_turn(&p);
    at(&p, B, LEAVE_DS_WAIT, "the parent's servers must be asked once more");
    play_look(&p);
    at(&p, B, LEFT, "");
    ck_assert(!play_publishes(&p, play_zsk(&p.other[B].side)));
    play_close(&p);
}

START_TEST(test_ds_wait_waits_for_the_largest_ttl)
{
    ds_wait(5001, 10, 20, 7502);
    ds_wait(10, 6000, 20, 6000);
    ds_wait(10, 20, 7000, 7000);
}
END_TEST

/* ---- the operator's word */

START_TEST(test_force_is_for_one_step_and_is_kept)
{
    struct play p;
    struct why why;
    play_open(&p, 1);
    ck_assert_int_eq(signers_force(p.book, &p.policy, "b", p.now, &why), -E_NOENT);
    play_reach(&p, B, JOIN_PARENT_DS);
    ck_assert_int_eq(signers_force(p.book, &p.policy, "b", p.now, &why), 0);
    play_restart(&p);
    play_settle(&p);
    at(&p, B, JOIN_WAIT_CACHES, "must be gone from every cache"); /* no further */
    char *text = signers_text(p.book, &p.policy, p.now);
    ck_assert_ptr_nonnull(strstr(text, "forced: parent-ds at 20"));
    mem_free(&text);
    play_pass(&p, 5000);
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_NS, NULL);
    /* Set back before it, it has to be given again. */
    set_drop(&p.other[B].side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, NULL);
    set_put(&p.other[B].side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOIN_PARENT_DS, NULL);
    play_parent_ds(&p);
    play_reach(&p, B, JOINED);
    ck_assert_int_eq(signers_force(p.book, &p.policy, "b", p.now, &why), -E_MISMATCH);
    play_close(&p);
}
END_TEST

/* Without an anchor, and before its DS is at the parent, the operator may say that the keys that its servers show are its own. */
START_TEST(test_force_takes_a_signers_keys_as_they_are)
{
    struct play p;
    struct why why;
    play_open(&p, 1);
    p.other[B].anchored = false;
    p.other[B].said = SIGNER_NO_ANSWER;
    play_settle(&p);
    ck_assert_int_eq(signers_force(p.book, &p.policy, "b", p.now, &why), -E_MISMATCH);
    ck_assert_msg(strstr(why.text, "nothing to take as given"), "%s", why.text);
    p.other[B].said = SIGNER_ANSWERED;
    play_settle(&p);
    at(&p, B, JOIN_PROVE, "none of its 2 keys");
    ck_assert_int_eq(signers_force(p.book, &p.policy, "b", p.now, &why), 0);
    play_restart(&p);
    /* Another key than the one that was taken proves nothing. */
    unsigned index, kept = p.other[B].side.ksk;
    set_put(&p.other[B].side.dnskey, play_key_new(&p.other[B].side, 257, &index));
    p.other[B].side.ksk = index;
    play_settle(&p);
    at(&p, B, JOIN_PROVE, NULL);
    p.other[B].side.ksk = kept;
    play_settle(&p);
    at(&p, B, JOIN_EXCHANGE_KEYS, NULL);
    play_close(&p);
}
END_TEST

/* ---- joined, and later */

/* A signer that rolls its KSK: the new one is believed when the parent has its DS, since it was in a proved set before; one that was not, is not. */
START_TEST(test_a_ksk_roll_outlives_the_anchor)
{
    struct play p;
    unsigned index;
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    struct play_side *b = &p.other[B].side;
    struct rdata old = play_ksk(b), next = play_key_new(b, 257, &index);
    set_put(&b->dnskey, next);
    set_put(&b->cds, next);
    play_settle(&p);
    ck_assert(play_asks_ds(&p, next) && play_asks_ds(&p, old));
    play_parent_ds(&p);
    b->ksk = index;
    set_drop(&b->dnskey, old);
    set_drop(&b->cds, old);
    play_settle(&p);
    ck_assert_str_eq(play_signer(&p, B)->error, "");
    ck_assert(play_asks_ds(&p, next) && !play_asks_ds(&p, old));
    play_parent_ds(&p);
    play_settle(&p);
    at(&p, B, JOINED, "");
    /* Somebody's forged answers: another KSK, of which the parent's (forged, too) has the DS. */
    struct rdata forged = play_key_new(b, 257, &index);
    set_put(&b->dnskey, forged);
    b->ksk = index;
    set_put(&p.ds, forged);
    play_look(&p);
    ck_assert(play_alarmed(&p, "none of its"));
    play_settle(&p); /* that it was seen before makes it no better */
    ck_assert_msg(strstr(play_signer(&p, B)->error, "none of its"), "%s",
                  play_signer(&p, B)->error);
    ck_assert(!play_publishes(&p, forged) && !play_asks_ds(&p, forged));
    ck_assert(play_publishes(&p, play_zsk(b)));
    play_close(&p);
}
END_TEST

/* Its DS goes first (RFC 7583 3.3.2): the DNSKEY that takes the old one's place was in no set before, but its signer's CDNSKEY named it. */
START_TEST(test_a_double_ds_roll_outlives_the_anchor)
{
    struct play p;
    unsigned index;
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    struct play_side *b = &p.other[B].side;
    struct rdata old = play_ksk(b), next = play_key_new(b, 257, &index);
    set_put(&b->cds, next);
    play_settle(&p);
    ck_assert(play_asks_ds(&p, next) && play_asks_ds(&p, old) && !play_publishes(&p, next));
    play_parent_ds(&p);
    play_settle(&p);
    b->ksk = index;
    set_put(&b->dnskey, next);
    set_drop(&b->dnskey, old);
    set_drop(&b->cds, old);
    play_settle(&p);
    ck_assert_str_eq(play_signer(&p, B)->error, "");
    ck_assert(play_asks_ds(&p, next) && !play_asks_ds(&p, old));
    play_close(&p);
}
END_TEST

/* The APNIC lesson, and its other end: a key leaves our set when its signer has neither it nor a signature by it for the largest TTL, as far as was
 * seen; not while the signer is silent. */
START_TEST(test_a_key_leaves_when_it_is_out_of_use)
{
    struct play p;
    unsigned index;
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    struct play_side *b = &p.other[B].side;
    struct rdata old = play_zsk(b), next = play_key_new(b, 256, &index);
    set_put(&b->dnskey, next);
    play_settle(&p);
    ck_assert(play_publishes(&p, next) && play_publishes(&p, old));
    b->zsk = index;
    play_pass(&p, 50000);
    play_settle(&p);
    ck_assert(play_publishes(&p, old)); /* it is in the signer's set */
    set_drop(&b->dnskey, old);
    p.other[B].lacks = next;
    p.other[B].lacks = (struct rdata){0};
    play_look(&p);
    int64_t due = p.book->clock + 1200 + 10 + 1; /* the zone's TTL */
    p.other[B].said = SIGNER_NO_ANSWER;
    play_pass(&p, 50000);
    play_look(&p);
    ck_assert(play_publishes(&p, old));
    p.other[B].said = SIGNER_ANSWERED;
    ck_assert_int_gt(p.book->clock, due);
    play_look(&p);
    ck_assert(!play_publishes(&p, old) && play_publishes(&p, next));
    set_put(&b->dnskey, old);
    play_look(&p);
    ck_assert(play_publishes(&p, old)); /* it is back */
    set_drop(&b->dnskey, old);
    play_look(&p);
    play_pass(&p, 1200 + 10 - 1);
    play_look(&p);
    ck_assert(play_publishes(&p, old)); /* a second early */
    play_look(&p);
    ck_assert(!play_publishes(&p, old));
    play_close(&p);
}
END_TEST

static unsigned alarms_in(struct play *p, int64_t seconds, int64_t each)
{
    unsigned n = 0;
    for (int64_t s = 0; s < seconds; s += each) {
        play_pass(p, each - 1);
        play_look(p);
        for (unsigned i = 0; i < p->plan.nevents; i++)
            n += p->plan.event[i].alarm;
    }
    return n;
}

/* Down for a week: nothing goes, and once a day it is said. */
START_TEST(test_a_signer_that_is_down_keeps_its_keys)
{
    struct play p;
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    p.other[B].said = SIGNER_NO_ANSWER;
    ck_assert_uint_eq(alarms_in(&p, 3000, 600), 0);
    unsigned n = alarms_in(&p, 7 * 86400, 1800);
    ck_assert_msg(n >= 7 && n <= 8, "%u alarms", n);
    at(&p, B, JOINED, NULL);
    ck_assert(play_publishes(&p, play_zsk(&p.other[B].side)) &&
              play_asks_ds(&p, play_ksk(&p.other[B].side)));
    ck_assert_uint_eq(signers_others(p.book)->n, 1); /* as it was seen last */
    char *text = signers_text(p.book, &p.policy, p.now);
    ck_assert_msg(strstr(text, "ALARM: not seen for an hour or more: b-1: time-out"), "%s", text);
    mem_free(&text);
    p.other[B].said = SIGNER_ANSWERED;
    play_look(&p);
    ck_assert_str_eq(play_signer(&p, B)->alarm, "");
    play_close(&p);
}
END_TEST

/* Who has joined is not set back. A key that signs and is lost at a signer is told at once. */
START_TEST(test_joined_is_an_alarm_and_no_step_back)
{
    struct play p;
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    set_drop(&p.other[B].side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOINED, "our key");
    ck_assert(play_alarmed(&p, "our key"));
    ck_assert_uint_eq(signers_others(p.book)->n, 0);
    set_put(&p.other[B].side.dnskey, play_zsk(&p.us));
    play_look(&p);
    at(&p, B, JOINED, "");
    ck_assert_uint_eq(signers_others(p.book)->n, 1);
    names_drop(&p.other[B].side.ns, p.us.ns.name[0]);
    play_look(&p);
    at(&p, B, JOINED, "a1.test. must be in its NS set");
    ck_assert_uint_eq(alarms_in(&p, 3000, 600), 0);
    ck_assert_uint_eq(alarms_in(&p, 1200, 600), 1);
    play_close(&p);
}
END_TEST

/* 40 keys: named, nothing taken; what was known stays. */
START_TEST(test_keys_are_bounded)
{
    struct play p;
    uint8_t rdata[40][40];
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    struct play_set kept = p.other[B].side.dnskey;
    for (unsigned i = 0; i < 40; i++) {
        memset(rdata[i], (int)i, sizeof rdata[i]);
        memcpy(rdata[i], (const uint8_t[]){1, 0, 3, 15}, 4);
        set_put(&p.other[B].side.dnskey, (struct rdata){rdata[i], 36});
    }
    play_look(&p);
    ck_assert(play_alarmed(&p, "") || p.plan.nevents == 0);
    ck_assert_msg(strstr(play_signer(&p, B)->error, "b-1: more than 32 keys"), "%s",
                  play_signer(&p, B)->error);
    ck_assert(play_publishes(&p, play_zsk(&p.other[B].side)));
    ck_assert(!play_publishes(&p, (struct rdata){rdata[0], 36}));
    p.other[B].side.dnskey = kept;
    play_look(&p);
    ck_assert_str_eq(play_signer(&p, B)->error, "");
    play_close(&p);
}
END_TEST

/* One that is taken out of the configuration leaves, with a word; back in it, it joins. */
START_TEST(test_configured_no_longer_is_to_leave)
{
    struct play p;
    play_open(&p, 1);
    play_reach(&p, B, JOINED);
    p.policy.n = 0;
    play_turn(&p);
    at(&p, B, LEAVE_REMOVE_NS, NULL);
    ck_assert(play_alarmed(&p, "it is configured no longer"));
    ck_assert(play_publishes(&p, play_zsk(&p.other[B].side)));
    ck_assert_ptr_nonnull(signers_others(p.book));
    p.policy.n = 1;
    play_pass(&p, 1);
    play_turn(&p);
    at(&p, B, JOIN_PROVE, NULL);
    play_reach(&p, B, JOINED);
    play_close(&p);
}
END_TEST

/* A key is seen first where it was imported, for its owner is silent: it is nobody's, in our set all the same, and does not leave with that one. */
START_TEST(test_an_imported_key_is_not_the_importers)
{
    struct play p;
    struct why why;
    unsigned index;
    time_t since;
    play_open(&p, 2);
    play_reach(&p, B, JOINED);
    play_reach(&p, C, JOINED);
    struct play_side *b = &p.other[B].side;
    struct rdata key = play_key_new(b, 256, &index);
    set_put(&b->dnskey, key);
    set_put(&p.other[C].side.dnskey, key);
    p.other[B].said = SIGNER_NO_ANSWER;
    play_settle(&p);
    ck_assert_ptr_null(signers_owner(p.book, key.data, key.len, &since));
    ck_assert(play_publishes(&p, key));
    ck_assert_int_eq(signers_leave(p.book, "c", p.now, &why), 0);
    for (unsigned n = 0; n < 6 && play_step(&p, C) != LEFT; n++) {
        ck_assert_int_eq(signers_force(p.book, &p.policy, "c", p.now, &why), 0);
        play_settle(&p);
        ck_assert(play_publishes(&p, key));
    }
    ck_assert_int_eq(play_step(&p, C), LEFT);
    b->zsk = index;
    p.other[B].said = SIGNER_ANSWERED;
    play_settle(&p);
    ck_assert_str_eq(signers_owner(p.book, key.data, key.len, &since), "b");
    ck_assert(play_publishes(&p, key));
    play_close(&p);
}
END_TEST

/* Whose key it is; and what is kept for who serves a set that is made elsewhere. */
START_TEST(test_owners_are_told)
{
    struct play p;
    time_t since, at_time;
    play_open(&p, 2);
    play_reach(&p, B, JOINED);
    play_reach(&p, C, JOINED);
    struct rdata b = play_zsk(&p.other[B].side), c = play_ksk(&p.other[C].side),
                 us = play_zsk(&p.us);
    ck_assert_str_eq(signers_owner(p.book, b.data, b.len, &since), "b");
    ck_assert_str_eq(signers_owner(p.book, c.data, c.len, &since), "c");
    ck_assert_ptr_null(signers_owner(p.book, us.data, us.len, &since));
    struct json *json = json_new();
    size_t len;
    json_object(json, NULL);
    signers_json(p.book, &p.policy, p.now, json);
    json_end(json);
    const char *text = json_text(json, &len);
    ck_assert_msg(strstr(text, "\"step\":\"joined\"") &&
                      strstr(text, "\"ns\":[\"b1.test.\",\"b2.test.\"]"),
                  "%s", text);
    json_free(&json);
    play_restart(&p);
    const struct node *node = signers_proved(p.book, "b", &at_time);
    struct rrset set;
    ck_assert(node && node_rrset(node, RR_DNSKEY, 0, &set) && set.count == 4);
    ck_assert(node_rrset(node, RR_RRSIG, RR_DNSKEY, &set) && !node_has(node, RR_SOA));
    play_close(&p);
}
END_TEST

/* A text that is cut, or has one octet that is another, is refused, or is the text of another book; never the half of one. */
START_TEST(test_text_is_taken_whole_or_refused)
{
    struct random random = random_open();
    struct play p;
    struct why why;
    struct signers *book;
    play_open(&p, 2);
    play_reach(&p, B, JOIN_WAIT_CACHES);
    char *text = signers_print(p.book);
    size_t len = strlen(text);
    for (size_t cut = 0; cut < len; cut += 1 + random_below(&random, 3))
        ck_assert_int_eq(signers_parse(text, cut, play_apex, &book, &why), -E_FORMAT);
    ck_assert_int_eq(signers_parse(text, len, (const uint8_t *)"\5other", &book, &why), -E_FORMAT);
    ck_assert_str_eq(why.text, "line 2: expected other.");
    for (size_t i = 0; i < len; i += 1 + random_below(&random, 3)) {
        char kept = text[i];
        text[i] = (char)(kept ^ (1 << random_below(&random, 7)));
        if (!signers_parse(text, len, play_apex, &book, &why)) {
            char *again = signers_print(book);
            signers_free(&book);
            ck_assert_int_eq(signers_parse(again, strlen(again), play_apex, &book, &why), 0);
            mem_free(&again);
            signers_free(&book);
        }
        text[i] = kept;
    }
    mem_free(&text);
    play_close(&p);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("signers");
    suite_add(s, test_a_signer_joins);
    suite_add(s, test_a_signer_leaves);
    suite_add(s, test_prove_waits_for_all_servers_and_a_proof);
    suite_add(s, test_prove_names_the_key_that_does_not_fit);
    suite_add(s, test_exchange_keys_waits_for_us_and_for_them);
    suite_add(s, test_exchange_keys_waits_for_every_other_signer);
    suite_add(s, test_parent_ds_waits_for_both_on_all_servers);
    suite_add(s, test_wait_caches_waits_for_the_largest_ttl);
    suite_add(s, test_wait_caches_begins_anew);
    suite_add(s, test_waits_are_not_hastened_by_a_clock);
    suite_add(s, test_exchange_ns_waits_for_the_same_set_everywhere);
    suite_add(s, test_parent_ns_waits_for_all_of_the_parents_servers);
    suite_add(s, test_leave_parent_ns_waits_and_is_gone_back_to);
    suite_add(s, test_ns_wait_waits_for_the_largest_ttl);
    suite_add(s, test_stop_answering_waits_for_a_clear_word);
    suite_add(s, test_remove_ds_waits_for_all_of_the_parents_servers);
    suite_add(s, test_ds_wait_waits_for_the_largest_ttl);
    suite_add(s, test_force_is_for_one_step_and_is_kept);
    suite_add(s, test_force_takes_a_signers_keys_as_they_are);
    suite_add(s, test_a_ksk_roll_outlives_the_anchor);
    suite_add(s, test_a_double_ds_roll_outlives_the_anchor);
    suite_add(s, test_a_key_leaves_when_it_is_out_of_use);
    suite_add(s, test_a_signer_that_is_down_keeps_its_keys);
    suite_add(s, test_joined_is_an_alarm_and_no_step_back);
    suite_add(s, test_keys_are_bounded);
    suite_add(s, test_configured_no_longer_is_to_leave);
    suite_add(s, test_an_imported_key_is_not_the_importers);
    suite_add(s, test_owners_are_told);
    suite_add(s, test_text_is_taken_whole_or_refused);
    return suite_run(s);
}
