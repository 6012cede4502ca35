#define _GNU_SOURCE
#include "h2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    frame_head = 9,
    in_capacity = 256 * 1024,
    // What a frame may hold unless its receiver allows more; we allow no more.
    default_frame_limit = 16 * 1024,
    default_window = 65535,
    default_table = 4096,
    // The windows that Envoy 1.40 opens: 16 MiB for a stream, 24 MiB for the connection.
    stream_window = 16 * 1024 * 1024,
    connection_window = 24 * 1024 * 1024,
    largest_window = 0x7fffffff,
    largest_id = 0x7fffffff,
};

enum {
    frame_data = 0,
    frame_headers = 1,
    frame_priority = 2,
    frame_rst_stream = 3,
    frame_settings = 4,
    frame_push_promise = 5,
    frame_ping = 6,
    frame_goaway = 7,
    frame_window_update = 8,
    frame_continuation = 9,
};

enum { flag_end_stream = 1, flag_ack = 1, flag_end_headers = 4, flag_padded = 8, flag_priority = 32 };

enum {
    setting_table_size = 1,
    setting_enable_push = 2,
    setting_concurrent_streams = 3,
    setting_initial_window = 4,
    setting_frame_size = 5,
};

static uint32_t read_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void write_u32(uint8_t *bytes, uint32_t value) {
    for (int index = 0; index < 4; index++) bytes[index] = (uint8_t)(value >> (24 - 8 * index));
}

static void *grown(void *bytes, size_t size) {
    bytes = realloc(bytes, size);
    if (bytes == NULL) {
        perror("realloc");
        exit(1);
    }
    return bytes;
}

// MARK: HPACK (RFC 7541)

typedef struct {
    uint8_t *bytes;
    size_t length;
} Writer;

static void append(Writer *writer, const void *bytes, size_t length) {
    writer->bytes = grown(writer->bytes, writer->length + length);
    memcpy(writer->bytes + writer->length, bytes, length);
    writer->length += length;
}

// An integer that begins in the low `bits` of a byte whose high bits are `high` (section 5.1).
static void append_integer(Writer *writer, uint8_t high, unsigned bits, size_t value) {
    size_t most = ((size_t)1 << bits) - 1;
    uint8_t byte = (uint8_t)(high | (value < most ? value : most));
    append(writer, &byte, 1);
    if (value < most) return;
    for (value -= most; value >= 128; value >>= 7) {
        byte = (uint8_t)(128 | (value & 127));
        append(writer, &byte, 1);
    }
    byte = (uint8_t)value;
    append(writer, &byte, 1);
}

static void append_string(Writer *writer, const char *text) {
    append_integer(writer, 0, 7, strlen(text));
    append(writer, text, strlen(text));
}

static void append_literal(Writer *writer, uint8_t high, unsigned bits, const HPACKField *field) {
    append_integer(writer, high, bits, field->index);
    if (field->index == 0) append_string(writer, field->name);
    append_string(writer, field->value);
}

HPACKBlock hpack_encode(const HPACKField *fields, size_t count) {
    enum { indexed = 0x80, literal_into_table = 0x40, literal = 0x00, first_dynamic = 62 };
    Writer first = {0}, repeated = {0}, plain = {0};
    size_t into_table = 0, table_bytes = 0;
    for (size_t index = 0; index < count; index++) into_table += fields[index].value != NULL;
    for (size_t index = 0, position = 0; index < count; index++) {
        const HPACKField *field = &fields[index];
        if (field->value == NULL) {
            append_integer(&first, indexed, 7, field->index);
            append_integer(&repeated, indexed, 7, field->index);
            append_integer(&plain, indexed, 7, field->index);
            continue;
        }
        append_literal(&first, literal_into_table, 6, field);
        // What came last into the table has the lowest number.
        append_integer(&repeated, indexed, 7, first_dynamic + into_table - 1 - position++);
        append_literal(&plain, literal, 4, field);
        table_bytes += strlen(field->name) + strlen(field->value) + 32;
    }
    return (HPACKBlock){
        first.bytes, repeated.bytes, plain.bytes, first.length, repeated.length, plain.length, (uint32_t)table_bytes};
}

bool hpack_says_ok(const uint8_t *block, size_t length) {
    // Changes of the table's size come first.
    while (length > 0 && (*block & 0xe0) == 0x20) {
        bool is_long = (*block & 0x1f) == 0x1f;
        block++, length--;
        while (is_long && length > 0) {
            is_long = *block & 0x80;
            block++, length--;
        }
    }
    // The static table's entry, or its name with the value in plain letters or in Huffman's code.
    if (length >= 1 && *block == 0x88) return true;
    if (length < 4 || (*block != 0x48 && *block != 0x08 && *block != 0x18)) return false;
    return memcmp(block + 1, "\x03" "200", 4) == 0 || memcmp(block + 1, "\x82\x10\x01", 3) == 0;
}

