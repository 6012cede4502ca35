// Sends one HTTP/1.1 request over and over at fixed times, whatever becomes of the answers.
//
//   http-load --port N --request FILE [options]       --help prints them
//
// FILE is the same as chat.lua's: header lines "name: value", an empty line, and the body of a POST. wrk sends the next
// request of a connection after the answer to the last, so that a server that stalls is asked less; here the requests
// that were due meanwhile have waited, and their latency says so. A request goes to a connection that has none under
// way; when all have one, it waits for the first that gets free.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
    scratch_size = 256 * 1024,
    // An answer's head that does not end within this is none of ours.
    head_capacity = 16 * 1024,
    event_batch = 64,
};

// After a connection was lost, the next is tried so much later.
static const int64_t retry_ns = 100 * 1000 * 1000;

typedef enum {
    reads_head,
    reads_body,  // `left` bytes of it
    reads_chunk_size,
    reads_chunk,  // `left` bytes of it, its line end included
    reads_trailers,
} State;

typedef struct Connection {
    int socket;
    bool is_open, is_connected, is_busy, waits_to_write;
    int64_t retry_at;

    // Of the request under way:
    int64_t due;
    size_t sent;
    // Of its answer:
    State state;
    bool closes;
    uint64_t left;
    // The head, then each line of the chunked framing, as far as it has come.
    char held[head_capacity];
    size_t held_length;

    // Of the idle ones, the next.
    struct Connection *next_idle;
} Connection;

static LoadOptions options;
static Load load;
static uint8_t *request;
static size_t request_length;
static int poll;
static Connection *connections, *idle;
static bool has_met_server;

static void out_of_memory(const char *where) {
    perror(where);
    exit(1);
}

// MARK: The request, made once

static void make_request(const char *path) {
    size_t length;
    char *file = (char *)read_file(path, &length);
    char *body = memmem(file, length, "\n\n", 2);
    if (body == NULL) {
        fprintf(stderr, "http-load: %s has no empty line before the body\n", path);
        exit(1);
    }
    size_t head_length = (size_t)(body + 1 - file), body_length = length - head_length - 1;
    char *written;
    FILE *out = open_memstream(&written, &request_length);
    if (out == NULL) out_of_memory("open_memstream");
    fprintf(out, "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-length: %zu\r\n",
        ntohs(options.server.sin_port), body_length);
    for (const char *line = file; line < file + head_length;) {
        const char *end = memchr(line, '\n', (size_t)(file + head_length - line));
        fprintf(out, "%.*s\r\n", (int)(end - line), line);
        line = end + 1;
    }
    fprintf(out, "\r\n");
    fwrite(body + 2, 1, body_length, out);
    if (fclose(out) != 0) out_of_memory("fclose");
    request = (uint8_t *)written;
    free(file);
}

// MARK: Connections

static void watch(int operation, Connection *connection) {
    struct epoll_event event = {
        .events = EPOLLIN | (connection->waits_to_write ? EPOLLOUT : 0), .data.ptr = connection};
    if (epoll_ctl(poll, operation, connection->socket, &event) != 0) out_of_memory("epoll_ctl");
}

static void open_connection(Connection *connection) {
    connection->socket = connect_to(&options.server);
    if (connection->socket < 0) out_of_memory("http-load: socket");
    connection->is_open = connection->waits_to_write = true;
    connection->is_connected = connection->is_busy = false;
    watch(EPOLL_CTL_ADD, connection);
}

static void leave_idle(Connection *connection) {
    Connection **link = &idle;
    while (*link != NULL && *link != connection) link = &(*link)->next_idle;
    if (*link != NULL) *link = connection->next_idle;
}

// Ends the connection; what was under way on it has failed, and another takes its place after a while.
static void lose(Connection *connection, ErrorKind kind) {
    int64_t now = now_ns();
    if (!connection->is_connected) {
        if (!has_met_server) {
            fprintf(stderr, "http-load: no server at port %d\n", ntohs(options.server.sin_port));
            exit(1);
        }
        load_error(&load, error_connect);
    }
    if (connection->is_busy) {
        load_failed(&load, connection->due, now, kind);
    } else if (connection->is_connected) {
        leave_idle(connection);
    }
    close(connection->socket);
    connection->is_open = connection->is_busy = false;
    connection->retry_at = connection->is_connected ? now : now + retry_ns;
}

static void become_idle(Connection *connection) {
    connection->is_busy = false;
    connection->next_idle = idle;
    idle = connection;
}

