/* control: the socket itself, with accept4() replaced by one that can run out of descriptors. What its commands do is seen
 * by the scenarios. */
#include "pipeline/net/control.h"

#include "tests/lib/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_S = 30 };

static int accept_errno;
static unsigned accept_calls;
int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
    accept_calls++;
    if (accept_errno) {
        errno = accept_errno;
        return -1;
    }
    return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a control loop, turned by the test */

static struct server server;
static char folder[64], path[96];

static void on_tick(struct ev_loop *ev, ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    loop_stop(w->data);
}

static ev_timer tick;

static void house_open(void)
{
    struct why why = {""};
    snprintf(folder, sizeof folder, "/tmp/weir-control-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sock", folder);
    rcu_thread_start();
    server.control_loop = loop_new("control");
    ck_assert_msg(control_new(&server, path, &server.control, &why) == 0, "%s", why.text);
    ev_timer_init(&tick, on_tick, 0.001, 0.001);
    tick.data = server.control_loop;
    ev_timer_start(loop_ev(server.control_loop), &tick);
}

static void house_close(void)
{
    ev_timer_stop(loop_ev(server.control_loop), &tick);
    control_free(&server.control);
    loop_free(&server.control_loop);
    rcu_thread_stop();
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}

#define UNTIL(cond)                                                                                \
    do {                                                                                           \
        double until_ = now_s() + DEADLINE_S;                                                      \
        while (!(cond)) {                                                                          \
            ck_assert_msg(now_s() < until_, "not in time: " #cond);                                \
            loop_run(server.control_loop);                                                         \
        }                                                                                          \
    } while (0)

/* A client that has asked for something. */
static int client(const char *word)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char request[64] = "";
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    size_t len = strlen(word) + 2;
    memcpy(request, word, strlen(word));
    ck_assert_int_eq(send(fd, request, len, 0), (ssize_t)len);
    return fd;
}

static const char *hear(int fd)
{
    static char reply[256];
    ssize_t n;
    UNTIL((n = recv(fd, reply, sizeof reply - 1, MSG_DONTWAIT)) >= 0);
    reply[n] = 0;
    return reply;
}

START_TEST(answers)
{
    house_open();
    int fd = client("dance");
    ck_assert_str_eq(hear(fd), "1\nunknown request\n");
    close(fd);
    house_close();
}
END_TEST

/* No descriptors left: few tries while it lasts, each counted, and the client that waited is served afterwards. */
START_TEST(out_of_descriptors)
{
    static const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS};
    house_open();
    accept_errno = errors[_i];
    int fd = client("dance");
    double began = now_s();
    UNTIL(server.control_rests >= 3);
    ck_assert_uint_eq(accept_calls, server.control_rests); /* a spin would make thousands */
    ck_assert_double_ge(now_s() - began, 2 * 0.2);
    accept_errno = 0;
    ck_assert_str_eq(hear(fd), "1\nunknown request\n");
    close(fd);
    accept_errno = errors[_i]; /* and it can stop while it rests */
    fd = client("dance");
    UNTIL(server.control_rests >= 4);
    house_close();
    close(fd);
}
END_TEST

int main(void)
{
    struct suite s = suite_open("control");
    suite_add(s, answers);
    tcase_add_loop_test(s.tcase, out_of_descriptors, 0, 4);
    return suite_run(s);
}
