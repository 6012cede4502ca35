"""The load of an external processor sends what Envoy sends, one message after the other, and tells right from wrong.

    python3 -m unittest discover -s Benchmarks -t Benchmarks
"""

from __future__ import annotations

import json
import math
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Callable, Iterator, Optional

from harness.programs import BENCHMARKS, EXTPROC_LOAD, Program

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32

#: The field of ProcessingRequest's oneof, and the field of ProcessingResponse's that answers it.
ANSWERS = {2: 1, 4: 3, 3: 2, 5: 4}
IMMEDIATE = 7

BODY = b'{"model":"auto","messages":[{"role":"user","content":"' + b"Where are we? " * 60 + b'"}]}'


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def message(field: int, content: bytes = b"") -> bytes:
    """A gRPC message whose one field is `field`; of some 100 bytes at most."""
    body = bytes([field << 3 | 2, len(content)]) + content
    return b"\0" + len(body).to_bytes(4, "big") + body


def varint(data: bytes, at: int) -> "tuple[int, int]":
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data: bytes) -> "Iterator[tuple[int, int | bytes]]":
    """The fields of a protobuf message that has none of fixed width."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        value, at = varint(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            yield tag >> 3, value


class Peer:
    """The server's side of one connection: reads frames, puts messages together, says what it is told to."""

    def __init__(self, server: "Server", connection: socket.socket) -> None:
        self.server = server
        self.socket = connection
        self.number = len(server.peers)
        self.blocks: list[tuple[int, bytes]] = []
        self.messages: dict[int, list[bytes]] = {}
        self.resets: dict[int, int] = {}
        self.open: set[int] = set()
        self.most_open = 0
        self.others: list[tuple[int, int, int, bytes]] = []
        self._partial: dict[int, bytes] = {}
        self._ended = False

    def send(self, *frames: bytes) -> None:
        try:
            self.socket.sendall(b"".join(frames))
        except OSError:
            self._ended = True

    def end(self) -> None:
        # Behind what was sent, not in front of it: a close with unread bytes would be a reset.
        self.socket.shutdown(socket.SHUT_WR)
        self._ended = True

    def answer(self, stream: int, *answers: bytes) -> None:
        """Sends gRPC messages, before the first the headers."""
        head = [] if len(self.messages[stream]) > 1 else [frame(HEADERS, END_HEADERS, stream, b"\x88")]
        self.send(*head, *(frame(DATA, 0, stream, one) for one in answers))

    def run(self) -> None:
        if self._read(24) != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
            return
        wide_window = [frame(WINDOW_UPDATE, 0, 0, (1 << 30).to_bytes(4, "big"))] if self.server.has_wide_window else []
        self.send(frame(SETTINGS, 0, 0, self.server.settings), *wide_window)
        while not self._ended and (head := self._read(9)):
            payload = self._read(int.from_bytes(head[:3], "big"))
            self._take(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        while not self._gone():
            pass

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                received = self.socket.recv(count - len(data))
            except OSError:
                return b""
            if not received:
                return b""
            data += received
        return data

    def _gone(self) -> bool:
        try:
            return not self.socket.recv(1 << 16)
        except OSError:
            return True

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            self.blocks.append((flags, payload))
            self.messages[stream] = []
            self.open.add(stream)
            self.most_open = max(self.most_open, len(self.open))
        elif kind == DATA:
            self._take_data(stream, payload)
        elif kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload, "big")
            self.open.discard(stream)
        else:
            self.others.append((kind, flags, stream, payload))

    def _take_data(self, stream: int, payload: bytes) -> None:
        self.server.on_data(self, stream, len(payload))
        data = self._partial.pop(stream, b"") + payload
        if len(data) < 5 or len(data) < 5 + int.from_bytes(data[1:5], "big"):
            self._partial[stream] = data
            return
        # Were there bytes of a next message, the load would not have waited for the answer to this one.
        assert len(data) == 5 + int.from_bytes(data[1:5], "big"), "a message came before its time"
        self.messages[stream].append(data[5:])
        self.server.on_message(self, stream, data[5] >> 3)


def right(peer: Peer, stream: int, kind: int) -> None:
    """Answers a message as a processor does."""
    peer.answer(stream, message(ANSWERS[kind], b"\x0a\x12x-selected-model: a"))


