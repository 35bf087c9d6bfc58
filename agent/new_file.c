/* SPDX-License-Identifier: Apache-2.0 */
/* Files that come to be under their names as a whole: see new_file.h. */
#include "agent/new_file.h"

#include "agent/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const struct new_file *file, int errnum, const char *reason, const char *todo,
                  struct error *err)
{
    error_object(err, "file `%.100s`", file->path);
    error_set(err, errnum, "%s", reason);
    return error_todo(err, "%s", todo);
}

/* --- Who has a file in use --- */

struct search {
    dev_t device;
    ino_t inode;
    pid_t found;
};

/* Others may have it open to read it: in use it is by those with the lock. */
static bool holds_lock(pid_t pid, const char *number)
{
    char path[64 + NAME_MAX], line[256];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%s", (int)pid, number);
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file))
        found = !strncmp(line, "lock:", 5) && strstr(line, "FLOCK");
    if (file)
        fclose(file);
    return found;
}

static void look_at(pid_t pid, const char *number, const char *target, void *data)
{
    struct search *search = data;
    char path[64 + NAME_MAX];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/fd/%s", (int)pid, number);
    if (!search->found && target[0] == '/' && stat(path, &status) == 0 &&
        status.st_dev == search->device && status.st_ino == search->inode &&
        holds_lock(pid, number))
        search->found = pid;
}

static pid_t find_user(int fd)
{
    struct stat status;
    struct search search = {0};
    DIR *proc = fstat(fd, &status) == 0 ? opendir("/proc") : NULL;
    search.device = status.st_dev;
    search.inode = status.st_ino;
    for (struct dirent *entry; proc && !search.found && (entry = readdir(proc));) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && pid != getpid())
            process_each_descriptor(pid, look_at, &search);
    }
    if (proc)
        closedir(proc);
    return search.found;
}

static int refuse_used(const struct new_file *file, struct error *err)
{
    char command[64];
    pid_t pid = find_user(file->old);
    refuse(file, 0, "it is in use: a process has its contents there, or is about to write it",
           "wait until that one is done, or name another file", err);
    if (!pid)
        return -1;
    process_command(pid, command, sizeof command);
    error_set(err, 0, "it is in use by process %d %s", (int)pid, command);
    return error_todo(err,
                      "wait until that one is done (a suspended process: `shadowcl resume "
                      "%d`), or name another file",
                      (int)pid);
}

/* --- The file that is there already --- */

/* Shared by whoever needs it, exclusive to replace it. A filesystem may know no locks: then nobody
 * can say that it is in use. */
static int lock(int fd, int how)
{
    int result = flock(fd, how | LOCK_NB);
    return result < 0 && errno != EWOULDBLOCK ? 0 : result;
}

/* In a folder like /tmp only its owner may replace a file. */
static bool is_anothers(const struct new_file *file, const struct stat *status)
{
    struct stat dir;
    return geteuid() != 0 && fstat(file->dir, &dir) == 0 && (dir.st_mode & S_ISVTX) &&
           dir.st_uid != geteuid() && status->st_uid != geteuid();
}

static int lock_old(struct new_file *file, struct error *err)
{
    int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    file->old = openat(file->dir, file->name, O_RDWR | flags); /* what NFS wants, to lock */
    if (file->old < 0)
        file->old = openat(file->dir, file->name, O_RDONLY | flags);
    if (file->old < 0)
        return refuse(file, errno, "it is there already, and can't be looked at",
                      "remove it, or name another", err);
    return lock(file->old, LOCK_EX) < 0 ? refuse_used(file, err) : 0;
}

static int check_old(struct new_file *file, struct error *err)
{
    struct stat status;
    if (fstatat(file->dir, file->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : refuse(file, errno, "it can't be looked at", "name another", err);
    if (S_ISLNK(status.st_mode))
        return refuse(file, 0, "it is a symbolic link, which is not followed",
                      "name the file that it leads to, or remove it", err);
    if (S_ISDIR(status.st_mode))
        return refuse(file, 0, "it is a directory", "name a file in it", err);
    if (!S_ISREG(status.st_mode))
        return refuse(file, 0, "it is there already, and is no ordinary file", "name another", err);
    if (is_anothers(file, &status))
        return refuse(file, 0, "it is another user's, and only he may replace it", "name another",
                      err);
    return lock_old(file, err);
}

/* --- The new one --- */

static int open_folder(struct new_file *file, struct error *err)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(file->path, '/');
    const char *name = slash ? slash + 1 : file->path;
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", slash == file->path ? 1 : (int)(slash - file->path),
                 file->path);
    if (!*file->path)
        return refuse(file, 0, "its name is empty", "name one", err);
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return refuse(file, 0, "it is a directory", "name a file in it", err);
    if (strlen(name) > NAME_MAX || strlen(file->path) >= PATH_MAX)
        return refuse(file, ENAMETOOLONG, "it can't be made", "name it shorter", err);
    memcpy(file->name, name, strlen(name) + 1);
    file->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir < 0)
        return refuse(file, errno, "its folder can't be opened", "make the folder, or name another",
                      err);
    return 0;
}

