"""A real Orthanc with a generated configuration, its own storage and ports of its own."""

import json
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.dcmtk import ENVIRONMENT
from tests.peers.processes import start, stop
from tests.peers.tools import need_tool
from tests.peers.waiting import free_port, wait_until

_PLUGINS = Path("/usr/share/orthanc/plugins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """A DICOM peer that Orthanc knows."""

    ae_title: str
    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthanc:
    """A running Orthanc, driven over its REST interface."""

    ae_title: str
    dicom_port: int
    http_port: int
    log: Path
    """What Orthanc prints."""
    process: "subprocess.Popen[bytes]"

    def get(self, path: str) -> Any:
        """GET a REST path and return the decoded JSON."""
        return json.loads(self.get_bytes(path))

    def get_bytes(self, path: str) -> bytes:
        """GET a REST path and return the body as it is."""
        return self._ask(path, None, "GET")

    def post(self, path: str, body: object) -> Any:
        """POST JSON (or bytes as they are) and return the decoded JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.loads(self._ask(path, data, "POST"))

    def upload(self, files: Sequence[Path]) -> list[str]:
        """Give Orthanc DICOM files; return its own instance identifiers."""
        return [str(self.post("/instances", path.read_bytes())["ID"]) for path in files]

    def store(self, modality: str, orthanc_ids: Sequence[str]) -> Any:
        """Have Orthanc C-STORE resources (any level) to a modality, waiting for the end."""
        body = {"Resources": list(orthanc_ids), "Synchronous": True}
        return self.post(f"/modalities/{modality}/store", body)

    def find(self, level: str, query: Mapping[str, str]) -> list[str]:
        """Orthanc identifiers of the resources that match exactly."""
        body = {"Level": level, "Query": dict(query), "CaseSensitive": True}
        return [str(item) for item in self.post("/tools/find", body)]

    def stop(self) -> None:
        """End the server."""
        stop(self.process, timeout_s=30)

    def _ask(self, path: str, data: bytes | None, method: str) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, timeout=300) as reply:  # noqa: S310 - loopback
            return bytes(reply.read())


def start_orthanc(
    folder: Path,
    modalities: Mapping[str, Modality],
    *,
    ae_title: str = "ORTHANC",
    dicom_port: int = 0,
    settings: Mapping[str, object] | None = None,
) -> Orthanc:
    """Start Orthanc in ``folder`` and wait until its REST interface answers."""
    program = need_tool("Orthanc")
    folder.mkdir(parents=True, exist_ok=True)
    dicom_port, http_port = dicom_port or free_port(), free_port()
    configuration = folder / "orthanc.json"
    content = _configuration(folder, modalities, ae_title, dicom_port, http_port)
    configuration.write_text(json.dumps({**content, **(settings or {})}, indent=2))
    log = folder / "orthanc.log"
    process = start([program, str(configuration)], log, env=ENVIRONMENT)
    peer = Orthanc(
        ae_title=ae_title, dicom_port=dicom_port, http_port=http_port, log=log, process=process
    )
    wait_until(lambda: _answers(peer), "Orthanc to answer", timeout_s=60)
    return peer


def _answers(peer: Orthanc) -> bool:
    if peer.process.poll() is not None:
        raise AssertionError(f"Orthanc ended at once: {peer.log.read_text(errors='replace')}")
    try:
        peer.get("/system")
    except OSError:
        return False
    return True


def _configuration(
    folder: Path, modalities: Mapping[str, Modality], ae_title: str, dicom_port: int, http_port: int
) -> dict[str, object]:
    dicomweb = _PLUGINS / "libOrthancDicomWeb.so"
    return {
        "Name": "pctnode test peer",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": ae_title,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "StableAge": 1,
        "Plugins": [str(dicomweb)] if dicomweb.exists() else [],
        "DicomModalities": {
            name: [peer.ae_title, peer.host, peer.port] for name, peer in modalities.items()
        },
    }
