/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations in lines of JSON: pieces of any size, what is no line, ends at any moment. */
#include "agent/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What came in, one letter each: the message's `n`, `!` for a bad line, `.` for the end. */
struct heard {
    char text[256];
    size_t count;
    struct error last;
    struct lines *to_close; /* by the handler, at the message `c` */
    struct lines *to_answer;
};

static void hear(struct heard *heard, char what)
{
    if (heard->count + 1 < sizeof heard->text)
        heard->text[heard->count++] = what;
}

static void on_message(void *data, json_t *message)
{
    struct heard *heard = data;
    const char *name = json_string_value(json_object_get(message, "n"));
    hear(heard, name ? name[0] : '?');
    if (name && name[0] == 'c' && heard->to_close) {
        lines_close(heard->to_close);
        heard->to_close = NULL;
    }
    if (heard->to_answer)
        lines_send(heard->to_answer, message);
}

static void on_bad_line(void *data, const struct error *err)
{
    struct heard *heard = data;
    heard->last = *err;
    hear(heard, '!');
}

static void on_end(void *data, const struct error *err)
{
    struct heard *heard = data;
    heard->last = *err;
    hear(heard, '.');
}

static const struct lines_handler handler = {on_message, on_bad_line, on_end};

static void feed(struct line_reader *reader, const char *text, size_t size, struct heard *heard)
{
    line_reader_feed(reader, text, size, &handler, heard);
}

static void test_pieces_of_any_size(void **state)
{
    const char text[] = "{\"n\":\"a\"}\n\n{\"n\":\"b\"}\r\n \t\n[1]\nx\n{\"n\":\"\\u00e4\"} \n"
                        "{\"n\":\"a\"}{\"n\":\"b\"}\n{\"n\":\"d\"}\nrest";
    for (size_t size = 1; size <= sizeof text; size++) {
        struct heard heard = {0};
        struct line_reader reader = {0};
        for (size_t at = 0; at < sizeof text - 1; at += size) {
            size_t left = sizeof text - 1 - at;
            feed(&reader, text + at, size < left ? size : left, &heard);
        }
        assert_string_equal(heard.text, "ab!!\xc3!d");
        line_reader_finish(&reader);
    }
}

static void test_too_long_line_is_told_once(void **state)
{
    struct heard heard = {0};
    struct line_reader reader = {0};
    static const char message[9] = "{\"n\":\"a\"}"; /* without a NUL */
    char *text = malloc(LINES_LONGEST);
    assert_non_null(text);
    memset(text, ' ', LINES_LONGEST);
    memcpy(text, message, sizeof message);
    feed(&reader, text, LINES_LONGEST, &heard); /* just fits */
    feed(&reader, "\n", 1, &heard);
    assert_string_equal(heard.text, "a");
    for (int i = 0; i < 5; i++)
        feed(&reader, text, LINES_LONGEST, &heard);
    assert_string_equal(heard.text, "a!");
    assert_non_null(strstr(heard.last.reason, "longer than allowed"));
    assert_true(reader.room <= 2 * LINES_LONGEST);
    feed(&reader, "\n{\"n\":\"b\"}\n", 11, &heard);
    assert_string_equal(heard.text, "a!b");
    free(text);
    line_reader_finish(&reader);
}

static void test_what_is_no_message(void **state)
{
    static const char *const lines[] = {
        "{",
        "nonsense",
        "1",
        "null",
        "\"text\"",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":1e999}",
        "{\"a\":99999999999999999999}",
        "{} {}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct heard heard = {0};
        struct line_reader reader = {0};
        feed(&reader, lines[i], strlen(lines[i]), &heard);
        feed(&reader, "\n", 1, &heard);
        assert_string_equal(heard.text, "!");
        assert_string_equal(heard.last.object, "line");
        assert_true(heard.last.reason[0] && heard.last.todo[0]);
        line_reader_finish(&reader);
    }
}

static void test_deep_nesting(void **state)
{
    struct heard heard = {0};
    struct line_reader reader = {0};
    for (int i = 0; i < 500000; i++)
        feed(&reader, "[", 1, &heard);
    feed(&reader, "\n", 1, &heard);
    assert_string_equal(heard.text, "!");
    line_reader_finish(&reader);
}

struct fixture {
    uv_loop_t loop;
    struct lines *lines;
    struct heard heard;
    int other; /* the other end */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = {0};
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    uv_loop_init(&fixture->loop);
    fixture->other = ends[1];
    assert_int_equal(
        lines_open(&fixture->lines, &fixture->loop, ends[0], &handler, &fixture->heard, &err), 0);
    *state = fixture;
    return 0;
}

/* Closes what is open; a loop that can be closed has forgotten nothing. */
static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    lines_close(fixture->lines);
    if (fixture->other >= 0)
        close(fixture->other);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
    return 0;
}

