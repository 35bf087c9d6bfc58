/* SPDX-License-Identifier: Apache-2.0 */
/* The build-id of a library or program: see build_id.h. */
#include "agent/build_id.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_HEADERS = 256, MAX_NOTES = 4096 };

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

static bool find_in(const unsigned char *notes, size_t size, char out[BUILD_ID_TEXT])
{
    Elf64_Nhdr note;
    for (size_t at = 0; at + sizeof note <= size;) {
        memcpy(&note, notes + at, sizeof note);
        size_t start = at + sizeof note + padded(note.n_namesz);
        if (start > size || note.n_descsz > size - start)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            !memcmp(notes + at + sizeof note, "GNU", 4) && note.n_descsz * 2 < BUILD_ID_TEXT) {
            for (size_t i = 0; i < note.n_descsz; i++)
                snprintf(out + 2 * i, 3, "%02x", notes[start + i]);
            return true;
        }
        at = start + padded(note.n_descsz);
    }
    return false;
}

static bool read_from(int fd, char out[BUILD_ID_TEXT])
{
    Elf64_Ehdr elf;
    unsigned char notes[MAX_NOTES];
    if (pread(fd, &elf, sizeof elf, 0) != (ssize_t)sizeof elf ||
        memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (int i = 0; i < elf.e_phnum && i < MAX_HEADERS; i++) {
        Elf64_Phdr header;
        off_t at = (off_t)(elf.e_phoff + (uint64_t)i * elf.e_phentsize);
        if (pread(fd, &header, sizeof header, at) != (ssize_t)sizeof header)
            return false;
        if (header.p_type != PT_NOTE)
            continue;
        size_t size = header.p_filesz < sizeof notes ? header.p_filesz : sizeof notes;
        ssize_t got = pread(fd, notes, size, (off_t)header.p_offset);
        if (got > 0 && find_in(notes, (size_t)got, out))
            return true;
    }
    return false;
}

bool build_id_read(const char *path, char out[BUILD_ID_TEXT])
{
    struct stat status;
    /* What is no file, a named pipe for instance, may never open or never have anything to read. */
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    bool found =
        fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && read_from(fd, out);
    if (fd >= 0)
        close(fd);
    return found;
}
