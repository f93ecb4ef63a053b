/* capture: the writer, read back by the reader. */
#include <dirent.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/base/alloc.h"
#include "pipeline/base/log.h"
#include "tests/lib/packets.h"
#include "tests/lib/random.h"
#include "tests/lib/suite.h"

enum { FILES_MAX = 64 };

static char dir[64];
static char *path[FILES_MAX];
static int files;
static struct capture *capture;
static const struct timespec at = {1700000000, 123456000};

static struct address address(const char *text)
{
    struct address a;
    struct why why;
    ck_assert_int_eq(address_parse(text, 0, &a, &why), 0);
    return a;
}

static void set_up(void)
{
    snprintf(dir, sizeof dir, "/tmp/weir-capture-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void begin(size_t max_bytes)
{
    struct why why;
    ck_assert_int_eq(capture_open(dir, max_bytes, &capture, &why), 0);
}

static int wanted(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* The files of the folder by name, which is by time and number (below ten). */
static void list(void)
{
    struct dirent **entry;
    files = scandir(dir, &entry, wanted, alphasort);
    ck_assert_int_ge(files, 0);
    ck_assert_int_le(files, FILES_MAX);
    for (int i = 0; i < files; i++) {
        path[i] = mem_printf("%s/%s", dir, entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
}

static void tear_down(void)
{
    capture_close(&capture);
    for (int i = 0; i < files; i++)
        mem_free(&path[i]);
    list();
    for (int i = 0; i < files; i++) {
        unlink(path[i]);
        mem_free(&path[i]);
    }
    files = 0;
    rmdir(dir);
}

static void play_file(struct play *p, const char *file)
{
    int fd = open(file, O_RDONLY);
    struct stat st;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    uint8_t *octets = mem_alloc((size_t)st.st_size + 1);
    ck_assert_int_eq(read(fd, octets, (size_t)st.st_size), st.st_size);
    close(fd);
    *p = (struct play){0};
    play_octets(p, octets, (size_t)st.st_size);
    mem_free(&octets);
}

static void make_transfer(struct script *query, struct script *answer, uint16_t id, unsigned big)
{
    char records[4000] = "";
    int n = snprintf(records, sizeof records, "S%u", id);
    for (unsigned i = 0; i < 300; i++)
        n += snprintf(records + n, sizeof records - (size_t)n, " R%u", i);
    script_query(query, id, "example.", RR_AXFR);
    script_answer(answer, id, "example.", RR_AXFR, 0, records);
    for (unsigned i = 0; i < big; i++)
        script_answer(answer, id, "example.", 0, 0, strchr(records, ' '));
    snprintf(records, sizeof records, "S%u", id);
    script_answer(answer, id, "example.", 0, 0, records);
}

static void write_transfer(const char *local, const char *peer, const struct script *query,
                           const struct script *answer)
{
    struct address l = address(local), p = address(peer);
    struct capture_stream *s = capture_stream_open(capture, &l, &p);
    capture_stream_data(s, false, query->octets, query->len, &at);
    capture_stream_data(s, true, answer->octets, answer->len, &at);
    capture_stream_close(&s, false);
    ck_assert_ptr_null(s);
}

static void expect_same(const struct played *t, const struct script *want)
{
    ck_assert_ptr_null(t->problem);
    ck_assert_uint_eq(t->messages.len, want->len);
    ck_assert_mem_eq(t->messages.octets, want->octets, want->len);
}

START_TEST(test_round_trip)
{
    static const char *const local[] = {"192.0.2.1@40000", "2001:db8::1@40000"};
    static const char *const peer[] = {"192.0.2.53@53", "2001:db8::53@53"};
    struct script query = {0}, answer = {0};
    make_transfer(&query, &answer, 7, 20); /* more than a segment holds, and more than a window */
    ck_assert_uint_gt(answer.len, 100000);
    begin(0);
    for (int i = 0; i < 2; i++) {
        struct address from = address(local[i]), to = address(peer[i]);
        capture_datagram(capture, &from, &to, query.octets + 2, query.len - 2, &at);
        write_transfer(local[i], peer[i], &query, &answer);
    }
    capture_close(&capture);
    list();
    ck_assert_int_eq(files, 1);
    struct stat st;
    ck_assert_int_eq(stat(path[0], &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    struct play p;
    play_file(&p, path[0]);
    ck_assert_int_eq(p.err, 0);
    ck_assert_uint_eq(p.n, 2);
    ck_assert_uint_eq(p.summary.connections, 2);
    ck_assert_uint_eq(p.summary.ignored_packets, 2); /* the datagrams */
    ck_assert_uint_eq(p.summary.retransmitted + p.summary.reordered + p.summary.lost_octets, 0);
    for (size_t i = 0; i < 2; i++) {
        char text[ADDRESS_TEXT_MAX];
        expect_same(&p.transfer[i], &answer);
        ck_assert_str_eq(address_print(&p.transfer[i].about.secondary, text), local[i]);
        ck_assert_str_eq(address_print(&p.transfer[i].about.primary, text), peer[i]);
        ck_assert_int_eq(p.transfer[i].about.ended.tv_sec, at.tv_sec);
        ck_assert_int_eq(p.transfer[i].about.ended.tv_nsec, at.tv_nsec);
    }
    play_free(&p);
    script_free(&query);
    script_free(&answer);
}
END_TEST

START_TEST(test_largest_datagram)
{
    uint8_t *octets = mem_zalloc(65508);
    struct address a = address("192.0.2.1@1"), b = address("2001:db8::1@1");
    begin(0);
    capture_datagram(capture, &a, &a, octets, 65507, &at);
    capture_datagram(capture, &b, &b, octets, 65507, &at);
    capture_datagram(capture, &a, &a, octets, 65508, &at); /* cannot have been one */
    capture_close(&capture);
    mem_free(&octets);
    list();
    struct play p;
    play_file(&p, path[0]);
    ck_assert_int_eq(p.err, 0);
    ck_assert_uint_eq(p.summary.packets, 2);
    play_free(&p);
}
END_TEST

START_TEST(test_reset_and_early_end)
{
    struct script query = {0}, answer = {0};
    struct address l = address("192.0.2.1@4"), r = address("192.0.2.2@53");
    make_transfer(&query, &answer, 7, 0);
    begin(0);
    for (int reset = 0; reset < 2; reset++) {
        struct capture_stream *s = capture_stream_open(capture, &l, &r);
        capture_stream_data(s, false, query.octets, query.len, &at);
        capture_stream_data(s, true, answer.octets, 100, &at);
        capture_stream_close(&s, reset);
    }
    capture_close(&capture);
    list();
    struct play p;
    play_file(&p, path[0]);
    ck_assert_uint_eq(p.n, 2); /* the same ports twice are two connections */
    ck_assert_ptr_nonnull(strstr(p.transfer[0].problem, "closed in order within a message"));
    ck_assert_str_eq(p.transfer[1].problem, "the connection was reset by 192.0.2.1@4");
    play_free(&p);
    script_free(&query);
    script_free(&answer);
}
END_TEST

/* Streams at the same time over several files: none is cut. */
START_TEST(test_rotation)
{
    enum { STREAMS = 8, ROUNDS = 40, MAX = 100000 };
    struct random r = random_open();
    struct script query[STREAMS] = {{0}}, answer[STREAMS] = {{0}};
    struct capture_stream *s[STREAMS] = {NULL};
    size_t done[STREAMS] = {0}, ended = 0, found = 0;
    struct address peer = address("192.0.2.53@53");
    for (uint16_t i = 0; i < STREAMS; i++)
        make_transfer(&query[i], &answer[i], i, i);
    begin(MAX);
    while (ended < ROUNDS) {
        size_t i = random_below(&r, STREAMS), n = 1 + random_below(&r, 20000);
        if (!s[i]) {
            struct address local = address("192.0.2.1@1");
            local.v4.sin_port = htons((uint16_t)(1000 + i));
            s[i] = capture_stream_open(capture, &local, &peer);
            capture_stream_data(s[i], false, query[i].octets, query[i].len, &at);
            done[i] = 0;
        }
        if (n > answer[i].len - done[i])
            n = answer[i].len - done[i];
        capture_stream_data(s[i], true, answer[i].octets + done[i], n, &at);
        done[i] += n;
        if (done[i] == answer[i].len) {
            capture_stream_close(&s[i], false);
            ended++;
        }
    }
    for (size_t i = 0; i < STREAMS; i++)
        if (s[i])
            capture_stream_close(&s[i], false);
    capture_close(&capture);
    list();
    ck_assert_int_gt(files, 3);
    for (int f = 0; f < files; f++) {
        struct play p;
        struct stat st;
        play_file(&p, path[f]);
        ck_assert_int_eq(p.err, 0);
        ck_assert_uint_eq(p.summary.headless + p.summary.lost_octets, 0);
        ck_assert_int_eq(stat(path[f], &st), 0);
        ck_assert_int_lt(st.st_size, MAX + STREAMS * 70000);
        if (f + 1 < files)
            ck_assert_int_ge(st.st_size, MAX);
        for (size_t i = 0; i < p.n; i++)
            if (p.transfer[i].messages.len == answer[p.transfer[i].about.id].len) {
                expect_same(&p.transfer[i], &answer[p.transfer[i].about.id]);
                found++;
            }
        play_free(&p);
    }
    ck_assert_uint_ge(found, ended);
    for (size_t i = 0; i < STREAMS; i++) {
        script_free(&query[i]);
        script_free(&answer[i]);
    }
}
END_TEST

START_TEST(test_folders_that_do_not_serve)
{
    struct why why;
    struct capture *c = NULL;
    ck_assert_int_eq(capture_open("/nonexistent/captures", 0, &c, &why), -E_IO);
    ck_assert_str_eq(
        why.text,
        "server.capture: cannot write into /nonexistent/captures: No such file or directory");
    ck_assert_int_eq(capture_open("/bin/sh", 0, &c, &why), -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "Not a directory"));
    ck_assert_int_eq(chmod(dir, 0555), 0);
    ck_assert(geteuid() != 0 || seteuid(65534) == 0); /* a process of its own */
    int err = capture_open(dir, 0, &c, &why);
    ck_assert(getuid() != 0 || seteuid(0) == 0);
    ck_assert_int_eq(err, -E_IO);
    ck_assert_ptr_nonnull(strstr(why.text, "Permission denied"));
    ck_assert_ptr_null(c);
    ck_assert_int_eq(chmod(dir, 0755), 0);
}
END_TEST

/* What was logged, in the file "log" of the folder. */
static char *log_lines(int fd)
{
    static char text[2000];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    return text;
}

static int log_to_memory(void)
{
    int fd = memfd_create("log", 0);
    ck_assert_int_ge(fd, 0);
    log_open(LOG_INFO, fd);
    return fd;
}

static void expect_one_line(int log, const char *part)
{
    char *text = log_lines(log);
    ck_assert_msg(strstr(text, "capturing stops") && strstr(text, part), "%s", text);
    ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}

/* The folder goes away under the daemon, which goes on. */
START_TEST(test_the_folder_goes_away)
{
    struct script query = {0}, answer = {0};
    make_transfer(&query, &answer, 7, 3);
    int log = log_to_memory();
    begin(0);
    ck_assert_int_eq(rmdir(dir), 0);
    for (int i = 0; i < 3; i++)
        write_transfer("192.0.2.1@4", "192.0.2.2@53", &query, &answer);
    capture_close(&capture);
    expect_one_line(log, "No such file or directory");
    close(log);
    ck_assert_int_eq(mkdir(dir, 0755), 0);
    script_free(&query);
    script_free(&answer);
}
END_TEST

/* The disk is full, as far as this process is concerned, in the middle of a stream. */
START_TEST(test_the_disk_is_full)
{
    struct script query = {0}, answer = {0};
    struct rlimit limit = {50000, RLIM_INFINITY}, before;
    make_transfer(&query, &answer, 7, 20);
    int log = log_to_memory();
    begin(0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 3; i++)
        write_transfer("192.0.2.1@4", "192.0.2.2@53", &query, &answer);
    capture_close(&capture);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    expect_one_line(log, "File too large");
    close(log);
    list();
    ck_assert_int_eq(files, 1);
    script_free(&query);
    script_free(&answer);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("capture_write");
    tcase_add_checked_fixture(s.tcase, set_up, tear_down);
    suite_add(s, test_round_trip);
    suite_add(s, test_largest_datagram);
    suite_add(s, test_reset_and_early_end);
    suite_add(s, test_rotation);
    suite_add(s, test_folders_that_do_not_serve);
    suite_add(s, test_the_folder_goes_away);
    suite_add(s, test_the_disk_is_full);
    return suite_run(s);
}
