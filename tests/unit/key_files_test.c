/* key_files: the folder of a zone's keys, and all that can be wrong in it. Run as root, it also plays a user who is not. */
#include "pipeline/base/alloc.h"
#include "pipeline/run/key_files.h"
#include "pipeline/zone/dnssec.h"
#include "tests/lib/shell.h"
#include "tests/lib/suite.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint8_t apex[] = "\7example";
enum { NOBODY = 65534 };

static struct key_folder *opened(const struct shell *s, const uint8_t *zone)
{
    struct key_folder *f = NULL;
    struct why why = {""};
    ck_assert_msg(key_folder_open(s->dir, zone, true, 0, &f, &why) == 0, "%s", why.text);
    return f;
}

static struct dnssec_private *made(uint8_t algorithm)
{
    struct dnssec_private *key = NULL;
    ck_assert_int_eq(dnssec_private_generate(algorithm, 0, &key, NULL), 0);
    return key;
}

/* A folder with one key of algorithm 13; its name. */
static struct shell one_key(char name[KEY_NAME_MAX])
{
    struct shell s = shell_open("keys");
    struct key_folder *f = opened(&s, apex);
    struct dnssec_private *key = made(ALG_ECDSAP256);
    struct why why = {""};
    ck_assert_msg(key_folder_add(f, key, 257, NULL, name, &why) == 0, "%s", why.text);
    dnssec_private_unref(key);
    key_folder_close(&f);
    ck_assert_ptr_null(f);
    return s;
}

static struct key_file *listed(const struct shell *s, size_t want)
{
    struct key_folder *f = opened(s, apex);
    struct key_file *files = NULL;
    size_t n = 99;
    struct why why = {""};
    ck_assert_msg(key_folder_list(f, &files, &n, &why) == 0, "%s", why.text);
    ck_assert_uint_eq(n, want);
    key_folder_close(&f);
    return files;
}

/* ---- what goes in comes out ---- */

START_TEST(test_keys_come_back)
{
    static const uint8_t algorithm[] = {8, 10, 13, 14, 15, 16};
    enum { N = sizeof(algorithm) };
    struct shell s = shell_open("keys");
    struct key_folder *f = opened(&s, apex);
    struct dnssec_private *key[N];
    char name[N][KEY_NAME_MAX];
    for (unsigned i = N; i-- > 0;) {
        key[i] = made(algorithm[i]);
        ck_assert_int_eq(key_folder_add(f, key[i], i % 2 ? 257 : 256, NULL, name[i], NULL), 0);
    }
    key_folder_close(&f);
    struct key_file *files = listed(&s, N);
    for (unsigned i = 0; i < N; i++) {
        char want[KEY_NAME_MAX];
        ck_assert_msg(files[i].err == 0, "%s", files[i].why.text);
        ck_assert_uint_eq(files[i].algorithm, algorithm[i]);
        ck_assert_uint_eq(get_u16(files[i].rdata), i % 2 ? 257 : 256);
        ck_assert_uint_eq(files[i].tag, dnssec_key_tag(files[i].rdata, files[i].len));
        snprintf(want, sizeof(want), "Kexample.+%03u+%05u", algorithm[i], files[i].tag);
        ck_assert_str_eq(files[i].name, want);
        ck_assert_str_eq(files[i].name, name[i]);
        ck_assert(dnssec_private_fits(key[i], files[i].rdata, files[i].len));
        ck_assert(dnssec_private_fits(files[i].private, files[i].rdata, files[i].len));
        ck_assert(!files[i].hsm);
        dnssec_private_unref(key[i]);
    }
    key_files_free(&files, N);
    ck_assert_ptr_null(files);
    /* owner-only, nothing left over, and others can read it */
    char *modes = shell_run(&s, "stat -c %%a keys keys/example keys/example/* | sort | uniq -c | "
                                "tr -s ' ' | tr '\n' ,");
    ck_assert_str_eq(modes, " 13 600, 2 700,");
    free(modes);
    shell_do(&s,
             "cd keys/example && test $(ls -A | wc -l) = 13 && for k in *.key; do dnssec-dsfromkey "
             "$k >ds.bind && ldns-key2ds -n -2 $k >ds.ldns && test \"$(awk '{print $4,$5,$6,$7}' "
             "ds.bind)\" = \"$(awk '{print $5,$6,$7,toupper($8)}' ds.ldns)\"; done");
    shell_close(&s);
}
END_TEST

