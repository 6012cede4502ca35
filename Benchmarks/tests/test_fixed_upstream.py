"""The fixed upstream answers rightly however its requests are cut.

    python3 -m unittest discover -s Benchmarks -t Benchmarks
"""

from __future__ import annotations

import socket
import subprocess
import unittest

from harness.programs import FIXED_UPSTREAM
from harness.workloads import WORKLOADS


def request(body: bytes, *headers: str, chunks: int = 0) -> bytes:
    """A POST whose body is framed by its length, or in `chunks` chunks."""
    head = ["POST /v1/chat/completions HTTP/1.1", "Host: bench", *headers]
    if not chunks:
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body
    size = max(1, len(body) // chunks)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return "\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode() + framed + b"0\r\n\r\n"


class FixedUpstreamTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.process = subprocess.Popen([FIXED_UPSTREAM.build(), "--threads", "2"], stdout=subprocess.PIPE, text=True)
        assert cls.process.stdout is not None
        cls.port = int(cls.process.stdout.readline().split()[1])

    @classmethod
    def tearDownClass(cls) -> None:
        cls.process.terminate()
        cls.process.wait()
        cls.process.stdout.close()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(connection.close)
        return connection

    def answer(self, *pieces: bytes) -> bytes:
        """All that the upstream says on one connection to which `pieces` are written; the last asks it to close."""
        connection = self.connect()
        for piece in pieces:
            connection.sendall(piece)
        return self.rest(connection)

    def rest(self, connection: socket.socket) -> bytes:
        received = b""
        while data := connection.recv(1 << 16):
            received += data
        return received

    def test_every_workload_gets_its_answer(self) -> None:
        for workload in WORKLOADS:
            with self.subTest(workload.name):
                workload.verify(self.port)

    def test_stream_is_read_from_its_own_key_only(self) -> None:
        bodies = {
            b'{"stream":true}': True,
            b'{"stream" :  true,"n":1}': True,
            b'{"stream":false,"stream_options":{"include_usage":true}}': False,
            b'{"messages":[{"content":"\\"stream\\" on"}],"stream":true}': True,
            b'{"stream_options":true}': False,
            b"": False,
        }
        for body, streams in bodies.items():
            with self.subTest(body):
                answer = self.answer(request(body, "Connection: close"))
                self.assertEqual(b"text/event-stream" in answer, streams)
                self.assertEqual(answer.count(b"data: "), 101 if streams else 0)
                self.assertTrue(answer.endswith(b"\r\n0\r\n\r\n" if streams else b"}}"))

    def test_a_request_may_be_cut_anywhere(self) -> None:
        body = b'{"n":1,"stream":true}'
        for chunks in (0, 3):
            whole = request(body, "Connection: close", chunks=chunks)
            expected = self.answer(whole)
            self.assertEqual(expected.count(b"data: "), 101)
            for cut in range(1, len(whole)):
                self.assertEqual(self.answer(whole[:cut], whole[cut:]), expected, f"cut at {cut}")

    def test_pipelined_requests_are_answered_in_order(self) -> None:
        plain, stream = b'{"stream":false}', b'{"stream":true}'
        one, other = self.answer(request(plain, "Connection: close")), self.answer(request(stream, "Connection: close"))
        pipeline = request(plain) + request(stream, chunks=2) + request(plain, chunks=1) + request(stream)
        last = request(plain, "Connection: close")
        for cut in range(1, len(pipeline), 7):
            self.assertEqual(self.answer(pipeline[:cut], pipeline[cut:] + last), one + other + one + other + one)

    def test_an_answer_that_the_client_takes_late_is_whole(self) -> None:
        # 1,000 streams are some 18 MB, more than the sockets hold: the upstream must wait, and not lose its place.
        body = b'{"stream":true}'
        connection = self.connect()
        connection.sendall(request(body) * 999 + request(body, "Connection: close"))
        self.assertEqual(self.rest(connection), self.answer(request(body, "Connection: close")) * 1000)

    def test_large_bodies_are_read_whole(self) -> None:
        filler = b'{"messages":[{"role":"user","content":"' + b"x" * (3 << 20) + b'"}],"stream":true}'
        for chunks in (0, 1, 1000):
            self.assertEqual(self.answer(request(filler, "Connection: close", chunks=chunks)).count(b"data: "), 101)

    def test_a_client_that_leaves_does_not_end_the_server(self) -> None:
        for _ in range(20):
            connection = self.connect()
            connection.sendall(request(b'{"stream":true}') * 200)
            connection.close()
        WORKLOADS[0].verify(self.port)
        self.assertIsNone(self.process.poll())

    def test_continue_is_said_to_who_waits_for_it(self) -> None:
        connection = self.connect()
        whole = request(b"{}", "Expect: 100-continue", "Connection: close")
        connection.sendall(whole[:-2])
        self.assertEqual(connection.recv(64), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(whole[-2:])
        self.assertTrue(self.rest(connection).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_a_malformed_chunk_is_refused(self) -> None:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertTrue(self.answer(head + b"zz\r\n").startswith(b"HTTP/1.1 400 "))


if __name__ == "__main__":
    unittest.main()
