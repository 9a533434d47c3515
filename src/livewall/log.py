"""Structured logs: what happened, with a request id, and nothing about the person.

No names, addresses, tokens, cookies or bodies: log ids of requests, codes, counts and durations.
"""

import logging
import sys

import structlog

# Belt and braces: these keys never reach the output, whoever passes them.
PERSONAL = frozenset(
    {"name", "display_name", "address", "client", "token", "cookie", "password", "body", "email"}
)


def _without_personal(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: value for key, value in event.items() if key not in PERSONAL}


def configure(form: str) -> None:
    """Send structlog and the standard library's logs to stderr, as `json` or as `text`."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_personal,
    ]
    # On a terminal, a line for every request that went well hides the one that did not.
    lowest = logging.DEBUG if form == "json" else logging.INFO
    colors = form == "text" and sys.stderr.isatty()
    # Plain tracebacks: the pretty ones print the values of variables, and those may be personal.
    last: structlog.typing.Processor = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback
    )
    if form == "json":
        shared.append(structlog.processors.format_exc_info)
        last = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _route_standard_library(shared, last)


def _route_standard_library(
    shared: list[structlog.typing.Processor], last: structlog.typing.Processor
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # At INFO uvicorn logs the address of every client.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).setLevel(logging.WARNING)