/* Pairs of others in the folder, as they are. */
START_TEST(test_keys_of_others)
{
    struct shell s = shell_open("keys");
    struct key_folder *f = opened(&s, apex);
    key_folder_close(&f);
    shell_do(
        &s,
        "cd keys/example && umask 077 && dnssec-keygen -q -a 13 Example && dnssec-keygen -q -f KSK "
        "-a 15 -L 300 EXAMPLE. && ldns-keygen -a ED448 -r /dev/urandom example. && "
        "ldns-keygen -a RSASHA256 -b 1024 -r /dev/urandom example. && rm -f *.ds");
    struct key_file *files = listed(&s, 4);
    static const uint8_t algorithm[] = {8, 13, 15, 16};
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_msg(files[i].err == 0, "%s", files[i].why.text);
        ck_assert_uint_eq(files[i].algorithm, algorithm[i]);
        ck_assert_ptr_nonnull(files[i].private);
    }
    key_files_free(&files, 4);
    shell_close(&s);
}
END_TEST

START_TEST(test_public_alone)
{
    char name[KEY_NAME_MAX], again[KEY_NAME_MAX];
    struct shell s = shell_open("keys");
    struct key_folder *f = opened(&s, apex);
    struct dnssec_private *key = made(ALG_ED25519);
    struct why why = {""};
    uint16_t len;
    uint8_t *rdata = dnssec_private_dnskey(key, 257, &len);
    ck_assert_int_eq(key_folder_add_public(f, rdata, len, name, NULL), 0);
    ck_assert_int_eq(key_folder_add(f, key, 257, NULL, again, &why), -E_EXISTS);
    ck_assert_msg(strstr(why.text, name), "%s", why.text);
    rdata[3] = 5;
    ck_assert_int_lt(key_folder_add_public(f, rdata, len, again, NULL), 0);
    key_folder_close(&f);
    struct key_file *files = listed(&s, 1);
    ck_assert_int_eq(files[0].err, 0);
    ck_assert_ptr_null(files[0].private);
    ck_assert(dnssec_private_fits(key, files[0].rdata, files[0].len));
    key_files_free(&files, 1);
    mem_free(&rdata);
    dnssec_private_unref(key);
    shell_close(&s);
}
END_TEST

START_TEST(test_remove)
{
    char name[KEY_NAME_MAX];
    struct shell s = one_key(name);
    struct key_folder *f = opened(&s, apex);
    struct why why = {""};
    ck_assert_int_eq(key_folder_remove(f, "Kexample.+013+00000", &why), -E_NOENT);
    ck_assert_int_eq(key_folder_remove(f, "lock", &why), -E_NOENT);
    ck_assert_int_eq(key_folder_remove(f, "K/../../x", &why), -E_NOENT);
    ck_assert_int_eq(key_folder_remove(f, name, &why), 0);
    ck_assert_int_eq(key_folder_remove(f, name, &why), -E_NOENT);
    key_folder_close(&f);
    shell_do(&s, "test \"$(ls keys/example)\" = lock");
    shell_close(&s);
}
END_TEST

START_TEST(test_names_of_zones)
{
    static const struct {
        const uint8_t *zone;
        const char *folder, *key;
    } name[] = {
        {(const uint8_t *)"", "@", "K.+015+"},
        {(const uint8_t *)"\3Sub\7EXAMPLE", "sub.example", "Ksub.example.+015+"},
        {(const uint8_t *)"\1@", "%40", "K%40.+015+"},
        {(const uint8_t *)"\4a/.b\2..", "a%2F%2Eb.%2E%2E", "Ka%2F%2Eb.%2E%2E.+015+"},
        {(const uint8_t *)"\4_x-1", "_x-1", "K_x-1.+015+"},
    };
    struct shell s = shell_open("keys");
    struct dnssec_private *key = made(ALG_ED25519);
    for (unsigned i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        char path[256], got[KEY_NAME_MAX];
        struct key_folder *f = opened(&s, name[i].zone);
        snprintf(path, sizeof(path), "%s/keys/%s", s.dir, name[i].folder);
        ck_assert_str_eq(key_folder_path(f), path);
        ck_assert_int_eq(key_folder_add(f, key, 256, NULL, got, NULL), 0);
        ck_assert_msg(strncmp(got, name[i].key, strlen(name[i].key)) == 0, "%s", got);
        struct key_file *files;
        size_t n;
        ck_assert_int_eq(key_folder_list(f, &files, &n, NULL), 0);
        ck_assert_uint_eq(n, 1);
        ck_assert_msg(files[0].err == 0, "%s", files[0].why.text);
        key_files_free(&files, n);
        key_folder_close(&f);
    }
    dnssec_private_unref(key);
    uint8_t long_zone[NAME_MAX_OCTETS] = {0};
    for (unsigned i = 0; i < 4; i++) {
        long_zone[i * 60] = 59;
        memset(long_zone + i * 60 + 1, 'x', 59);
    }
    struct key_folder *f = NULL;
    struct why why = {""};
    ck_assert_int_eq(key_folder_open(s.dir, long_zone, true, 0, &f, &why), -E_LIMIT);
    ck_assert_ptr_null(f);
    shell_close(&s);
}
END_TEST