static void turn(struct fixture *fixture)
{
    for (int i = 0; i < 5; i++)
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

static void say(const struct fixture *fixture, const char *text)
{
    assert_int_equal(write(fixture->other, text, strlen(text)), strlen(text));
}

static void test_both_ways(void **state)
{
    struct fixture *fixture = *state;
    char text[64] = "";
    fixture->heard.to_answer = fixture->lines;
    say(fixture, "{\"n\":\"a\"}\n{\"n\"");
    turn(fixture);
    assert_string_equal(fixture->heard.text, "a");
    say(fixture, ":\"b\"}\n");
    turn(fixture);
    assert_string_equal(fixture->heard.text, "ab");
    assert_true(lines_is_flushed(fixture->lines));
    assert_int_equal(read(fixture->other, text, sizeof text), 20);
    assert_string_equal(text, "{\"n\":\"a\"}\n{\"n\":\"b\"}\n");
}

static void test_peer_goes(void **state)
{
    struct fixture *fixture = *state;
    say(fixture, "{\"n\":\"a\"}\n{\"n\":\"b\"}\n{\"n\":");
    close(fixture->other);
    fixture->other = -1;
    turn(fixture);
    assert_string_equal(fixture->heard.text, "ab.");
    assert_string_equal(fixture->heard.last.reason, "");
    /* Nothing comes of it any more, and it can be sent to. */
    json_t *message = json_pack("{s:s}", "n", "x");
    lines_send(fixture->lines, message);
    json_decref(message);
    turn(fixture);
    assert_string_equal(fixture->heard.text, "ab.");
}

static void test_peer_goes_before_it_reads(void **state)
{
    struct fixture *fixture = *state;
    json_t *message = json_pack("{s:s}", "n", "x");
    close(fixture->other);
    fixture->other = -1;
    lines_send(fixture->lines, message);
    assert_string_equal(fixture->heard.text, ""); /* not from within the send */
    json_decref(message);
    turn(fixture);
    assert_string_equal(fixture->heard.text, ".");
}

static void test_close_in_handler(void **state)
{
    struct fixture *fixture = *state;
    fixture->heard.to_close = fixture->lines;
    say(fixture, "{\"n\":\"a\"}\n{\"n\":\"c\"}\n{\"n\":\"b\"}\n[]\n");
    turn(fixture);
    assert_string_equal(fixture->heard.text, "ac");
    fixture->lines = NULL;
    char byte;
    assert_int_equal(read(fixture->other, &byte, 1), 0); /* the descriptor is closed */
}

static void test_backlog(void **state)
{
    struct fixture *fixture = *state;
    char *text = malloc(1 << 20);
    memset(text, 'x', (1 << 20) - 1);
    text[(1 << 20) - 1] = 0;
    json_t *message = json_pack("{s:s}", "n", text);
    for (int i = 0; i < 10; i++)
        lines_send(fixture->lines, message);
    turn(fixture);
    assert_string_equal(fixture->heard.text, "");
    assert_false(lines_is_flushed(fixture->lines));
    for (int i = 0; i < 10; i++)
        lines_send(fixture->lines, message);
    turn(fixture);
    assert_string_equal(fixture->heard.text, ".");
    assert_non_null(strstr(fixture->heard.last.reason, "queued"));
    json_decref(message);
    free(text);
}

/* A slow reader gets all of it, in order. */
static void test_slow_reader(void **state)
{
    struct fixture *fixture = *state;
    enum { COUNT = 2000, LENGTH = 1000 };
    char text[LENGTH + 1], piece[3000];
    size_t total = 0, lines = 0;
    memset(text, 'y', LENGTH);
    text[LENGTH] = 0;
    json_t *message = json_pack("{s:s}", "n", text);
    for (int i = 0; i < COUNT; i++)
        lines_send(fixture->lines, message);
    json_decref(message);
    while (lines < COUNT) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
        ssize_t count = recv(fixture->other, piece, sizeof piece, MSG_DONTWAIT);
        for (ssize_t i = 0; i < count; i++)
            lines += piece[i] == '\n';
        total += count > 0 ? (size_t)count : 0;
    }
    assert_int_equal(total, COUNT * (LENGTH + 9));
    turn(fixture);
    assert_true(lines_is_flushed(fixture->lines));
    assert_string_equal(fixture->heard.text, "");
}

static void test_bad_descriptor(void **state)
{
    struct heard heard = {0};
    struct lines *lines = NULL;
    struct error err = {0};
    uv_loop_t loop;
    uv_loop_init(&loop);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* poll does not know it */
    assert_int_equal(lines_open(&lines, &loop, fd, &handler, &heard, &err), -1);
    assert_true(err.reason[0] != 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was taken over */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_any_size),
        cmocka_unit_test(test_too_long_line_is_told_once),
        cmocka_unit_test(test_what_is_no_message),
        cmocka_unit_test(test_deep_nesting),
        cmocka_unit_test_setup_teardown(test_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_peer_goes_before_it_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close_in_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_backlog, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_reader, set_up, tear_down),
        cmocka_unit_test(test_bad_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
