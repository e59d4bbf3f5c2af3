"""How soon the first page is there and what the app weighs, beside a bare Gradio page in the same run.

python benchmarks/startup.py [--runs 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.live import free_port  # noqa: E402

BARE = """
import os, gradio
with gradio.Blocks(analytics_enabled=False) as page:
    gradio.Textbox()
page.launch(server_port=int(os.environ["PORT"]), quiet=True, prevent_thread_lock=False)
"""


def measure(command: list[str], path: str) -> tuple[float, int, str]:
    """Seconds from the start of the process to the first whole page, its resident bytes then, and the page."""
    port = free_port()
    with tempfile.TemporaryDirectory() as workspace:
        environment = {**os.environ, "PORT": str(port), "WORKSPACE": workspace, "GRADIO_ANALYTICS_ENABLED": "False"}
        started = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                        page = answer.read().decode()
                    seconds = time.monotonic() - started
                    return seconds, psutil.Process(process.pid).memory_info().rss, page
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.02)
        finally:
            process.terminate()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    ours, bare, outside = [], [], set()
    for run in range(options.runs + 1):
        mine = measure([sys.executable, "app.py"], "/fa/")
        peer = measure([sys.executable, "-c", BARE], "/")
        outside |= set(re.findall(r"https?://(?!127\.0\.0\.1|www\.w3\.org)[\w.-]+", mine[2]))
        if run:  # the first of each warms the disk
            ours.append(mine)
            bare.append(peer)
    result = {
        "first_page_seconds": median(seconds for seconds, _, _ in ours),
        "bare_gradio_seconds": median(seconds for seconds, _, _ in bare),
        "ratio": median(a[0] / b[0] for a, b in zip(ours, bare, strict=True)),
        "resident_megabytes": median(size for _, size, _ in ours) / 1e6,
        "bare_gradio_megabytes": median(size for _, size, _ in bare) / 1e6,
        "hosts_named_in_page": sorted(outside),
        "runs": options.runs,
    }
    for key, value in result.items():
        print(f"{key}: {value:.2f}" if isinstance(value, float) else f"{key}: {value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
