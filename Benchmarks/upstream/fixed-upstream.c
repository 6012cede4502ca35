// A worker that answers every request with fixed bytes, cheaper than any router in front of it can be.
//
//   fixed-upstream [--threads N] [--host ADDRESS] [PORT]     PORT 0, the default, picks a free one
//
// It prints "listening PORT" and serves until it is ended. POST /v1/chat/completions gets one chat completion of about
// 600 bytes, or, if the body asks for "stream": true, a chunked event stream of 100 chunks of about 180 bytes, each
// given to the kernel by its own send(), as a worker does that writes a token when it has one. GET /v1/models,
// /health, /metrics and what routers ask of a worker when they register it are answered too; anything else gets {}.
//
// A request is parsed only as far as its end must be known (end of head, content-length or chunked) and no further:
// this is the load's far end in a benchmark on loopback, not a server for the world.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    // What one recv() may bring; a 16 KB request arrives in one.
    scratch_size = 256 * 1024,
    // A head that does not end within this is no client of ours.
    head_limit = 64 * 1024,
    // The longest request that is kept while it arrives.
    request_limit = 64 * 1024 * 1024,
    event_batch = 256,
    stream_chunks = 100,
    // The chunks, the head before them, and "[DONE]" with the end of the chunked body after them.
    stream_parts = stream_chunks + 2,
};

typedef struct {
    const char *bytes;
    size_t length;
} Bytes;

// MARK: Answers, made once at the start

static Bytes completion, models, health, info, metrics, other, bad_request;
static Bytes stream[stream_parts];

static Bytes kept(char *bytes, int length) {
    if (length < 0) {
        perror("asprintf");
        exit(1);
    }
    return (Bytes){bytes, (size_t)length};
}

static Bytes answer(const char *status, const char *type, const char *body) {
    char *bytes;
    int length = asprintf(&bytes,
        "HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\nserver: fixed-upstream\r\n\r\n%s", status, type,
        strlen(body), body);
    return kept(bytes, length);
}

static Bytes stream_chunk(int index) {
    char event[512], *bytes;
    int event_length = snprintf(event, sizeof event,
        "data: {\"id\":\"chatcmpl-fixed\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
        "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{%s\"content\":\" t%03d\"},"
        "\"finish_reason\":%s}]}\n\n",
        index == 0 ? "\"role\":\"assistant\"," : "", index, index == stream_chunks - 1 ? "\"stop\"" : "null");
    int length = asprintf(&bytes, "%x\r\n%s\r\n", event_length, event);
    return kept(bytes, length);
}

static void make_answers(void) {
    completion = answer("200 OK", "application/json",
        "{\"id\":\"chatcmpl-fixed\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"bench-model\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"A sextant measures the angle "
        "between two things that can be seen, most often the horizon and a star. From two such angles and the time of "
        "day a navigator draws two lines on the chart, and the ship is where they cross. The instrument knows nothing "
        "of the sea: it only measures well, and leaves the course to whoever reads it.\",\"tool_calls\":[]},"
        "\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":210,\"completion_tokens\":71,\"total_tokens\":281}}");
    models = answer("200 OK", "application/json",
        "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\",\"created\":1700000000,"
        "\"owned_by\":\"fixed-upstream\",\"root\":\"bench-model\",\"parent\":null,\"max_model_len\":32768}]}");
    health = answer("200 OK", "text/plain", "OK");
    info = answer("200 OK", "application/json",
        "{\"model_path\":\"bench-model\",\"model_id\":\"bench-model\",\"served_model_name\":\"bench-model\","
        "\"is_generation\":true}");
    metrics = answer("200 OK", "text/plain; version=0.0.4",
        "vllm:num_requests_running{model_name=\"bench-model\"} 0\n"
        "vllm:num_requests_waiting{model_name=\"bench-model\"} 0\n"
        "vllm:kv_cache_usage_perc{model_name=\"bench-model\"} 0.0\n");
    other = answer("200 OK", "application/json", "{}");
    bad_request = answer("400 Bad Request", "application/json", "{}");

    char *head;
    int length = asprintf(&head, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                                 "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n"
                                 "server: fixed-upstream\r\n\r\n");
    stream[0] = kept(head, length);
    for (int index = 0; index < stream_chunks; index++) stream[1 + index] = stream_chunk(index);
    static const char done[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    stream[stream_parts - 1] = (Bytes){done, sizeof done - 1};
}

// MARK: One connection

typedef struct {
    int socket;
    // The bytes of a request of which only a part has come, or that wait behind an answer not yet taken.
    char *held;
    size_t held_length, held_capacity;
    // What is being answered: `parts` of which `part` is next, its first `sent` bytes gone. None left: parts_left is 0.
    const Bytes *part;
    size_t parts_left, sent;
    // True while the socket takes no more, and the poll waits for it to be writable.
    bool waits_to_write;
    bool close_after_answer;
} Connection;

typedef enum { connection_lives, connection_ended } Fate;

static void watch(int poll, int operation, Connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poll, operation, connection->socket, &event) != 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

// Sends what is left of the answer, one send() for each part, until all is gone or the socket is full.
static Fate send_answer(int poll, Connection *connection) {
    while (connection->parts_left > 0) {
        const Bytes *part = connection->part;
        ssize_t count =
            send(connection->socket, part->bytes + connection->sent, part->length - connection->sent, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != EWOULDBLOCK) return connection_ended;
            if (!connection->waits_to_write) watch(poll, EPOLL_CTL_MOD, connection, EPOLLOUT);
            connection->waits_to_write = true;
            return connection_lives;
        }
        connection->sent += (size_t)count;
        if (connection->sent == part->length) {
            connection->part++;
            connection->parts_left--;
            connection->sent = 0;
        }
    }
    if (connection->close_after_answer) return connection_ended;
    if (connection->waits_to_write) watch(poll, EPOLL_CTL_MOD, connection, EPOLLIN);
    connection->waits_to_write = false;
    return connection_lives;
}

