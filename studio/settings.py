"""Where the studio keeps its things and where it listens: the only reader of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError

SPINS, WORKER_SPINS = "1000", "10000"
"""How often a thread of libgomp looks whether there is work before it sleeps, in the app and chat and in workers.

On two cores (tokens/s; asleep at once, 1,000, 10,000, libgomp's own 300,000): chat 29, 44, 49, 50, beside a training
30, 23, 7, 1; training 650 to 680, 740 to 810, 790 to 840, 820 to 870, beside two busy loops 370, 350, 440, 230.
"""

# Nothing may leave the machine by itself: these must stand before gradio or a Hub library is imported.
for _name, _value in {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "BITSANDBYTES_NOWELCOME": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # for other libraries than libgomp, which the next goes before
    "GOMP_SPINCOUNT": SPINS,
}.items():
    os.environ.setdefault(_name, _value)

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
PRESETS = ROOT / "presets"
DEFAULT_PORT = 7860
UPLOAD_LIMIT = 1_000_000_000
"""Bytes of one file through the browser; what is larger comes in by the command line, which copies nothing."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SPACE_STORAGE = Path("/data")
"""Where a Space usually has its bucket mounted."""
_LOGIN = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")


_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OAUTH_CLIENT_SECRET")


@dataclass(frozen=True, slots=True)
class Space:
    """The Hugging Face Space that the studio runs in: ``owner/name``, whether people can log in there, and the host
    names that it is reached by."""

    id: str
    login: bool
    hosts: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """The user or organisation that the Space is of."""
        return self.id.split("/")[0]


@dataclass(frozen=True, slots=True)
class Settings:
    """Folders and address of one studio; every folder hangs below `workspace`.

    `processes` share a training; None: one for each card. It is no key of recipes: losses do not depend on it.
    `divide` tells whether they hold the base's layers in parts; None: where it does not fit one card.
    `space` is None on a machine of one's own.
    """

    workspace: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    processes: int | None = None
    divide: bool | None = None
    space: Space | None = None

    @property
    def address(self) -> str:
        """Where a browser finds the studio."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

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
    def suites(self) -> Path:
        """Suites that the user made of own questions."""
        return self.workspace / "suites"

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
    def prices(self) -> Path:
        """What electricity and the device cost their owner; see `studio.services.costs`."""
        return self.workspace / "prices.json"

    @property
    def logs(self) -> Path:
        return self.workspace / "logs"


def load_settings(
    workspace: str | Path | None = None, *, host: str | None = None, port: int | None = None
) -> Settings:
    """Settings from the arguments, else from the environment, else the defaults.

    Read are ``WORKSPACE``, ``HOST``, ``PORT``, ``PROCESSES`` and ``DIVIDE``.

    The workspace defaults to ``./workspace``. ``GRADIO_TEMP_DIR`` is set below it: uploads never land elsewhere.
    In a Space the studio listens to everybody, and works in a mounted bucket where there is one.

    Raises:
        StudioError: ``port.not_a_number`` for a ``PORT`` that is none, or no port; ``training.bad_processes`` for
            ``PROCESSES`` that are no number from 1 on; ``training.bad_divide`` for a ``DIVIDE`` other than 0 and 1.
    """
    given = str(port) if port is not None else os.environ.get("PORT") or str(DEFAULT_PORT)
    if not given.isdecimal() or not 1 <= int(given) <= 65_535:
        raise StudioError("port.not_a_number", value=given)
    processes = os.environ.get("PROCESSES")
    if processes and not (processes.isdecimal() and int(processes) >= 1):
        raise StudioError("training.bad_processes", value=processes)
    divide = os.environ.get("DIVIDE")
    if divide and divide not in ("0", "1"):
        raise StudioError("training.bad_divide", value=divide)
    space = _space()
    given_folder = workspace or os.environ.get("WORKSPACE") or _default_workspace(space)
    settings = Settings(
        workspace=Path(given_folder).expanduser().resolve(),
        host=host or os.environ.get("HOST") or ("127.0.0.1" if space is None else "0.0.0.0"),
        port=int(given),
        processes=int(processes) if processes else None,
        divide=divide == "1" if divide else None,
        space=space,
    )
    os.environ.setdefault("GRADIO_TEMP_DIR", str(settings.uploads))
    return settings


def _space() -> Space | None:
    name = os.environ.get("SPACE_ID")
    if not name:
        return None
    hosts = tuple(host.strip() for host in os.environ.get("SPACE_HOST", "").split(",") if host.strip())
    return Space(name, login=all(os.environ.get(each) for each in _LOGIN), hosts=hosts)


def _default_workspace(space: Space | None) -> Path:
    mounted = space is not None and SPACE_STORAGE.is_mount() and os.access(SPACE_STORAGE, os.W_OK)
    return SPACE_STORAGE / "workspace" if mounted else Path("workspace")


def hub_endpoint() -> str:
    """Address of the model hub; another one (a mirror, a test server) is set by ``HF_ENDPOINT``."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def preferred_locale() -> str:
    """``fa`` if the environment of a terminal asks for Persian, else ``en``."""
    wanted = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "fa" if wanted.startswith("fa") else "en"


def child_environment() -> dict[str, str]:
    """The environment that a process of ours inherits; no token and no secret of a login travels this way."""
    return {key: value for key, value in os.environ.items() if key not in _SECRETS}


def worker_environment() -> dict[str, str]:
    """The environment of a worker: its threads wait awake for longer, unless the user has set how long."""
    found = child_environment()
    return {**found, "GOMP_SPINCOUNT": WORKER_SPINS} if found.get("GOMP_SPINCOUNT") == SPINS else found


def cards_shown(present: int) -> int:
    """How many of the cards `present` this process may use."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return present if seen is None else min(present, len([card for card in seen.split(",") if card.strip()]))


def show_card(number: int) -> None:
    """Let this process see one card only, the `number`-th (from 0) of those it sees; before torch has used any."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[number] if seen else str(number)
