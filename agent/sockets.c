/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a machine: see sockets.h. Unix ones by sock_diag(7), which alone tells the peer.
 */
#include "agent/sockets.h"

#include <inttypes.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ESTABLISHED = 1, LISTEN = 10, CLOSED = 7 }; /* states of TCP, which Unix sockets borrow */

static int ask(void)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } question = {
        .header = {.nlmsg_len = sizeof question,
                   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .request = {.sdiag_family = AF_UNIX,
                    .udiag_states = 1 << ESTABLISHED,
                    .udiag_show = UDIAG_SHOW_PEER},
    };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd >= 0 && send(fd, &question, sizeof question, 0) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void add(struct unix_link **list, size_t *count, struct unix_link link)
{
    struct unix_link *longer = realloc(*list, (*count + 1) * sizeof *longer);
    if (!longer)
        return;
    *list = longer;
    longer[(*count)++] = link;
}

static void take(const struct nlmsghdr *message, struct unix_link **list, size_t *count)
{
    const struct unix_diag_msg *diag = NLMSG_DATA(message);
    int left = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof *diag));
    for (struct rtattr *part = (struct rtattr *)(diag + 1); RTA_OK(part, left);
         part = RTA_NEXT(part, left)) {
        uint32_t peer;
        if (part->rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD(part) < sizeof peer)
            continue;
        memcpy(&peer, RTA_DATA(part), sizeof peer);
        add(list, count, (struct unix_link){.inode = diag->udiag_ino, .peer = peer});
    }
}

/* All messages of one answer; false after the last. */
static bool take_all(char *answer, size_t left, struct unix_link **list, size_t *count)
{
    while (left >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr *message = (struct nlmsghdr *)answer;
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR ||
            message->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)) ||
            message->nlmsg_len > left)
            return false;
        take(message, list, count);
        size_t size = NLMSG_ALIGN(message->nlmsg_len);
        size = size < left ? size : left;
        answer += size;
        left -= size;
    }
    return true;
}

size_t sockets_list_unix(struct unix_link **list)
{
    size_t count = 0;
    ssize_t size;
    int fd = ask();
    *list = NULL;
    do {
        _Alignas(struct nlmsghdr) char answer[32768];
        size = fd < 0 ? -1 : recv(fd, answer, sizeof answer, 0);
        if (size > 0 && !take_all(answer, (size_t)size, list, &count))
            break;
    } while (size > 0);
    if (fd >= 0)
        close(fd);
    return count;
}

static void add_tcp(struct tcp_link **list, size_t *count, const char *line)
{
    unsigned port, state;
    uint64_t inode;
    /* sl local:port remote:port state queues timer retransmits uid timeout inode */
    if (sscanf(line, "%*s %*s %*[0-9A-Fa-f]:%x %x %*s %*s %*s %*s %*s %" SCNu64, &port, &state,
               &inode) != 3 ||
        state == LISTEN || state == CLOSED || !inode)
        return;
    struct tcp_link *longer = realloc(*list, (*count + 1) * sizeof *longer);
    if (!longer)
        return;
    *list = longer;
    longer[(*count)++] = (struct tcp_link){.inode = inode, .remote_port = port};
}

size_t sockets_list_tcp(pid_t pid, struct tcp_link **list)
{
    static const char *const files[] = {"tcp", "tcp6"};
    size_t count = 0;
    *list = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64], line[512];
        snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, files[i]);
        FILE *file = fopen(path, "re");
        while (file && fgets(line, sizeof line, file))
            add_tcp(list, &count, line);
        if (file)
            fclose(file);
    }
    return count;
}