START_TEST(test_other_files)
{
    struct shell s = shell_open("keys");
    struct key_folder *f = opened(&s, apex);
    char *text;
    size_t len;
    struct why why = {""};
    ck_assert_int_eq(key_folder_read(f, "state", &text, &len, &why), -E_NOENT);
    ck_assert_msg(strstr(why.text, "/keys/example/state: No such file"), "%s", why.text);
    for (int i = 0; i < 3; i++) {
        char *some = mem_printf("version %d of it\n", i);
        ck_assert_int_eq(key_folder_write(f, "state", some, strlen(some), NULL), 0);
        ck_assert_int_eq(key_folder_read(f, "state", &text, &len, NULL), 0);
        ck_assert_str_eq(text, some);
        ck_assert_uint_eq(len, strlen(some));
        mem_free(&text);
        mem_free(&some);
    }
    char *large = mem_zalloc(KEY_FILE_MAX + 1);
    ck_assert_int_eq(key_folder_write(f, "state", large, KEY_FILE_MAX + 1, &why), -E_LIMIT);
    ck_assert_int_eq(key_folder_write(f, "state", large, KEY_FILE_MAX, &why), 0);
    ck_assert_int_eq(key_folder_read(f, "state", &text, &len, NULL), 0);
    ck_assert_uint_eq(len, KEY_FILE_MAX);
    mem_free(&text);
    mem_free(&large);
    key_folder_close(&f);
    /* of what a crash left, nothing stays; of what is not ours, everything */
    shell_do(&s, "cd keys/example && echo half >.new-state && echo x >notes && echo y >.hidden");
    f = opened(&s, apex);
    key_folder_close(&f);
    shell_do(&s, "cd keys/example && test ! -e .new-state && test -e notes && test -e .hidden");
    shell_close(&s);
}
END_TEST

/* ---- what is wrong with one key ---- */

/* `spoil` is a command in the folder, K stands for the key's name. The list has `n` keys; the first that is wrong says so. */
static void spoilt(const char *spoil, size_t n, int err, bool public, const char *words)
{
    char name[KEY_NAME_MAX], want[512], path[256];
    struct shell s = one_key(name);
    shell_do(&s, "cd keys/example && K=%s && %s", name, spoil);
    struct key_file *files = listed(&s, n);
    size_t i = 0;
    while (i < n && !files[i].err)
        i++;
    ck_assert_msg(i < n, "%s: nothing is wrong", spoil);
    snprintf(path, sizeof(path), "%s/keys/example/", s.dir);
    ck_assert_msg(files[i].err == err && strstr(files[i].why.text, path), "%s: %d, not %d: %s",
                  spoil, files[i].err, err, files[i].why.text);
    ck_assert_msg((files[i].rdata != NULL) == public, "%s", spoil);
    ck_assert_ptr_null(files[i].private);
    char *part = want;
    snprintf(want, sizeof(want), "%s", words);
    for (char *save, *word = strtok_r(part, "|", &save); word; word = strtok_r(NULL, "|", &save))
        ck_assert_msg(strstr(files[i].why.text, word), "%s: no \"%s\" in: %s", spoil, word,
                      files[i].why.text);
    key_files_free(&files, n);
    shell_close(&s);
}

