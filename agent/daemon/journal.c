/* SPDX-License-Identifier: Apache-2.0 */
/* The latest answers that carried an id: see journal.h. */
#include "agent/daemon/journal.h"

#include "agent/daemon/logbook.h"
#include "agent/marks.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const size_t most_bytes = 32 << 20;

static void file_name(char *out, size_t size)
{
    snprintf(out, size, "agent.%u.json", (unsigned)geteuid());
}

static int open_directory(const struct journal *journal)
{
    return open(journal->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool is_entry(const json_t *entry)
{
    return json_array_size(entry) == 3 && json_is_string(json_array_get(entry, 0)) &&
           json_is_string(json_array_get(entry, 1)) && json_is_object(json_array_get(entry, 2));
}

void journal_open(struct journal *journal, const char *directory)
{
    char name[64];
    *journal = (struct journal){.directory = directory, .entries = json_array()};
    int fd = open_directory(journal);
    if (fd < 0)
        return;
    file_name(name, sizeof name);
    json_t *content = marks_read(fd, name, most_bytes);
    for (size_t i = 0; i < json_array_size(content); i++)
        if (is_entry(json_array_get(content, i)))
            json_array_append(journal->entries, json_array_get(content, i));
    while (json_array_size(journal->entries) > JOURNAL_ANSWERS)
        json_array_remove(journal->entries, 0);
    json_decref(content);
    close(fd);
}

void journal_close(struct journal *journal)
{
    json_decref(journal->entries);
    journal->entries = NULL;
}

static void write_out(const struct journal *journal)
{
    char name[64];
    struct error err = {0};
    int fd = open_directory(journal);
    file_name(name, sizeof name);
    if (fd < 0 || marks_write(fd, name, journal->entries, &err) < 0)
        logbook_error("the latest answers are lost when the agent is started again", &err);
    if (fd >= 0)
        close(fd);
}

void journal_add(struct journal *journal, const char *key, const char *request, json_t *reply)
{
    json_array_append_new(journal->entries, json_pack("[s, s, O]", key, request, reply));
    if (json_array_size(journal->entries) > JOURNAL_ANSWERS)
        json_array_remove(journal->entries, 0);
    write_out(journal);
}

json_t *journal_find(const struct journal *journal, const char *key, const char **request)
{
    for (size_t i = json_array_size(journal->entries); i-- > 0;) {
        const json_t *entry = json_array_get(journal->entries, i);
        if (strcmp(json_string_value(json_array_get(entry, 0)), key))
            continue;
        *request = json_string_value(json_array_get(entry, 1));
        return json_array_get(entry, 2);
    }
    return NULL;
}
