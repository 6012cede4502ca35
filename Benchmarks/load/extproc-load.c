// Loads an Envoy external processor without Envoy: what the ext_proc filter would send for HTTP requests, over gRPC.
//
//   extproc-load --port N --body FILE [options]       --help prints them
//
// One stream is one HTTP request as the filter of Envoy 1.40 sees it with a buffered request body: its headers, its
// body, the response's headers and, with --response-chunks, the parts of its body. Message n + 1 leaves when message n
// has been answered, and the stream ends with RST_STREAM, as every stream of the filter does. The latency of a stream
// is the time to its last answer.
//
// An answer must be the one to the message; whatever else becomes of a stream is counted as an error of its kind. The
// exit status is 1 if there was any.

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "h2.h"
#include "load.h"

enum {
    // What Envoy 1.40 says at the end of a stream that it has no more use for.
    envoy_reset_code = h2_internal_error,
    // An answer of more is none of ours.
    answer_limit = 64 * 1024 * 1024,
    // An answer that came in parts leaves no more memory behind than this.
    kept_capacity = 64 * 1024,
    grpc_head = 5,
    event_batch = 64,
};

// After a connection was lost, the next is tried so much later.
static const int64_t retry_ns = 100 * 1000 * 1000;

// MARK: The messages of a stream, made once

// Field numbers of envoy.service.ext_proc.v3, external_processor.proto.
enum {
    request_request_headers = 2,
    request_response_headers = 3,
    request_request_body = 4,
    request_response_body = 5,
    request_metadata_context = 8,
    request_protocol_config = 11,

    response_request_headers = 1,
    response_response_headers = 2,
    response_request_body = 3,
    response_response_body = 4,
    response_immediate = 7,
    response_kinds_end = 8,

    http_headers_headers = 1,
    http_body_body = 1,
    http_body_end_of_stream = 2,
    header_map_headers = 1,
    header_value_key = 1,
    header_value_raw_value = 3,
    protocol_config_request_body_mode = 1,
    protocol_config_response_body_mode = 2,
    body_mode_none = 0,
    body_mode_streamed = 1,
    body_mode_buffered = 2,
};

enum { wire_varint = 0, wire_fixed64 = 1, wire_length = 2, wire_fixed32 = 5 };

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} Buffer;

static void append(Buffer *buffer, const void *bytes, size_t length) {
    if (buffer->length + length > buffer->capacity) {
        buffer->capacity = (buffer->length + length) * 2;
        buffer->bytes = realloc(buffer->bytes, buffer->capacity);
        if (buffer->bytes == NULL) {
            perror("realloc");
            exit(1);
        }
    }
    if (length > 0) memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
}

static void append_varint(Buffer *buffer, uint64_t value) {
    for (; value >= 128; value >>= 7) append(buffer, &(uint8_t){(uint8_t)(value | 128)}, 1);
    append(buffer, &(uint8_t){(uint8_t)value}, 1);
}

static void append_number(Buffer *buffer, unsigned field, uint64_t value) {
    append_varint(buffer, field << 3 | wire_varint);
    append_varint(buffer, value);
}

static void append_bytes(Buffer *buffer, unsigned field, const void *bytes, size_t length) {
    append_varint(buffer, field << 3 | wire_length);
    append_varint(buffer, length);
    append(buffer, bytes, length);
}

static void append_header(Buffer *map, const char *name, const char *value) {
    Buffer header = {0};
    append_bytes(&header, header_value_key, name, strlen(name));
    append_bytes(&header, header_value_raw_value, value, strlen(value));
    append_bytes(map, header_map_headers, header.bytes, header.length);
    free(header.bytes);
}

// One message of the protocol and the field that its answer must have.
typedef struct {
    const uint8_t *bytes;
    size_t length;
    unsigned answer;
} Message;

static Message *messages;
static uint32_t message_count;

// Puts gRPC's head before a ProcessingRequest and adds it to the messages. Envoy sends an empty metadata_context.
static void add_message(Buffer request, unsigned answer) {
    append_bytes(&request, request_metadata_context, NULL, 0);
    Buffer framed = {0};
    uint32_t length = (uint32_t)request.length;
    uint8_t head[grpc_head] = {
        0, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length};
    append(&framed, head, sizeof head);
    append(&framed, request.bytes, request.length);
    free(request.bytes);
    messages = realloc(messages, (message_count + 1) * sizeof *messages);
    if (messages == NULL) {
        perror("realloc");
        exit(1);
    }
    messages[message_count++] = (Message){framed.bytes, framed.length, answer};
}

