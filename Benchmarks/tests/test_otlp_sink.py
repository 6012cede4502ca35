"""The trace collector of the benchmarks counts what comes, however it is cut."""

from __future__ import annotations

import json
import socket
import subprocess
import unittest

from harness.programs import OTLP_SINK


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


#: trace_id, name, kind, start_time_unix_nano, and flags of 32 bits: every wire type.
SPAN = field(1, bytes(16)) + field(5, b"x" * 200) + b"\x30\x02" + b"\x39" + bytes(8) + b"\x85\x01" + bytes(4)


def export(*spans_by_scope: int) -> bytes:
    """An ExportTraceServiceRequest with one resource, whose scopes have so many spans."""
    scopes = b"".join(field(2, field(1, field(1, b"scope")) + field(2, SPAN) * spans) for spans in spans_by_scope)
    return field(1, field(1, field(1, b"resource")) + scopes)


def post(body: bytes) -> bytes:
    head = f"POST /v1/traces HTTP/1.1\r\nHost: sink\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


COUNTS = b"GET /counts HTTP/1.1\r\nHost: sink\r\n\r\n"
ACCEPTED = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


class OTLPSinkTests(unittest.TestCase):
    def setUp(self) -> None:
        process = subprocess.Popen([OTLP_SINK.build()], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.port = int(process.stdout.readline().split()[1])

    def answers(self, *pieces: bytes) -> bytes:
        """All that is said on one connection to which `pieces` are written."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while data := connection.recv(1 << 16):
                received += data
            return received

    def counts(self) -> "dict[str, int]":
        return json.loads(self.answers(COUNTS).partition(b"\r\n\r\n")[2])

    def test_spans_of_all_resources_and_scopes_are_counted(self) -> None:
        bodies = [export(3), export(1, 0, 2), export(2) + export(4), export(), b""]
        self.assertEqual(self.answers(*map(post, bodies)), ACCEPTED * len(bodies))
        expected = {"requests": len(bodies), "bytes": sum(map(len, bodies)), "spans": 12}
        self.assertEqual(self.counts(), expected)

    def test_a_request_may_be_cut_anywhere(self) -> None:
        whole = post(export(2)) + post(export(1))
        cuts = range(1, len(whole), 3)
        for cut in cuts:
            self.assertEqual(self.answers(whole[:cut], whole[cut:]), ACCEPTED * 2, f"cut at {cut}")
        self.assertEqual(self.counts()["spans"], 3 * len(cuts))

    def test_large_batches_are_read_whole(self) -> None:
        self.assertEqual(self.answers(post(export(20_000))), ACCEPTED)
        self.assertEqual(self.counts()["spans"], 20_000)

    def test_what_is_no_message_is_refused_and_not_counted(self) -> None:
        whole = export(1)
        for body in (whole[:-1], whole + b"\x0a", field(1, field(2, b"\x12\x7f")), b"\x0b", b"\xff" * 11):
            with self.subTest(body):
                self.assertTrue(self.answers(post(body)).startswith(b"HTTP/1.1 400 "))
        self.assertEqual(self.counts(), {"requests": 0, "bytes": 0, "spans": 0})

    def test_a_body_of_unknown_length_is_refused(self) -> None:
        head = b"POST /v1/traces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertTrue(self.answers(head + b"0\r\n\r\n").startswith(b"HTTP/1.1 411 "))

    def test_other_targets_are_not_found(self) -> None:
        self.assertTrue(self.answers(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 "))


if __name__ == "__main__":
    unittest.main()
