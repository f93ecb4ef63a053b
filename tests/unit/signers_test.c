/* signers: joining and leaving, step by step. Each wait of draft-ietf-dnsop-dnssec-automation's JOIN and LEAVE has a test that shows that it is
 * not gone past early, and one that shows what undoes it. */
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

int main(void)
{
    struct suite s = suite_open("signers");
    suite_add(s, test_a_signer_joins);
    suite_add(s, test_a_signer_leaves);
    return suite_run(s);
}