static Buffer with_headers(unsigned field, Buffer map) {
    Buffer headers = {0}, request = {0};
    append_bytes(&headers, http_headers_headers, map.bytes, map.length);
    append_bytes(&request, field, headers.bytes, headers.length);
    free(map.bytes);
    free(headers.bytes);
    return request;
}

static Buffer with_body(unsigned field, const void *bytes, size_t length, bool ends) {
    Buffer body = {0}, request = {0};
    append_bytes(&body, http_body_body, bytes, length);
    if (ends) append_number(&body, http_body_end_of_stream, 1);
    append_bytes(&request, field, body.bytes, body.length);
    free(body.bytes);
    return request;
}

static void make_messages(const uint8_t *body, size_t body_length, uint32_t response_chunks) {
    char length[32];
    snprintf(length, sizeof length, "%zu", body_length);
    Buffer map = {0};
    append_header(&map, ":authority", "127.0.0.1:8801");
    append_header(&map, ":path", "/v1/chat/completions");
    append_header(&map, ":method", "POST");
    append_header(&map, ":scheme", "http");
    append_header(&map, "content-length", length);
    append_header(&map, "accept", "application/json");
    append_header(&map, "authorization", "Bearer sk-bench-0123456789abcdef0123456789abcdef");
    append_header(&map, "content-type", "application/json");
    append_header(&map, "user-agent", "OpenAI/Python 3.54.0");
    append_header(&map, "x-forwarded-proto", "http");
    append_header(&map, "x-request-id", "160262fd-03d5-45dc-b21a-2f23f1b1c8cc");
    Buffer request = with_headers(request_request_headers, map);
    // Only the first message of a stream says how bodies will come.
    Buffer config = {0};
    append_number(&config, protocol_config_request_body_mode, body_mode_buffered);
    unsigned response_mode = response_chunks > 0 ? body_mode_streamed : body_mode_none;
    append_number(&config, protocol_config_response_body_mode, response_mode);
    append_bytes(&request, request_protocol_config, config.bytes, config.length);
    free(config.bytes);
    add_message(request, response_request_headers);

    add_message(with_body(request_request_body, body, body_length, true), response_request_body);

    map = (Buffer){0};
    append_header(&map, ":status", "200");
    append_header(&map, "content-type", response_chunks > 0 ? "text/event-stream; charset=utf-8" : "application/json");
    if (response_chunks == 0) append_header(&map, "content-length", "612");
    append_header(&map, "server", "fixed-upstream");
    append_header(&map, "x-envoy-upstream-service-time", "0");
    add_message(with_headers(request_response_headers, map), response_response_headers);

    for (uint32_t index = 0; index < response_chunks; index++) {
        char event[512];
        int event_length = snprintf(event, sizeof event,
            "data: {\"id\":\"chatcmpl-fixed\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
            "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" t%03u\"},"
            "\"finish_reason\":null}]}\n\n%s",
            index % 1000, index + 1 == response_chunks ? "data: [DONE]\n\n" : "");
        Buffer chunk = with_body(request_response_body, event, (size_t)event_length, index + 1 == response_chunks);
        add_message(chunk, response_response_body);
    }
}

static HPACKBlock make_call(void) {
    // As Envoy 1.40 calls; `sextant` stands for the name of its cluster.
    static const HPACKField fields[] = {
        {hpack_method_post, ":method", NULL},
        {hpack_path, ":path", "/envoy.service.ext_proc.v3.ExternalProcessor/Process"},
        {hpack_authority, ":authority", "sextant"},
        {hpack_scheme_http, ":scheme", NULL},
        {0, "te", "trailers"},
        {hpack_content_type, "content-type", "application/grpc"},
        {0, "x-envoy-internal", "true"},
        {0, "x-forwarded-for", "127.0.0.1"},
    };
    return hpack_encode(fields, sizeof fields / sizeof fields[0]);
}

// MARK: An answer

// Reads a varint; moves `next`. False: it does not end.
static bool read_varint(const uint8_t **next, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; *next < end && shift < 64; shift += 7) {
        uint8_t byte = *(*next)++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return true;
    }
    return false;
}

// The field of the oneof that a ProcessingResponse has set; 0: none, or it is malformed.
static unsigned kind_of_answer(const uint8_t *bytes, size_t length) {
    const uint8_t *end = bytes + length;
    unsigned kind = 0;
    while (bytes < end) {
        uint64_t tag, value;
        if (!read_varint(&bytes, end, &tag)) return 0;
        switch (tag & 7) {
            case wire_varint:
                if (!read_varint(&bytes, end, &value)) return 0;
                continue;
            case wire_fixed64: value = 8; break;
            case wire_fixed32: value = 4; break;
            case wire_length:
                if (!read_varint(&bytes, end, &value)) return 0;
                if (tag >> 3 > 0 && tag >> 3 < response_kinds_end) kind = (unsigned)(tag >> 3);
                break;
            default: return 0;
        }
        if (value > (uint64_t)(end - bytes)) return 0;
        bytes += value;
    }
    return kind;
}

