"""What the server counts. Names are stable: dashboards use them.

`python -m livewall.metrics` prints docs/metrics.md, and a test compares them.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from livewall import operations
from livewall.errors import Refusal

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SIZES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)

SOCKETS = Gauge("livewall_sockets", "Open sockets that said hello")
SOCKETS_CLOSED = Counter("livewall_sockets_closed_total", "Sockets we closed", ["code"])
SOCKET_RESYNCS = Counter("livewall_socket_resyncs_total", "Slow sockets sent a snapshot instead")
SOCKET_MESSAGES = Counter("livewall_socket_messages_total", "Messages from clients", ["type"])
FAN_OUT = Histogram("livewall_fan_out_sockets", "Sockets one event went to", buckets=SIZES)

HEARTBEATS = Counter("livewall_heartbeats_total", "Tiles heard of in heartbeats")
HEARTBEATS_REFUSED = Counter("livewall_heartbeats_refused_total", "Tiles refused", ["code"])
BATCH_ROWS = Histogram("livewall_heartbeat_batch_rows", "Rows in one write", buckets=SIZES)
FLUSH_SECONDS = Histogram("livewall_heartbeat_flush_seconds", "Time of one write", buckets=FAST)
FLUSH_FAILURES = Counter("livewall_heartbeat_flush_failures_total", "Writes that failed")
COMMAND_SECONDS = Histogram(
    "livewall_publish_command_seconds", "From a heartbeat to its publish command", buckets=FAST
)
TRANSITIONS = Counter(
    "livewall_publish_transitions_total", "Streams switched on or off", ["to", "reason"]
)
SEATS = Gauge("livewall_seats", "Seats held by viewers, all streams")
WAITING = Gauge("livewall_seats_waiting", "Viewers waiting for a seat, all streams")
SIGNALS = Counter("livewall_signals_total", "Signalling messages relayed")

OTHER_SERVERS = Gauge("livewall_other_servers", "Other servers on this database, heard of lately")
BUS_MESSAGES = Counter(
    "livewall_bus_messages_total", "What servers tell each other; own ones are heard too", ["way"]
)
BUS_REFUSED = Counter(
    "livewall_bus_refused_total", "Parts on the bus that none of our servers sent, or copies"
)
BUS_LOST = Counter("livewall_bus_lost_total", "Messages given up while the database was away")

DATABASE_SECONDS = Histogram(
    "livewall_database_seconds", "One call of a function", ["function"], buckets=FAST
)
DATABASE_FAILURES = Counter(
    "livewall_database_failures_total", "Calls that failed, by code", ["function", "code"]
)
GIFT_BATCH = Histogram("livewall_gift_batch", "Gifts given by one call", buckets=SIZES)
JOB_RUNS = Counter("livewall_job_runs_total", "Runs of a periodic job", ["job", "result"])
JOB_SECONDS = Histogram("livewall_job_seconds", "Time of a periodic job", ["job"], buckets=FAST)
JOB_LEADER = Gauge("livewall_job_leader", "1 while this process runs the periodic jobs")
PROVIDER_CALLS = Counter(
    "livewall_provider_calls_total",
    "What payment providers were told: ok, failed (for good); retried: again, left (was locked)",
    ["provider", "call", "result"],
)
PAYMENT_EVENTS = Counter(
    "livewall_payment_events_total",
    "What became of what providers reported; left: something was locked; broke: see the log",
    ["provider", "outcome"],
)
OLDEST_EVENT = Gauge(
    "livewall_payment_event_oldest_seconds",
    "How long the oldest event waits, or has failed; 0 for none",
    ["outcome"],
)
OPERATION_OK = Gauge(
    "livewall_operation_ok",
    "Whether the last backup, drill or verify went well; absent before the first",
    ["operation"],
)
OPERATION_AT = Gauge(
    "livewall_operation_succeeded_seconds",
    "When a backup, drill or verify last went well, in seconds since 1970; 0 for never",
    ["operation"],
)
REQUESTS = Histogram("livewall_http_seconds", "HTTP requests", ["method", "status"], buckets=FAST)


def read_operations(data_path: Path) -> None:
    """Take over what commands noted in the data folder: they ran in processes of their own."""
    for name in operations.NAMES:
        last = operations.read(data_path, name)
        if last is not None:
            OPERATION_OK.labels(name).set(last.is_ok)
        at = last.succeeded_at if last is not None else None
        OPERATION_AT.labels(name).set(at.timestamp() if at is not None else 0)


@contextmanager
def count_failures(function: str) -> Generator[None]:
    """Count a Refusal that leaves this block, by the function called and its code."""
    try:
        yield
    except Refusal as refusal:
        DATABASE_FAILURES.labels(function, refusal.code).inc()
        raise


HEAD = """\
# Metrics

Written by `python -m livewall.metrics` from `src/livewall/metrics.py`.

Each process tells of itself at `/metrics`, in the text format of Prometheus; names and labels are
stable. In production only the machine itself may read it, or whoever has the token that
`livewall metrics-token` prints. [deploy/alerts.yml](../deploy/alerts.yml) has alerts on them. The
libraries beside add `process_` and `python_` metrics. Prometheus calls our label `job`
`exported_job`.

A counter only grows. A histogram has `_bucket`, `_sum` and `_count`, of seconds where its name
says so.

| metric | kind | labels | what it tells |
| --- | --- | --- | --- |
"""


def document() -> str:
    """Return docs/metrics.md."""
    ours = [value for value in globals().values() if isinstance(value, Counter | Gauge | Histogram)]
    return HEAD + "".join(_row(metric) for metric in ours)


def _row(metric: Counter | Gauge | Histogram) -> str:
    family = next(iter(metric.describe()))
    name = f"{family.name}_total" if family.type == "counter" else family.name
    names: tuple[str, ...] = vars(metric)["_labelnames"]  # the library tells them nowhere else
    labels = ", ".join(f"`{label}`" for label in names)
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} |\n"


if __name__ == "__main__":
    print(document(), end="")