// Sends what is left of the request, and waits for the socket to take the rest.
static void send_request(Connection *connection) {
    while (connection->is_busy && connection->sent < request_length) {
        ssize_t count =
            send(connection->socket, request + connection->sent, request_length - connection->sent, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) break;
            return lose(connection, error_connection);
        }
        connection->sent += (size_t)count;
    }
    bool must_wait = connection->is_busy && connection->sent < request_length;
    if (must_wait == connection->waits_to_write) return;
    connection->waits_to_write = must_wait;
    watch(EPOLL_CTL_MOD, connection);
}

static void start_request(Connection *connection, int64_t due) {
    connection->is_busy = true;
    connection->due = due;
    connection->sent = 0;
    connection->state = reads_head;
    connection->closes = false;
    connection->held_length = 0;
    send_request(connection);
}

// MARK: The answer

// Moves bytes to what is held until it ends with `end`; returns how many, or -1 when there is no room left.
static ssize_t hold_until(Connection *connection, const char *bytes, size_t length, const char *end, bool *is_whole) {
    size_t end_length = strlen(end), before = connection->held_length;
    size_t taken = length < head_capacity - before ? length : head_capacity - before;
    memcpy(connection->held + before, bytes, taken);
    // The end may have begun in what was here before.
    size_t from = before > end_length - 1 ? before - (end_length - 1) : 0;
    char *found = memmem(connection->held + from, before + taken - from, end, end_length);
    *is_whole = found != NULL;
    if (found == NULL) {
        connection->held_length += taken;
        return taken < length ? -1 : (ssize_t)taken;
    }
    connection->held_length = (size_t)(found - connection->held) + end_length;
    return (ssize_t)(connection->held_length - before);
}

static bool value_has(const char *line, const char *end, const char *word) {
    size_t length = strlen(word);
    for (; line + length <= end; line++)
        if (strncasecmp(line, word, length) == 0) return true;
    return false;
}

// Reads the answer's head; false: the request has failed.
static bool take_head(Connection *connection, size_t length, ErrorKind *why) {
    const char *head = connection->held, *end = head + length;
    const char *expected = options.expected;
    if (length < 13 || memcmp(head, "HTTP/1.1 ", 9) != 0) return false;
    *why = error_status;
    if (memcmp(head + 9, "200", 3) != 0) return false;
    *why = error_expected;
    if (expected != NULL && memmem(head, length, expected, strlen(expected)) == NULL) return false;
    bool has_length = false, is_chunked = false;
    for (const char *line = memchr(head, '\n', (size_t)(end - head)); line != NULL && ++line < end;) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) break;
        if (strncasecmp(line, "content-length:", 15) == 0) {
            connection->left = strtoull(line + 15, NULL, 10);
            has_length = true;
        } else if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
            is_chunked = value_has(line + 18, line_end, "chunked");
        } else if (strncasecmp(line, "connection:", 11) == 0) {
            connection->closes = value_has(line + 11, line_end, "close");
        }
        line = line_end;
    }
    *why = error_protocol;
    connection->state = is_chunked ? reads_chunk_size : reads_body;
    return has_length || is_chunked;
}

static void finish(Connection *connection) {
    load_finished(&load, connection->due, now_ns());
    if (!connection->closes) return become_idle(connection);
    connection->is_busy = false;
    close(connection->socket);
    connection->is_open = false;
    connection->retry_at = now_ns();
}

// Takes one part of an answer: its head, its body or a line or a chunk of it. Returns how many bytes that were, or -1
// when the answer is wrong; `is_whole` tells whether the part has come to its end.
static ssize_t take_part(Connection *connection, const char *bytes, size_t length, bool *is_whole, ErrorKind *why) {
    ssize_t taken;
    *why = error_protocol;
    if (connection->state == reads_body || connection->state == reads_chunk) {
        taken = (ssize_t)(connection->left < length ? connection->left : length);
        connection->left -= (uint64_t)taken;
        *is_whole = connection->left == 0;
        if (!*is_whole) return taken;
        if (connection->state == reads_body) {
            finish(connection);
        } else {
            connection->state = reads_chunk_size;
        }
        return taken;
    }
    taken = hold_until(connection, bytes, length, connection->state == reads_head ? "\r\n\r\n" : "\r\n", is_whole);
    if (taken < 0 || !*is_whole) return taken;
    size_t line_length = connection->held_length;
    connection->held_length = 0;
    if (connection->state == reads_head) return take_head(connection, line_length, why) ? taken : -1;
    if (connection->state == reads_chunk_size) {
        char *digits_end;
        uint64_t size = strtoull(connection->held, &digits_end, 16);
        if (digits_end == connection->held || size > UINT32_MAX) return -1;
        connection->left = size + 2;
        connection->state = size > 0 ? reads_chunk : reads_trailers;
    } else if (line_length == 2) {
        finish(connection);
    }
    return taken;
}