class Server:
    """A listener on a thread of its own, and a thread for each connection."""

    def __init__(
        self,
        on_message: Callable[[Peer, int, int], None] = right,
        settings: bytes = b"",
        on_data: Optional[Callable[[Peer, int, int], None]] = None,
    ) -> None:
        self.on_message = on_message
        self.has_wide_window = on_data is None
        self.on_data = on_data or (lambda peer, stream, length: None)
        self.settings = settings
        self.peers: list[Peer] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()
        self._serving: list[threading.Thread] = []

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(self, connection)
            self.peers.append(peer)
            thread = threading.Thread(target=peer.run, daemon=True)
            thread.start()
            self._serving.append(thread)

    def wait(self) -> None:
        """Returns when every connection has ended: then its peer has seen all that was sent to it."""
        for thread in self._serving:
            thread.join(10)

    def close(self) -> None:
        # A thread that waits in accept() is only woken by this.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self.peers:
            try:
                peer.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._accepting.join(10)
        self.wait()
        for peer in self.peers:
            peer.socket.close()


class LoadTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.binary = EXTPROC_LOAD.build()
        cls.directory = tempfile.TemporaryDirectory()
        cls.body = Path(cls.directory.name) / "body"
        cls.body.write_bytes(BODY)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.directory.cleanup()

    def server(self, *arguments, **named) -> Server:
        server = Server(*arguments, **named)
        self.addCleanup(server.close)
        return server

    def command(self, port: int, *options: str, body: Optional[Path] = None) -> "list[str]":
        return [str(self.binary), "--port", str(port), "--body", str(body or self.body), "--json", *options]

    def load(self, server: Server, *options: str, body: Optional[Path] = None) -> dict:
        done = subprocess.run(
            self.command(server.port, *options, body=body), capture_output=True, text=True, timeout=60
        )
        self.assertNotEqual(done.stdout, "", done.stderr)
        server.wait()
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if report["errors"] else 0)
        return report