START_TEST(test_bad_files)
{
    /* whose they are, and who may read them */
    spoilt("chmod 640 $K.pem", 1, -E_CONF, true, ".pem has mode 0640|chmod 600 /tmp|.pem");
    spoilt("chmod 604 $K.pem", 1, -E_CONF, true, "mode 0604|a private key is for its owner alone");
    spoilt("chmod 622 $K.key", 1, -E_CONF, false, ".key has mode 0622|chmod go-w /tmp");
    spoilt("mv $K.pem p && ln -s p $K.pem && chmod 644 p", 1, -E_CONF, true, "mode 0644");
    if (geteuid() == 0) {
        spoilt("chown 65533 $K.pem", 1, -E_CONF, true,
               ".pem belongs to uid 65533: chown root /tmp");
        spoilt("chown 65533 $K.key", 1, -E_CONF, false, ".key belongs to uid 65533");
    }
    /* what they are */
    spoilt("rm $K.pem && mkdir -m 700 $K.pem", 1, -E_CONF, true, ".pem is not a regular file");
    spoilt("rm $K.pem && mkfifo -m 600 $K.pem", 1, -E_CONF, true, "not a regular file");
    spoilt("rm $K.key && mkfifo -m 600 $K.key", 1, -E_CONF, false, "not a regular file");
    spoilt("rm $K.pem && ln -s nowhere $K.pem", 1, -E_NOENT, true, ".pem: No such file");
    spoilt("rm $K.pem && ln -s $K.pem $K.pem", 1, -E_IO, true, ".pem: Too many levels");
    spoilt("truncate -s 65537 $K.pem", 1, -E_LIMIT, true, "65537 octets, more than 65536");
    spoilt(": >$K.pem", 1, -E_FORMAT, true, ".pem: neither PEM nor");
    spoilt("head -c 100 $K.pem >p && cat p >$K.pem", 1, -E_FORMAT, true, ".pem: no private key");
    spoilt("cp -p $K.pem $K.private", 1, -E_CONF, true, ".pem and .private: two private halves");
    spoilt("rm $K.key", 1, -E_NOENT, false, ".key: No such file");
    /* .key */
    spoilt(": >$K.key", 1, -E_FORMAT, false, ".key: no record in it");
    spoilt("echo '; nothing' >$K.key", 1, -E_FORMAT, false, "no record in it");
    spoilt("sed -i 's/^example/other/' $K.key", 1, -E_MISMATCH, false,
           "the key is of the zone other., not of example.");
    spoilt("sed -i 's/^example/sub.example/' $K.key", 1, -E_MISMATCH, false, "sub.example.");
    spoilt("sed -i 's/^example[.]//' $K.key", 1, -E_FORMAT, false,
           "line 2: the record has no owner");
    spoilt("sed -i 's/DNSKEY/CDNSKEY/' $K.key", 1, -E_FORMAT, false, "line 2: not a DNSKEY");
    spoilt("sed -i 's/ IN / CH /' $K.key", 1, -E_FORMAT, false, "line 2: not a DNSKEY");
    spoilt("sed -i 's/DNSKEY.*/DNSKEY/' $K.key", 1, -E_FORMAT, false, "the DNSKEY has no data");
    spoilt("sed -i 's/DNSKEY 257/DNSKEY x/' $K.key", 1, -E_FORMAT, false, ".key: ");
    spoilt("sed -i 's/DNSKEY 257/DNSKEY 1/' $K.key", 1, -E_FORMAT, false, "not a key of a zone");
    spoilt("sed -i 's/257 3 13/257 2 13/' $K.key", 1, -E_FORMAT, false, "protocol 2");
    spoilt("sed -i 's/257 3 13/257 3 99/' $K.key", 1, -E_UNSUPPORTED, false, "algorithm 99");
    spoilt("sed -i 's/257 3 13/257 3 15/' $K.key", 1, -E_FORMAT, false, "ED25519 key of 64 octets");
    spoilt("sed -i 's/$/A/' $K.key", 1, -E_FORMAT, false, ".key: ");
    spoilt("tail -n 1 $K.key >p && cat p >>$K.key", 1, -E_FORMAT, false,
           "line 3: more than one record");
    spoilt("echo '$INCLUDE /etc/passwd' >$K.key", 1, -E_FORMAT, false, ".key: line 1");
    spoilt("head -c 5000 /dev/zero >$K.key", 1, -E_FORMAT, false, ".key: ");
    spoilt("sed -i 's/^example/(example/' $K.key", 1, -E_FORMAT, false, ".key: ");
}
END_TEST

