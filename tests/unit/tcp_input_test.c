/* tcp_input: messages come out whole and in order, however the octets come in. No sockets. */
#include "pipeline/net/tcp_input.h"

#include <string.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/buf.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

/* Feeds up to n octets, as much as there is room for at a time. Returns how many messages came out;
 * each must be the next of the stream that `at` walks over. */
static size_t feed(struct tcp_input *in, const uint8_t *p, size_t n, const uint8_t **at)
{
    size_t messages = 0;
    while (n) {
        uint8_t *room;
        const uint8_t *msg;
        size_t len, part = tcp_input_room(in, &room);
        ck_assert_uint_gt(part, 0);
        ck_assert_uint_le(in->cap, TCP_INPUT_MAX);
        part = part < n ? part : n;
        memcpy(room, p, part);
        tcp_input_filled(in, part);
        p += part;
        n -= part;
        while (tcp_input_waits(in)) {
            ck_assert(tcp_input_take(in, &msg, &len));
            ck_assert_uint_eq(len, get_u16(*at));
            ck_assert_int_eq(memcmp(msg, *at + 2, len), 0);
            *at += 2 + len;
            messages++;
        }
        ck_assert(!tcp_input_take(in, &msg, &len));
    }
    return messages;
}

START_TEST(octet_by_octet)
{
    static const uint8_t stream[] = {0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'};
    struct tcp_input in = {0};
    const uint8_t *at = stream;
    size_t messages = 0;
    ck_assert(!tcp_input_waits(&in));
    for (size_t i = 0; i < sizeof stream; i++)
        messages += feed(&in, stream + i, 1, &at);
    ck_assert_uint_eq(messages, 3);
    ck_assert_ptr_eq(at, stream + sizeof stream);
    tcp_input_relax(&in);
    ck_assert_ptr_null(in.data); /* idle costs nothing */
}
END_TEST

START_TEST(relax_keeps_a_piece)
{
    static const uint8_t stream[] = {0, 2, 'a', 'b', 0};
    struct tcp_input in = {0};
    const uint8_t *at = stream;
    ck_assert_uint_eq(feed(&in, stream, sizeof stream, &at), 1);
    tcp_input_relax(&in);
    ck_assert_ptr_nonnull(in.data);
    static const uint8_t rest[] = {0, 1, 'z'};
    const uint8_t *none = rest;
    ck_assert_uint_eq(feed(&in, rest + 1, 2, &none), 1);
    tcp_input_fini(&in);
}
END_TEST

/* A long message announced by two octets takes memory once; short ones stay small. */
START_TEST(bounds)
{
    struct tcp_input in = {0};
    uint8_t *room;
    ck_assert_uint_eq(tcp_input_room(&in, &room), TCP_INPUT_SMALL);
    memset(room, 0xff, 2);
    tcp_input_filled(&in, 2);
    ck_assert_uint_eq(tcp_input_room(&in, &room), TCP_INPUT_MAX - 2);
    ck_assert_uint_eq(in.cap, TCP_INPUT_MAX);
    memset(room, 1, TCP_INPUT_MAX - 2);
    tcp_input_filled(&in, TCP_INPUT_MAX - 2);
    const uint8_t *msg;
    size_t len;
    ck_assert(tcp_input_take(&in, &msg, &len));
    ck_assert_uint_eq(len, 65535);
    tcp_input_fini(&in);
}
END_TEST

START_TEST(random_streams)
{
    struct random random = random_open();
    for (unsigned round = 0; round < 300; round++) {
        size_t n = 1 + random_below(&random, 60), total = 0, messages = 0;
        size_t longest = random_below(&random, 4) ? 300 : 65536;
        uint8_t *stream = mem_alloc(n * TCP_INPUT_MAX);
        for (size_t i = 0; i < n; i++) {
            size_t len = random_below(&random, longest);
            put_u16(stream + total, (uint16_t)len);
            random_octets(&random, stream + total + 2, len);
            total += 2 + len;
        }
        struct tcp_input in = {0};
        const uint8_t *at = stream;
        size_t piece = 1 + random_below(&random, 2 * longest);
        for (size_t done = 0; done < total;) {
            size_t part = 1 + random_below(&random, piece);
            part = part < total - done ? part : total - done;
            messages += feed(&in, stream + done, part, &at);
            if (random_below(&random, 2))
                tcp_input_relax(&in);
            done += part;
        }
        ck_assert_uint_eq(messages, n);
        tcp_input_fini(&in);
        mem_free(&stream);
    }
}
END_TEST

START_TEST(room_needs_taking)
{
    struct tcp_input in = {0};
    uint8_t *room;
    (void)tcp_input_room(&in, &room);
    memset(room, 0, 2); /* an empty message */
    tcp_input_filled(&in, 2);
    (void)tcp_input_room(&in, &room);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("tcp_input");
    suite_add(s, octet_by_octet);
    suite_add(s, relax_keeps_a_piece);
    suite_add(s, bounds);
    suite_add(s, random_streams);
    suite_add_abort(s, room_needs_taking);
    return suite_run(s);
}
