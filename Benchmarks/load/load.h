// What the load generators share: when a request starts, and what became of it.
//
// Without a rate the loop is closed: so many requests are under way at all times, and the next starts when one has
// ended. With a rate it is open: request i is due at i / rate whatever became of the others, and its latency counts
// from then. A request that finds every place taken waits, and its wait is part of its latency; none is left out.

#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"

typedef enum {
    error_connect,     // no connection could be made
    error_connection,  // the connection ended while the request was under way
    error_timeout,     // no answer in time
    error_unfinished,  // due or under way when the run gave up
    error_protocol,    // bytes that are no HTTP
    error_status,      // an HTTP status other than 200, or a stream that the server ended by itself
    error_reset,       // the server reset the stream
    error_goaway,      // a GOAWAY frame, and each stream that it refused
    error_immediate,   // an ImmediateResponse where the message should have been processed
    error_answer,      // an answer that is not the one to the message
    error_expected,    // an answer without the expected bytes
    error_kinds,
} ErrorKind;

typedef struct {
    struct sockaddr_in server;
    uint32_t connections;
    // 0: as many as are answered.
    double rate;
    // How many requests may be under way at most.
    uint32_t concurrency;
    double seconds, warmup_seconds, timeout_seconds;
    // How many are measured; 0: as many as `seconds` hold.
    uint64_t requests;
    const char *expected;
    bool json;
} LoadOptions;

typedef struct {
    const LoadOptions *options;
    // What the report calls a request.
    const char *unit;
    // Nanoseconds of CLOCK_MONOTONIC.
    int64_t began, measured_from, ends, last_end, last_progress;
    // Requests started so far, and, where it is known, with how many the run is over.
    uint64_t started, limit;
    uint32_t under_way;
    // The next request is due and has no place.
    bool is_held_up;

    // Of the requests that were due since `measured_from`:
    Histogram latencies;
    uint64_t errors[error_kinds];
    // Those that found no place when they were due.
    uint64_t delayed;

    uint64_t connections_opened;
    // CPU time of this process when the measurement began.
    double cpu_at_start;
} Load;

int64_t now_ns(void);

// Reads one option that every generator has; moves `index` to its last word. False: it is none of them, or its value
// is wrong.
bool load_option(LoadOptions *options, char **arguments, int count, int *index);
extern const char load_options_usage[];

// The options' defaults, and what of them does not go together: NULL, or what is wrong.
LoadOptions load_defaults(void);
const char *load_complete(LoadOptions *options);

// Makes a run that has not begun, but may count errors of connections.
void load_prepare(Load *load, const LoadOptions *options, const char *unit);
// Sets the clocks.
void load_begin(Load *load);

// Whether a request is to start now; `due` is when it should have. Then say which happened.
bool load_is_due(Load *load, int64_t now, int64_t *due);
void load_started(Load *load, int64_t due);
void load_held_up(Load *load);

void load_finished(Load *load, int64_t due, int64_t now);
void load_failed(Load *load, int64_t due, int64_t now, ErrorKind kind);
// An error of a connection, and of no request.
void load_error(Load *load, ErrorKind kind);

// How long to wait at most before something is due again.
int64_t load_wait(const Load *load, int64_t now);
// No request is to start any more.
bool load_has_started_all(const Load *load, int64_t now);
// Nothing is left to do, or too late to do it: what is still owed has been counted as unfinished.
bool load_is_over(Load *load, int64_t now);

// Set by SIGINT and SIGTERM: the run ends and reports what it has.
bool load_is_interrupted(void);

// Prints the figures, with `more` in the JSON as further members, each with a comma before it. Returns the exit status.
int load_report(const Load *load, const char *more);

// The whole file; ends the program with a message if it cannot be read.
uint8_t *read_file(const char *path, size_t *length);

// A connecting, non-blocking socket that sends at once; -1 on failure.
int connect_to(const struct sockaddr_in *server);

// Waits for events of `poll`, for at most `wait` nanoseconds.
struct epoll_event;
int poll_for(int poll, struct epoll_event *events, int count, int64_t wait);

#endif
