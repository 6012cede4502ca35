"""Envoy, and its configuration for a run: a listener for each chain of filters, all before the same upstream."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

#: Above any latency of a healthy run, so that a slow processor is counted as slow and not as failed.
MESSAGE_TIMEOUT = "5s"

_TYPES = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Chain:
    """One way through Envoy."""

    name: str
    note: str
    #: How the external processor gets the answer's body; None where there is no processor.
    response_body_mode: Optional[str] = None

    @property
    def has_processor(self) -> bool:
        return self.response_body_mode is not None

    @property
    def stat_prefix(self) -> str:
        return f"chain_{self.response_body_mode or 'alone'}".lower()


def configuration(listeners: "dict[Chain, int]", upstream_port: int, processor_port: int, admin_port: int) -> dict:
    """Envoy's configuration with a listener for each chain at the port that is given for it."""
    return {
        "admin": {"address": _address(admin_port)},
        "static_resources": {
            "listeners": [_listener(chain, port) for chain, port in listeners.items()],
            "clusters": [_cluster("worker", upstream_port), {**_cluster("sextant", processor_port), **_HTTP2}],
        },
    }


def write_configuration(path: Path, value: dict) -> Path:
    path.write_text(json.dumps(value, indent=1) + "\n")
    return path


def counters(admin_port: int, timeout_seconds: float = 10) -> "dict[str, int]":
    """What Envoy has counted, by name."""
    url = f"http://127.0.0.1:{admin_port}/stats?type=Counters"
    with urllib.request.urlopen(url, timeout=timeout_seconds) as response:
        lines = response.read().decode().splitlines()
    return {name: int(value) for name, _, value in (line.rpartition(": ") for line in lines) if value.isdigit()}


#: Counters of the ext_proc filter that move only when something went wrong, and what that was.
FAULTS = {
    "streams_failed": "streams failed",
    "message_timeouts": "answers came too late",
    "spurious_msgs_received": "answers were to no message",
    "immediate_responses_sent": "requests were refused",
    "rejected_header_mutations": "changes of headers were refused",
}


def faults(chain: Chain, counted: "dict[str, int]", requests: int) -> "list[str]":
    """What the filter of a chain met that it should not have, of so many requests."""
    prefix = f"http.{chain.stat_prefix}.ext_proc."
    found = {meaning: counted.get(prefix + name, 0) for name, meaning in FAULTS.items()}
    met = [f"{chain.name}: by Envoy's count {count} {meaning}" for meaning, count in found.items() if count]
    unseen = requests - streams(chain, counted)
    return met + ([f"{chain.name}: {unseen} requests went past the processor"] if unseen > 0 else [])


def streams(chain: Chain, counted: "dict[str, int]") -> int:
    """How many requests the filter of a chain has sent to the processor."""
    return counted.get(f"http.{chain.stat_prefix}.ext_proc.streams_started", 0)


def _address(port: int) -> dict:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _listener(chain: Chain, port: int) -> dict:
    processor = {
        "name": "envoy.filters.http.ext_proc",
        "typed_config": {
            "@type": f"{_TYPES}.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": "sextant"}},
            # A request that the processor did not see would pass for a fast one.
            "failure_mode_allow": False,
            "message_timeout": MESSAGE_TIMEOUT,
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": "BUFFERED",
                "response_header_mode": "SEND",
                "response_body_mode": chain.response_body_mode,
            },
        },
    }
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
    }
    route = {"match": {"prefix": "/"}, "route": {"cluster": "worker", "timeout": "0s"}}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": chain.stat_prefix,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [processor, router] if chain.has_processor else [router],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": chain.stat_prefix, "address": _address(port), "filter_chains": [{"filters": filters}]}


def _cluster(name: str, port: int) -> dict:
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


_HTTP2 = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}