// MARK: Sending

static uint8_t *reserve(H2Connection *connection, size_t length) {
    if (connection->out_sent == connection->out_queued) connection->out_sent = connection->out_queued = 0;
    size_t wanted = connection->out_queued + length;
    if (wanted > connection->out_capacity) {
        connection->out_capacity = wanted * 2;
        connection->out = grown(connection->out, connection->out_capacity);
    }
    uint8_t *place = connection->out + connection->out_queued;
    connection->out_queued = wanted;
    return place;
}

// Queues a frame's head and returns the place of its payload.
static uint8_t *begin_frame(H2Connection *connection, uint8_t type, uint8_t flags, uint32_t id, size_t length) {
    uint8_t *frame = reserve(connection, frame_head + length);
    write_u32(frame, (uint32_t)length << 8 | type);
    frame[4] = flags;
    write_u32(frame + 5, id);
    return frame + frame_head;
}

static void send_u32(H2Connection *connection, uint8_t type, uint32_t id, uint32_t value) {
    write_u32(begin_frame(connection, type, 0, id, 4), value);
}

// Sends of what is unsent as much as both windows let through.
static void send_unsent(H2Connection *connection, H2Stream *stream) {
    while (stream->unsent_length > 0) {
        int64_t window =
            connection->send_window < stream->send_window ? connection->send_window : stream->send_window;
        if (window <= 0) return;
        size_t length = stream->unsent_length;
        if (length > connection->frame_limit) length = connection->frame_limit;
        if (length > (size_t)window) length = (size_t)window;
        memcpy(begin_frame(connection, frame_data, 0, stream->id, length), stream->unsent, length);
        connection->send_window -= (int64_t)length;
        stream->send_window -= (int64_t)length;
        stream->unsent += length;
        stream->unsent_length -= length;
    }
}

// Tries again for all that wait, in their order.
static void send_blocked(H2Connection *connection) {
    H2Stream **link = &connection->first_blocked;
    while (*link != NULL) {
        H2Stream *stream = *link;
        send_unsent(connection, stream);
        if (stream->unsent_length == 0) {
            *link = stream->next_blocked;
            stream->next_blocked = NULL;
        } else {
            link = &stream->next_blocked;
        }
    }
}

void h2_send(H2Connection *connection, H2Stream *stream, const uint8_t *bytes, size_t length) {
    stream->unsent = bytes;
    stream->unsent_length = length;
    send_unsent(connection, stream);
    if (stream->unsent_length == 0) return;
    H2Stream **link = &connection->first_blocked;
    while (*link != NULL) link = &(*link)->next_blocked;
    *link = stream;
}

bool h2_has_unsent(const H2Connection *connection) { return connection->out_queued > connection->out_sent; }

bool h2_flush(H2Connection *connection) {
    while (h2_has_unsent(connection)) {
        ssize_t count = send(connection->socket, connection->out + connection->out_sent,
            connection->out_queued - connection->out_sent, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno == EINTR) continue;
            // ENOTCONN: still connecting.
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN;
        }
        connection->out_sent += (size_t)count;
    }
    return true;
}

// MARK: Connections and streams

void h2_begin(H2Connection *connection, int socket, uint32_t places) {
    *connection = (H2Connection){
        .socket = socket,
        .stream_limit = places,
        .frame_limit = default_frame_limit,
        .table_limit = default_table,
        .initial_window = default_window,
        .send_window = default_window,
        .next_id = 1,
        .streams = calloc(places, sizeof(H2Stream *)),
        .places = places,
        .in = malloc(in_capacity),
    };
    if (connection->streams == NULL || connection->in == NULL) {
        perror("h2_begin");
        exit(1);
    }
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    memcpy(reserve(connection, sizeof preface - 1), preface, sizeof preface - 1);
    static const struct {
        uint16_t name;
        uint32_t value;
    } settings[] = {
        // No table: then no answer's header block needs to be read for the sake of the next.
        {setting_table_size, 0},
        {setting_enable_push, 0},
        {setting_initial_window, stream_window},
    };
    enum { count = sizeof settings / sizeof settings[0] };
    uint8_t *payload = begin_frame(connection, frame_settings, 0, 0, 6 * count);
    for (int index = 0; index < count; index++, payload += 6) {
        payload[0] = 0;
        payload[1] = (uint8_t)settings[index].name;
        write_u32(payload + 2, settings[index].value);
    }
    send_u32(connection, frame_window_update, 0, connection_window - default_window);
}

void h2_end(H2Connection *connection) {
    for (uint32_t place = 0; place < connection->places; place++)
        if (connection->streams[place] != NULL) connection->streams[place]->id = 0;
    close(connection->socket);
    free(connection->streams);
    free(connection->in);
    free(connection->out);
    *connection = (H2Connection){.socket = -1};
}

