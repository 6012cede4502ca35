"""The proxies under measurement: how each is started and which version it is."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from harness.processes import free_port
from harness.workloads import MODEL

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Place:
    """Where a subject listens, what stands behind it, and a directory of its own."""

    port: int
    upstream_port: int
    directory: Path


@dataclass(frozen=True)
class Subject:
    """One row of the tables."""

    name: str
    #: What the reader must know to compare it: threads, policy, switches.
    note: str
    command: Callable[[Place], "list[str]"]
    version: Callable[[], str]
    #: What to do when the subject is not there; None when it is.
    missing: Optional[str] = None
    environment: Mapping[str, str] = field(default_factory=dict)


#: The load sent straight to the upstream, without a proxy. It has no command: the upstream runs anyway.
DIRECT = Subject("direct", "no proxy: wrk to the fixed upstream, 1 thread", lambda place: [], lambda: "")


def nginx() -> Subject:
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

    def command(place: Place) -> list[str]:
        configuration = place.directory / "nginx.conf"
        configuration.write_text(_NGINX.format(
            # As root nginx would serve as another user, who may not enter the run's directory.
            user="user root;" if os.geteuid() == 0 else "",
            directory=place.directory,
            port=place.port,
            upstream_port=place.upstream_port,
        ))
        return [str(binary), "-p", str(place.directory), "-c", str(configuration), "-e", "stderr"]

    def version() -> str:
        # "nginx version: nginx/1.22.1", on the standard error.
        return output_of([str(binary), "-v"]).rpartition("/")[2]

    missing = None if binary else "run: scripts/install-packages nginx-light"
    return Subject("nginx", "1 worker, proxy_buffering off, keepalive 512", command, version, missing)


_NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/client_body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 64m;
    # A request of 16 KB stays in memory.
    client_body_buffer_size 64k;
    # The default closes a connection after 1,000 requests, and the load would count that.
    keepalive_requests 1000000000;
    upstream worker {{
        server 127.0.0.1:{upstream_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://worker;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def vllm_router() -> Subject:
    environment = ROOT / ".venv" / "vllm-router"
    binary = environment / "bin" / "vllm-router"

    def command(place: Place) -> list[str]:
        return [
            str(binary),
            *("--host", "127.0.0.1", "--port", str(place.port)),
            *("--worker-urls", f"http://127.0.0.1:{place.upstream_port}"),
            *("--policy", "round_robin"),
            *("--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())),
            *("--log-level", "warning"),
        ]

    def version() -> str:
        code = "import importlib.metadata as m; print(m.version('vllm-router'))"
        return output_of([str(environment / "bin" / "python"), "-c", code])

    missing = None if binary.exists() else "run: scripts/python-env vllm-router"
    note = "round_robin; its default of one thread per core, retries and circuit breaker"
    return Subject("vllm-router", note, command, version, missing)


def sextant_router(binary: Path, name: str, note: str, *options: str) -> Subject:
    def command(place: Place) -> list[str]:
        return [
            str(binary),
            "router",
            *("--host", "127.0.0.1", "--port", str(place.port)),
            *("--service-discovery", "static"),
            *("--static-backends", f"http://127.0.0.1:{place.upstream_port}"),
            *("--static-models", MODEL),
            *("--routing-logic", "roundrobin"),
            *("--log-level", "warning"),
            *options,
        ]

    missing = None if os.access(binary, os.X_OK) else "run: make build, or name the binary with --sextant PATH"
    return Subject(name, note, command, lambda: output_of([str(binary), "--version"]), missing)


#: The size of the policy under measurement: a large one, by what operators write.
POLICY_DECISIONS = 20
POLICY_KEYWORDS = 200


def policy_text(upstream_port: int, more_models: Sequence[str] = ()) -> str:
    """A policy that asks `MODEL` to choose. Its keywords are in no workload but for one, in the last decision's rule.

    `more_models` are served as well, and no decision chooses them.
    """
    each = POLICY_KEYWORDS // POLICY_DECISIONS
    lines = [
        "version: v0.3",
        "providers:",
        "  defaults: {default_model: small}",
        "  models:",
        *(
            f"    - {{name: {name}, backend_refs: [{{endpoint: '127.0.0.1:{upstream_port}'}}]}}"
            for name in ("small", "large", *more_models)
        ),
        "routing:",
        "  signals:",
        "    keywords:",
    ]
    for number in range(POLICY_DECISIONS):
        words = [f"subject{number}", f"stack trace {number}"] + [f"keyword{number}x{one}" for one in range(each - 3)]
        words.append("lamp" if number == POLICY_DECISIONS - 1 else f"topic {number}")
        lines.append(f"      - {{name: words{number}, keywords: [{', '.join(words)}]}}")
    lines += ["    context: [{name: long, min_tokens: 32K}]", "  decisions:"]
    for number in range(POLICY_DECISIONS):
        rule = (
            f"{{operator: AND, conditions: [{{type: keyword, name: words{number}}}, "
            "{operator: NOT, conditions: [{type: context, name: long}]}]}"
        )
        lines.append(f"    - {{name: decision{number}, priority: {number}, rules: {rule}, modelRefs: [{{model: large}}]}}")
    lines.append(f"global: {{router: {{auto_model_names: [{MODEL}]}}}}")
    return "\n".join(lines) + "\n"


def gateway_command(
    binary: Path, place: Place, admin_port: int, *options: str, more_models: Sequence[str] = ()
) -> list[str]:
    """The gateway with the policy, in one event loop."""
    policy = place.directory / "policy.yaml"
    policy.write_text(policy_text(place.upstream_port, more_models))
    return [
        str(binary),
        "gateway",
        *("--host", "127.0.0.1", "--port", str(place.port), "--admin-port", str(admin_port)),
        *("--config", str(policy), "--threads", "1", "--log-level", "warning"),
        *options,
    ]


def sextant_policy(binary: Path) -> Subject:
    """The gateway with a policy that decides every request, in one event loop."""

    def command(place: Place) -> list[str]:
        return gateway_command(binary, place, free_port())

    missing = None if os.access(binary, os.X_OK) else "run: make build, or name the binary with --sextant PATH"
    note = f"1 event loop, {POLICY_DECISIONS} decisions with {POLICY_KEYWORDS} keywords"
    return Subject("sextant-policy-1", note, command, lambda: output_of([str(binary), "--version"]), missing)


def policy_subjects(sextant: Path) -> list[Subject]:
    """A policy that decides, beside the same proxy without one."""
    note = "1 event loop, no policy"
    return [sextant_router(sextant, "sextant-router-1", note, "--threads", "1"), sextant_policy(sextant)]


def extra(specification: str) -> Subject:
    """A subject from the command line: NAME=COMMAND, where {port} and {upstream} stand for the two ports."""
    name, separator, template = specification.partition("=")
    if not separator or "{port}" not in template:
        raise SystemExit(f"--extra {specification!r}: write NAME=COMMAND, with {{port}} where it is to listen")

    def command(place: Place) -> list[str]:
        return [
            word.replace("{port}", str(place.port)).replace("{upstream}", str(place.upstream_port))
            for word in shlex.split(template)
        ]

    return Subject(name, template, command, lambda: "")


def all_subjects(sextant: Path) -> list[Subject]:
    """Every row, in the order of the tables."""
    return [
        DIRECT,
        nginx(),
        vllm_router(),
        sextant_router(sextant, "sextant-router-1", "1 event loop, as nginx has 1 worker", "--threads", "1"),
        sextant_router(sextant, "sextant-router", "its default of event loops"),
    ]


def output_of(command: list[str]) -> str:
    """What a short command says of itself, or nothing when it cannot say."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