// MARK: Streams

typedef struct Connection Connection;

typedef struct Stream {
    // First, so that the address of one is that of the other.
    H2Stream h2;
    Connection *connection;
    int64_t due;
    // The message whose answer is awaited.
    uint32_t message;
    bool has_headers;
    // Of an answer that came in parts, what is here.
    Buffer held;
    // Streams under way in the order in which they are due; of those not in use `later` is the next.
    struct Stream *earlier, *later;
} Stream;

struct Connection {
    H2Connection h2;
    bool is_open, waits_to_write;
    int64_t retry_at;
};

static LoadOptions options;
static Load load;
static HPACKBlock call;
static size_t expected_length;
// How many streams a connection has room for.
static uint32_t stream_places;

static int poll;
static Connection *connections;
static Stream *earliest, *latest, *unused;
// A connection has been ready once.
static bool has_met_server;
// Streams are opened only to be reset: their first message is their last.
static bool is_resetting;

static Stream *take_stream(void) {
    Stream *stream = unused;
    if (stream == NULL) {
        stream = calloc(1, sizeof *stream);
        if (stream == NULL) {
            perror("calloc");
            exit(1);
        }
        return stream;
    }
    unused = stream->later;
    return stream;
}

// Takes a closed stream out of those under way.
static void put_back(Stream *stream) {
    *(stream->earlier != NULL ? &stream->earlier->later : &earliest) = stream->later;
    *(stream->later != NULL ? &stream->later->earlier : &latest) = stream->earlier;
    if (stream->held.capacity > kept_capacity) {
        free(stream->held.bytes);
        stream->held = (Buffer){0};
    }
    stream->later = unused;
    unused = stream;
}

static void send_message(Stream *stream) {
    h2_send(&stream->connection->h2, &stream->h2, messages[stream->message].bytes, messages[stream->message].length);
}

static void open_stream(Connection *connection, int64_t due) {
    Stream *stream = take_stream();
    stream->connection = connection;
    stream->due = due;
    stream->message = 0;
    stream->has_headers = false;
    stream->held.length = 0;
    stream->earlier = latest;
    stream->later = NULL;
    *(latest != NULL ? &latest->later : &earliest) = stream;
    latest = stream;
    h2_open(&connection->h2, &stream->h2, &call);
    send_message(stream);
}

static void fail(Stream *stream, ErrorKind kind) {
    if (stream->h2.id != 0) h2_reset(&stream->connection->h2, &stream->h2, h2_cancel);
    load_failed(&load, stream->due, now_ns(), kind);
    put_back(stream);
}

// Takes one whole answer, and sends the next message or ends the stream.
static void take_answer(Stream *stream, const uint8_t *bytes, size_t length, bool is_compressed) {
    unsigned kind = kind_of_answer(bytes, length);
    if (kind == response_immediate) return fail(stream, error_immediate);
    if (is_compressed || kind != messages[stream->message].answer) return fail(stream, error_answer);
    if (expected_length > 0 && kind == response_request_body &&
        memmem(bytes, length, options.expected, expected_length) == NULL)
        return fail(stream, error_expected);
    if (is_resetting) return;
    if (++stream->message < message_count) return send_message(stream);
    h2_reset(&stream->connection->h2, &stream->h2, envoy_reset_code);
    load_finished(&load, stream->due, now_ns());
    put_back(stream);
}

