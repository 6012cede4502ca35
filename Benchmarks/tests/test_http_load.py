"""The HTTP load sends its requests at their times, whatever becomes of the answers, and tells right from wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Callable

from harness.programs import HTTP_LOAD

BODY = b'{"model":"auto","messages":[]}' + b" " * 1000
OK = b"HTTP/1.1 200 OK\r\n"
ANSWER = OK + b"content-type: application/json\r\nContent-Length: 4\r\n\r\ntrue"


class Server:
    """Answers each whole request with what `answer` says: bytes in pieces, and whether the connection goes on."""

    def __init__(self, answer: "Callable[[int], tuple[list[bytes], bool]]") -> None:
        self._answer = answer
        self.requests: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            data = b""
            while received := connection.recv(1 << 16):
                data += received
                if not data.endswith(BODY):
                    continue
                with self._lock:
                    number = len(self.requests)
                    self.requests.append(data)
                data = b""
                pieces, goes_on = self._answer(number)
                for piece in pieces:
                    connection.sendall(piece)
                if not goes_on:
                    connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(10)
        for connection in self.connections:
            connection.close()


def always(*pieces: bytes, goes_on: bool = True) -> "Callable[[int], tuple[list[bytes], bool]]":
    return lambda number: (list(pieces), goes_on)


class HTTPLoadTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.binary = HTTP_LOAD.build()
        cls.directory = tempfile.TemporaryDirectory()
        cls.request = Path(cls.directory.name) / "request"
        cls.request.write_bytes(b"accept: application/json\nx-test: a: b\n\n" + BODY)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.directory.cleanup()

    def load(self, answer: "Callable[[int], tuple[list[bytes], bool]]", *options: str) -> dict:
        self.server = Server(answer)
        self.addCleanup(self.server.close)
        command = [self.binary, "--port", str(self.server.port), "--request", self.request, "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.stdout, "", done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if report["errors"] else 0)
        return report

    def test_the_request_is_the_files(self) -> None:
        report = self.load(always(ANSWER), "--requests", "3")
        self.assertEqual((report["requests"], report["errors"], report["connections_opened"]), (3, {}, 1))
        for request in self.server.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            self.assertEqual(body, BODY)
            self.assertEqual(
                head.split(b"\r\n"),
                [b"POST /v1/chat/completions HTTP/1.1", b"host: 127.0.0.1:%d" % self.server.port,
                 b"content-length: %d" % len(BODY), b"accept: application/json", b"x-test: a: b"],
            )

    def test_answers_may_come_in_any_pieces(self) -> None:
        chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n" \
            b"4\r\ntrue\r\n0010;x=y\r\n" + b"0\r\n\r\n" * 3 + b"!\r\n" + b"0\r\nx-trailer: 1\r\n\r\n"
        for answer in (ANSWER, chunked, OK + b"content-length: 0\r\n\r\n"):
            for size in (1, 7, len(answer)):
                pieces = [answer[at : at + size] for at in range(0, len(answer), size)]
                with self.subTest(answer=answer, size=size):
                    report = self.load(always(*pieces), "--requests", "4", "--connections", "2")
                    self.assertEqual((report["requests"], report["errors"]), (4, {}))

    def test_an_answer_that_is_wrong_is_an_error_of_its_kind(self) -> None:
        wrong = {
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n": "status",
            b"SSH-2.0-OpenSSH\r\n\r\n": "protocol",
            OK + b"content-type: text/plain\r\n\r\n": "protocol",
            OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n": "protocol",
            OK + b"x: " + b"y" * 20_000: "protocol",
            ANSWER + b"more": "protocol",
        }
        for answer, kind in wrong.items():
            with self.subTest(answer[:40]):
                report = self.load(always(answer), "--requests", "1")
                self.assertEqual(report["errors"], {kind: 1})

    def test_the_expected_bytes_must_be_in_the_head(self) -> None:
        self.assertEqual(self.load(always(ANSWER), "--requests", "1", "--expect", "application/json")["errors"], {})
        self.assertEqual(self.load(always(ANSWER), "--requests", "1", "--expect", "true")["errors"], {"expected": 1})

    def test_a_connection_that_ends_early_is_an_error_and_another_is_opened(self) -> None:
        cut = lambda number: ([ANSWER[:-1]], False) if number == 0 else ([ANSWER], True)
        report = self.load(cut, "--requests", "3")
        self.assertEqual((report["requests"], report["errors"]), (2, {"connection": 1}))
        self.assertEqual(report["connections_opened"], 2)

    def test_a_connection_may_be_closed_between_requests(self) -> None:
        closing = OK + b"Connection: close\r\ncontent-length: 4\r\n\r\ntrue"
        report = self.load(always(closing, goes_on=False), "--requests", "3")
        self.assertEqual((report["requests"], report["errors"]), (3, {}))
        self.assertGreaterEqual(report["connections_opened"], 3)

    def test_no_answer_in_time_is_an_error(self) -> None:
        report = self.load(always(), "--requests", "2", "--connections", "2", "--timeout", "0.2")
        self.assertEqual((report["requests"], report["errors"]), (0, {"timeout": 2}))

    def test_at_a_rate_the_requests_go_out_while_one_waits(self) -> None:
        # The first request is not answered before all others are.
        others = threading.Event()

        def first_waits(number: int) -> "tuple[list[bytes], bool]":
            if number == 0:
                self.assertTrue(others.wait(10))
            if number == 29:
                others.set()
            return [ANSWER], True

        report = self.load(first_waits, "--rate", "100", "--requests", "30", "--connections", "8")
        self.assertEqual((report["requests"], report["errors"], report["delayed"]), (30, {}, 0))
        # The others take 290 ms to go out; a busy machine may send the first of them all a little late.
        self.assertGreaterEqual(report["max_us"], 200_000)

    def test_what_a_stall_keeps_back_counts_from_when_it_was_due(self) -> None:
        def stall(number: int) -> "tuple[list[bytes], bool]":
            if number == 0:
                time.sleep(0.5)
            return [ANSWER], True

        report = self.load(stall, "--rate", "100", "--requests", "51", "--connections", "1")
        self.assertEqual((report["requests"], report["errors"]), (51, {}))
        self.assertGreaterEqual(report["delayed"], 40)
        self.assertGreaterEqual(report["p50_us"], 240_000)

    def test_a_server_that_is_not_there_is_said_so(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        command = [self.binary, "--port", str(port), "--request", self.request]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("no server", done.stderr)


if __name__ == "__main__":
    unittest.main()
