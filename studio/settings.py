"""Where the studio keeps its things and where it listens: the only reader of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError

# Nothing may leave the machine by itself: these must stand before gradio or a Hub library is imported.
for _name, _value in {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "BITSANDBYTES_NOWELCOME": "1",
    # Threads that wait for each other by spinning starve on a busy machine: 1 token/s became 10 beside other work.
    "OMP_WAIT_POLICY": "PASSIVE",
}.items():
    os.environ.setdefault(_name, _value)

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
PRESETS = ROOT / "presets"
DEFAULT_PORT = 7860
UPLOAD_LIMIT = 1_000_000_000
"""Bytes of one file through the browser; what is larger comes in by the command line, which copies nothing."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """Folders and address of one studio; every folder hangs below `workspace`.

    `processes` share a training; None: one for each card. It is no key of recipes: losses do not depend on it.
    """

    workspace: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    processes: int | None = None

    @property
    def database(self) -> Path:
        return self.workspace / "studio.db"

    @property
    def datasets(self) -> Path:
        return self.workspace / "datasets"

    @property
    def vocabularies(self) -> Path:
        return self.workspace / "vocabularies"

    @property
    def models(self) -> Path:
        return self.workspace / "models"

    @property
    def runs(self) -> Path:
        return self.workspace / "runs"

    @property
    def evaluations(self) -> Path:
        return self.workspace / "evaluations"

    @property
    def exports(self) -> Path:
        return self.workspace / "exports"

    @property
    def uploads(self) -> Path:
        return self.workspace / "uploads"

    @property
    def findings(self) -> Path:
        """What the Hub last said of the catalogue's datasets."""
        return self.workspace / "catalogue.json"

    @property
    def logs(self) -> Path:
        return self.workspace / "logs"


def load_settings(
    workspace: str | Path | None = None, *, host: str | None = None, port: int | None = None
) -> Settings:
    """Settings from the arguments, else from ``WORKSPACE``, ``HOST``, ``PORT`` and ``PROCESSES``, else the defaults.

    The workspace defaults to ``./workspace``. ``GRADIO_TEMP_DIR`` is set below it: uploads never land elsewhere.

    Raises:
        StudioError: ``port.not_a_number`` for a ``PORT`` that is none, or no port; ``training.bad_processes`` for
            ``PROCESSES`` that are no number from 1 on.
    """
    given = str(port) if port is not None else os.environ.get("PORT") or str(DEFAULT_PORT)
    if not given.isdecimal() or not 1 <= int(given) <= 65_535:
        raise StudioError("port.not_a_number", value=given)
    processes = os.environ.get("PROCESSES")
    if processes and not (processes.isdecimal() and int(processes) >= 1):
        raise StudioError("training.bad_processes", value=processes)
    folder = Path(workspace or os.environ.get("WORKSPACE") or "workspace").expanduser().resolve()
    settings = Settings(
        workspace=folder,
        host=host or os.environ.get("HOST") or "127.0.0.1",
        port=int(given),
        processes=int(processes) if processes else None,
    )
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.uploads))
    return settings


def hub_endpoint() -> str:
    """Address of the model hub; another one (a mirror, a test server) is set by ``HF_ENDPOINT``."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def preferred_locale() -> str:
    """``fa`` if the environment of a terminal asks for Persian, else ``en``."""
    wanted = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "fa" if wanted.startswith("fa") else "en"


def child_environment() -> dict[str, str]:
    """The environment a worker inherits; a Hub token never travels this way."""
    return {key: value for key, value in os.environ.items() if key not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}


def show_card(number: int) -> None:
    """Let this process see one card only, the `number`-th (from 0) of those it sees; before torch has used any."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[number] if seen else str(number)
