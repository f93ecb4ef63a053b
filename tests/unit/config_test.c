/* Configurations: what a good one becomes, and for every bad one the words an operator reads. */
#include "pipeline/run/config.h"

#include "pipeline/base/log.h"
#include "pipeline/run/option.h"
#include "pipeline/run/registry.h"
#include "tests/lib/suite.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct config *parse(const char *text)
{
    struct config *c = NULL;
    struct why why = {""};
    ck_assert_msg(config_parse(text, strlen(text), "dir/t.conf", &c, &why) == 0, "%s", why.text);
    return c;
}

/* A zone's row is in line 4, a server's in line 1, a remote's in line 2. */
#define SERVER  "server = { listen = (\"127.0.0.1@5353\"); };\n"
#define P       "{ name = \"p\"; address = \"192.0.2.1\"; }"
#define REMOTES "remotes = ( " P ", { name = \"ns1\"; address = \"2001:db8::1@5300\"; } );\n"
#define XFR_KEY "{ name = \"Xfr.example\"; algorithm = \"hmac-sha256\"; secret = \"c2VjcmV0\"; }"
#define KEYS    "tsig = ( " XFR_KEY " );\n"
#define KEY(secret)                                                                                \
    SERVER "tsig = ( { name = \"k.\"; algorithm = \"hmac-sha256\"; " secret " } );\nzones = ();"
#define KEY_EXAMPLE                                                                                \
    "{ name = \"xfr.example.\"; algorithm = \"hmac-sha256\"; secret_file = \"xfr.key\"; }"
#define ZONES(row)  SERVER REMOTES "zones = (\n" row "\n);\n"
#define ZONE(body)  ZONES("{ name = \"example.\"; primaries = (\"p\"); " body " }")
#define CHAIN(rows) ZONE("chain = ( " rows " );")

/* RFC 1996 3.6: 60 s, 5 tries */
START_TEST(defaults)
{
    struct config *c = parse(ZONE("chain = ();"));
    const struct server_conf *s = &c->server;
    char text[ADDRESS_TEXT_MAX];
    ck_assert_uint_eq(s->nlisten, 1);
    ck_assert_str_eq(address_print(&s->listen[0], text), "127.0.0.1@5353");
    ck_assert_int_eq(s->threads, 2);
    ck_assert_int_eq(s->workers, 0);
    ck_assert_str_eq(s->state, "/var/lib/weir");
    ck_assert_ptr_null(s->control);
    ck_assert_ptr_null(s->user);
    ck_assert_ptr_null(s->capture);
    ck_assert_int_eq(s->log_level, LOG_INFO);
    ck_assert_int_eq(s->udp_size, 1232);
    ck_assert_uint_eq(c->nzones, 1);
    const struct zone_conf *z = &c->zones[0];
    ck_assert_str_eq(z->text, "example.");
    ck_assert_uint_eq(z->nprimaries, 1);
    ck_assert_str_eq(z->primaries[0]->name, "p");
    ck_assert_str_eq(address_print(&z->primaries[0]->address, text), "192.0.2.1@53");
    ck_assert_uint_eq(z->primaries[0]->source.len, 0);
    ck_assert_ptr_null(z->file);
    ck_assert_ptr_null(z->mode);
    ck_assert_uint_eq(z->chain->n, 0);
    ck_assert_uint_eq(z->chain->keep_findings, 1000);
    ck_assert_uint_eq(z->allow_transfer.n, 0);
    ck_assert_uint_eq(z->allow_notify.n, 0);
    ck_assert_int_eq(z->notify_retries, 5);
    ck_assert_int_eq(z->notify_timeout_s, 60);
    ck_assert_int_eq(z->ixfr_history, 200);
    ck_assert_int_eq(z->ixfr_history_bytes, 64 << 20);
    ck_assert_int_eq(z->ixfr_history_age_s, 7 * 86400);
    config_unref(c);
}
END_TEST