// MARK: Reading a request

typedef struct {
    size_t content_length;
    bool chunked, close, expects_continue;
} Framing;

static bool value_has(const char *value, const char *end, const char *word) {
    size_t length = strlen(word);
    for (; value + length <= end; value++)
        if (strncasecmp(value, word, length) == 0) return true;
    return false;
}

// Reads the four fields that say where the request ends and what becomes of the connection.
static Framing read_framing(const char *line, const char *end) {
    Framing framing = {0};
    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) line_end = end;
        switch (*line | 0x20) {
            case 'c':
                if (strncasecmp(line, "content-length:", 15) == 0) {
                    framing.content_length = strtoull(line + 15, NULL, 10);
                } else if (strncasecmp(line, "connection:", 11) == 0) {
                    framing.close = value_has(line + 11, line_end, "close");
                }
                break;
            case 't':
                if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
                    framing.chunked = value_has(line + 18, line_end, "chunked");
                }
                break;
            case 'e':
                if (strncasecmp(line, "expect:", 7) == 0) {
                    framing.expects_continue = value_has(line + 7, line_end, "100-continue");
                }
                break;
        }
        line = line_end + 1;
    }
    return framing;
}

// Whether the bytes hold `"stream": true`. A longer key such as "stream_options" does not match, for the closing
// quotation mark belongs to the needle.
static bool asks_for_stream(const char *body, size_t length) {
    static const char key[] = "\"stream\"";
    const char *end = body + length;
    while ((body = memmem(body, (size_t)(end - body), key, sizeof key - 1)) != NULL) {
        body += sizeof key - 1;
        const char *value = body;
        while (value < end && (*value == ' ' || *value == ':')) value++;
        if (end - value >= 4 && memcmp(value, "true", 4) == 0) return true;
    }
    return false;
}

typedef enum { body_complete, body_partial, body_malformed } BodyState;

