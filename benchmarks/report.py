"""Make docs/performance.md from results: ``python -m benchmarks.report PEERS.json ROOFLINE.json... > docs/performance.md``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .peers.__main__ import table
from .roofline import table_of, threads_text

NOTES = Path(__file__).parent / "notes.md"


def main() -> None:
    """Print the page."""
    peers = json.loads(Path(sys.argv[1]).read_text())
    print("# Performance\n")
    print("Made by `benchmarks/report.py` from one run of each benchmark; the text stands in `benchmarks/notes.md`.\n")
    print(f"Machine: {peers['processor']}.\n")
    print("## Training and prediction against other packages\n")
    print("    pip install -r benchmarks/requirements-peers.txt\n    python -m benchmarks.peers\n")
    print("Milliseconds of a training step or a prediction; images/s are fastnn's; the aim is for the ratio before it.\n")
    print(table(peers["results"]) + "\n")
    print("Peak memory of the process above its imports, MB:\n")
    print(memory_table(peers["results"]) + "\n")
    print(NOTES.read_text().strip() + "\n")
    for path in sys.argv[2:]:
        result = json.loads(Path(path).read_text())
        level = result["level"]
        print(f"## Kernels on {threads_text(result['threads'])}{f', {level}' * bool(level)}\n")
        print(f"    python -m benchmarks.roofline --threads {result['threads']}{f' --level {level}' * bool(level)}\n")
        print(table_of(result) + "\n")


def memory_table(results: list[dict]) -> str:
    """Return the peak memory of each peer as a Markdown table."""
    names = list(dict.fromkeys(peer for result in results for peer in result["peers"]))
    lines = ["| case | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for result in results:
        cells = [f"{result['peers'][name]['peak_mb']:.0f}" if name in result["peers"] else "" for name in names]
        lines.append(f"| {result['title']}, {threads_text(result['threads'])} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