class ConversationTests(LoadTestCase):
    def test_a_stream_is_what_envoy_sends(self) -> None:
        server = self.server()
        report = self.load(server, "--streams", "3", "--sequential", "--response-chunks", "2")
        self.assertEqual((report["streams"], report["errors"]), (3, {}))
        (peer,) = server.peers
        self.assertEqual(list(peer.messages), [1, 3, 5])
        for messages in peer.messages.values():
            parsed = [dict(fields(one)) for one in messages]
            self.assertEqual([next(iter(one)) for one in parsed], [2, 4, 3, 5, 5])
            # Only the first message says how bodies come: buffered and streamed.
            self.assertEqual([dict(fields(one[11])) for one in parsed if 11 in one], [{1: 2, 2: 1}])
            self.assertEqual([one[8] for one in parsed], [b""] * 5)
            headers = self.headers(parsed[0][2])
            self.assertEqual(headers[b":path"], b"/v1/chat/completions")
            self.assertEqual(headers[b"content-length"], str(len(BODY)).encode())
            self.assertEqual(dict(fields(parsed[1][4])), {1: BODY, 2: 1})
            self.assertEqual(self.headers(parsed[2][3])[b":status"], b"200")
            self.assertEqual([dict(fields(one[5])).get(2) for one in parsed[3:]], [None, 1])
        # Every stream of Envoy ends so, with INTERNAL_ERROR.
        self.assertEqual(peer.resets, {1: 2, 3: 2, 5: 2})

    def headers(self, value: bytes) -> "dict[bytes, bytes]":
        (map_,) = [content for field, content in fields(value) if field == 1]
        return {header[1]: header[3] for header in (dict(fields(one)) for _, one in fields(map_))}

    def test_each_message_waits_for_the_answer_to_the_one_before(self) -> None:
        # The answers leave only when nothing has come for a while; a message sent too early would have come by then.
        def late(peer: Peer, stream: int, kind: int) -> None:
            waiting[stream] = kind
            if len(waiting) < 4:
                return
            peer.socket.settimeout(0.1)
            with self.assertRaises(TimeoutError):
                peer.socket.recv(1, socket.MSG_PEEK)
            peer.socket.settimeout(None)
            for one, its_kind in list(waiting.items()):
                del waiting[one]
                right(peer, one, its_kind)

        waiting: dict[int, int] = {}
        report = self.load(self.server(late), "--streams", "4", "--concurrency", "4")
        self.assertEqual((report["streams"], report["errors"]), (4, {}))

    def test_the_fields_of_the_call_are_named_once_and_then_by_number(self) -> None:
        server = self.server()
        self.load(server, "--streams", "3", "--sequential")
        first, *others = [block for _, block in server.peers[0].blocks]
        self.assertIn(b"/envoy.service.ext_proc.v3.ExternalProcessor/Process", first)
        # :method and :scheme are in the static table; six fields went into the dynamic one, whose last is number 62.
        self.assertEqual([list(block) for block in others], [[0x83, 0x80 | 67, 0x80 | 66, 0x86, 0x80 | 65, 0x80 | 64,
                                                              0x80 | 63, 0x80 | 62]] * 2)
        self.assertEqual({flags for flags, _ in server.peers[0].blocks}, {END_HEADERS})

    def test_a_server_without_a_table_gets_every_field_spelled(self) -> None:
        server = self.server(settings=b"\0\1\0\0\0\0")
        self.assertEqual(self.load(server, "--streams", "3", "--sequential")["errors"], {})
        first, *others = [block for _, block in server.peers[0].blocks]
        self.assertEqual(first[0], 0x20)
        self.assertEqual(others, [first[1:]] * 2)

    def test_settings_and_pings_are_acknowledged(self) -> None:
        def ping_first(peer: Peer, stream: int, kind: int) -> None:
            peer.send(frame(PING, 0, 0, b"12345678"), frame(PING, ACK, 0, b"no reply"))
            right(peer, stream, kind)

        server = self.server(ping_first)
        self.load(server, "--streams", "1")
        acknowledged = [(kind, payload) for kind, flags, _, payload in server.peers[0].others if flags & ACK]
        self.assertEqual(acknowledged, [(SETTINGS, b"")] + [(PING, b"12345678")] * 3)

    def test_answers_may_come_in_any_pieces(self) -> None:
        def in_pieces(peer: Peer, stream: int, kind: int) -> None:
            answer = message(ANSWERS[kind], b"\x0a\x12x-selected-model: a")
            if kind == 2:
                # Priority, padding, a change of the table's size, and :status as a literal that goes on elsewhere.
                block = bytes([2]) + bytes(5) + b"\x20\x08\x03200" + bytes(2)
                peer.send(frame(HEADERS, PADDED | PRIORITY, stream, block), frame(CONTINUATION, END_HEADERS, stream))
            for byte in answer[:-1]:
                peer.send(frame(DATA, 0, stream, bytes([byte])), frame(DATA, PADDED, stream, bytes([3, 0, 0, 0])))
            last = frame(DATA, 0, stream, answer[-1:]) + frame(0xee, 0, stream, b"unknown")
            for at in range(len(last)):
                peer.send(last[at : at + 1])

        report = self.load(self.server(in_pieces), "--streams", "3", "--expect", "x-selected-model")
        self.assertEqual((report["streams"], report["errors"]), (3, {}))

    def test_a_large_body_keeps_to_the_windows_of_its_stream_and_of_the_connection(self) -> None:
        large = Path(self.directory.name) / "large"
        large.write_bytes(random.Random(1).randbytes(200_000))
        wide = 1 << 30
        for stream_window in (30_000, wide):
            left: dict[int, int] = {}

            def give_back(peer: Peer, stream: int, length: int) -> None:
                windows = {stream: stream_window, 0: 65_535}
                for one, window in windows.items():
                    left[one] = left.get(one, window) - length
                self.assertGreaterEqual(min(left.values()), 0)
                if min(left[stream], left[0]) > 0:
                    return
                # What is sent beyond a window would come meanwhile.
                peer.socket.settimeout(0.02)
                with self.assertRaises(TimeoutError):
                    peer.socket.recv(1, socket.MSG_PEEK)
                peer.socket.settimeout(None)
                for one, window in windows.items():
                    if left[one] < window:
                        peer.send(frame(WINDOW_UPDATE, 0, one, (window - left[one]).to_bytes(4, "big")))
                        left[one] = window

            server = self.server(right, b"\0\4" + stream_window.to_bytes(4, "big"), give_back)
            with self.subTest(stream_window):
                report = self.load(server, "--streams", "2", "--sequential", body=large)
                self.assertEqual((report["streams"], report["errors"]), (2, {}))
                for messages in server.peers[0].messages.values():
                    self.assertEqual(dict(fields(dict(fields(messages[1]))[4]))[1], large.read_bytes())

    def test_no_more_streams_are_open_than_the_server_allows(self) -> None:
        server = self.server(settings=b"\0\3\0\0\0\2")
        report = self.load(server, "--streams", "40", "--concurrency", "8")
        self.assertEqual((report["streams"], report["errors"]), (40, {}))
        self.assertEqual(server.peers[0].most_open, 2)

    def test_connections_share_the_streams(self) -> None:
        server = self.server()
        report = self.load(server, "--streams", "40", "--concurrency", "4", "--connections", "2")
        self.assertEqual((report["streams"], report["connections_opened"]), (40, 2))
        for peer in server.peers:
            self.assertEqual(peer.most_open, 2)

    def test_a_slow_stream_keeps_its_number_while_others_pass_it(self) -> None:
        # A connection has as many places as streams may be under way. Stream 1 has the first of three until stream 21
        # has come, so the numbers 7, 13 and 19, which would have it too, are left out.
        def first_waits(peer: Peer, stream: int, kind: int) -> None:
            if (stream, kind) != (1, 2):
                right(peer, stream, kind)
            if (stream, kind) == (21, 2):
                right(peer, 1, 2)

        server = self.server(first_waits)
        report = self.load(server, "--streams", "15", "--concurrency", "3")
        self.assertEqual((report["streams"], report["errors"]), (15, {}))
        self.assertEqual(list(server.peers[0].messages)[:8], [1, 3, 5, 9, 11, 15, 17, 21])


