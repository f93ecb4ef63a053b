/* Addresses and access lists: what is taken, what is printed, what is refused and in which words.
 */
#include "pipeline/run/address.h"

#include "pipeline/base/alloc.h"
#include "tests/lib/suite.h"

#include <string.h>

static struct address parse(const char *text)
{
    struct address a;
    struct why why = {""};
    ck_assert_msg(address_parse(text, 53, &a, &why) == 0, "%s: %s", text, why.text);
    return a;
}

static struct acl_rule rule(const char *text)
{
    struct acl_rule r;
    const char *key;
    struct why why = {""};
    ck_assert_msg(acl_parse_rule(text, &r, &key, &why) == 0, "%s: %s", text, why.text);
    ck_assert_ptr_null(key);
    return r;
}

START_TEST(prints_what_it_parsed)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"192.0.2.1@5353", "192.0.2.1@5353"},
        {"192.0.2.1", "192.0.2.1@53"},
        {"2001:DB8::1@53", "2001:db8::1@53"},
        {"::1", "::1@53"},
        {"fe80::1%lo@53", "fe80::1%lo@53"},
        {"255.255.255.255@65535", "255.255.255.255@65535"},
        {"fe80::1%1@1", "fe80::1%lo@1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255@65535",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff@65535"},
    };
    char text[ADDRESS_TEXT_MAX];
    struct address a = parse(cases[_i].in);
    ck_assert_str_eq(address_print(&a, text), cases[_i].out);
    *strchr(text, '@') = '\0';
    char host[ADDRESS_TEXT_MAX];
    ck_assert_str_eq(address_print_host(&a, host), text);
}
END_TEST

START_TEST(refuses_what_is_no_address)
{
    static const char *const cases[] = {
        "",
        "@53",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1@",
        "192.0.2.1@0",
        "192.0.2.1@65536",
        "192.0.2.1@x",
        "192.0.2.1@53x",
        "192.0.2.1@ 53",
        "192.0.2.1:53",
        "::g",
        "[::1]@53",
        "fe80::1%nosuchlink0@53",
        "192.0.2.1%lo",
        "192.0.2.1@+1",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
    };
    struct address a = {.len = 77};
    struct why why = {""};
    ck_assert_int_eq(address_parse(cases[_i], 53, &a, &why), -E_CONF);
    ck_assert_msg(strstr(why.text, "expected ") == why.text, "%s", why.text);
    ck_assert_uint_eq(a.len, 77);
}
END_TEST

START_TEST(same_host_whatever_port_and_mapping)
{
    struct address a = parse("192.0.2.1@1"), b = parse("192.0.2.1@2"), c = parse("192.0.2.2@1");
    struct address mapped = parse("::ffff:192.0.2.1"), six = parse("2001:db8::1");
    ck_assert(address_same_host(&a, &b));
    ck_assert(address_same_host(&a, &mapped));
    ck_assert(!address_same_host(&a, &c));
    ck_assert(!address_same_host(&a, &six));
    ck_assert_uint_eq(address_hash_host(&a), address_hash_host(&b));
    ck_assert_uint_eq(address_hash_host(&a), address_hash_host(&mapped));
    ck_assert_uint_ne(address_hash_host(&a), address_hash_host(&c));
}
END_TEST

START_TEST(one_v6_client_is_a_64)
{
    struct address a = parse("2001:db8:1:2::1"), b = parse("2001:db8:1:2:ffff::9");
    struct address c = parse("2001:db8:1:3::1");
    ck_assert(!address_same_host(&a, &b));
    ck_assert_uint_eq(address_hash_host(&a), address_hash_host(&b));
    ck_assert_uint_ne(address_hash_host(&a), address_hash_host(&c));
}
END_TEST

START_TEST(scopes_tell_links_apart)
{
    struct address one = parse("fe80::1%1"), two = parse("fe80::1%2"), any = parse("fe80::1");
    ck_assert(!address_same_host(&one, &two));
    ck_assert(address_same_host(&one, &any));
}
END_TEST

static struct tsig_key *key_of(const char *name)
{
    uint8_t wire[NAME_MAX_OCTETS];
    struct tsig_key *key = NULL;
    ck_assert_int_gt(name_parse(name, wire, NULL), 0);
    ck_assert_int_eq(tsig_key_new(wire, "hmac-sha256", (const uint8_t *)"s", 1, &key, NULL), 0);
    return key;
}