START_TEST(test_bad_pairs)
{
    /* another key's private half, another algorithm's, another zone's name */
    spoilt("openssl ecparam -name prime256v1 -genkey -noout >$K.pem", 1, -E_MISMATCH, true,
           ".pem is not the private half of K");
    spoilt("openssl genpkey -algorithm ED25519 >$K.pem", 1, -E_FORMAT, true,
           ".pem: the key's kind or curve is ED25519, not that of ECDSAP256SHA256");
    spoilt("rm $K.pem && umask 077 && printf 'Private-key-format: v1.3\\nAlgorithm: 14\\n' "
           ">$K.private",
           1, -E_FORMAT, true, ".private: line 2: the key is of ECDSAP384SHA384, not of ECDSAP256");
    spoilt("rm $K.pem && umask 077 && echo ftp://x/ >$K.uri", 1, -E_UNSUPPORTED, true, ".uri: ");
}
END_TEST

/* The pair works, but is not named for what it is. */
START_TEST(test_name_of_the_files)
{
    char name[KEY_NAME_MAX];
    struct shell s = one_key(name);
    shell_do(&s,
             "cd keys/example && mv %s.key Kexample.+013+00001.key && mv %s.pem "
             "Kexample.+013+00001.pem",
             name, name);
    struct key_file *files = listed(&s, 1);
    ck_assert_int_eq(files[0].err, -E_MISMATCH);
    ck_assert_msg(strstr(files[0].why.text, name) && strstr(files[0].why.text, "rename"), "%s",
                  files[0].why.text);
    key_files_free(&files, 1);
    shell_close(&s);
}
END_TEST

/* One bad key does not hide another. */
START_TEST(test_bad_beside_good)
{
    char name[KEY_NAME_MAX];
    struct shell s = one_key(name);
    shell_do(&s, "cd keys/example && echo x >Kexample.+013+0.key && touch Kx.ds Kexample K.txt");
    struct key_file *files = listed(&s, 2);
    ck_assert_int_eq(files[0].err, -E_FORMAT);
    ck_assert_int_eq(files[1].err, 0);
    ck_assert_ptr_nonnull(files[1].private);
    key_files_free(&files, 2);
    shell_do(&s, "cd keys/example && for i in $(seq 255); do : >K$i.key; done");
    struct key_folder *f = opened(&s, apex);
    size_t n;
    struct why why = {""};
    ck_assert_int_eq(key_folder_list(f, &files, &n, &why), -E_LIMIT);
    ck_assert_msg(strstr(why.text, "more than 256 keys"), "%s", why.text);
    key_folder_close(&f);
    shell_close(&s);
}
END_TEST

/* ---- the folder ---- */

static void folder_refused(const struct shell *s, bool make, int err, const char *words)
{
    struct key_folder *f = NULL;
    struct why why = {""};
    int got = key_folder_open(s->dir, apex, make, 0, &f, &why);
    ck_assert_msg(got == err && strstr(why.text, words), "%d, not %d: %s", got, err, why.text);
    ck_assert_ptr_null(f);
}

START_TEST(test_bad_folders)
{
    struct shell s = shell_open("keys");
    folder_refused(&s, false, -E_NOENT, "/keys/example: No such file");
    shell_do(&s, "touch keys");
    folder_refused(&s, true, -E_IO, "/keys/example: cannot make the folder: Not a directory");
    shell_do(&s, "rm keys && mkdir -p keys && touch keys/example");
    folder_refused(&s, true, -E_IO, "/keys/example: Not a directory");
    shell_do(&s, "rm keys/example && mkdir -m 750 keys/example");
    folder_refused(&s, true, -E_CONF, "mode 0750");
    folder_refused(&s, true, -E_CONF, "chmod 700 /tmp");
    shell_do(&s, "chmod 700 keys/example && ln -s /etc/passwd keys/example/lock");
    folder_refused(&s, true, -E_IO, "/lock: ");
    shell_close(&s);
}
END_TEST

