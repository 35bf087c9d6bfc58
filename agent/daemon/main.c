/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl-agent`: suspends and resumes all programs of a guest when its host asks. */
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/listener.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/phases.h"
#include "agent/daemon/port.h"
#include "agent/report.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_port[] = "/dev/virtio-ports/org.shadowcl.agent.0";
static const char default_hooks[] = "/etc/shadowcl/hooks.d";
static const double default_hook_timeout = 30, default_process_timeout = 120;
static const double longest_timeout = 86400;

const char *argp_program_version = "shadowcl-agent " SHADOWCL_VERSION;

static const struct argp_option options[] = {
    {"port", 'p', "PATH", 0,
     "A character device with the host at its other end; by default "
     "/dev/virtio-ports/org.shadowcl.agent.0 where no channel is named",
     0},
    {"socket", 's', "PATH", 0, "Listen on a Unix socket, for root and this user", 0},
    {"hooks", 'k', "DIR", 0, "Where the hooks are; /etc/shadowcl/hooks.d by default", 0},
    {"hook-timeout", 't', "SEC", 0, "What each hook may take, 30 by default", 0},
    {"process-timeout", 'w', "SEC", 0,
     "What a process may take beyond the deadline of a suspend, to copy contents and let go, 120 "
     "by "
     "default",
     0},
    {"runtime-dir", 'r', "DIR", 0, "Where programs listen, instead of the usual places", 0},
    {"log", 'l', "FILE", 0, "Append messages to FILE instead of standard error", 0},
    {0}};

static void add_channel(const char **list, size_t *count, const char *path,
                        struct argp_state *state)
{
    if (!*path || *count == SETTINGS_MOST_CHANNELS)
        argp_error(state, "`%s`: %s", path, *path ? "too many channels" : "a path is missing");
    list[(*count)++] = path;
}

static double parse_seconds(const char *name, const char *text, struct argp_state *state)
{
    char *end;
    double seconds = strtod(text, &end);
    if (!*text || *end || !isfinite(seconds) || seconds <= 0 || seconds > longest_timeout)
        argp_error(state, "--%s: `%s` is not a number of seconds above 0 and up to %.0f", name,
                   text, longest_timeout);
    return seconds;
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case 'p':
        add_channel(settings->ports, &settings->num_ports, text, state);
        return 0;
    case 's':
        add_channel(settings->sockets, &settings->num_sockets, text, state);
        return 0;
    case 'k':
        settings->hooks = text;
        return 0;
    case 't':
        settings->hook_timeout = parse_seconds("hook-timeout", text, state);
        return 0;
    case 'w':
        settings->process_timeout = parse_seconds("process-timeout", text, state);
        return 0;
    case 'r':
        if (!*text || setenv("SHADOWCL_RUNTIME_DIR", text, 1) < 0)
            argp_error(state, "--runtime-dir: a directory is missing");
        return 0;
    case 'l':
        settings->log = text;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "`%s` is too much: there is nothing to name", text);
        return 0;
    case ARGP_KEY_END:
        if (!settings->num_ports && !settings->num_sockets)
            settings->ports[settings->num_ports++] = default_port;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse_one,
    NULL,
    "Suspend and resume the OpenCL programs of this machine when its host asks: lines of JSON over "
    "a virtio-serial port, any other character device or a Unix socket."
    "\v"
    "Stays in the foreground. Exit codes: 0 ended by SIGTERM or SIGINT; 1 it can't work, the "
    "message says why; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

/* The whole of it: what is on the loop, and what ends it. */
struct daemon {
    struct agent agent;
    struct port *ports[SETTINGS_MOST_CHANNELS];
    struct listener *listeners[SETTINGS_MOST_CHANNELS];
    uv_signal_t term, interrupt;
    uv_timer_t leave;
};

/* A command at work is withdrawn and undone first; a resume comes to its end. */
static void leave_when_done(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    if (daemon->agent.jobs.alone)
        job_cancel(daemon->agent.jobs.alone);
    else
        uv_stop(daemon->agent.loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    logbook_write("signal %d: ending", number);
    uv_timer_start(&daemon->leave, leave_when_done, 0, 100);
}

static void read_boot_id(char *out, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file || !fgets(out, (int)size, file))
        snprintf(out, size, "unknown");
    if (file)
        fclose(file);
    out[strcspn(out, "\n")] = 0;
}

static int open_channels(struct daemon *daemon, struct error *err)
{
    struct agent *agent = &daemon->agent;
    for (size_t i = 0; i < agent->settings.num_sockets; i++)
        if (listener_open(&daemon->listeners[i], agent, agent->settings.sockets[i], err) < 0)
            return -1;
    for (size_t i = 0; i < agent->settings.num_ports; i++) {
        daemon->ports[i] = port_create(agent, agent->settings.ports[i]);
        if (!daemon->ports[i])
            return error_set(err, ENOMEM, "no port can be opened");
    }
    return 0;
}

static void watch_signals(struct daemon *daemon)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(daemon->agent.loop, &daemon->term);
    uv_signal_init(daemon->agent.loop, &daemon->interrupt);
    uv_timer_init(daemon->agent.loop, &daemon->leave);
    daemon->term.data = daemon->interrupt.data = daemon->leave.data = daemon;
    uv_signal_start(&daemon->term, on_signal, SIGTERM);
    uv_signal_start(&daemon->interrupt, on_signal, SIGINT);
}

/* What an agent before has left. */
static int take_over(struct agent *agent, struct error *err)
{
    enum agent_state found = agent->mark.state;
    if (found == STATE_RUNNING)
        return 0;
    logbook_write("an agent before ended while %s", agent_state_name(found));
    if (found == STATE_SUSPENDING)
        command_recover(agent);
    return found == STATE_RESUMING ? agent_set_state(agent, STATE_SUSPENDED, err) : 0;
}

static int start(struct daemon *daemon, struct error *err)
{
    struct agent *agent = &daemon->agent;
    agent->loop = uv_default_loop();
    read_boot_id(agent->boot, sizeof agent->boot);
    if (logbook_open(agent->settings.log, err) < 0 ||
        mark_start(&agent->mark, agent->boot, err) < 0)
        return -1;
    report_notes_to(logbook_note);
    journal_open(&agent->journal, agent->mark.home);
    if (jobs_start(agent) < 0 || watch_start(agent) < 0)
        return error_set(err, ENOMEM, "the agent can't start");
    phases_start(agent);
    watch_signals(daemon);
    if (take_over(agent, err) < 0 || open_channels(daemon, err) < 0)
        return -1;
    logbook_write("shadowcl-agent %s: started, state %s, runtime directory `%s`", SHADOWCL_VERSION,
                  agent_state_name(agent->mark.state), agent->mark.home);
    return 0;
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    struct error err = {0};
    argp_err_exit_status = 2;
    setenv("UV_THREADPOOL_SIZE", "8", 1); /* more than JOBS_MOST_READING */
    daemon.agent.settings.hooks = default_hooks;
    daemon.agent.settings.hook_timeout = default_hook_timeout;
    daemon.agent.settings.process_timeout = default_process_timeout;
    argp_parse(&argp, argc, argv, 0, NULL, &daemon.agent.settings);
    if (start(&daemon, &err) < 0) {
        logbook_error("shadowcl-agent", &err);
        return 1;
    }
    uv_run(daemon.agent.loop, UV_RUN_DEFAULT);
    for (size_t i = 0; i < SETTINGS_MOST_CHANNELS; i++) {
        listener_close(daemon.listeners[i]);
        port_destroy(daemon.ports[i]);
    }
    channels_close(&daemon.agent.channels);
    logbook_write("ended, state %s", agent_state_name(daemon.agent.mark.state));
    return 0;
}
