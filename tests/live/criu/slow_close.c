/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded: a connection takes half a second to be closed, as on a machine that does other things.
 */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int close(int fd);

int close(int fd)
{
    int listens = 1;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens)
        usleep(500000);
    return (int)syscall(SYS_close, fd);
}