class ErrorTests(LoadTestCase):
    def errors(self, on_message: Callable[[Peer, int, int], None], *options: str) -> dict:
        report = self.load(self.server(on_message), "--streams", "1", *options)
        self.assertEqual(report["streams"], 0)
        return report["errors"]

    def at(self, kind: int, wrong: Callable[[Peer, int], None]) -> Callable[[Peer, int, int], None]:
        """Answers rightly but for messages of one kind."""
        return lambda peer, stream, its_kind: wrong(peer, stream) if its_kind == kind else right(peer, stream, its_kind)

    def test_an_answer_to_another_message_is_wrong_at_every_step(self) -> None:
        for kind, field in ANSWERS.items():
            for other in {*ANSWERS.values(), 5, 9} - {field}:
                with self.subTest(kind=kind, answer=other):
                    wrong = self.at(kind, lambda peer, stream: peer.answer(stream, message(other)))
                    self.assertEqual(self.errors(wrong, "--response-chunks", "1"), {"answer": 1})

    def test_what_is_no_answer_is_wrong(self) -> None:
        right_one = message(1)
        wrong_ones = {
            "empty": b"\0\0\0\0\0",
            "compressed": b"\1" + right_one[1:],
            "cut inside": b"\0\0\0\0\2\x0a\5",
            "endless tag": b"\0\0\0\0\2\xff\xff",
            "group": b"\0\0\0\0\1\x0b",
            "two at once": right_one + right_one,
            "longer than it says": right_one + b"\0",
            "of a gigabyte": b"\0\x40\0\0\0" + bytes(10),
        }
        for name, wrong in wrong_ones.items():
            with self.subTest(name):
                errors = self.errors(self.at(2, lambda peer, stream: peer.answer(stream, wrong)))
                self.assertEqual(errors, {"answer": 1})

    def test_other_fields_beside_the_answer_do_not_matter(self) -> None:
        # dynamic_metadata (8), mode_override (9), and fields of every wire type that nobody knows yet.
        beside = b"\x42\1a" + b"\x4a\0" + b"\xa0\1\x96\1" + b"\xa9\1" + bytes(8) + b"\xad\1" + bytes(4)

        def with_more(peer: Peer, stream: int, kind: int) -> None:
            for_kind = message(ANSWERS[kind])[5:]
            body = beside + for_kind + beside
            peer.answer(stream, b"\0" + len(body).to_bytes(4, "big") + body)

        self.assertEqual(self.load(self.server(with_more), "--streams", "2")["errors"], {})

    def test_the_expected_bytes_must_be_in_the_answer_to_the_body(self) -> None:
        self.assertEqual(self.errors(right, "--expect", "x-other-model"), {"expected": 1})
        report = self.load(self.server(), "--streams", "2", "--expect", "x-selected-model")
        self.assertEqual((report["streams"], report["errors"]), (2, {}))

    def test_an_immediate_response_is_an_error_of_its_own(self) -> None:
        for kind in (2, 4, 3):
            with self.subTest(kind):
                refuse = self.at(kind, lambda peer, stream: peer.answer(stream, message(IMMEDIATE)))
                self.assertEqual(self.errors(refuse), {"immediate": 1})

    def test_a_call_that_is_refused_is_an_error(self) -> None:
        def answer(flags: int, block: bytes) -> Callable[[Peer, int, int], None]:
            return self.at(2, lambda peer, stream: peer.send(frame(HEADERS, flags | END_HEADERS, stream, block)))

        # grpc-status alone, and HTTP status 404 and 500.
        self.assertEqual(self.errors(answer(END_STREAM, b"\x88")), {"status": 1})
        self.assertEqual(self.errors(answer(0, b"\x8d")), {"status": 1})
        self.assertEqual(self.errors(answer(0, b"\x08\x03500")), {"status": 1})

    def test_a_stream_that_the_server_ends_is_an_error(self) -> None:
        def trailers(peer: Peer, stream: int) -> None:
            peer.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\x88"))

        def half_closed(peer: Peer, stream: int) -> None:
            peer.send(frame(DATA, END_STREAM, stream))

        for end in (trailers, half_closed):
            self.assertEqual(self.errors(self.at(4, end)), {"status": 1})

    def test_a_reset_is_an_error(self) -> None:
        reset = self.at(4, lambda peer, stream: peer.send(frame(RST_STREAM, 0, stream, bytes(4))))
        self.assertEqual(self.errors(reset), {"reset": 1})

    def test_bytes_that_are_no_http2_end_the_connection(self) -> None:
        broken = {
            "a long frame": b"\xff\xff\xff" + bytes(6),
            "data of no stream": frame(DATA, 0, 0, b"x"),
            "data of a stream that was never opened": frame(DATA, 0, 101, b"x"),
            "a promise": frame(5, 0, 1, bytes(4)),
            "padding longer than the frame":
                frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, PADDED, 1, b"\x09"),
            "a short ping": frame(PING, 0, 0, b"1"),
        }
        for name, wrong in broken.items():
            with self.subTest(name):
                self.assertEqual(self.errors(self.at(2, lambda peer, stream: peer.send(wrong))), {"protocol": 1})

    def test_a_stream_that_is_not_answered_times_out(self) -> None:
        silent = self.at(4, lambda peer, stream: None)
        server = self.server(silent)
        report = self.load(server, "--streams", "2", "--concurrency", "2", "--timeout", "0.2")
        self.assertEqual((report["streams"], report["errors"]), (0, {"timeout": 2}))

    def test_a_lost_connection_fails_its_streams_and_another_is_opened(self) -> None:
        def end_first(peer: Peer, stream: int, kind: int) -> None:
            if peer.number == 0 and len(peer.messages) == 3:
                peer.end()
            elif peer.number > 0:
                right(peer, stream, kind)

        report = self.load(self.server(end_first), "--streams", "5", "--concurrency", "3")
        self.assertEqual((report["streams"], report["errors"]), (2, {"connection": 3}))
        self.assertEqual(report["connections_opened"], 2)

    def test_goaway_fails_what_it_refuses_and_moves_on(self) -> None:
        def leave(peer: Peer, stream: int, kind: int) -> None:
            if peer.number == 0 and stream == 5:
                # Streams 1 and 3 are still served.
                peer.send(frame(GOAWAY, 0, 0, (3).to_bytes(4, "big") + bytes(4)))
                for waiting in (1, 3):
                    right(peer, waiting, 2)
            elif peer.number > 0 or kind != 2:
                right(peer, stream, kind)

        report = self.load(self.server(leave), "--streams", "6", "--concurrency", "3")
        self.assertEqual((report["streams"], report["errors"]), (5, {"goaway": 2}))
        self.assertEqual(report["connections_opened"], 2)

    def test_a_server_that_is_not_there_is_said_so(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        done = subprocess.run(self.command(port), capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no HTTP/2 server", done.stderr)

    def test_a_wrong_command_line_is_refused(self) -> None:
        for options in (["--wrong"], ["--rate", "fast"], ["--streams", "0"], ["--rate"], ["--port", "70000"]):
            with self.subTest(options):
                done = subprocess.run([*self.command(1), *options], capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn("usage", done.stderr)


class RateTests(LoadTestCase):
    def test_at_a_rate_every_stream_of_the_duration_starts(self) -> None:
        report = self.load(self.server(), "--rate", "200", "--duration", "0.5", "--warmup", "0.2")
        self.assertEqual((report["streams"], report["errors"], report["delayed"]), (100, {}, 0))
        report = self.load(self.server(), "--rate", "200", "--streams", "7")
        self.assertEqual(report["streams"], 7)

    def test_what_a_stall_keeps_back_counts_from_when_it_was_due(self) -> None:
        # The first of 51 streams is answered after 500 ms, and no other may be under way meanwhile: the i-th has
        # waited 500 - 10 i ms when it starts.
        stalled = []

        def stall(peer: Peer, stream: int, kind: int) -> None:
            if not stalled:
                stalled.append(stream)
                time.sleep(0.5)
            right(peer, stream, kind)

        report = self.load(self.server(stall), "--rate", "100", "--streams", "51", "--concurrency", "1")
        self.assertEqual((report["streams"], report["errors"]), (51, {}))
        self.assertGreaterEqual(report["delayed"], 40)
        self.assertGreaterEqual(report["p50_us"], 240_000)
        self.assertGreaterEqual(report["max_us"], 500_000)

    def test_what_never_starts_is_counted(self) -> None:
        silent = self.server(lambda peer, stream, kind: None)
        report = self.load(silent, "--rate", "50", "--duration", "0.2", "--concurrency", "1", "--timeout", "0.3")
        self.assertEqual(report["streams"], 0)
        self.assertEqual(sum(report["errors"].values()), 10)

    def test_a_closed_loop_measures_after_its_warm_up(self) -> None:
        server = self.server()
        report = self.load(server, "--streams", "10", "--concurrency", "2", "--warmup", "0.2")
        self.assertGreater(len(server.peers[0].messages), 10)
        self.assertEqual(report["streams"], 10)

    def test_an_interrupted_run_reports_what_it_has(self) -> None:
        seen = threading.Event()

        def count(peer: Peer, stream: int, kind: int) -> None:
            right(peer, stream, kind)
            if stream > 20:
                seen.set()

        command = self.command(self.server(count).port, "--duration", "60", "--sequential")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            self.assertTrue(seen.wait(10))
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=10)
        report = json.loads(output)
        self.assertEqual((process.returncode, report["interrupted"], report["errors"]), (130, True, {}))
        self.assertGreaterEqual(report["streams"], 9)


class ResetTests(LoadTestCase):
    def test_streams_are_opened_and_reset_before_the_connection_is_used(self) -> None:
        server = self.server(settings=b"\0\3\0\0\0\x64")
        report = self.load(server, "--resets", "250", "--streams", "2")
        self.assertEqual((report["streams"], report["resets"], report["errors"]), (2, 250, {}))
        (peer,) = server.peers
        self.assertEqual(list(peer.resets)[:250], list(range(1, 500, 2)))
        self.assertEqual({len(peer.messages[stream]) for stream in range(1, 500, 2)}, {1})

    def test_a_server_that_minds_is_found_out(self) -> None:
        def mind(peer: Peer, stream: int, kind: int) -> None:
            if stream == 101:
                peer.send(frame(GOAWAY, 0, 0, stream.to_bytes(4, "big") + bytes(4)))
            right(peer, stream, kind)

        report = self.load(self.server(mind), "--resets", "100", "--streams", "1")
        self.assertIn("goaway", report["errors"])


class HistogramTests(unittest.TestCase):
    def test_quantiles_are_within_one_percent(self) -> None:
        program = Program("histogram-quantiles", BENCHMARKS, ("tests/histogram-quantiles.c", "load/histogram.c"),
                          libraries=("-lm",)).build()
        shares = [0, 0.1, 0.5, 0.9, 0.99, 0.999, 1]
        numbers = random.Random(7)
        cases = {
            "one": [12345],
            "equal": [100] * 50,
            "small": list(range(300)),
            "two far apart": [1] * 99 + [10**9],
            "over all sizes": [int(math.exp(numbers.uniform(0, math.log(2**63)))) for _ in range(20_000)],
        }
        for name, values in cases.items():
            with self.subTest(name):
                done = subprocess.run([program, *map(str, shares)], input="\n".join(map(str, values)),
                                      capture_output=True, text=True, check=True)
                ordered = sorted(values)
                for share, found in zip(shares, map(int, done.stdout.split())):
                    exact = ordered[max(0, math.ceil(share * len(ordered)) - 1)]
                    self.assertLessEqual(abs(found - exact), exact / 100, f"share {share}")


if __name__ == "__main__":
    unittest.main()
