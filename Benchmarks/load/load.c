#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

// Time-outs and lost connections are looked at so often.
static const int64_t tick_ns = 100 * 1000 * 1000;

static const char *const error_names[error_kinds] = {
    [error_connect] = "connect",
    [error_connection] = "connection",
    [error_timeout] = "timeout",
    [error_unfinished] = "unfinished",
    [error_protocol] = "protocol",
    [error_status] = "status",
    [error_reset] = "reset",
    [error_goaway] = "goaway",
    [error_immediate] = "immediate",
    [error_answer] = "answer",
    [error_expected] = "expected",
};

int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * second_ns + time.tv_nsec;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

// MARK: Options

const char load_options_usage[] =
    "  --host ADDRESS      IPv4, default 127.0.0.1\n"
    "  --port N            required\n"
    "  --connections N     default 1\n"
    "  --concurrency N     under way at all times; with --rate at most, default 1,000\n"
    "  --rate R            start R in a second, at fixed times\n"
    "  --duration SECONDS  default 10, unless the number is given\n"
    "  --warmup SECONDS    not measured, before the duration; default 0\n"
    "  --timeout SECONDS   one that is not answered by then has failed; default 10\n"
    "  --expect TEXT       bytes that an answer must hold\n"
    "  --json              the report as one line of JSON\n";

LoadOptions load_defaults(void) {
    LoadOptions options = {.connections = 1, .timeout_seconds = 10};
    options.server.sin_family = AF_INET;
    options.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return options;
}

static bool number(const char *text, double least, double most, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= least && *value <= most;
}

bool load_option(LoadOptions *options, char **arguments, int count, int *index) {
    const char *name = arguments[*index];
    if (strcmp(name, "--json") == 0) return options->json = true;
    if (*index + 1 == count) return false;
    const char *value = arguments[++*index];
    double parsed = 0;
    if (strcmp(name, "--host") == 0) return inet_pton(AF_INET, value, &options->server.sin_addr) == 1;
    if (strcmp(name, "--expect") == 0) return (options->expected = value) != NULL;
    if (strcmp(name, "--port") == 0) {
        bool is_right = number(value, 1, 65535, &parsed);
        options->server.sin_port = htons((uint16_t)parsed);
        return is_right;
    }
    if (strcmp(name, "--connections") == 0) {
        bool is_right = number(value, 1, 10000, &parsed);
        options->connections = (uint32_t)parsed;
        return is_right;
    }
    if (strcmp(name, "--concurrency") == 0) {
        bool is_right = number(value, 1, 100000, &parsed);
        options->concurrency = (uint32_t)parsed;
        return is_right;
    }
    if (strcmp(name, "--rate") == 0) return number(value, 0.001, 1e7, &options->rate);
    if (strcmp(name, "--duration") == 0) return number(value, 0.001, 1e6, &options->seconds);
    if (strcmp(name, "--warmup") == 0) return number(value, 0, 1e6, &options->warmup_seconds);
    if (strcmp(name, "--timeout") == 0) return number(value, 0.001, 1e6, &options->timeout_seconds);
    return false;
}

const char *load_complete(LoadOptions *options) {
    if (options->server.sin_port == 0) return "--port is missing";
    if (options->concurrency == 0) options->concurrency = options->rate > 0 ? 1000 : options->connections;
    if (options->seconds == 0 && options->requests == 0) options->seconds = 10;
    return NULL;
}

// MARK: A run

static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

bool load_is_interrupted(void) { return interrupted; }

static int64_t due_at(const Load *load, uint64_t request) {
    return load->began + (int64_t)((double)request * 1e9 / load->options->rate);
}

void load_prepare(Load *load, const LoadOptions *options, const char *unit) {
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    // The kernel wakes a sleeper up to 50 µs late to save power, half the time between two of 10,000 a second.
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);

    *load = (Load){.options = options, .unit = unit, .limit = UINT64_MAX, .ends = INT64_MAX};
}