static void take_data(Stream *stream, const H2Event *event) {
    if (!stream->has_headers) return fail(stream, error_protocol);
    if (event->ends_stream) return fail(stream, error_status);
    const uint8_t *bytes = event->bytes;
    size_t length = event->length;
    if (stream->held.length > 0) {
        append(&stream->held, bytes, length);
        bytes = stream->held.bytes;
        length = stream->held.length;
    }
    size_t whole = grpc_head;
    if (length >= grpc_head)
        whole += (size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | (size_t)bytes[4];
    // More than what was asked for: nothing more is said before the next message.
    if (length > whole || whole > answer_limit) return fail(stream, error_answer);
    if (length < whole) {
        if (stream->held.length == 0) append(&stream->held, bytes, length);
        return;
    }
    stream->held.length = 0;
    take_answer(stream, bytes + grpc_head, length - grpc_head, bytes[0] != 0);
}

static void take_headers(Stream *stream, const H2Event *event) {
    // The server has no reason to end a stream: it says no to the call, or it failed.
    if (event->ends_stream) return fail(stream, error_status);
    if (stream->has_headers) return fail(stream, error_protocol);
    if (!hpack_says_ok(event->bytes, event->length)) return fail(stream, error_status);
    stream->has_headers = true;
}

// MARK: Connections

static void watch(int operation, Connection *connection, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poll, operation, connection->h2.socket, &event) != 0) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void open_connection(Connection *connection) {
    int socket = connect_to(&options.server);
    if (socket < 0) {
        perror("extproc-load: socket");
        exit(1);
    }
    h2_begin(&connection->h2, socket, stream_places);
    connection->is_open = true;
    connection->waits_to_write = true;
    watch(EPOLL_CTL_ADD, connection, EPOLLIN | EPOLLOUT);
}

// Fails the connection's streams above a number.
static void fail_streams(const Connection *connection, uint32_t above, ErrorKind kind) {
    for (Stream *stream = earliest, *next; stream != NULL; stream = next) {
        next = stream->later;
        if (stream->connection != connection || stream->h2.id <= above) continue;
        h2_forget(&stream->connection->h2, &stream->h2);
        fail(stream, kind);
    }
}

// Ends the connection and, after a while, opens another: so does Envoy.
static void lose(Connection *connection, ErrorKind kind) {
    if (!connection->h2.ready && !has_met_server) {
        fprintf(stderr, "extproc-load: no HTTP/2 server at port %d\n", ntohs(options.server.sin_port));
        exit(1);
    }
    if (!connection->h2.ready) load_error(&load, error_connect);
    fail_streams(connection, 0, kind);
    h2_end(&connection->h2);
    connection->is_open = false;
    connection->retry_at = now_ns() + retry_ns;
}

static bool take_events(Connection *connection) {
    H2Event event;
    while (h2_next(&connection->h2, &event)) {
        Stream *stream = (Stream *)event.stream;
        switch (event.kind) {
            case h2_headers: take_headers(stream, &event); break;
            case h2_data: take_data(stream, &event); break;
            case h2_reset_by_server: fail(stream, error_reset); break;
            case h2_goaway:
                load_error(&load, error_goaway);
                fail_streams(connection, event.last_id, error_goaway);
                break;
            case h2_broken: return false;
        }
    }
    return true;
}

// Sends what is queued, and waits for the socket to take the rest.
static void flush(Connection *connection) {
    if (!connection->is_open || (!h2_has_unsent(&connection->h2) && !connection->waits_to_write)) return;
    if (!h2_flush(&connection->h2)) return lose(connection, error_connection);
    bool must_wait = h2_has_unsent(&connection->h2);
    if (must_wait != connection->waits_to_write) watch(EPOLL_CTL_MOD, connection, EPOLLIN | (must_wait ? EPOLLOUT : 0));
    connection->waits_to_write = must_wait;
}

static void receive(Connection *connection) {
    bool was_ready = connection->h2.ready;
    bool lives = h2_receive(&connection->h2);
    // What came before the end counts.
    if (!take_events(connection)) return lose(connection, error_protocol);
    if (!was_ready && connection->h2.ready) {
        has_met_server = true;
        load.connections_opened++;
    }
    if (!lives) return lose(connection, error_connection);
    if (connection->h2.draining && connection->h2.open_streams == 0) {
        h2_end(&connection->h2);
        open_connection(connection);
    }
}

// MARK: The load

// The connection that the next stream goes to: the one with the fewest.
static Connection *place(void) {
    Connection *best = NULL;
    for (uint32_t index = 0; index < options.connections; index++) {
        Connection *one = &connections[index];
        if (one->is_open && h2_can_open(&one->h2) &&
            (best == NULL || one->h2.open_streams < best->h2.open_streams))
            best = one;
    }
    return best;
}

static void start_due(int64_t now) {
    int64_t due;
    while (load_is_due(&load, now, &due)) {
        Connection *connection = place();
        if (connection == NULL) return load_held_up(&load);
        load_started(&load, due);
        open_stream(connection, due);
    }
}

static void look_at_clock(int64_t now) {
    int64_t patience = (int64_t)(options.timeout_seconds * 1e9);
    while (earliest != NULL && now - earliest->due > patience) fail(earliest, error_timeout);
    for (uint32_t index = 0; index < options.connections; index++)
        if (!connections[index].is_open && now >= connections[index].retry_at) open_connection(&connections[index]);
}