static H2Stream **place_of(const H2Connection *connection, uint32_t id) {
    return &connection->streams[id / 2 % connection->places];
}

static H2Stream *stream_of(const H2Connection *connection, uint32_t id) {
    H2Stream *stream = *place_of(connection, id);
    return stream != NULL && stream->id == id ? stream : NULL;
}

bool h2_can_open(const H2Connection *connection) {
    return connection->ready && !connection->draining && connection->open_streams < connection->stream_limit &&
           connection->open_streams < connection->places;
}

void h2_open(H2Connection *connection, H2Stream *stream, const HPACKBlock *block) {
    // A number whose place an older stream still has is left out, as a client may do (section 5.1.1).
    while (*place_of(connection, connection->next_id) != NULL) connection->next_id += 2;
    *stream = (H2Stream){.id = connection->next_id, .send_window = connection->initial_window};
    *place_of(connection, stream->id) = stream;
    connection->open_streams++;
    connection->next_id += 2;
    // As many numbers are kept back as leaving out may cost.
    if (connection->next_id > largest_id - 2 * connection->places) connection->draining = true;

    const uint8_t *bytes = block->plain;
    size_t length = block->plain_length;
    if (block->table_bytes <= connection->table_limit && !connection->must_shrink_table) {
        bytes = connection->has_filled_table ? block->repeated : block->first;
        length = connection->has_filled_table ? block->repeated_length : block->first_length;
        connection->has_filled_table = true;
    }
    size_t shrink = connection->must_shrink_table ? 1 : 0;
    uint8_t *payload = begin_frame(connection, frame_headers, flag_end_headers, stream->id, shrink + length);
    if (shrink > 0) *payload++ = 0x20;
    memcpy(payload, bytes, length);
    if (shrink > 0) connection->table_limit = 0;
    connection->must_shrink_table = false;
}

void h2_forget(H2Connection *connection, H2Stream *stream) {
    if (stream->unsent_length > 0) {
        H2Stream **link = &connection->first_blocked;
        while (*link != stream) link = &(*link)->next_blocked;
        *link = stream->next_blocked;
    }
    *place_of(connection, stream->id) = NULL;
    connection->open_streams--;
    *stream = (H2Stream){0};
}

void h2_reset(H2Connection *connection, H2Stream *stream, uint32_t code) {
    send_u32(connection, frame_rst_stream, stream->id, code);
    h2_forget(connection, stream);
}

// MARK: Receiving

bool h2_receive(H2Connection *connection) {
    size_t rest = connection->in_written - connection->in_read;
    memmove(connection->in, connection->in + connection->in_read, rest);
    connection->in_read = 0;
    connection->in_written = rest;
    ssize_t count = recv(connection->socket, connection->in + rest, in_capacity - rest, 0);
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    connection->in_written += (size_t)count;
    return count > 0;
}

// Gives the server back what its data took of the windows, once half of one is gone.
static void give_back(H2Connection *connection, H2Stream *stream, size_t length) {
    connection->received += (uint32_t)length;
    if (connection->received >= connection_window / 2) {
        send_u32(connection, frame_window_update, 0, connection->received);
        connection->received = 0;
    }
    if (stream == NULL) return;
    stream->received += (uint32_t)length;
    if (stream->received >= stream_window / 2) {
        send_u32(connection, frame_window_update, stream->id, stream->received);
        stream->received = 0;
    }
}

static bool apply_settings(H2Connection *connection, const uint8_t *bytes, size_t length) {
    if (length % 6 != 0) return false;
    for (; length > 0; bytes += 6, length -= 6) {
        uint32_t value = read_u32(bytes + 2);
        switch (bytes[0] << 8 | bytes[1]) {
            case setting_table_size:
                // A table that has become smaller is used no more, which the next block must say.
                if (value < connection->table_limit) connection->must_shrink_table = true;
                break;
            case setting_concurrent_streams: connection->stream_limit = value; break;
            case setting_initial_window: {
                if (value > largest_window) return false;
                int64_t change = (int64_t)value - connection->initial_window;
                connection->initial_window = value;
                for (uint32_t place = 0; place < connection->places; place++)
                    if (connection->streams[place] != NULL) connection->streams[place]->send_window += change;
                break;
            }
            case setting_frame_size:
                if (value < default_frame_limit || value > 0xffffff) return false;
                connection->frame_limit = value;
                break;
        }
    }
    begin_frame(connection, frame_settings, flag_ack, 0, 0);
    connection->ready = true;
    send_blocked(connection);
    return true;
}

typedef struct {
    uint8_t type, flags;
    uint32_t id;
    const uint8_t *bytes;
    size_t length;
} Frame;