void load_begin(Load *load) {
    const LoadOptions *options = load->options;
    load->began = load->last_end = load->last_progress = now_ns();
    load->measured_from = load->began + (int64_t)(options->warmup_seconds * (double)second_ns);
    if (options->seconds > 0) load->ends = load->measured_from + (int64_t)(options->seconds * (double)second_ns);
    if (options->rate > 0) {
        // Every request's time is known, so that those that never start can be counted too.
        uint64_t measured = options->seconds > 0 ? (uint64_t)ceil(options->rate * options->seconds) : options->requests;
        if (options->requests > 0 && options->requests < measured) measured = options->requests;
        uint64_t warmup = (uint64_t)ceil(options->rate * options->warmup_seconds);
        load->limit = warmup + measured;
        load->measured_from = due_at(load, warmup);
        load->ends = due_at(load, load->limit);
    }
    load->cpu_at_start = cpu_seconds();
}

static bool is_measured(const Load *load, int64_t due) { return due >= load->measured_from; }

bool load_has_started_all(const Load *load, int64_t now) {
    if (interrupted || load->started >= load->limit) return true;
    return load->options->rate == 0 && now >= load->ends;
}

bool load_is_due(Load *load, int64_t now, int64_t *due) {
    if (load_has_started_all(load, now)) return false;
    *due = load->options->rate > 0 ? due_at(load, load->started) : now;
    if (*due > now) return false;
    if (load->under_way < load->options->concurrency) return true;
    load_held_up(load);
    return false;
}

void load_started(Load *load, int64_t due) {
    // With the first that is measured it is known with how many a closed loop is over.
    if (load->limit == UINT64_MAX && load->options->requests > 0 && is_measured(load, due))
        load->limit = load->started + load->options->requests;
    load->started++;
    load->under_way++;
    load->is_held_up = false;
    if (due > load->last_progress) load->last_progress = due;
}

void load_held_up(Load *load) {
    if (load->is_held_up || load->options->rate == 0) return;
    load->is_held_up = true;
    if (is_measured(load, due_at(load, load->started))) load->delayed++;
}

void load_finished(Load *load, int64_t due, int64_t now) {
    load->under_way--;
    load->last_progress = now;
    if (!is_measured(load, due)) {
        // What warming up cost is not measured either.
        if (now < load->measured_from) load->cpu_at_start = cpu_seconds();
        return;
    }
    histogram_add(&load->latencies, now > due ? (uint64_t)(now - due) : 0);
    load->last_end = now;
}

void load_failed(Load *load, int64_t due, int64_t now, ErrorKind kind) {
    load->under_way--;
    load->last_progress = now;
    load_error(load, kind);
    if (is_measured(load, due)) load->last_end = now;
}

// A failure while warming up is as much of a failure.
void load_error(Load *load, ErrorKind kind) { load->errors[kind]++; }

int64_t load_wait(const Load *load, int64_t now) {
    if (load->options->rate == 0 || load->is_held_up || load_has_started_all(load, now)) return tick_ns;
    int64_t wait = due_at(load, load->started) - now;
    return wait < 0 ? 0 : wait < tick_ns ? wait : tick_ns;
}

bool load_is_over(Load *load, int64_t now) {
    if (interrupted) return true;
    if (load->under_way == 0 && load_has_started_all(load, now)) return true;
    // A closed loop in which nothing starts or ends has no server left.
    int64_t waits_from = load->options->rate > 0 ? load->ends : load->last_progress;
    int64_t patience = (int64_t)(load->options->timeout_seconds * (double)second_ns) + 2 * tick_ns;
    if (now < waits_from + patience) return false;
    load->errors[error_unfinished] += load->under_way;
    if (load->limit < UINT64_MAX) load->errors[error_unfinished] += load->limit - load->started;
    load->last_end = now;
    return true;
}

// MARK: The report

