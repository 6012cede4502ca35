// A trace collector that takes all spans and keeps none, cheaper than any that would do something with them.
//
//   otlp-sink [PORT]     PORT 0, the default, picks a free one
//
// It prints "listening PORT" and serves until it is ended. A POST is an ExportTraceServiceRequest of OTLP/HTTP in
// protobuf, uncompressed and framed by its content-length; it gets 200 and an empty body, which is an
// ExportTraceServiceResponse without a complaint. GET /counts tells what came so far, as JSON:
//
//   {"requests":N,"bytes":N,"spans":N}
//
// Spans are counted by walking over the lengths that the message holds; nothing within a span is looked at. One thread:
// a process that exports has a connection or two.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    // What one recv() may bring.
    read_size = 256 * 1024,
    head_limit = 64 * 1024,
    // A batch of 512 spans is some 200 KB.
    body_limit = 64 * 1024 * 1024,
    event_batch = 64,
};

static uint64_t requests, bytes_received, spans_received;

// MARK: Spans in a message

// Reads a protobuf varint; false if the bytes end within it or it has more than 64 bits.
static bool read_varint(const uint8_t **next, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (*next == end) return false;
        uint8_t byte = *(*next)++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

// The fields that lead to a span, all length-delimited: ExportTraceServiceRequest.resource_spans,
// ResourceSpans.scope_spans, ScopeSpans.spans (opentelemetry-proto 1.x).
static const uint64_t path[] = {1, 2, 2};
enum { path_length = sizeof path / sizeof path[0] };

// Adds the spans below one message to `count`; false if the bytes are no protobuf message.
static bool count_spans(const uint8_t *next, const uint8_t *end, int depth, uint64_t *count) {
    while (next < end) {
        uint64_t key, length;
        if (!read_varint(&next, end, &key)) return false;
        switch (key & 7) {
            case 0:
                if (!read_varint(&next, end, &length)) return false;
                continue;
            case 1: length = 8; break;
            case 2:
                if (!read_varint(&next, end, &length)) return false;
                break;
            case 5: length = 4; break;
            default: return false;
        }
        if (length > (uint64_t)(end - next)) return false;
        if ((key & 7) == 2 && key >> 3 == path[depth]) {
            if (depth == path_length - 1) {
                *count += 1;
            } else if (!count_spans(next, next + length, depth + 1, count)) {
                return false;
            }
        }
        next += length;
    }
    return true;
}

// MARK: One connection

typedef struct {
    int socket;
    // What has come of requests that are not yet answered.
    char *held;
    size_t held_length, held_capacity;
} Connection;

typedef enum { connection_lives, connection_ended } Fate;

// Answers are shorter than any socket's buffer, so that one send() takes them whole.
static Fate answer(Connection *connection, const char *status, const char *type, const char *body) {
    char bytes[512];
    int length = snprintf(bytes, sizeof bytes, "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n\r\n%s",
        status, type, strlen(body), body);
    ssize_t sent = send(connection->socket, bytes, (size_t)length, MSG_NOSIGNAL);
    return sent == length ? connection_lives : connection_ended;
}

static Fate answer_counts(Connection *connection) {
    char body[128];
    snprintf(body, sizeof body, "{\"requests\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"spans\":%" PRIu64 "}", requests,
        bytes_received, spans_received);
    return answer(connection, "200 OK", "application/json", body);
}

static Fate take(Connection *connection, const char *body, size_t length) {
    uint64_t spans = 0;
    if (!count_spans((const uint8_t *)body, (const uint8_t *)body + length, 0, &spans))
        return answer(connection, "400 Bad Request", "text/plain", "no ExportTraceServiceRequest");
    requests += 1;
    bytes_received += length;
    spans_received += spans;
    return answer(connection, "200 OK", "application/x-protobuf", "");
}

// The content-length of a head that ends at `end`, or -1 without one.
static int64_t content_length(const char *line, const char *end) {
    static const char name[] = "content-length:";
    while (line < end) {
        if (strncasecmp(line, name, sizeof name - 1) == 0) return strtoll(line + sizeof name - 1, NULL, 10);
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) break;
        line = line_end + 1;
    }
    return -1;
}

// Answers the whole requests that are held, in order; what is left stays held.
static Fate answer_held(Connection *connection) {
    char *next = connection->held, *end = connection->held + connection->held_length;
    Fate fate = connection_lives;
    while (next < end && fate == connection_lives) {
        char *head_end = memmem(next, (size_t)(end - next), "\r\n\r\n", 4);
        if (head_end == NULL) {
            if (end - next > head_limit) return connection_ended;
            break;
        }
        char *body = head_end + 4;
        bool is_post = strncmp(next, "POST ", 5) == 0;
        int64_t length = content_length(next, head_end);
        if (is_post && length < 0) {
            answer(connection, "411 Length Required", "text/plain", "");
            return connection_ended;
        }
        if (length > body_limit) {
            answer(connection, "413 Content Too Large", "text/plain", "");
            return connection_ended;
        }
        if (length < 0) length = 0;
        if (end - body < length) break;
        if (is_post) {
            fate = take(connection, body, (size_t)length);
        } else if (strncmp(next, "GET /counts ", 12) == 0) {
            fate = answer_counts(connection);
        } else {
            fate = answer(connection, "404 Not Found", "text/plain", "");
        }
        next = body + length;
    }
    connection->held_length = (size_t)(end - next);
    memmove(connection->held, next, connection->held_length);
    return fate;
}

static Fate receive(Connection *connection) {
    size_t wanted = connection->held_length + read_size + 1;
    if (wanted > connection->held_capacity) {
        char *held = realloc(connection->held, wanted * 2);
        if (held == NULL) return connection_ended;
        connection->held = held;
        connection->held_capacity = wanted * 2;
    }
    ssize_t count = recv(connection->socket, connection->held + connection->held_length, read_size, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? connection_lives : connection_ended;
    if (count == 0) return connection_ended;
    connection->held_length += (size_t)count;
    // So that no number is read past the bytes.
    connection->held[connection->held_length] = '\0';
    return answer_held(connection);
}

// MARK: Serving

static int listener;

static void accept_all(int poll) {
    while (true) {
        int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) return;
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *connection = calloc(1, sizeof *connection);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (connection == NULL || epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event) != 0) {
            perror("otlp-sink");
            exit(1);
        }
        connection->socket = socket;
    }
}

static int serve(void) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event accepting = {.events = EPOLLIN, .data.ptr = NULL};
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &accepting) != 0) {
        perror("otlp-sink");
        return 1;
    }
    struct epoll_event events[event_batch];
    while (true) {
        int count = epoll_wait(poll, events, event_batch, -1);
        for (int index = 0; index < count; index++) {
            Connection *connection = events[index].data.ptr;
            if (connection == NULL) {
                accept_all(poll);
            } else if (receive(connection) == connection_ended) {
                close(connection->socket);
                free(connection->held);
                free(connection);
            }
        }
    }
}

int main(int count, char **arguments) {
    char *end = "";
    long port = count > 1 ? strtol(arguments[1], &end, 10) : 0;
    if (count > 2 || *end != '\0' || port < 0 || port > 65535) {
        fprintf(stderr, "usage: otlp-sink [PORT]\n");
        return 2;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    socklen_t length = sizeof address;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("otlp-sink: cannot listen");
        return 1;
    }
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return serve();
}