START_TEST(every_key_arrives)
{
    struct config *c = parse(
        "server = { listen = (\"::1@53\", \"192.0.2.53\"); threads = 3; workers = 4; state = "
        "\"s\";\n"
        " control = \"/run/c\"; user = \"weir\"; identity = \"id\"; version = \"v\"; capture = "
        "\"x/y\";\n"
        " capture_max = \"1M\"; log_level = \"error\"; udp_size = 1400; tcp_clients = 11;\n"
        " tcp_per_client = 12; tcp_idle = 13; tcp_slow = \"14s\"; tcp_pipeline = 15; "
        " tcp_min_rate = 21; tcp_memory = \"22M\"; transfers_in "
        "= 16;\n"
        " transfers_in_per_primary = 17; transfers_out = 18; transfers_out_per_client = 19;\n"
        " transfer_out_max = \"20m\"; };\n"
        "remotes = ( { name = \"p\"; address = \"192.0.2.1@5353\"; source = \"192.0.2.9\"; },\n"
        " { name = \"a\"; address = \"::1\"; } );\n"
        "zones = ( { name = \"Example.COM\"; primaries = (\"p\", \"a\"); notify = [\"a\"];\n"
        " allow_transfer = (\"192.0.2.0/24\", \"::1\"); allow_notify = (\"192.0.2.7\"); chain = "
        "();\n"
        " max_records = 4294967296; max_bytes = \"2G\"; max_time = \"3h\"; min_rate = 4096;\n"
        " refresh_min = 5; refresh_max = 6; retry_min = 7; retry_max = 8; expire_max = \"9d\";\n"
        " keep_findings = 10; notify_retries = 1; notify_timeout = 2;\n"
        " ixfr_history = 11; ixfr_history_bytes = \"12k\"; ixfr_history_age = \"13d\"; } );\n");
    const struct server_conf *s = &c->server;
    char text[ADDRESS_TEXT_MAX];
    ck_assert_uint_eq(s->nlisten, 2);
    ck_assert_str_eq(address_print(&s->listen[1], text), "192.0.2.53@53");
    const int64_t got[] = {s->threads,
                           s->workers,
                           s->capture_max_bytes,
                           s->udp_size,
                           s->tcp_clients,
                           s->tcp_per_client,
                           s->tcp_idle_s,
                           s->tcp_slow_s,
                           s->tcp_pipeline,
                           s->transfers_in,
                           s->transfers_in_per_primary,
                           s->transfers_out,
                           s->transfers_out_per_client,
                           s->transfer_out_max_s,
                           s->tcp_min_rate,
                           s->tcp_memory_bytes};
    const int64_t want[] = {3,  4,  1 << 20, 1400, 11, 12,   13, 14,
                            15, 16, 17,      18,   19, 1200, 21, 22 << 20};
    _Static_assert(sizeof got == sizeof want, "");
    ck_assert_mem_eq(got, want, sizeof want);
    ck_assert_str_eq(s->state, "dir/s");
    ck_assert_str_eq(s->control, "/run/c");
    ck_assert_str_eq(s->capture, "dir/x/y");
    ck_assert_str_eq(s->user, "weir");
    ck_assert_str_eq(s->identity, "id");
    ck_assert_str_eq(s->version, "v");
    ck_assert_int_eq(s->log_level, LOG_ERROR);
    const struct zone_conf *z = &c->zones[0];
    ck_assert_str_eq(z->text, "Example.COM.");
    ck_assert_uint_eq(z->nprimaries, 2);
    ck_assert_str_eq(z->primaries[0]->name, "p");
    ck_assert_str_eq(address_print(&z->primaries[0]->source, text), "192.0.2.9@0");
    ck_assert_str_eq(z->primaries[1]->name, "a");
    ck_assert_uint_eq(z->nnotify, 1);
    ck_assert_str_eq(z->notify[0]->name, "a");
    ck_assert_uint_eq(z->allow_transfer.n, 2);
    ck_assert_uint_eq(z->allow_notify.n, 1);
    const int64_t zgot[] = {z->max_records,   z->max_bytes,          z->max_time_s,
                            z->min_rate,      z->refresh_min_s,      z->refresh_max_s,
                            z->retry_min_s,   z->retry_max_s,        z->expire_max_s,
                            z->keep_findings, z->notify_retries,     z->notify_timeout_s,
                            z->ixfr_history,  z->ixfr_history_bytes, z->ixfr_history_age_s};
    const int64_t zwant[] = {INT64_C(4294967296),
                             INT64_C(2) << 30,
                             10800,
                             4096,
                             5,
                             6,
                             7,
                             8,
                             9 * 86400,
                             10,
                             1,
                             2,
                             11,
                             12 << 10,
                             13 * 86400};
    _Static_assert(sizeof zgot == sizeof zwant, "");
    ck_assert_mem_eq(zgot, zwant, sizeof zwant);
    ck_assert_uint_eq(z->chain->keep_findings, 10);
    config_unref(c);
}
END_TEST

START_TEST(zones_are_in_name_order_and_found)
{
    struct config *c =
        parse(SERVER "zones = ( { name = \"b.example.\"; file = \"b\"; chain = (); },\n"
                     "{ name = \"example.\"; file = \"/abs\"; chain = (); },\n"
                     "{ name = \"A.example.\"; file = \"sub/a\"; chain = (); } );");
    static const char *const order[] = {"example.", "A.example.", "b.example."};
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(c->zones[i].text, order[i]);
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse("a.EXAMPLE.", name, NULL), 0);
    ck_assert_ptr_eq(config_zone(c, name), &c->zones[1]);
    ck_assert_str_eq(c->zones[0].file, "/abs");
    ck_assert_str_eq(c->zones[1].file, "dir/sub/a");
    ck_assert_int_gt(name_parse("c.example.", name, NULL), 0);
    ck_assert_ptr_null(config_zone(c, name));
    struct config *again = config_ref(c);
    config_unref(c);
    ck_assert_str_eq(again->zones[2].text, "b.example.");
    config_unref(again);
}
END_TEST

#define TEMPLATES                                                                                  \
    "templates = ( { name = \"t\"; primaries = (\"p\"); notify = (\"ns1\"); max_records = 5;"      \
    " max_time = 6; chain = ( { stage = \"null\"; } ); } );\n"