static void turn(int64_t wait) {
    for (uint32_t index = 0; index < options.connections; index++) flush(&connections[index]);
    struct epoll_event events[event_batch];
    int count = poll_for(poll, events, event_batch, wait);
    // An error or the end shows in what receiving says.
    for (int index = 0; index < count; index++)
        if (events[index].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) receive(events[index].data.ptr);
    look_at_clock(now_ns());
}

static void connect_all(void) {
    for (uint32_t index = 0; index < options.connections; index++) open_connection(&connections[index]);
    int64_t until = now_ns() + (int64_t)(options.timeout_seconds * 1e9);
    while (load.connections_opened < options.connections) {
        if (load_is_interrupted() || now_ns() > until) {
            fprintf(stderr, "extproc-load: the server does not speak\n");
            exit(1);
        }
        turn(load_wait(&load, now_ns()));
    }
}

// Opens so many streams, each with its first message, and resets them all, as many at once as the server allows.
static void reset_streams(uint64_t left) {
    is_resetting = true;
    while (left > 0 && !load_is_interrupted()) {
        Connection *connection = place();
        if (connection == NULL) {
            turn(load_wait(&load, now_ns()));
            continue;
        }
        for (; left > 0 && h2_can_open(&connection->h2); left--) {
            load.under_way++;
            open_stream(connection, now_ns());
        }
        // They are to be on their way before they are reset.
        flush(connection);
        while (connection->is_open && h2_has_unsent(&connection->h2)) turn(load_wait(&load, now_ns()));
        while (earliest != NULL) {
            Stream *stream = earliest;
            h2_reset(&stream->connection->h2, &stream->h2, envoy_reset_code);
            load.under_way--;
            put_back(stream);
        }
    }
    is_resetting = false;
}

static int usage(const char *problem) {
    fprintf(stderr,
        "%s%susage: extproc-load --port N --body FILE [options]\n%s"
        "  --body FILE         the chat request's body; required\n"
        "  --streams N         how many streams are measured, instead of a duration\n"
        "  --sequential        one stream at a time\n"
        "  --response-chunks N so many messages with parts of a streamed answer\n"
        "  --resets N          first open N streams and reset them, on the same connections\n",
        problem, *problem != '\0' ? "\n" : "", load_options_usage);
    return 2;
}

int main(int count, char **arguments) {
    uint64_t resets = 0;
    uint32_t response_chunks = 0;
    const char *body_path = NULL;
    options = load_defaults();
    for (int index = 1; index < count; index++) {
        const char *name = arguments[index], *value = index + 1 < count ? arguments[index + 1] : "";
        if (strcmp(name, "--sequential") == 0) {
            options.concurrency = 1;
        } else if (strcmp(name, "--body") == 0 && *value != '\0') {
            body_path = value;
            index++;
        } else if (strcmp(name, "--streams") == 0 && (options.requests = strtoull(value, NULL, 10)) > 0) {
            index++;
        } else if (strcmp(name, "--resets") == 0 && (resets = strtoull(value, NULL, 10)) > 0 &&
                   resets <= 1000000) {
            index++;
        } else if (strcmp(name, "--response-chunks") == 0 && strtoull(value, NULL, 10) <= 100000) {
            response_chunks = (uint32_t)strtoull(value, NULL, 10);
            index++;
        } else if (!load_option(&options, arguments, count, &index)) {
            return usage(strcmp(name, "--help") == 0 ? "" : name);
        }
    }
    const char *problem = load_complete(&options);
    if (body_path == NULL) problem = "--body is missing";
    if (problem != NULL) return usage(problem);
    size_t body_length;
    const uint8_t *body = read_file(body_path, &body_length);
    make_messages(body, body_length, response_chunks);
    call = make_call();
    expected_length = options.expected != NULL ? strlen(options.expected) : 0;
    stream_places = options.concurrency > resets ? options.concurrency : (uint32_t)resets;
    connections = calloc(options.connections, sizeof *connections);
    poll = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || poll < 0) {
        perror("extproc-load");
        return 1;
    }

    load_prepare(&load, &options, "streams");
    connect_all();
    reset_streams(resets);
    load_begin(&load);
    for (int64_t now = now_ns(); !load_is_over(&load, now); now = now_ns()) {
        start_due(now);
        turn(load_wait(&load, now));
    }
    // The last stream's end is to leave too.
    for (uint32_t index = 0; index < options.connections; index++) flush(&connections[index]);
    char more[64];
    snprintf(more, sizeof more, ", \"resets\": %llu", (unsigned long long)resets);
    return load_report(&load, more);
}