/* Runs as another user; only root can. Exit code 0: fine. */
static void as_nobody(void (*run)(const struct shell *), const struct shell *s)
{
    pid_t child = fork();
    if (child == 0) {
        if (setgid(NOBODY) || setuid(NOBODY))
            _exit(2);
        run(s);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static void meets_roots_folder(const struct shell *s)
{
    struct key_folder *f = NULL;
    struct why why = {""};
    int err = key_folder_open(s->dir, apex, true, 0, &f, &why);
    /* it cannot even look into it */
    if (err != -E_IO || !strstr(why.text, "Permission denied"))
        _exit(3);
}

static void meets_roots_file(const struct shell *s)
{
    struct key_folder *f = NULL;
    struct key_file *files = NULL;
    size_t n = 0;
    if (key_folder_open(s->dir, apex, true, 0, &f, NULL) || key_folder_list(f, &files, &n, NULL))
        _exit(3);
    if (n != 1 || files[0].err != -E_CONF ||
        !strstr(files[0].why.text, "it belongs to root, and weir"))
        _exit(4);
    key_files_free(&files, n);
    key_folder_close(&f);
}

static void meets_its_own(const struct shell *s)
{
    struct key_folder *f = NULL;
    struct key_file *files = NULL;
    size_t n = 0;
    if (key_folder_open(s->dir, apex, false, 0, &f, NULL) || key_folder_list(f, &files, &n, NULL))
        _exit(3);
    if (n != 1 || files[0].err || !files[0].private)
        _exit(4);
    key_files_free(&files, n);
    key_folder_close(&f);
}

START_TEST(test_other_users)
{
    if (geteuid() != 0)
        return;
    char name[KEY_NAME_MAX];
    struct shell s = one_key(name);
    shell_do(&s, "chmod 755 .");
    as_nobody(meets_roots_folder, &s);
    shell_do(&s, "chown 65534:65534 keys keys/example keys/example/lock keys/example/*.key");
    as_nobody(meets_roots_file, &s);
    /* what root adds to a user's folder is the user's, and so is a folder that root makes in a user's state */
    shell_do(&s, "rm -r keys && chown 65534:65534 .");
    struct key_folder *f = opened(&s, apex);
    struct dnssec_private *key = made(ALG_ED25519);
    ck_assert_int_eq(key_folder_add(f, key, 256, NULL, name, NULL), 0);
    key_folder_close(&f);
    dnssec_private_unref(key);
    as_nobody(meets_its_own, &s);
    shell_close(&s);
}
END_TEST

/* ---- the lock ---- */

START_TEST(test_lock_names_its_holder)
{
    struct shell s = shell_open("keys");
    int ready[2], done[2];
    char octet = 0, words[64];
    ck_assert_int_eq(pipe(ready) | pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        struct key_folder *f = NULL;
        if (key_folder_open(s.dir, apex, true, 0, &f, NULL) || write(ready[1], &octet, 1) != 1 ||
            read(done[0], &octet, 1) < 0)
            _exit(1);
        key_folder_close(&f);
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &octet, 1), 1);
    snprintf(words, sizeof(words), "/keys/example is locked by process %ld (", (long)child);
    folder_refused(&s, true, -E_TIMEOUT, words);
    /* a lock that is given back while one waits is had */
    struct key_folder *f = NULL;
    struct why why = {""};
    ck_assert_int_eq(write(done[1], &octet, 1), 1);
    ck_assert_msg(key_folder_open(s.dir, apex, false, 60000, &f, &why) == 0, "%s", why.text);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    /* another thread of the same process waits, too */
    snprintf(words, sizeof(words), "locked by process %ld (", (long)getpid());
    folder_refused(&s, true, -E_TIMEOUT, words);
    key_folder_close(&f);
    f = opened(&s, apex);
    key_folder_close(&f);
    shell_close(&s);
}
END_TEST

/* Who is killed with the lock does not keep it. */
START_TEST(test_lock_of_the_dead)
{
    struct shell s = shell_open("keys");
    int ready[2];
    char octet = 0;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct key_folder *f = NULL;
        if (key_folder_open(s.dir, apex, true, 0, &f, NULL) || write(ready[1], &octet, 1) != 1)
            _exit(1);
        pause();
    }
    ck_assert_int_eq(read(ready[0], &octet, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct key_folder *f = opened(&s, apex);
    key_folder_close(&f);
    shell_close(&s);
}
END_TEST

/* ---- from elsewhere ---- */

static void import_refused(const char *path, int err, const char *words)
{
    struct key_file file;
    struct why why = {""};
    int got = key_file_read(path, apex, &file, &why);
    ck_assert_msg(got == err && strstr(why.text, words), "%d, not %d: %s", got, err, why.text);
}

START_TEST(test_import)
{
    static const char *const ending[] = {"", ".key", ".private"};
    struct shell s = shell_open("keys");
    char path[512];
    struct key_file file;
    struct why why = {""};
    shell_do(&s, "umask 077; dnssec-keygen -q -a 13 -f KSK example.");
    char *base = shell_run(&s, "ls K*.key | sed 's/.key$//'");
    base[strcspn(base, "\n")] = '\0';
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s%s", s.dir, base, ending[i]);
        ck_assert_msg(key_file_read(path, apex, &file, &why) == 0, "%s", why.text);
        ck_assert_str_eq(file.name, base);
        ck_assert(dnssec_private_fits(file.private, file.rdata, file.len));
        key_file_clear(&file);
    }
    snprintf(path, sizeof(path), "%s/%s", s.dir, base);
    struct why why2 = {""};
    ck_assert_int_eq(key_file_read(path, (const uint8_t *)"\5other", &file, &why2), -E_MISMATCH);
    ck_assert_msg(strstr(why2.text, "of the zone example., not of other."), "%s", why2.text);
    shell_do(&s, "chmod 644 *.private");
    import_refused(path, -E_CONF, "chmod 600 /tmp");
    import_refused("/nowhere/Kx", -E_NOENT, "/nowhere: No such file");
    import_refused("/tmp/", -E_CONF, "not the name of a file");
    snprintf(path, sizeof(path), "%s/Kother", s.dir);
    import_refused(path, -E_NOENT, "Kother.key: No such file");
    /* a private half alone */
    shell_do(&s, "umask 077; openssl genpkey -algorithm ED25519 >one.pem");
    snprintf(path, sizeof(path), "%s/one.pem", s.dir);
    ck_assert_msg(key_file_read_private(path, apex, 0, 257, &file, &why) == 0, "%s", why.text);
    ck_assert_uint_eq(file.algorithm, ALG_ED25519);
    ck_assert_uint_eq(get_u16(file.rdata), 257);
    ck_assert(dnssec_private_fits(file.private, file.rdata, file.len));
    key_file_clear(&file);
    ck_assert_int_eq(key_file_read_private(path, apex, 13, 257, &file, &why), -E_FORMAT);
    free(base);
    shell_close(&s);
}
END_TEST

/* ---- a disk that is full ---- */

START_TEST(test_write_that_fails)
{
    char name[KEY_NAME_MAX];
    struct shell s = shell_open("keys");
    struct key_folder *f = opened(&s, apex);
    struct why why = {""};
    struct dnssec_private *key = made(ALG_ED25519);
    if (geteuid() == 0 && seteuid(NOBODY) == 0) { /* the open folder is root's */
        ck_assert_int_eq(key_folder_add(f, key, 256, NULL, name, &why), -E_IO);
        ck_assert_msg(strstr(why.text, "cannot be written: Permission denied"), "%s", why.text);
        ck_assert_int_eq(key_folder_write(f, "state", "x", 1, &why), -E_IO);
        ck_assert_int_eq(seteuid(0), 0);
    }
    key_folder_close(&f);
    dnssec_private_unref(key);
    shell_close(&s);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("key_files");
    suite_add(s, test_keys_come_back);
    suite_add(s, test_keys_of_others);
    suite_add(s, test_public_alone);
    suite_add(s, test_remove);
    suite_add(s, test_names_of_zones);
    suite_add(s, test_other_files);
    suite_add(s, test_bad_files);
    suite_add(s, test_bad_pairs);
    suite_add(s, test_name_of_the_files);
    suite_add(s, test_bad_beside_good);
    suite_add(s, test_bad_folders);
    suite_add(s, test_other_users);
    suite_add(s, test_lock_names_its_holder);
    suite_add(s, test_lock_of_the_dead);
    suite_add(s, test_import);
    suite_add(s, test_write_that_fails);
    return suite_run(s);
}