START_TEST(own_keys_win_over_the_template)
{
    struct config *c =
        parse(SERVER REMOTES TEMPLATES
              "zones = ( { name = \"a.\"; template = \"t\"; },\n"
              "{ name = \"b.\"; template = \"t\"; max_records = 7; file = \"b.zone\"; notify = ();"
              " chain = (); } );");
    const struct zone_conf *a = &c->zones[0], *b = &c->zones[1];
    ck_assert_int_eq(a->max_records, 5);
    ck_assert_int_eq(a->max_time_s, 6);
    ck_assert_uint_eq(a->nprimaries, 1);
    ck_assert_uint_eq(a->nnotify, 1);
    ck_assert_uint_eq(a->chain->n, 1);
    ck_assert_int_eq(b->max_records, 7);
    ck_assert_int_eq(b->max_time_s, 6);
    ck_assert_uint_eq(b->nprimaries, 0);
    ck_assert_str_eq(b->file, "dir/b.zone");
    ck_assert_uint_eq(b->nnotify, 0);
    ck_assert_uint_eq(b->chain->n, 0);
    config_unref(c);
}
END_TEST

START_TEST(a_chain_of_its_own_leaves_the_templates_mode)
{
    /* "live" needs stages that may not be there: the zone does not want it, so it does not matter.
     */
    struct config *c = parse(
        SERVER REMOTES
        "templates = ( { name = \"t\"; primaries = (\"p\"); strip = { observe = true; }; } );\n"
        "zones = ( { name = \"a.\"; template = \"t\"; chain = ( { stage = \"null\"; } ); } );");
    ck_assert_uint_eq(c->zones[0].chain->n, 1);
    ck_assert_ptr_null(c->zones[0].mode);
    config_unref(c);
}
END_TEST

START_TEST(chain_rows_carry_options_and_policy)
{
    struct config *c = parse(CHAIN("{ stage = \"strip\"; keep_apex_dnskey = true; },"
                                   "{ stage = \"trace\"; observe = true;"
                                   "  on = { added = \"hold\"; removed = \"reject\"; }; },"
                                   "{ stage = \"null\"; }"));
    const struct chain *chain = c->zones[0].chain;
    ck_assert_uint_eq(chain->n, 3);
    const struct chain_stage *strip = &chain->stage[0], *trace = &chain->stage[1];
    ck_assert_str_eq(strip->type->name, "strip");
    const struct option *o = option_find(strip->type->options, "keep_apex_dnskey");
    ck_assert(*(const bool *)((const char *)strip->conf + o->offset));
    ck_assert_ptr_null(strip->verdicts);
    ck_assert(!strip->observe);
    ck_assert_str_eq(trace->type->name, "trace");
    ck_assert(trace->observe);
    ck_assert_int_eq(trace->verdicts[registry_finding(trace->type, "added")], STAGE_HOLD);
    ck_assert_int_eq(trace->verdicts[registry_finding(trace->type, "removed")], STAGE_REJECT);
    ck_assert_int_eq(trace->verdicts[registry_finding(trace->type, "changed")], STAGE_PASS);
    ck_assert_str_eq(chain->stage[2].type->name, "null");
    config_unref(c);
}
END_TEST

/* Word for word. */
static const struct {
    const char *text, *why;
} bad[] = {
#include "tests/unit/config_bad.inc"
};

START_TEST(refuses_in_words)
{
    struct config *c = NULL;
    struct why why = {""};
    int err = config_parse(bad[_i].text, strlen(bad[_i].text), "t.conf", &c, &why);
    ck_assert_msg(err == -E_CONF, "%d for %s", err, bad[_i].text);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(why.text, bad[_i].why);
}
END_TEST

static bool built_in(const char *const *stages)
{
    for (; *stages; stages++)
        if (!registry_find(*stages))
            return false;
    return true;
}

static const struct {
    const char *mode;
    const char *stages[5];
} modes[] = {
    {"pre-signed", {"validate"}},
    {"live", {"strip", "sign", "validate"}},
    {"multi-signer", {"strip", "multisigner", "sign", "validate"}},
};

/* Each mode is its chain when its stages are built in, and is refused by the name of the one that
 * is not. */
START_TEST(modes_are_chains)
{
    char text[600], want[200];
    snprintf(text, sizeof text, ZONE("mode = \"%s\";"), modes[_i].mode);
    struct config *c = NULL;
    struct why why = {""};
    int err = config_parse(text, strlen(text), "t.conf", &c, &why);
    if (built_in(modes[_i].stages)) {
        ck_assert_msg(err == 0, "%s", why.text);
        const struct chain *chain = c->zones[0].chain;
        ck_assert_str_eq(c->zones[0].mode, modes[_i].mode);
        for (unsigned i = 0; i < chain->n; i++)
            ck_assert_str_eq(chain->stage[i].type->name, modes[_i].stages[i]);
        ck_assert_ptr_null(modes[_i].stages[chain->n]);
        config_unref(c);
        return;
    }
    const char *const *missing = modes[_i].stages;
    while (registry_find(*missing))
        missing++;
    snprintf(want, sizeof want,
             "t.conf:4: mode = \"%s\": it needs the stage %s, which is not built into this weir",
             modes[_i].mode, *missing);
    ck_assert_int_eq(err, -E_CONF);
    ck_assert_str_eq(why.text, want);
}
END_TEST

