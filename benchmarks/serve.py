"""The end of a worker process: requests as JSON lines on standard input, answers on standard output."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any


def serve(make: Callable[[str], Any]) -> None:
    """Makes the worker for the framework named on the command line; then `{"do": "x", ...}` calls its method x."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)                       # a framework's chatter must not mix with the replies

    def reply(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")

    try:
        worker = make(sys.argv[1])
    except ImportError as error:
        reply({"error": f"{type(error).__name__}: {error}"})
        return
    reply(worker.hello())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply(getattr(worker, request.pop("do"))(**request))
        except Exception as error:      # reported by the conductor beside the workload's name
            traceback.print_exc()
            reply({"error": f"{type(error).__name__}: {error}".splitlines()[0]})