int load_report(const Load *load, const char *more) {
    const Histogram *latencies = &load->latencies;
    double seconds = (double)(load->last_end - load->measured_from) / 1e9;
    if (seconds < 0 || latencies->count == 0) seconds = 0;
    double rate = seconds > 0 ? (double)latencies->count / seconds : 0;
    double cpu = cpu_seconds() - load->cpu_at_start;
    uint64_t failed = 0;
    for (int kind = 0; kind < error_kinds; kind++) failed += load->errors[kind];

    static const struct {
        const char *name, *title;
        double share;
    } quantiles[] = {{"p50", "p50", 0.5}, {"p90", "p90", 0.9}, {"p99", "p99", 0.99}, {"p999", "p99.9", 0.999},
                     {"max", "max", 1}};
    enum { quantile_count = sizeof quantiles / sizeof quantiles[0] };
    double us[quantile_count];
    for (int index = 0; index < quantile_count; index++)
        us[index] = (double)histogram_quantile(latencies, quantiles[index].share) / 1e3;

    if (load->options->json) {
        printf("{\"%s\": %llu, \"seconds\": %.6f, \"per_second\": %.2f", load->unit,
            (unsigned long long)latencies->count, seconds, rate);
        for (int index = 0; index < quantile_count; index++)
            printf(", \"%s_us\": %.1f", quantiles[index].name, us[index]);
        printf(", \"errors\": {");
        const char *comma = "";
        for (int kind = 0; kind < error_kinds; kind++) {
            if (load->errors[kind] == 0) continue;
            printf("%s\"%s\": %llu", comma, error_names[kind], (unsigned long long)load->errors[kind]);
            comma = ", ";
        }
        printf("}, \"delayed\": %llu, \"connections_opened\": %llu, \"cpu_seconds\": %.3f, \"interrupted\": %s%s}\n",
            (unsigned long long)load->delayed, (unsigned long long)load->connections_opened, cpu,
            interrupted ? "true" : "false", more);
    } else {
        printf("%llu %s in %.2f s, %.0f/s; latency ms", (unsigned long long)latencies->count, load->unit, seconds,
            rate);
        for (int index = 0; index < quantile_count; index++)
            printf("  %s %.3f", quantiles[index].title, us[index] / 1e3);
        printf("\n%llu delayed, %llu connections opened, %.2f s of own CPU time; errors: %llu",
            (unsigned long long)load->delayed, (unsigned long long)load->connections_opened, cpu,
            (unsigned long long)failed);
        for (int kind = 0; kind < error_kinds; kind++)
            if (load->errors[kind] > 0) printf(", %s %llu", error_names[kind], (unsigned long long)load->errors[kind]);
        printf("\n");
    }
    fflush(stdout);
    return failed > 0 ? 1 : interrupted ? 130 : 0;
}

// MARK: Files and sockets

uint8_t *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    size_t capacity = 0;
    *length = 0;
    while (file != NULL && !feof(file) && !ferror(file)) {
        capacity = capacity == 0 ? 64 * 1024 : capacity * 2;
        uint8_t *grown = realloc(bytes, capacity);
        if (grown == NULL) break;
        bytes = grown;
        *length += fread(bytes + *length, 1, capacity - *length, file);
    }
    if (file == NULL || ferror(file) || !feof(file)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    fclose(file);
    return bytes;
}

int connect_to(const struct sockaddr_in *server) {
    int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0) return -1;
    int on = 1;
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(made, (const struct sockaddr *)server, sizeof *server) == 0 || errno == EINPROGRESS) return made;
    close(made);
    return -1;
}

int poll_for(int poll, struct epoll_event *events, int count, int64_t wait) {
    struct timespec timeout = {.tv_sec = wait / second_ns, .tv_nsec = wait % second_ns};
    int happened = epoll_pwait2(poll, events, count, &timeout, NULL);
    if (happened < 0 && errno != EINTR) {
        perror("epoll_pwait2");
        exit(1);
    }
    return happened < 0 ? 0 : happened;
}