static int validate_denial(const struct zone_conf *zone)
{
    const struct chain_stage *last = &zone->chain->stage[zone->chain->n - 1];
    ck_assert_str_eq(last->type->name, "validate");
    return *(const int *)((const char *)last->conf +
                          option_find(last->type->options, "denial")->offset);
}

/* What sign makes is judged behind it, and any kind of denial will do unless the operator says which. */
/* Of a zone that signs. A template's keys are for those of its zones that do, and a zone's own take their place whole. */
START_TEST(keys_are_read)
{
    struct config *c = parse(
        SERVER REMOTES
        "templates = ( { name = \"t\"; primaries = (\"p\");"
        "  keys = { csk = false; zsk_lifetime = 7; parent = (\"p\"); parent_check = 2; }; } );\n"
        "zones = ( { name = \"a.\"; primaries = (\"p\"); mode = \"live\"; },"
        "{ name = \"b.\"; template = \"t\"; mode = \"live\"; },"
        "{ name = \"c.\"; template = \"t\"; mode = \"live\"; keys = { algorithm = \"rsasha256\";"
        "  rsa_bits = 3072; ksk_roll = \"double-ksk\"; propagation_delay = 0; ds_ttl = 1;"
        "  ksk_lifetime = 3; generate = false; }; },"
        "{ name = \"d.\"; template = \"t\"; mode = \"pre-signed\"; },"
        "{ name = \"e.\"; primaries = (\"p\"); mode = \"multi-signer\"; keys = { csk = false; }; },"
        "{ name = \"f.\"; template = \"t\"; mode = \"multi-signer\"; } );");
    const struct keyring_policy *a = &c->zones[0].keys.policy, *b = &c->zones[1].keys.policy,
                                *k = &c->zones[2].keys.policy;
    ck_assert(c->zones[0].signs && c->zones[1].signs && c->zones[2].signs && !c->zones[3].signs);
    ck_assert_uint_eq(a->algorithm, 13);
    ck_assert_uint_eq(a->bits, 0);
    ck_assert(a->csk && a->double_ds && a->generate && !a->offline_ksk);
    ck_assert_int_eq(a->zsk_lifetime_s, 90 * 86400);
    ck_assert_int_eq(a->propagation_delay_s, 3600);
    ck_assert(!b->csk);
    ck_assert_int_eq(b->zsk_lifetime_s, 7);
    ck_assert_uint_eq(c->zones[1].nparent, 1);
    ck_assert_int_eq(c->zones[1].parent_check_s, 2);
    ck_assert_uint_eq(k->algorithm, 8);
    ck_assert_uint_eq(k->bits, 3072);
    ck_assert(k->csk && !k->double_ds && !k->generate && !k->offline_ksk);
    ck_assert_int_eq(k->ksk_lifetime_s, 3);
    ck_assert_int_eq(k->ds_ttl_s, 1);
    ck_assert_uint_eq(c->zones[2].nparent, 0);
    /* Other signers must take a ZSK before it signs: none comes by itself unless somebody says so. */
    ck_assert_int_eq(c->zones[4].keys.policy.zsk_lifetime_s, 0);
    ck_assert_int_eq(c->zones[5].keys.policy.zsk_lifetime_s, 7);
    config_unref(c);
}
END_TEST

/* Whose KSK is elsewhere has ZSKs only, and in mode multi-signer the sets that its holder signed are kept. */
START_TEST(ksks_that_are_elsewhere)
{
    struct config *c = parse(
        SERVER REMOTES
        "templates = ( { name = \"t\"; primaries = (\"p\"); keys = { ksk = \"elsewhere\"; }; } );\n"
        "zones = ( { name = \"a.\"; template = \"t\"; mode = \"multi-signer\"; },"
        "{ name = \"b.\"; template = \"t\"; mode = \"multi-signer\"; keys = { ksk = \"here\"; }; },"
        "{ name = \"c.\"; primaries = (\"p\"); mode = \"live\"; keys = { offline_ksk = \"x\"; }; },"
        "{ name = \"d.\"; template = \"t\"; mode = \"pre-signed\"; },"
        "{ name = \"e.\"; primaries = (\"p\"); mode = \"pre-signed\"; rekey = { warn = 7; };"
        "  keys = { offline_ksk = \"x\"; }; } );");
    static const bool offline[] = {true, false, true}, keeps[] = {true, false, false};
    for (unsigned i = 0; i < 3; i++) {
        const struct chain_stage *strip = &c->zones[i].chain->stage[0];
        const struct option *o = option_find(strip->type->options, "keep_key_sets");
        bool kept;
        memcpy(&kept, (const char *)strip->conf + o->offset, sizeof kept);
        ck_assert_int_eq(c->zones[i].keys.policy.offline_ksk, offline[i]);
        ck_assert_int_eq(kept, keeps[i]);
    }
    ck_assert(!c->zones[0].keys.offline_ksk && c->zones[2].keys.offline_ksk);
    /* A zone that its owner signs has no keys of ours; one that names a file of sets has a stage for them. */
    ck_assert(!c->zones[3].rekeys && !c->zones[3].signs && c->zones[3].chain->n == 1);
    ck_assert(c->zones[4].rekeys && !c->zones[4].signs && c->zones[4].chain->n == 2);
    ck_assert_str_eq(c->zones[4].chain->stage[0].type->name, "rekey");
    config_unref(c);
}
END_TEST

