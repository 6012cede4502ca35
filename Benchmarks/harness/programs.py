"""Builds the programs in C that a run starts: the upstream, the trace collector and the load generators."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent.parent
BINARIES = BENCHMARKS / ".bin"


@dataclass(frozen=True)
class Program:
    """A program of some source files in one directory, with the headers that lie beside them."""

    name: str
    directory: Path
    sources: "tuple[str, ...]"
    options: "tuple[str, ...]" = ()
    #: What the linker wants after the sources.
    libraries: "tuple[str, ...]" = ()

    def build(self) -> Path:
        """Compiles the program if a source is newer than the binary; returns the binary."""
        binary = BINARIES / self.name
        sources = [self.directory / source for source in self.sources]
        newest = max(file.stat().st_mtime for file in [*sources, *self.directory.glob("*.h")])
        if binary.exists() and binary.stat().st_mtime >= newest:
            return binary
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("clang") or shutil.which("gcc")
        if compiler is None:
            raise SystemExit("no C compiler for Benchmarks; run: scripts/install-packages gcc libc6-dev")
        BINARIES.mkdir(exist_ok=True)
        # Beside the binary and then renamed, so that a build cut short leaves no half of one.
        fresh = binary.with_suffix(f".{os.getpid()}")
        command = [compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *self.options, "-o", str(fresh)]
        subprocess.run([*command, *map(str, sources), *self.libraries], check=True)
        fresh.replace(binary)
        return binary


FIXED_UPSTREAM = Program("fixed-upstream", BENCHMARKS / "upstream", ("fixed-upstream.c",), ("-pthread",))

_LOAD = BENCHMARKS / "load"

EXTPROC_LOAD = Program(
    "extproc-load", _LOAD, ("extproc-load.c", "h2.c", "load.c", "histogram.c"), libraries=("-lm",)
)

HTTP_LOAD = Program("http-load", _LOAD, ("http-load.c", "load.c", "histogram.c"), libraries=("-lm",))

OTLP_SINK = Program("otlp-sink", BENCHMARKS / "collector", ("otlp-sink.c",))
