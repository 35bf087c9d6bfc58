/* SPDX-License-Identifier: Apache-2.0 */
/* When a copy is marked as whole: what of it is on the disk by then, and afterwards. And what it
 * says of a file that is open more than once. */
#include "agent/saved.h"
#include "agent/saved_lists.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 32 };

struct synced {
    ino_t inode;
    bool was_marked; /* by then */
};

static char top[] = "/tmp/shadowcl-saved-XXXXXX";
static char copy[64], mark[96];
static struct synced synced[MOST];
static size_t count, fails_at; /* at which, from 1; 0: none */
static int failure;

/* In place of the C library's. */
int fsync(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(count < MOST);
    synced[count++] = (struct synced){status.st_ino, access(mark, F_OK) == 0};
    if (count == fails_at) {
        errno = failure;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static ino_t inode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static bool was_synced(ino_t inode, bool was_marked)
{
    for (size_t i = 0; i < count; i++)
        if (synced[i].inode == inode && synced[i].was_marked == was_marked)
            return true;
    return false;
}

/* One with an image in it, as CRIU leaves it. */
static int commit(struct saved *saved, size_t failing, int reason, struct error *err)
{
    count = 0;
    fails_at = 0;
    assert_int_equal(saved_create(saved, copy, err), 0);
    int image = openat(saved->fd, "core-1.img", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(image, "image", 5), 5);
    close(image);
    saved->json = json_pack("{s:i}", "version", (int)SAVED_VERSION);
    fails_at = failing;
    failure = reason;
    return saved_commit(saved, err);
}

static void take_away(struct saved *saved)
{
    saved_abandon(saved);
    assert_int_equal(access(copy, F_OK), -1); /* nothing was left */
    saved_finish(saved);
}

/* The image and the names of both directories before the mark, the mark's own name after it. */
static void test_all_is_on_the_disk(void **unused)
{
    struct saved saved;
    struct error err = {0};
    assert_int_equal(commit(&saved, 0, 0, &err), 0);
    char image[96];
    snprintf(image, sizeof image, "%s/core-1.img", copy);
    assert_true(was_synced(inode_of(image), false));
    assert_true(was_synced(inode_of(mark), false));
    assert_true(was_synced(inode_of(copy), false));
    assert_true(was_synced(inode_of(top), false));
    assert_true(was_synced(inode_of(copy), true));
    take_away(&saved);
}

/* Whichever can't be brought there, it is said, and nothing stays that looks like a whole copy. */
static void test_disk_fails(void **unused)
{
    struct saved saved;
    struct error err = {0};
    assert_int_equal(commit(&saved, 0, 0, &err), 0);
    size_t all = count;
    take_away(&saved);
    assert_true(all >= 5);
    for (size_t at = 1; at <= all; at++) {
        err = (struct error){0};
        assert_int_equal(commit(&saved, at, EIO, &err), -1);
        assert_non_null(strstr(err.reason, strerror(EIO)));
        assert_non_null(strstr(err.object, copy));
        take_away(&saved);
    }
}

/* A filesystem that does not know how to bring a folder to the disk is no failure. */
static void test_folders_that_cant(void **unused)
{
    struct saved saved;
    struct error err = {0};
    assert_int_equal(commit(&saved, 0, 0, &err), 0);
    size_t all = count;
    take_away(&saved);
    assert_int_equal(commit(&saved, all, EINVAL, &err), 0);
    take_away(&saved);
}

/* Once to read and once to write, in either order: it is written to. */
static void test_file_open_twice(void **unused)
{
    json_t *files = json_array();
    saved_add_file(files, "/a", 5, false);
    saved_add_file(files, "/a", 5, true);
    saved_add_file(files, "/b", 6, true);
    saved_add_file(files, "/b", 6, false);
    saved_add_file(files, "/c", 7, false);
    assert_int_equal(json_array_size(files), 3);
    assert_true(json_is_true(json_object_get(saved_find_path(files, "/a"), "written")));
    assert_true(json_is_true(json_object_get(saved_find_path(files, "/b"), "written")));
    assert_true(json_is_false(json_object_get(saved_find_path(files, "/c"), "written")));
    json_decref(files);
}

static int make_top(void **unused)
{
    if (!mkdtemp(top))
        return -1;
    snprintf(copy, sizeof copy, "%s/copy", top);
    snprintf(mark, sizeof mark, "%s/%s", copy, SAVED_NAME);
    return 0;
}

static int remove_top(void **unused)
{
    return rmdir(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_on_the_disk), cmocka_unit_test(test_disk_fails),
        cmocka_unit_test(test_folders_that_cant), cmocka_unit_test(test_file_open_twice)};
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
