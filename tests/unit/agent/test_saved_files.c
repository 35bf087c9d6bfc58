/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore writes to paths of the program's, whose user may have put links in the way since,
 * and what a copy reads there. */
#include "agent/saved.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

/* `open`: everybody may write to it; `own`: only we. Both lead to `other` by the link `link`. */
static char top[] = "/tmp/shadowcl-files-XXXXXX";
static struct saved saved = {.fd = -1};

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void expect_file(const char *name, const char *expected)
{
    char text[64] = "";
    FILE *file = fopen(path_of(name), "re");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    assert_string_equal(text, expected);
}

static int make_top(void **unused)
{
    if (!mkdtemp(top))
        return -1;
    chmod(top, 0755);
    return mkdir(path_of("open"), 0777) || chmod(path_of("open"), 0777) ||
           mkdir(path_of("own"), 0755) || mkdir(path_of("other"), 0755) ||
           symlink("../other", path_of("open/link")) || symlink("../other", path_of("own/link"));
}

static int remove_top(void **unused)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", top);
    return system(command);
}

/* A copy with a file in it that is to be put back, and a list of those that are to be cut. */
static void begin(json_t *files, json_t *mapped)
{
    struct error err = {0};
    rmdir(path_of("copy"));
    assert_int_equal(saved_create(&saved, path_of("copy"), &err), 0);
    write_file("copy/0.mapped", "kept");
    saved.json = json_pack("{s:o, s:o}", "files", files, "mapped", mapped);
}

static void end(void)
{
    unlink(path_of("copy/0.mapped"));
    saved_finish(&saved);
}

static int cut(const char *name, struct error *err)
{
    begin(json_pack("[{s:s, s:i, s:b}]", "path", path_of(name), "size", 4, "written", 1),
          json_array());
    int result = saved_make_ready(&saved, err);
    end();
    return result;
}

static int put(const char *name, uid_t uid, struct error *err)
{
    begin(json_array(),
          json_pack("[{s:s, s:n, s:i, s:{s:s, s:i, s:i, s:i}}]", "path", path_of(name), "build_id",
                    "size", 4, "kept", "name", "0.mapped", "mode", 0640, "uid", (int)uid, "gid",
                    (int)(getuid() == 0 ? uid : getgid())));
    int result = saved_make_ready(&saved, err);
    end();
    return result;
}

static void test_cut(void **unused)
{
    struct error err = {0};
    write_file("open/file", "0123456789");
    assert_int_equal(cut("open/file", &err), 0);
    expect_file("open/file", "0123");
}

static void test_cut_follows_no_link(void **unused)
{
    struct error err = {0};
    write_file("other/file", "0123456789");
    assert_int_equal(cut("open/link/file", &err), -1);
    assert_non_null(strstr(err.reason, "open/link` is a link that is not followed"));
    expect_file("other/file", "0123456789");
    assert_int_equal(symlink("../other/file", path_of("open/alias")), 0);
    cut("open/alias", &err);
    expect_file("other/file", "0123456789");
}

static void test_put_follows_no_link(void **unused)
{
    struct error err = {0};
    assert_int_equal(put("open/link/new", getuid(), &err), -1);
    assert_non_null(strstr(err.reason, "open/link` is a link that is not followed"));
    assert_int_equal(access(path_of("other/new"), F_OK), -1);
    assert_int_equal(put("open/link/folder/new", getuid(), &err), -1);
    assert_int_equal(access(path_of("other/folder"), F_OK), -1);
}

/* With the folders that are missing, as whose it was. */
static void test_put(void **unused)
{
    struct error err = {0};
    struct stat status;
    uid_t uid = getuid() == 0 ? NOBODY : getuid();
    static const char *const folders[] = {"open/a", "open/a/b", "own/a", "own/a/b"};
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "open/a/b/new" : "own/a/b/new";
        assert_int_equal(put(name, uid, &err), 0);
        expect_file(name, "kept");
        assert_int_equal(stat(path_of(name), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0640);
        assert_int_equal(status.st_uid, uid);
    }
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        assert_int_equal(stat(path_of(folders[i]), &status), 0);
        assert_int_equal(status.st_uid, uid);
    }
}

static void test_nothing_is_put_over_a_file(void **unused)
{
    struct error err = {0};
    write_file("own/there", "as it was");
    assert_int_equal(put("own/there", getuid(), &err), 0);
    expect_file("own/there", "as it was");
}

/* As /lib is, on some systems: nobody but root can have put it there. */
static void test_link_of_roots(void **unused)
{
    struct error err = {0};
    if (getuid() != 0)
        skip();
    assert_int_equal(put("own/link/by-link", 0, &err), 0);
    expect_file("other/by-link", "kept");
}

/* What the program had mapped is a named pipe by now: nobody waits for who would write to it. */
static void test_keep_waits_for_nobody(void **unused)
{
    struct error err = {0};
    assert_int_equal(mkfifo(path_of("open/fifo"), 0600), 0);
    begin(json_array(),
          json_pack("[{s:s, s:n, s:i}]", "path", path_of("open/fifo"), "build_id", "size", 4));
    unlink(path_of("copy/0.mapped"));
    alarm(20);
    assert_int_equal(saved_keep_files(&saved, &err), -1);
    alarm(0);
    assert_int_equal(access(path_of("copy/0.mapped"), F_OK), -1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_cut_follows_no_link),
                                       cmocka_unit_test(test_put_follows_no_link),
                                       cmocka_unit_test(test_put),
                                       cmocka_unit_test(test_nothing_is_put_over_a_file),
                                       cmocka_unit_test(test_link_of_roots),
                                       cmocka_unit_test(test_keep_waits_for_nobody)};
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
