"""What Benchmarks/models.py computes itself."""

import json
import struct
import sys
import tempfile
import unittest
from pathlib import Path

import models
from harness import long_model


class Quantiles(unittest.TestCase):
    def test_shares(self) -> None:
        values = list(range(1000, 0, -1))
        self.assertEqual(models.quantile(values, 0.5), 501)
        self.assertEqual(models.quantile(values, 0.999), 1000)
        self.assertEqual(models.quantile([7], 0.99), 7)


class Talking(unittest.TestCase):
    def test_line_by_line(self) -> None:
        echo = models.Talker(
            sys.executable, "-c", "import sys\nfor line in sys.stdin: print('{\"n\":' + line.strip() + '}', flush=True)"
        )
        self.assertEqual([echo.ask("1"), echo.ask("2")], [{"n": 1}, {"n": 2}])
        echo.close()

    def test_an_end_is_an_error(self) -> None:
        gone = models.Talker(sys.executable, "-c", "import sys; sys.stdin.readline()")
        with self.assertRaises(SystemExit):
            gone.ask("1")
        gone.close()


class LongModel(unittest.TestCase):
    def test_the_file_is_as_long_as_its_header_says(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            long_model.write(path)
            with open(path / "model.safetensors", "rb") as file:
                length = struct.unpack("<Q", file.read(8))[0]
                header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for entry in header.values()]
            self.assertEqual((path / "model.safetensors").stat().st_size, 8 + length + max(ends))
            self.assertEqual(header["layers.21.mlp.Wi.weight"]["shape"], [2304, 384])
            self.assertNotIn("layers.0.attn_norm.weight", header)


if __name__ == "__main__":
    unittest.main()
