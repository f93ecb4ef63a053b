/* descriptors: who gets how many. */
#include "pipeline/net/descriptors.h"

#include "tests/lib/suite.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct server_conf conf(int64_t threads, size_t nlisten, int64_t tcp_clients)
{
    return (struct server_conf){
        .threads = threads, .nlisten = nlisten, .tcp_clients = tcp_clients, .transfers_in = 32};
}

START_TEST(enough)
{
    struct server_conf c = conf(2, 2, 1000);
    struct descriptors d = descriptors_plan(&c, 4, 1 << 20);
    ck_assert_int_eq(d.let_in, 1000);
    ck_assert_int_ge(d.base, 2 * (2 * 2 + 2)); /* sockets; epoll and a wake-up a loop */
    ck_assert_int_ge(d.work, 32 + 256 + 32);   /* transfers, checks, control clients */
    ck_assert_int_eq(d.clients, 1002);
    /* Exactly what is needed is enough, one less is not. */
    ck_assert_int_eq(descriptors_plan(&c, 4, d.base + d.work + d.clients).let_in, 1000);
    ck_assert_int_eq(descriptors_plan(&c, 4, d.base + d.work + d.clients - 1).let_in, 999);
}
END_TEST

/* Whatever the limit: base, clients and (down to half of the rest) work fit in it, and more of it never lets in fewer. */
START_TEST(too_few)
{
    struct server_conf c = conf(3, 4, 500);
    int64_t before = INT64_MIN;
    for (int64_t limit = 0; limit < 2000; limit++) {
        struct descriptors d = descriptors_plan(&c, 2, limit);
        int64_t half = (limit - d.base) / 2, work = d.work < half ? d.work : half;
        ck_assert_int_ge(d.let_in, before);
        if (d.let_in >= 1)
            ck_assert_int_le(d.base + work + d.let_in + c.threads, limit);
        if (limit < d.base)
            ck_assert_int_lt(d.let_in, 1);
        before = d.let_in;
    }
    ck_assert_int_eq(before, 500);
}
END_TEST

static void limit(rlim_t soft, rlim_t hard)
{
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){soft, hard}), 0);
}

START_TEST(soft_limit_is_raised)
{
    struct server_conf c = conf(2, 1, 100);
    struct why why = {""};
    struct rlimit lim;
    int64_t room = 0;
    limit(64, 900);
    ck_assert_msg(descriptors_share(&c, 2, &room, &why) == 0, "%s", why.text);
    ck_assert_int_eq(room, 100);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &lim), 0);
    ck_assert_uint_eq(lim.rlim_cur, 900);
}
END_TEST

START_TEST(not_even_enough_to_start)
{
    struct server_conf c = conf(200, 3, 100);
    struct why why = {""};
    int64_t room = 0;
    limit(900, 900);
    ck_assert_int_eq(descriptors_share(&c, 2, &room, &why), -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "limit on open files is 900"));
    ck_assert_ptr_nonnull(strstr(why.text, "server.threads"));
}
END_TEST

int main(void)
{
    struct suite s = suite_open("descriptors");
    suite_add(s, enough);
    suite_add(s, too_few);
    suite_add(s, soft_limit_is_raised);
    suite_add(s, not_even_enough_to_start);
    return suite_run(s);
}