/* A template's signers are for those of its zones that take keys of others. ZSKs roll by themselves where each signer can be seen to follow. */
START_TEST(signers_are_read)
{
    struct config *c = parse(
        SERVER REMOTES
        "templates = ( { name = \"t\"; primaries = (\"p\"); signers = ("
        "  { name = \"knot\"; servers = (\"p\"); },"
        "  { name = \"by-file\"; servers = (\"p\"); keys_file = \"sub/x.keys\"; } ); } );\n"
        "zones = ( { name = \"a.\"; template = \"t\"; mode = \"multi-signer\"; },"
        "{ name = \"b.\"; template = \"t\"; mode = \"live\"; },"
        "{ name = \"c.\"; template = \"t\"; mode = \"multi-signer\"; keys = { signer_check = 7; };"
        "  signers = ( { name = \"c\"; keys_file = \"/c\"; } ); },"
        "{ name = \"d.\"; template = \"t\"; signers = ( { name = \"d\"; servers = (\"p\");"
        "  trust = (\"1 13 2 0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\"); "
        "} );"
        "  chain = ( { stage = \"multisigner\"; }, { stage = \"sign\"; } ); } );");
    const struct zone_conf *z = c->zones;
    ck_assert(z[0].shared && z[0].signs && !z[1].shared && z[2].shared && z[3].shared);
    ck_assert_uint_eq(z[0].nsigners, 2);
    ck_assert_str_eq(z[0].signers[0].name, "knot");
    ck_assert_uint_eq(z[0].signers[0].nservers, 1);
    ck_assert_str_eq(z[0].signers[0].servers[0]->name, "p");
    ck_assert_ptr_null(z[0].signers[0].keys_file);
    ck_assert_str_eq(z[0].signers[1].keys_file, "dir/sub/x.keys");
    ck_assert_int_eq(z[0].signer_check_s, 300);
    ck_assert_uint_eq(z[1].nsigners, 0);
    ck_assert_uint_eq(z[2].nsigners, 1);
    ck_assert_str_eq(z[2].signers[0].name, "c");
    ck_assert_uint_eq(z[2].signers[0].nservers, 0);
    ck_assert_str_eq(z[2].signers[0].keys_file, "/c");
    ck_assert_int_eq(z[2].signer_check_s, 7);
    ck_assert_uint_eq(z[3].nsigners, 1);
    ck_assert_uint_eq(z[3].signers[0].ntrust, 1);
    ck_assert(z[3].signers[0].trust[0].is_ds);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(z[i].keys.policy.zsk_lifetime_s, i == 2 ? 0 : 90 * 86400);
    config_unref(c);
}
END_TEST

START_TEST(live_judges_what_it_signed)
{
    struct config *c =
        parse(SERVER REMOTES
              "zones = ( { name = \"a.\"; primaries = (\"p\"); mode = \"live\"; },\n"
              "{ name = \"b.\"; primaries = (\"p\"); mode = \"live\";"
              " validate = { denial = \"nsec-only\"; }; sign = { validity = \"30d\"; }; },\n"
              "{ name = \"c.\"; primaries = (\"p\"); mode = \"pre-signed\"; } );");
    ck_assert_int_ne(validate_denial(&c->zones[0]), validate_denial(&c->zones[2]));
    ck_assert_int_eq(validate_denial(&c->zones[1]), validate_denial(&c->zones[2]));
    config_unref(c);
}
END_TEST

START_TEST(modes_take_options_for_their_stages)
{
    struct config *c = parse(
        SERVER REMOTES "templates = ( { name = \"t\"; primaries = (\"p\"); mode = \"pre-signed\";"
                       " validate = { max_keys = 5; observe = true; }; } );\n"
                       "zones = ( { name = \"a.\"; template = \"t\"; },\n"
                       "{ name = \"b.\"; template = \"t\";"
                       " validate = { denial = \"any\"; on = { rrsig-expired = \"hold\"; }; }; },\n"
                       "{ name = \"c.\"; template = \"t\"; chain = (); } );");
    const struct chain_stage *a = &c->zones[0].chain->stage[0];
    const struct chain_stage *b = &c->zones[1].chain->stage[0];
    const struct option *keys = option_find(a->type->options, "max_keys");
    ck_assert_int_eq(*(const int64_t *)((const char *)a->conf + keys->offset), 5);
    ck_assert(a->observe);
    ck_assert_ptr_null(a->verdicts);
    /* A group is taken whole: the template's max_keys and observe are not b's. */
    ck_assert_int_eq(*(const int64_t *)((const char *)b->conf + keys->offset), 32);
    ck_assert(!b->observe);
    ck_assert_int_eq(b->verdicts[registry_finding(b->type, "rrsig-expired")], STAGE_HOLD);
    ck_assert_int_eq(b->verdicts[registry_finding(b->type, "rrsig-bogus")], STAGE_REJECT);
    ck_assert_uint_eq(c->zones[2].chain->n, 0);
    ck_assert(!chain_same(c->zones[0].chain, c->zones[1].chain));
    config_unref(c);
}
END_TEST

