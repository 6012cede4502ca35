"""Builds the fixed upstream."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
SOURCE = BENCHMARKS / "upstream" / "fixed-upstream.c"
BINARY = BENCHMARKS / ".bin" / "fixed-upstream"


def build_upstream() -> Path:
    """Compiles the fixed upstream if its source is newer than the binary; returns the binary."""
    if BINARY.exists() and BINARY.stat().st_mtime >= SOURCE.stat().st_mtime:
        return BINARY
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("no C compiler for Benchmarks/upstream; run: scripts/install-packages gcc libc6-dev")
    BINARY.parent.mkdir(exist_ok=True)
    # Beside the binary and then renamed, so that a build cut short leaves no half of one.
    fresh = BINARY.with_suffix(f".{os.getpid()}")
    options = ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread"]
    subprocess.run([compiler, *options, "-o", str(fresh), str(SOURCE)], check=True)
    fresh.replace(BINARY)
    return BINARY
