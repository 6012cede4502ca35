// The client's side of one HTTP/2 connection (RFC 9113) without TLS, as far as a gRPC client needs it.
//
// The owner connects, waits for `ready`, opens streams and sends on them; what it queues leaves with h2_flush. After
// h2_receive it asks h2_next for events until there are none. Flow control, SETTINGS and PING are dealt with inside.

#ifndef BENCH_H2_H
#define BENCH_H2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    h2_no_error = 0,
    h2_protocol_error = 1,
    h2_internal_error = 2,
    h2_cancel = 8,
};

// Part of the owner's stream; all zero before it is opened. `id` is 0 unless the stream is open.
typedef struct H2Stream {
    uint32_t id;
    // What the server still takes on this stream, and what it has sent that was not given back to it yet.
    int64_t send_window;
    uint32_t received;
    // What waits for the server to take more.
    const uint8_t *unsent;
    size_t unsent_length;
    struct H2Stream *next_blocked;
} H2Stream;

// Entries of the static table (RFC 7541, appendix A).
enum { hpack_authority = 1, hpack_method_post = 3, hpack_path = 4, hpack_scheme_http = 6, hpack_content_type = 31 };

typedef struct {
    // The entry of the static table with this name, or, if `value` is NULL, with the whole field; 0: there is none.
    uint8_t index;
    const char *name, *value;
} HPACKField;

// One list of fields, encoded in the three ways that a connection needs.
typedef struct {
    // Putting the fields into the server's table; naming them there afterwards; without a table.
    uint8_t *first, *repeated, *plain;
    size_t first_length, repeated_length, plain_length;
    // What the fields take up in the server's table.
    uint32_t table_bytes;
} HPACKBlock;

HPACKBlock hpack_encode(const HPACKField *fields, size_t count);

// Whether the block, the first of an answer, says :status 200. No table is kept: ours is announced to be of size 0.
bool hpack_says_ok(const uint8_t *block, size_t length);

typedef struct {
    int socket;
    // The server's SETTINGS have come, and streams may be opened.
    bool ready;
    // No stream can be opened any more: the server said GOAWAY, or the numbers are used up.
    bool draining;
    uint32_t open_streams;

    // The server's settings.
    uint32_t stream_limit, frame_limit, table_limit;
    int64_t initial_window;

    int64_t send_window;
    uint32_t received;
    uint32_t next_id;
    bool has_filled_table, must_shrink_table;
    H2Stream *first_blocked;

    // Open streams by their number: number n is in place n / 2, modulo the places.
    H2Stream **streams;
    uint32_t places;

    // Received bytes from `read` to `written` are not dealt with yet.
    uint8_t *in;
    size_t in_read, in_written;
    // To be sent, from `sent` to `queued`.
    uint8_t *out;
    size_t out_sent, out_queued, out_capacity;
    // The stream whose header block goes on in CONTINUATION frames; 0: none.
    uint32_t continued_id;
} H2Connection;

typedef enum {
    h2_headers,  // the beginning of a header block; `bytes` are its first frame's
    h2_data,
    h2_reset_by_server,  // the stream is closed
    h2_goaway,  // streams above `last_id` were not processed; the owner must end them with h2_forget
    h2_broken,  // the server's bytes are no HTTP/2; the owner must end the connection
} H2EventKind;

typedef struct {
    H2EventKind kind;
    H2Stream *stream;
    // Valid until the next call.
    const uint8_t *bytes;
    size_t length;
    // The server has ended the stream; the owner must end it with h2_reset or h2_forget.
    bool ends_stream;
    uint32_t last_id;
} H2Event;

// Takes over a connecting socket, with room for so many open streams.
void h2_begin(H2Connection *connection, int socket, uint32_t places);
// Closes the socket; open streams are forgotten.
void h2_end(H2Connection *connection);

bool h2_can_open(const H2Connection *connection);
void h2_open(H2Connection *connection, H2Stream *stream, const HPACKBlock *block);
// Sends DATA; `bytes` must stay until the stream is closed. Only when nothing is unsent.
void h2_send(H2Connection *connection, H2Stream *stream, const uint8_t *bytes, size_t length);
// Closes the stream with RST_STREAM, or without a word.
void h2_reset(H2Connection *connection, H2Stream *stream, uint32_t code);
void h2_forget(H2Connection *connection, H2Stream *stream);

// Reads what the socket has, once. False: the connection has ended.
bool h2_receive(H2Connection *connection);
// Takes the next event out of what was received; false: there is none.
bool h2_next(H2Connection *connection, H2Event *event);
// Sends what is queued as far as the socket takes it. False: the connection has ended.
bool h2_flush(H2Connection *connection);
bool h2_has_unsent(const H2Connection *connection);

#endif