// Finds the end of a chunked body. When it is complete, its data has been moved together at `body`.
static BodyState read_chunked(char *body, char *end, size_t *data_length, char **after) {
    char *chunk = body;
    // First only look: bytes may be moved once the whole body is here, not before.
    while (true) {
        char *line_end = memchr(chunk, '\n', (size_t)(end - chunk));
        if (line_end == NULL) return end - chunk > 1024 ? body_malformed : body_partial;
        char *digits_end;
        size_t size = strtoull(chunk, &digits_end, 16);
        if (digits_end == chunk || size > request_limit) return body_malformed;
        chunk = line_end + 1;
        if (size == 0) break;
        if ((size_t)(end - chunk) < size + 2) return body_partial;
        chunk += size + 2;
    }
    // Trailers, if any, and the empty line.
    while (true) {
        char *line_end = memchr(chunk, '\n', (size_t)(end - chunk));
        if (line_end == NULL) return body_partial;
        bool is_empty = line_end - chunk <= 1;
        chunk = line_end + 1;
        if (is_empty) break;
    }
    *after = chunk;

    char *source = body, *target = body;
    size_t size;
    while ((size = strtoull(source, NULL, 16)) > 0) {
        source = (char *)memchr(source, '\n', (size_t)(end - source)) + 1;
        memmove(target, source, size);
        target += size;
        source += size + 2;
    }
    *data_length = (size_t)(target - body);
    return body_complete;
}

static bool target_is(const char *target, size_t length, const char *path) {
    return length == strlen(path) && memcmp(target, path, length) == 0;
}

static void begin_answer(Connection *connection, const Bytes *parts, size_t count) {
    connection->part = parts;
    connection->parts_left = count;
    connection->sent = 0;
}

static void choose_answer(
    Connection *connection, const char *head, const char *head_end, const char *body, size_t length) {
    const char *target = memchr(head, ' ', (size_t)(head_end - head));
    if (target == NULL) return begin_answer(connection, &other, 1);
    target++;
    size_t target_length = strcspn(target, " ?\r\n");
    if (head[0] == 'P' && target_is(target, target_length, "/v1/chat/completions")) {
        if (asks_for_stream(body, length)) return begin_answer(connection, stream, stream_parts);
        return begin_answer(connection, &completion, 1);
    }
    static const struct {
        const char *path;
        const Bytes *answer;
    } routes[] = {
        {"/v1/models", &models},
        {"/health", &health},
        {"/health_generate", &health},
        {"/metrics", &metrics},
        {"/get_model_info", &info},
        {"/model_info", &info},
        {"/get_server_info", &info},
        {"/server_info", &info},
    };
    for (size_t index = 0; index < sizeof routes / sizeof routes[0]; index++)
        if (target_is(target, target_length, routes[index].path))
            return begin_answer(connection, routes[index].answer, 1);
    begin_answer(connection, &other, 1);
}

// Answers the requests that `bytes` hold, in order, until one is incomplete or an answer cannot all be sent yet.
// `consumed` is what was dealt with; the rest must be offered again with what comes after it. A zero byte must follow
// the bytes, so that no number is read past them.
static Fate answer_requests(int poll, Connection *connection, char *bytes, size_t length, size_t *consumed) {
    char *next = bytes, *end = bytes + length;
    Fate fate = connection_lives;
    while (next < end && connection->parts_left == 0) {
        char *head_end = memmem(next, (size_t)(end - next), "\r\n\r\n", 4);
        if (head_end == NULL) {
            if (end - next > head_limit) return connection_ended;
            break;
        }
        char *body = head_end + 4, *after = body;
        char *first_line_end = memchr(next, '\n', (size_t)(body - next));
        Framing framing = read_framing(first_line_end + 1, head_end);
        size_t body_length = framing.content_length;
        BodyState state = body_complete;
        if (framing.chunked) {
            state = read_chunked(body, end, &body_length, &after);
        } else if (body_length > request_limit) {
            state = body_malformed;
        } else if ((size_t)(end - body) < body_length) {
            state = body_partial;
        } else {
            after = body + body_length;
        }
        if (state == body_malformed) {
            connection->close_after_answer = true;
            begin_answer(connection, &bad_request, 1);
            return send_answer(poll, connection);
        }
        if (state == body_partial) {
            // Said once: when the head has come and nothing of the body.
            if (framing.expects_continue && body == end) {
                static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
                if (send(connection->socket, go_on, sizeof go_on - 1, MSG_NOSIGNAL) < 0) return connection_ended;
            }
            break;
        }
        connection->close_after_answer = framing.close;
        choose_answer(connection, next, head_end, body, body_length);
        next = after;
        fate = send_answer(poll, connection);
        if (fate == connection_ended) break;
    }
    *consumed = (size_t)(next - bytes);
    return fate;
}

