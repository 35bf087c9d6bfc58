/* SPDX-License-Identifier: Apache-2.0 */
/* Makes its first call on a thread; at a line it forks, whatever that call has come to, and its
 * child makes the same call; at the next line it waits for the thread. Both say how many platforms
 * they see, each once. */
#include <CL/cl.h>

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 64 };

static unsigned count_platforms(void)
{
    cl_platform_id all[MOST];
    cl_uint count = 0;
    unsigned different = 0;
    if (clGetPlatformIDs(MOST, all, &count) != CL_SUCCESS)
        return 0;
    for (cl_uint i = 0; i < count; i++) {
        char name[256];
        cl_uint before = 0;
        while (all[before] != all[i])
            before++;
        different += before == i && clGetPlatformInfo(all[i], CL_PLATFORM_NAME, sizeof name, name,
                                                      NULL) == CL_SUCCESS;
    }
    return different == count ? count : MOST + different;
}

static void *ask_first(void *count)
{
    *(unsigned *)count = count_platforms();
    return NULL;
}

static void wait_for_line(void)
{
    int c;
    do
        c = getchar();
    while (c != '\n' && c != EOF);
}

int main(void)
{
    pthread_t thread;
    unsigned count = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_create(&thread, NULL, ask_first, &count);
    wait_for_line();
    pid_t child = fork();
    if (child == 0)
        return (int)count_platforms();
    int fate = 0;
    waitpid(child, &fate, 0);
    printf("child: %d\n", WIFEXITED(fate) ? WEXITSTATUS(fate) : -WTERMSIG(fate));
    wait_for_line();
    pthread_join(thread, NULL);
    printf("parent: %u\n", count);
    return 0;
}
