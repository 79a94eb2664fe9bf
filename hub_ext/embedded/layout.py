"""Where things are on a machine that runs the embedded platform, and which ports they hold.

`tools` is made by preparation and holds no data; `platform` holds data, logs and settings and is what
``make clean`` removes.
"""

import json
import os
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path

LOOPBACK = "127.0.0.1"
#: Each NodeManager has a loopback address of its own, so that both keep the same port numbers.
NODE_ADDRESSES = ("127.0.0.2", "127.0.0.3")


@dataclass(frozen=True)
class Layout:
    """The folders, from the checkout's root."""

    root: Path
    platform: Path

    @classmethod
    def of(cls, root: Path) -> "Layout":
        """Return the layout of this checkout; ``HUB_EXT_PLATFORM`` moves the data folder."""
        return cls(root=root, platform=Path(os.environ.get("HUB_EXT_PLATFORM") or root / ".platform").resolve())

    @property
    def tools(self) -> Path:
        return self.root / ".tools"

    @property
    def hub_python(self) -> Path:
        """Python of the Hub, its services and the notebook servers."""
        return self.tools / "hub" / "bin" / "python"

    @property
    def enterprise_gateway_python(self) -> Path:
        return self.tools / "enterprise-gateway" / "bin" / "python"

    @property
    def spark_python(self) -> Path:
        """Python of drivers and executors, with pyspark inside."""
        return self.tools / "spark" / "bin" / "python"

    @property
    def prepared_node(self) -> Path:
        """What lets kernels start fast; see `hub_ext.edge_node`."""
        return self.tools / "spark-node"

    @property
    def hadoop_jars(self) -> Path:
        return self.tools / "hadoop"

    @property
    def hadoop_conf(self) -> Path:
        return self.platform / "hadoop" / "conf"

    @property
    def kernelspecs(self) -> Path:
        """A Jupyter data folder: kernelspecs stand in its ``kernels`` folder."""
        return self.platform / "kernelspecs"

    @property
    def logs(self) -> Path:
        return self.platform / "logs"

    @property
    def data(self) -> Path:
        """Databases, cookie secret, notebooks of the demo's people."""
        return self.platform / "data"

    @property
    def run(self) -> Path:
        """What only a running platform needs: ports, secrets, pid files, sockets. Mode 0700."""
        return self.platform / "run"


@dataclass(frozen=True)
class Ports:
    """Every port of the platform; all on loopback."""

    proxy: int
    proxy_api: int
    hub: int
    gateway: int
    portal: int
    edge: int
    enterprise_gateway: int
    enterprise_gateway_response: int
    rm_web: int
    rm_client: int
    rm_scheduler: int
    rm_tracker: int
    rm_admin: int
    nm_web: int
    nm_address: int
    nm_localizer: int

    @classmethod
    def choose(cls, proxy: int) -> "Ports":
        """Keep `proxy` as given and let the system choose free ports for everything else."""
        names = [f.name for f in fields(cls) if f.name != "proxy"]
        sockets = [socket.socket() for _ in names]
        try:
            for one in sockets:
                one.bind((LOOPBACK, 0))
            chosen = {name: one.getsockname()[1] for name, one in zip(names, sockets, strict=True)}
        finally:
            for one in sockets:
                one.close()
        return cls(proxy=proxy, **chosen)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> "Ports":
        return cls(**json.loads(path.read_text()))
