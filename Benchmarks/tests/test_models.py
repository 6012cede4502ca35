"""What Benchmarks/models.py computes itself."""

import sys
import unittest

import models


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
        gone.process.stdout.close()


if __name__ == "__main__":
    unittest.main()