START_TEST(octet_0_is_refused)
{
    static const char text[] = "server = { listen = (\"::1\"); }; # \0 zones";
    struct config *c;
    struct why why;
    ck_assert_int_eq(config_parse(text, sizeof text - 1, "t.conf", &c, &why), -E_CONF);
    ck_assert_str_eq(why.text, "t.conf: expected text, and there is an octet 0 in it");
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
    struct config *c;
    struct why why;
    ck_assert_int_eq(config_load("/no/such.conf", &c, &why), -E_IO);
    ck_assert_str_eq(why.text, "/no/such.conf: No such file or directory");
    ck_assert_int_eq(config_load("/", &c, &why), -E_IO);
    ck_assert_str_eq(why.text, "/: Is a directory");
}
END_TEST

START_TEST(keys_reach_those_who_name_them)
{
    struct config *c = parse(
        SERVER "zones = ( { name = \"example.\"; primaries = (\"p\", \"q\"); chain = ();\n"
               " allow_transfer = (\"key:XFR.example.\", \"192.0.2.0/24 key:a.\");\n"
               " allow_notify = (\"192.0.2.7\"); } );\n"
               "remotes = ( { name = \"p\"; address = \"192.0.2.1\"; tsig = \"xfr.example.\"; },"
               " { name = \"q\"; address = \"192.0.2.2\"; } );\n"
               "tsig = ( " XFR_KEY ", { name = \"a.\"; algorithm = \"HMAC-SHA1\"; secret = "
               "\"AAECAwQF\"; } );\n");
    const struct tsig_keys *keys = &c->server.keys;
    const struct zone_conf *z = &c->zones[0];
    ck_assert_uint_eq(keys->n, 2);
    ck_assert_str_eq(tsig_key_text(keys->key[0]), "a.");
    ck_assert_str_eq(tsig_key_text(keys->key[1]), "xfr.example.");
    ck_assert_str_eq(tsig_key_algorithm(keys->key[0]), "hmac-sha1");
    ck_assert_ptr_eq(z->primaries[0]->key, keys->key[1]);
    ck_assert_ptr_null(z->primaries[1]->key);
    ck_assert(z->allow_transfer.rule[0].anywhere);
    ck_assert_ptr_eq(z->allow_transfer.rule[0].key, keys->key[1]);
    ck_assert(!z->allow_transfer.rule[1].anywhere);
    ck_assert_ptr_eq(z->allow_transfer.rule[1].key, keys->key[0]);
    ck_assert_ptr_null(z->allow_notify.rule[0].key);
    config_unref(c);
}
END_TEST

static int load_with(const char *secret, mode_t mode, mode_t conf_mode, const char *conf,
                     struct config **c, struct why *why)
{
    char folder[] = "/tmp/weir-config-XXXXXX", path[64], key[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/t.conf", folder);
    snprintf(key, sizeof key, "%s/xfr.key", folder);
    const char *const file[] = {path, key}, *const text[] = {conf, secret};
    for (int i = 0; i < 2; i++) {
        FILE *out = fopen(file[i], "we");
        ck_assert(out && fputs(text[i], out) >= 0 && fclose(out) == 0);
        ck_assert_int_eq(chmod(file[i], i ? mode : conf_mode), 0);
    }
    int err = config_load(path, c, why);
    for (int i = 0; i < 2; i++)
        unlink(file[i]);
    rmdir(folder);
    return err;
}

#define FROM_FILE                                                                                  \
    SERVER                                                                                         \
    "tsig = ( { name = \"k.\"; algorithm = \"hmac-sha256\"; secret_file = \"xfr.key\"; } );\n"     \
    "zones = ( { name = \"a.\"; file = \"a\"; chain = (); } );"
START_TEST(secrets_from_files)
{
    struct config *c, *other;
    struct why why = {""};
    ck_assert_int_eq(load_with("c2VjcmV0\n", 0640, 0644, FROM_FILE, &c, &why), 0);
    ck_assert_uint_eq(c->server.keys.n, 1);
    ck_assert(!c->server.keys_inline);
    struct tsig_key *same;
    ck_assert_int_eq(tsig_key_new((const uint8_t *)"\1k", "hmac-sha256", (const uint8_t *)"secret",
                                  6, &same, NULL),
                     0);
    ck_assert(tsig_key_equal(c->server.keys.key[0], same));
    ck_assert_int_eq(load_with("c2VjcmV1", 0400, 0644, FROM_FILE, &other, &why), 0);
    ck_assert(!tsig_key_equal(other->server.keys.key[0], same));
    tsig_key_unref(same);
    config_unref(c);
    config_unref(other);

    ck_assert_int_eq(load_with("c2VjcmV0\n", 0644, 0644, FROM_FILE, &c, &why), -E_CONF);
    ck_assert_msg(
        strstr(why.text, ".conf:2: secret_file = \"xfr.key\": everybody may read /tmp/weir-"), "%s",
        why.text);
    ck_assert_msg(strstr(why.text,
                         "xfr.key (mode 0644): expected a file for its owner and group only; "
                         "say `chmod o-rwx`"),
                  "%s", why.text);
    ck_assert_int_eq(load_with("c2Vjc!V0\n", 0600, 0644, FROM_FILE, &c, &why), -E_CONF);
    ck_assert_msg(strstr(why.text,
                         "xfr.key: expected a secret in base64; character 6 is none of its "
                         "letters"),
                  "%s", why.text);
    ck_assert_ptr_null(strstr(why.text, "c2V"));
    char large[5000];
    memset(large, ' ', sizeof large - 1);
    large[sizeof large - 1] = 0;
    ck_assert_int_eq(load_with(large, 0600, 0644, FROM_FILE, &c, &why), -E_CONF);
    ck_assert_msg(strstr(why.text, "in at most 4096 octets"), "%s", why.text);
}
END_TEST

/* A warning, since the file is one that people are used to leave open. */
START_TEST(secrets_in_a_file_that_everybody_may_read)
{
    for (int open_to_all = 0; open_to_all < 2; open_to_all++) {
        struct config *c;
        struct why why = {""};
        char said[512] = "";
        int pipe_fd[2];
        ck_assert_int_eq(pipe(pipe_fd), 0);
        log_open(LOG_INFO, pipe_fd[1]);
        ck_assert_int_eq(load_with("", 0600, open_to_all ? 0644 : 0640,
                                   SERVER KEYS
                                   "zones = ( { name = \"a.\"; file = \"a\"; chain = (); } );",
                                   &c, &why),
                         0);
        log_open(LOG_INFO, STDERR_FILENO);
        close(pipe_fd[1]);
        ck_assert_int_ge(read(pipe_fd[0], said, sizeof said - 1), 0);
        close(pipe_fd[0]);
        ck_assert_int_eq(
            strstr(said, "everybody may read the configuration, and TSIG secrets are in it") !=
                NULL,
            open_to_all);
        ck_assert_ptr_null(strstr(said, "c2V"));
        config_unref(c);
    }
}
END_TEST

/* conf/ is what operators copy from. A file that uses a mode whose stages are still to come is left
 * out by name. */
START_TEST(shipped_files_load)
{
    DIR *dir = opendir("conf");
    ck_assert_msg(dir != NULL, "run it from the top of the tree");
    unsigned loaded = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n < 5 || strcmp(e->d_name + n - 5, ".conf") != 0)
            continue;
        char path[300];
        snprintf(path, sizeof path, "conf/%s", e->d_name);
        struct config *c;
        struct why why;
        int err = config_load(path, &c, &why);
        if (err && strstr(why.text, ", which is not built into this weir"))
            continue;
        ck_assert_msg(err == 0, "%s", why.text);
        ck_assert_uint_gt(c->nzones, 0);
        config_unref(c);
        loaded++;
    }
    closedir(dir);
    ck_assert_uint_gt(loaded, 0);
}
END_TEST