// Keeps `bytes` at the end of what the connection holds.
static bool hold(Connection *connection, const char *bytes, size_t length) {
    size_t wanted = connection->held_length + length;
    if (wanted > request_limit + head_limit) return false;
    if (wanted + 1 > connection->held_capacity) {
        size_t capacity = wanted * 2 < 4096 ? 4096 : wanted * 2;
        char *held = realloc(connection->held, capacity);
        if (held == NULL) return false;
        connection->held = held;
        connection->held_capacity = capacity;
    }
    memcpy(connection->held + connection->held_length, bytes, length);
    connection->held[wanted] = '\0';
    connection->held_length = wanted;
    return true;
}

static Fate answer_held(int poll, Connection *connection) {
    if (connection->held_length == 0 || connection->parts_left > 0) return connection_lives;
    size_t consumed = 0;
    if (answer_requests(poll, connection, connection->held, connection->held_length, &consumed) == connection_ended)
        return connection_ended;
    connection->held_length -= consumed;
    memmove(connection->held, connection->held + consumed, connection->held_length + 1);
    return connection_lives;
}

static Fate receive(int poll, Connection *connection, char *scratch) {
    ssize_t count = recv(connection->socket, scratch, scratch_size, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR ? connection_lives : connection_ended;
    if (count == 0) return connection_ended;
    scratch[count] = '\0';
    if (connection->held_length > 0)
        return hold(connection, scratch, (size_t)count) ? answer_held(poll, connection) : connection_ended;
    size_t consumed = 0;
    if (answer_requests(poll, connection, scratch, (size_t)count, &consumed) == connection_ended)
        return connection_ended;
    if (consumed == (size_t)count) return connection_lives;
    return hold(connection, scratch + consumed, (size_t)count - consumed) ? connection_lives : connection_ended;
}

static Fate handle(int poll, Connection *connection, uint32_t events, char *scratch) {
    if (!connection->waits_to_write) return receive(poll, connection, scratch);
    if (events & (EPOLLERR | EPOLLHUP)) return connection_ended;
    if (send_answer(poll, connection) == connection_ended) return connection_ended;
    return answer_held(poll, connection);
}

// MARK: Threads

static int listener;

static void accept_all(int poll) {
    while (true) {
        int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) return;
        // Each send() is to leave at once: coalescing is the router's business, not the worker's.
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        Connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL) {
            close(socket);
            return;
        }
        connection->socket = socket;
        watch(poll, EPOLL_CTL_ADD, connection, EPOLLIN);
    }
}

static void *serve(void *unused) {
    (void)unused;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    char *scratch = malloc(scratch_size + 1);
    // One listener for all threads; EXCLUSIVE wakes one of them for a new connection.
    struct epoll_event accepting = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};
    if (poll < 0 || scratch == NULL || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &accepting) != 0) {
        perror("fixed-upstream");
        exit(1);
    }
    struct epoll_event events[event_batch];
    while (true) {
        int count = epoll_wait(poll, events, event_batch, -1);
        for (int index = 0; index < count; index++) {
            Connection *connection = events[index].data.ptr;
            if (connection == NULL) {
                accept_all(poll);
            } else if (handle(poll, connection, events[index].events, scratch) == connection_ended) {
                close(connection->socket);
                free(connection->held);
                free(connection);
            }
        }
    }
    return NULL;
}

static int usage(void) {
    fprintf(stderr, "usage: fixed-upstream [--threads N] [--host ADDRESS] [PORT]\n");
    return 2;
}

int main(int count, char **arguments) {
    long threads = 1, port = 0;
    const char *host = "127.0.0.1";
    for (int index = 1; index < count; index++) {
        bool has_value = index + 1 < count;
        if (strcmp(arguments[index], "--threads") == 0 && has_value) {
            threads = strtol(arguments[++index], NULL, 10);
        } else if (strcmp(arguments[index], "--host") == 0 && has_value) {
            host = arguments[++index];
        } else {
            char *end;
            port = strtol(arguments[index], &end, 10);
            if (*end != '\0' || end == arguments[index]) return usage();
        }
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (threads < 1 || threads > 256 || port < 0 || port > 65535 || inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return usage();

    make_answers();
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    socklen_t length = sizeof address;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("fixed-upstream: cannot listen");
        return 1;
    }
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (long index = 1; index < threads; index++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL) != 0) {
            perror("fixed-upstream: pthread_create");
            return 1;
        }
    }
    serve(NULL);
}