// Takes away padding and priority.
static bool strip(Frame *frame) {
    size_t padding = 0;
    if (frame->flags & flag_padded) {
        if (frame->length < 1) return false;
        padding = frame->bytes[0];
        frame->bytes++, frame->length--;
    }
    if (frame->type == frame_headers && frame->flags & flag_priority) {
        if (frame->length < 5) return false;
        frame->bytes += 5, frame->length -= 5;
    }
    if (padding > frame->length) return false;
    frame->length -= padding;
    return true;
}

typedef enum { outcome_quiet, outcome_event, outcome_broken } Outcome;

static Outcome take_stream_frame(H2Connection *connection, Frame frame, H2Event *event) {
    // A stream that is not open has been closed by us: what was under way for it then is let pass.
    H2Stream *stream = stream_of(connection, frame.id);
    if (frame.id == 0 || frame.id >= connection->next_id) return outcome_broken;
    if (frame.type == frame_data) give_back(connection, stream, frame.length);
    if (frame.type == frame_headers && !(frame.flags & flag_end_headers)) connection->continued_id = frame.id;
    if (!strip(&frame)) return outcome_broken;
    if (stream == NULL) return outcome_quiet;
    *event = (H2Event){
        .kind = frame.type == frame_data ? h2_data : h2_headers,
        .stream = stream,
        .bytes = frame.bytes,
        .length = frame.length,
        .ends_stream = frame.flags & flag_end_stream,
    };
    return outcome_event;
}

static Outcome take_window_update(H2Connection *connection, Frame frame) {
    if (frame.length != 4) return outcome_broken;
    uint32_t increment = read_u32(frame.bytes) & largest_window;
    if (frame.id == 0) {
        connection->send_window += increment;
    } else {
        H2Stream *stream = stream_of(connection, frame.id);
        if (stream != NULL) stream->send_window += increment;
    }
    send_blocked(connection);
    return outcome_quiet;
}

static Outcome take(H2Connection *connection, Frame frame, H2Event *event) {
    // The server's first frame is its SETTINGS, and nothing comes between the parts of a header block.
    if (!connection->ready && (frame.type != frame_settings || frame.flags & flag_ack)) return outcome_broken;
    if (connection->continued_id != 0 && (frame.type != frame_continuation || frame.id != connection->continued_id))
        return outcome_broken;
    switch (frame.type) {
        case frame_data:
        case frame_headers: return take_stream_frame(connection, frame, event);
        case frame_continuation:
            if (connection->continued_id == 0) return outcome_broken;
            if (frame.flags & flag_end_headers) connection->continued_id = 0;
            return outcome_quiet;
        case frame_rst_stream: {
            H2Stream *stream = stream_of(connection, frame.id);
            if (frame.length != 4) return outcome_broken;
            if (stream == NULL) return outcome_quiet;
            h2_forget(connection, stream);
            *event = (H2Event){.kind = h2_reset_by_server, .stream = stream};
            return outcome_event;
        }
        case frame_settings:
            if (frame.flags & flag_ack) return outcome_quiet;
            return apply_settings(connection, frame.bytes, frame.length) ? outcome_quiet : outcome_broken;
        case frame_ping:
            if (frame.length != 8) return outcome_broken;
            if (!(frame.flags & flag_ack))
                memcpy(begin_frame(connection, frame_ping, flag_ack, 0, 8), frame.bytes, 8);
            return outcome_quiet;
        case frame_goaway:
            if (frame.length < 8) return outcome_broken;
            connection->draining = true;
            *event = (H2Event){.kind = h2_goaway, .last_id = read_u32(frame.bytes) & largest_id};
            return outcome_event;
        case frame_window_update: return take_window_update(connection, frame);
        case frame_push_promise: return outcome_broken;
        // PRIORITY, and kinds that the standard does not know yet.
        default: return outcome_quiet;
    }
}

bool h2_next(H2Connection *connection, H2Event *event) {
    while (connection->in_written - connection->in_read >= frame_head) {
        const uint8_t *head = connection->in + connection->in_read;
        Frame frame = {.type = head[3], .flags = head[4], .id = read_u32(head + 5) & largest_id};
        frame.bytes = head + frame_head;
        frame.length = read_u32(head) >> 8;
        bool is_broken = frame.length > default_frame_limit;
        if (!is_broken && connection->in_written - connection->in_read < frame_head + frame.length) return false;
        Outcome outcome = is_broken ? outcome_broken : take(connection, frame, event);
        if (outcome == outcome_broken) {
            // What follows cannot be read any more.
            connection->in_read = connection->in_written;
            *event = (H2Event){.kind = h2_broken};
            return true;
        }
        connection->in_read += frame_head + frame.length;
        if (outcome == outcome_event) return true;
    }
    return false;
}