static char *read_example(void)
{
    FILE *in = fopen("conf/example.conf", "re");
    ck_assert_msg(in != NULL, "run it from the top of the tree");
    char *text = mem_zalloc(65536);
    ck_assert_uint_gt(fread(text, 1, 65535, in), 0);
    fclose(in);
    return text;
}

/* The tour is whole: each word that the reader lists when it knows none is in it. */
START_TEST(example_names_every_key)
{
    static const char *const unknown[] = {
        "server = { listen = (\"::1\"); no_such_word_at_all = 1; }; zones = ();",
        "remotes = ( { no_such_word_at_all = 1; } ); " SERVER "zones = ();",
        "tsig = ( { no_such_word_at_all = 1; } ); " SERVER "zones = ();",
        ZONE("no_such_word_at_all = 1;"),
        "no_such_word_at_all = 1;",
    };
    char *example = read_example();
    struct config *c;
    struct why why;
    ck_assert_int_eq(config_parse(unknown[_i], strlen(unknown[_i]), "t.conf", &c, &why), -E_CONF);
    char *list = strstr(why.text, "expected one of ");
    ck_assert_msg(list != NULL, "%s", why.text);
    char *rest = NULL;
    unsigned n = 0;
    for (char *w = strtok_r(list + strlen("expected one of "), ", ", &rest); w;
         w = strtok_r(NULL, ", ", &rest), n++)
        ck_assert_msg(strstr(example, w) != NULL, "conf/example.conf does not name %s", w);
    ck_assert_uint_ge(n, 3);
    mem_free(&example);
}
END_TEST

/* Takes the "# " from every line that is a setting behind it. */
static unsigned uncomment(char *text)
{
    unsigned n = 0;
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        char *p = line + strspn(line, " ");
        if (strncmp(p, "# ", 2) != 0)
            continue;
        size_t word = strspn(p + 2, "abcdefghijklmnopqrstuvwxyz_");
        if (word && strspn(p + 2 + word, " ") && p[2 + word + strspn(p + 2 + word, " ")] == '=') {
            *p = ' ';
            n++;
        }
    }
    return n;
}