// Takes the bytes of an answer as they come.
static void take(Connection *connection, const char *bytes, size_t length) {
    while (connection->is_busy) {
        bool is_whole;
        ErrorKind why;
        ssize_t taken = take_part(connection, bytes, length, &is_whole, &why);
        if (taken < 0) return lose(connection, why);
        if (!is_whole) return;
        bytes += taken;
        length -= (size_t)taken;
    }
    if (length == 0 || !connection->is_open) return;
    // More than was asked for.
    load_error(&load, error_protocol);
    lose(connection, error_protocol);
}

static void handle(Connection *connection, uint32_t events) {
    static char scratch[scratch_size];
    if (!connection->is_connected && events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) {
        connection->is_connected = has_met_server = true;
        load.connections_opened++;
        become_idle(connection);
    }
    if (events & EPOLLOUT) send_request(connection);
    if (!connection->is_open || !(events & (EPOLLIN | EPOLLERR | EPOLLHUP))) return;
    ssize_t count = recv(connection->socket, scratch, sizeof scratch, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return lose(connection, error_connection);
    take(connection, scratch, (size_t)count);
}

// MARK: The load

static void start_due(int64_t now) {
    int64_t due;
    while (load_is_due(&load, now, &due)) {
        Connection *connection = idle;
        if (connection == NULL) return load_held_up(&load);
        idle = connection->next_idle;
        load_started(&load, due);
        start_request(connection, due);
    }
}

static void turn(int64_t wait) {
    struct epoll_event events[event_batch];
    int count = poll_for(poll, events, event_batch, wait);
    for (int index = 0; index < count; index++) handle(events[index].data.ptr, events[index].events);
    int64_t now = now_ns(), patience = (int64_t)(options.timeout_seconds * 1e9);
    for (uint32_t index = 0; index < options.connections; index++) {
        Connection *connection = &connections[index];
        if (connection->is_busy && now - connection->due > patience) lose(connection, error_timeout);
        if (!connection->is_open && now >= connection->retry_at) open_connection(connection);
    }
}

static int usage(const char *problem) {
    fprintf(stderr,
        "%s%susage: http-load --port N --request FILE [options]\n%s"
        "  --request FILE      headers, an empty line and the body; required\n"
        "  --requests N        how many requests are measured, instead of a duration\n",
        problem, *problem != '\0' ? "\n" : "", load_options_usage);
    return 2;
}

int main(int count, char **arguments) {
    const char *path = NULL;
    options = load_defaults();
    for (int index = 1; index < count; index++) {
        const char *name = arguments[index], *value = index + 1 < count ? arguments[index + 1] : "";
        if (strcmp(name, "--request") == 0 && *value != '\0') {
            path = value;
            index++;
        } else if (strcmp(name, "--requests") == 0 && (options.requests = strtoull(value, NULL, 10)) > 0) {
            index++;
        } else if (!load_option(&options, arguments, count, &index)) {
            return usage(strcmp(name, "--help") == 0 ? "" : name);
        }
    }
    // A connection has one request at a time.
    if (options.concurrency == 0 || options.concurrency > options.connections)
        options.concurrency = options.connections;
    const char *problem = load_complete(&options);
    if (path == NULL) problem = "--request is missing";
    if (problem != NULL) return usage(problem);
    make_request(path);
    connections = calloc(options.connections, sizeof *connections);
    poll = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || poll < 0) out_of_memory("http-load");

    load_prepare(&load, &options, "requests");
    for (uint32_t index = 0; index < options.connections; index++) open_connection(&connections[index]);
    int64_t until = now_ns() + (int64_t)(options.timeout_seconds * 1e9);
    while (load.connections_opened < options.connections && !load_is_interrupted() && now_ns() < until)
        turn(load_wait(&load, now_ns()));
    load_begin(&load);
    for (int64_t now = now_ns(); !load_is_over(&load, now); now = now_ns()) {
        start_due(now);
        turn(load_wait(&load, now));
    }
    return load_report(&load, "");
}
