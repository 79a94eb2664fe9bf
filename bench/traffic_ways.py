"""The ways from a client to a kernel's websocket that are compared, each a process of its own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import psutil

from tests import traffic_client, traffic_site

ROOT = Path(__file__).resolve().parent.parent
PROXY = ROOT / "node_modules" / ".bin" / "configurable-http-proxy"
GATEWAY, NGINX = "hub_gateway", "nginx"

#: As a site would write it for websockets; one worker, because every other way is one process, too.
NGINX_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_read_timeout 1h;
      {more}
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Way:
    """Where to connect, and the process that passes everything on; None: there is none."""

    name: str
    port: int
    process: psutil.Process | None = None
    path: str = "/api/kernels/x/channels?session_id={}"

    def connect(self, session_id: str) -> socket:
        return traffic_client.connect(self.port, self.path.format(session_id), traffic_site.TOKEN)

    @property
    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)] if self.process else []

    @property
    def cpu_seconds(self) -> float:
        times = [one.cpu_times() for one in self._processes]
        return sum(one.user + one.system for one in times)

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return sum(one.memory_info().rss for one in self._processes)


def nginx_version() -> str:
    """Return the version of the machine's nginx; empty when there is none."""
    if not shutil.which("nginx"):
        return ""
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)  # noqa: S607 (the machine's own)
    found = re.search(r"nginx/(\S+)", told.stderr + told.stdout)
    return found.group(1) if found else "of unknown version"


@contextmanager
def ways(folder: Path) -> Iterator[list[Way]]:
    """Start everything: a direct connection, each proxy that is there, the gateway."""
    with ExitStack() as stack:
        upstream = stack.enter_context(traffic_site.upstream())
        found = [Way("direct connection", upstream)]
        if nginx_version():
            found.append(stack.enter_context(_nginx(NGINX, folder / "nginx", upstream)))
            more = "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;"
            found.append(stack.enter_context(_nginx("nginx, 64 kB buffers", folder / "nginx-64", upstream, more)))
        port = traffic_site.free_port()
        command = [str(PROXY), "--ip=127.0.0.1", f"--port={port}", "--api-ip=127.0.0.1"]
        command += [f"--api-port={traffic_site.free_port()}", f"--default-target=http://127.0.0.1:{upstream}"]
        found.append(stack.enter_context(_started("configurable-http-proxy", command, port)))
        port = traffic_site.free_port()
        command = [sys.executable, "-m", "bench.traffic_relay", str(port), str(upstream)]
        found.append(stack.enter_context(_started("frame relay (tornado)", command, port)))
        gateway = stack.enter_context(traffic_site.gateway(folder, upstream))
        found.append(Way(GATEWAY, gateway.port, gateway.process, gateway.path("{}")))
        yield found


@contextmanager
def _nginx(name: str, folder: Path, upstream: int, more: str = "") -> Iterator[Way]:
    folder.mkdir()
    port = traffic_site.free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(folder=folder, port=port, upstream=upstream, more=more))
    command = ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "log")]
    with _started(name, command, port) as way:
        yield way


@contextmanager
def _started(name: str, command: list[str], port: int) -> Iterator[Way]:
    environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": "x" * 32}
    process = subprocess.Popen(  # noqa: S603 (our own commands)
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        traffic_site.wait_until_open(port, process)
        yield Way(name, port, psutil.Process(process.pid))
    finally:
        traffic_site.end(process)