static void choose_temporary(struct new_file *file)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) < 0)
        random = (uint64_t)getpid();
    snprintf(file->temporary, sizeof file->temporary, ".%.*s.%016" PRIx64, NAME_MAX - 18,
             file->name, random);
}

static int make(struct new_file *file, bool stays_open, struct error *err)
{
    choose_temporary(file);
    if (!stays_open)
        file->fd = openat(file->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        file->fd = openat(file->dir, file->temporary,
                          O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);
        file->has_name = file->fd >= 0;
    }
    if (file->fd < 0 || fchmod(file->fd, 0600) < 0) /* the umask may have taken more away */
        return refuse(file, errno, "no file can be made in its folder",
                      "see to the folder's rights and room, or name another", err);
    lock(file->fd, LOCK_SH);
    return 0;
}

int new_file_create(struct new_file *file, const char *path, bool stays_open, struct error *err)
{
    *file = (struct new_file){.path = path, .dir = -1, .fd = -1, .old = -1};
    if (open_folder(file, err) < 0 || check_old(file, err) < 0 || make(file, stays_open, err) < 0) {
        new_file_finish(file);
        return -1;
    }
    return 0;
}

int new_file_take_output(struct new_file *file, struct error *err)
{
    *file = (struct new_file){
        .path = "standard output", .is_stream = true, .dir = -1, .fd = -1, .old = -1};
    error_object(err, "standard output");
    if (isatty(STDOUT_FILENO)) {
        error_set(err, 0, "it is a terminal, and an image is no text");
        return error_todo(err, "lead it to a file or into a pipe");
    }
    file->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int flags = fcntl(file->fd, F_GETFL);
    if (file->fd < 0 || flags < 0) {
        error_set(err, errno, "it can't be written to");
        return error_todo(err, "lead it to a file or into a pipe");
    }
    /* Whoever writes an image waits for room. */
    file->is_unblocked = flags & O_NONBLOCK && fcntl(file->fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
    dup2(STDERR_FILENO, STDOUT_FILENO);
    return 0;
}

/* --- Its name --- */

/* Is what is to be replaced still what was looked at? */
static bool is_replaced(const struct new_file *file)
{
    struct stat now, then;
    return fstatat(file->dir, file->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(file->old, &then) == 0 && now.st_ino != then.st_ino;
}

static int give_temporary(struct new_file *file, const char *name)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, path, file->dir, name, AT_SYMLINK_FOLLOW);
}

static int rename_new(struct new_file *file)
{
    int result = renameat2(file->dir, file->temporary, file->dir, file->name, RENAME_NOREPLACE);
    if (result < 0 && (errno == EINVAL || errno == ENOSYS)) /* the filesystem can't do that */
        result = renameat(file->dir, file->temporary, file->dir, file->name);
    return result;
}

static int give_name(struct new_file *file)
{
    if (!file->has_name && file->old < 0)
        return give_temporary(file, file->name);
    if (!file->has_name && give_temporary(file, file->temporary) < 0)
        return -1;
    file->has_name = true;
    int result = file->old < 0 ? rename_new(file)
                               : renameat(file->dir, file->temporary, file->dir, file->name);
    file->has_name = result < 0;
    return result;
}

static bool can_sync(int error)
{
    return error != EINVAL && error != EROFS; /* pipes, sockets, some filesystems' folders */
}

int new_file_keep(struct new_file *file, struct error *err)
{
    if (fsync(file->fd) < 0 && can_sync(errno))
        return refuse(file, errno, "it can't be brought to the disk", "see to the disk", err);
    if (file->is_stream)
        return 0;
    if (file->old >= 0 && is_replaced(file))
        return refuse(file, 0, "somebody else has put another file in its place meanwhile",
                      "see what that is, or name another", err);
    if (give_name(file) < 0)
        return errno == EEXIST
                   ? refuse(file, 0, "somebody else has made a file of that name meanwhile",
                            "see what that is, or name another", err)
                   : refuse(file, errno, "it can't be given its name", "name another", err);
    if (fsync(file->dir) < 0 && can_sync(errno))
        return refuse(file, errno, "it is there, but its folder can't be brought to the disk",
                      "see to the disk", err);
    return 0;
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void new_file_finish(struct new_file *file)
{
    if (file->has_name)
        unlinkat(file->dir, file->temporary, 0);
    file->has_name = false;
    if (file->is_unblocked) /* others may have it open too */
        fcntl(file->fd, F_SETFL, fcntl(file->fd, F_GETFL) | O_NONBLOCK);
    file->is_unblocked = false;
    close_one(&file->fd);
    close_one(&file->old);
    close_one(&file->dir);
}