START_TEST(acl_lets_in_the_prefix_only)
{
    static const struct {
        const char *rule, *address;
        bool allowed;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "::ffff:192.0.2.7", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.4/30", "192.0.2.7", true},
        {"192.0.2.4/30", "192.0.2.8", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::2", false},
        {"::ffff:0:0/96", "192.0.2.1", true},
        {"::ffff:0:0/95", "::fffe:0:0", true},
        {"::ffff:0:0/95", "::fffd:0:0", false},
    };
    struct acl_rule r;
    /* ::fffe:0:0/95 is the only way to write the parent of the mapped prefix. */
    r = rule(strcmp(cases[_i].rule, "::ffff:0:0/95") == 0 ? "::fffe:0:0/95" : cases[_i].rule);
    struct acl acl = {1, &r};
    struct address a = parse(cases[_i].address);
    ck_assert_int_eq(acl_allows(&acl, &a, NULL), cases[_i].allowed);
}
END_TEST

START_TEST(acl_without_rules_lets_nobody_in)
{
    struct acl none = {0, NULL};
    struct address a = parse("127.0.0.1");
    ck_assert(!acl_allows(&none, &a, NULL));
}
END_TEST

/* A prefix, a key, or both at once. */
START_TEST(acl_with_keys)
{
    static const struct {
        const char *rule, *address, *key;
        bool allowed;
    } cases[] = {
        {"key:a.example.", "192.0.2.1", NULL, false},
        {"key:a.example.", "192.0.2.1", "b.example.", false},
        {"key:a.example.", "192.0.2.1", "A.Example.", true},
        {"key:a.example.", "2001:db8::1", "a.example.", true},
        {"192.0.2.0/24 key:a.example.", "192.0.2.1", "a.example.", true},
        {"192.0.2.0/24 key:a.example.", "192.0.2.1", NULL, false},
        {"192.0.2.0/24 key:a.example.", "192.0.2.1", "b.example.", false},
        {"192.0.2.0/24 key:a.example.", "192.0.3.1", "a.example.", false},
        {"2001:db8::1   key:a.example.", "2001:db8::1", "a.example.", true},
        {"192.0.2.0/24", "192.0.2.1", "b.example.", true}, /* signed or not */
        {"192.0.2.0/24", "192.0.3.1", "b.example.", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct acl acl = {1, mem_zalloc(sizeof *acl.rule)};
        struct address a = parse(cases[i].address);
        struct tsig_key *key = cases[i].key ? key_of(cases[i].key) : NULL;
        const char *name;
        ck_assert_int_eq(acl_parse_rule(cases[i].rule, acl.rule, &name, NULL), 0);
        if (name)
            acl.rule->key = key_of(name);
        ck_assert_msg(acl_allows(&acl, &a, key) == cases[i].allowed, "case %zu", i);
        tsig_key_unref(key);
        acl_clear(&acl);
        ck_assert_uint_eq(acl.n, 0);
    }
}
END_TEST

#define ANY_RULE                                                                                   \
    "expected an address or a prefix, such as \"192.0.2.0/24\", \"2001:db8::/32\" or "             \
    "\"192.0.2.1\", a key, \"key:NAME\", or both: \"192.0.2.0/24 key:NAME\""
START_TEST(acl_refuses_in_words)
{
    static const struct {
        const char *rule, *why;
    } cases[] = {
        {"192.0.2.1/24", "expected no bits behind the prefix; is \"192.0.2.0/24\" meant?"},
        {"2001:db8::1/32", "expected no bits behind the prefix; is \"2001:db8::/32\" meant?"},
        {"192.0.2.0/33", "expected a prefix length 0..32"},
        {"2001:db8::/129", "expected a prefix length 0..128"},
        {"192.0.2.0/", "expected a prefix length 0..32"},
        {"192.0.2.0/-1", "expected a prefix length 0..32"},
        {"192.0.2.0/24key:a.", "expected a prefix length 0..32"},
        {"192.0.2.0/24, key:a.", "expected a prefix length 0..32"},
        {"x key:a.", ANY_RULE},
        {"192.0.2.1@53", ANY_RULE},
        {"any", ANY_RULE},
        {"fe80::1%lo", ANY_RULE},
    };
    struct acl_rule r;
    const char *key;
    struct why why = {""};
    ck_assert_int_eq(acl_parse_rule(cases[_i].rule, &r, &key, &why), -E_CONF);
    ck_assert_str_eq(why.text, cases[_i].why);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("address");
    tcase_add_loop_test(s.tcase, prints_what_it_parsed, 0, 8);
    tcase_add_loop_test(s.tcase, refuses_what_is_no_address, 0, 18);
    suite_add(s, same_host_whatever_port_and_mapping);
    suite_add(s, one_v6_client_is_a_64);
    suite_add(s, scopes_tell_links_apart);
    tcase_add_loop_test(s.tcase, acl_lets_in_the_prefix_only, 0, 20);
    suite_add(s, acl_without_rules_lets_nobody_in);
    suite_add(s, acl_with_keys);
    tcase_add_loop_test(s.tcase, acl_refuses_in_words, 0, 12);
    return suite_run(s);
}
