"""One peer in a process of its own: its threads, its memory, and no other framework's pool beside it.

Reads commands from standard input, one JSON list a line, and answers each with one line of JSON on what was standard output when
it started (frameworks print to standard output as they like, so that is moved to standard error).
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from dataclasses import replace


def main() -> None:
    """Serve one case: ``worker MODULE PEER CASE THREADS BATCH PRECISION``."""
    module, name, case_name, threads, batch, precision = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])

    def answer(value) -> None:
        print(json.dumps(value), file=answers, flush=True)

    from .cases import CASES

    case = replace(CASES[case_name], batch=int(batch), precision=precision)
    try:
        peer_module = importlib.import_module(f".{module}", __package__)
    except ModuleNotFoundError as error:
        answer({"missing": str(error)})
        return
    imported = _peak_megabytes()
    try:
        peer = peer_module.Peer(case, int(threads), **peer_module.NAMES[name])
    except NotImplementedError as error:
        answer({"missing": str(error)})
        return
    answer({"ready": True})
    row = case.data()[0][: case.batch]
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        if command == "time":
            started = time.perf_counter()
            if case.kind == "predict":
                for _ in range(arguments[0]):
                    peer.predict(row)
            else:
                peer.train(arguments[0])
            answer(time.perf_counter() - started)
        elif command == "check":
            answer(peer.predict(row).ravel().tolist() if case.kind == "predict" else peer.loss())
        elif command == "memory":
            answer(_peak_megabytes() - imported)


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