/* What the tour shows as a default is the default. */
START_TEST(example_shows_the_defaults)
{
    char *text = read_example();
    ck_assert_uint_gt(uncomment(text), 20);
    struct config *shown = parse(text), *plain = parse(ZONE("chain = ();"));
    struct server_conf *a = &shown->server, *b = &plain->server;
    ck_assert_str_eq(a->state, b->state);
    const int64_t server_shown[] = {a->threads,
                                    a->workers,
                                    a->capture_max_bytes,
                                    a->log_level,
                                    a->udp_size,
                                    a->tcp_clients,
                                    a->tcp_per_client,
                                    a->tcp_idle_s,
                                    a->tcp_slow_s,
                                    a->tcp_pipeline,
                                    a->transfers_in,
                                    a->transfers_in_per_primary,
                                    a->transfers_out,
                                    a->transfers_out_per_client,
                                    a->transfer_out_max_s,
                                    a->tcp_min_rate,
                                    a->tcp_memory_bytes};
    const int64_t server_plain[] = {b->threads,
                                    b->workers,
                                    b->capture_max_bytes,
                                    b->log_level,
                                    b->udp_size,
                                    b->tcp_clients,
                                    b->tcp_per_client,
                                    b->tcp_idle_s,
                                    b->tcp_slow_s,
                                    b->tcp_pipeline,
                                    b->transfers_in,
                                    b->transfers_in_per_primary,
                                    b->transfers_out,
                                    b->transfers_out_per_client,
                                    b->transfer_out_max_s,
                                    b->tcp_min_rate,
                                    b->tcp_memory_bytes};
    ck_assert_mem_eq(server_shown, server_plain, sizeof server_plain);
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_int_gt(name_parse("example.com.", name, NULL), 0);
    const struct zone_conf *y = config_zone(shown, name), *z = &plain->zones[0];
    const int64_t zone_shown[] = {y->max_records,   y->max_bytes,          y->max_time_s,
                                  y->min_rate,      y->refresh_min_s,      y->refresh_max_s,
                                  y->retry_min_s,   y->retry_max_s,        y->expire_max_s,
                                  y->keep_findings, y->notify_retries,     y->notify_timeout_s,
                                  y->ixfr_history,  y->ixfr_history_bytes, y->ixfr_history_age_s};
    const int64_t zone_plain[] = {z->max_records,   z->max_bytes,          z->max_time_s,
                                  z->min_rate,      z->refresh_min_s,      z->refresh_max_s,
                                  z->retry_min_s,   z->retry_max_s,        z->expire_max_s,
                                  z->keep_findings, z->notify_retries,     z->notify_timeout_s,
                                  z->ixfr_history,  z->ixfr_history_bytes, z->ixfr_history_age_s};
    ck_assert_mem_eq(zone_shown, zone_plain, sizeof zone_plain);
    config_unref(shown);
    config_unref(plain);
    mem_free(&text);
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ten times the zones take ten times as long, not a hundred times. */
static double time_of(unsigned n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    fprintf(out, SERVER "remotes = ( { name = \"p\"; address = \"::1\"; }");
    for (unsigned i = 0; i < n; i++)
        fprintf(out, ",\n{ name = \"r%u\"; address = \"2001:db8::%x@53\"; }", i, i % 65536);
    fprintf(out, ");\ntemplates = ( { name = \"t\"; primaries = (\"p\"); chain = ( { stage = "
                 "\"null\"; }, { stage = \"strip\"; } ); } );\nzones = (");
    for (unsigned i = 0; i < n; i++)
        fprintf(out, "%s{ name = \"z%u.example.\"; template = \"t\"; notify = (\"r%u\"); }",
                i ? ",\n" : "", i * 7919 % n, i);
    fprintf(out, ");\n");
    fclose(out);
    double begin = seconds();
    struct config *c;
    struct why why = {""};
    ck_assert_msg(config_parse(text, len, "t.conf", &c, &why) == 0, "%s", why.text);
    double taken = seconds() - begin;
    ck_assert_uint_eq(c->nzones, n);
    for (unsigned i = 1; i < n; i++)
        ck_assert_int_lt(name_cmp(c->zones[i - 1].name, c->zones[i].name), 0);
    config_unref(c);
    free(text);
    return taken;
}

START_TEST(ten_thousand_zones)
{
    double small = time_of(1000), large = time_of(10000);
    ck_assert_msg(large < 40 * small + 0.1, "1,000 zones %.3f s, 10,000 zones %.3f s", small,
                  large);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("config");
    suite_add(s, defaults);
    suite_add(s, every_key_arrives);
    suite_add(s, zones_are_in_name_order_and_found);
    suite_add(s, own_keys_win_over_the_template);
    suite_add(s, a_chain_of_its_own_leaves_the_templates_mode);
    suite_add(s, chain_rows_carry_options_and_policy);
    tcase_add_loop_test(s.tcase, refuses_in_words, 0, sizeof bad / sizeof *bad);
    tcase_add_loop_test(s.tcase, modes_are_chains, 0, sizeof modes / sizeof *modes);
    suite_add(s, keys_are_read);
    suite_add(s, ksks_that_are_elsewhere);
    suite_add(s, signers_are_read);
    suite_add(s, live_judges_what_it_signed);
    suite_add(s, modes_take_options_for_their_stages);
    suite_add(s, octet_0_is_refused);
    suite_add(s, files_that_cannot_be_read);
    suite_add(s, keys_reach_those_who_name_them);
    suite_add(s, secrets_from_files);
    suite_add(s, secrets_in_a_file_that_everybody_may_read);
    suite_add(s, shipped_files_load);
    tcase_add_loop_test(s.tcase, example_names_every_key, 0, 5);
    suite_add(s, example_shows_the_defaults);
    suite_add(s, ten_thousand_zones);
    return suite_run(s);
}
