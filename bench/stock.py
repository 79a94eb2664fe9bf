"""Enterprise Gateway 3.3 as it comes, with its own kernelspec and launcher, on a cluster that runs already."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from hub_ext.embedded import hadoop
from hub_ext.embedded.hadoop_sites import FILE_SYSTEM, render_properties, spark_defaults
from hub_ext.embedded.kernelspecs import QUEUE, SPARK_SIZE
from hub_ext.embedded.layout import LOOPBACK
from tests.integration.kernel_client import KernelClient
from tests.integration.yarn_stack import Stack, wait_for

VERSION = "3.3.0"
KERNELSPEC = "spark_python_yarn_cluster"
#: Who start kernels; also how many do at once.
USERS = 5
#: What this cluster needs of any Spark: files are used in place, everything stays on loopback.
KEPT = ("spark.yarn.stagingDir", "spark.ui.enabled", "spark.yarn.appMasterEnv.SPARK_LOCAL_IP")
KEPT_TOO = ("spark.executorEnv.SPARK_LOCAL_IP", "spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions")
#: The launcher's line that Spark 4 no longer has; without the change no stock kernel starts with this Spark.
BROKEN, MENDED = "spark._wrapped", "None"


@dataclass(frozen=True)
class Stock:
    """One stock gateway; `uploads` says whether Spark's jars go along with every kernel, as without a setting."""

    stack: Stack
    uploads: bool
    port: int
    response_port: int

    @property
    def name(self) -> str:
        return "stock-uploads" if self.uploads else "stock"

    @property
    def folder(self) -> Path:
        return self.stack.layout.platform / self.name

    def start(self, source: Path) -> None:
        """Write its kernelspecs, one for each user, and start it."""
        conf = self.folder / "conf"
        shutil.copytree(self.stack.layout.hadoop_conf, conf)
        staging = f"{FILE_SYSTEM}{hadoop.hadoop_folder(self.stack.layout)}/staging"
        defaults = spark_defaults(hadoop.spark_home(self.stack.layout), staging)
        kept = {name: defaults[name] for name in (*KEPT, *KEPT_TOO)}
        if not self.uploads:
            kept["spark.yarn.jars"] = defaults["spark.yarn.jars"]
        (conf / "spark-defaults.conf").write_text(render_properties(kept))
        base = hadoop.enterprise_gateway_environment(self.stack.layout, self.stack.ports)
        ours = ("PATH", "LANG", "JAVA_HOME", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_HOME", "EG_YARN_ENDPOINT")
        environment = {
            **{name: base[name] for name in ours},
            "HOME": str(self.folder),
            "SPARK_CONF_DIR": str(conf),
            "JUPYTER_PATH": str(self.folder),
            "JUPYTER_NO_CONFIG": "1",
            "JUPYTER_DATA_DIR": str(self.folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"),
            "EG_AUTH_TOKEN": self.stack.token,
            "EG_IP": LOOPBACK,
            "EG_PORT": str(self.port),
            "EG_PORT_RETRIES": "0",
            "EG_RESPONSE_IP": LOOPBACK,
            "EG_RESPONSE_PORT": str(self.response_port),
            "EG_RESPONSE_PORT_RETRIES": "0",
            "EG_KERNEL_LAUNCH_TIMEOUT": "180",
            "EG_INHERITED_ENVS": "PATH,LANG,JAVA_HOME,HADOOP_CONF_DIR,SPARK_CONF_DIR",
        }
        for user in range(USERS):
            self._write_kernelspec(source, f"{KERNELSPEC}_{user}", user_name(user))
        python = str(self.stack.layout.enterprise_gateway_python)
        # Its own main, after what lets it start on a machine without any address but loopback.
        code = (
            "from jeg_plugin.app import allow_loopback_only\n"
            "from enterprise_gateway.enterprisegatewayapp import launch_instance\n"
            "launch_instance()"
        )
        self.stack._start(self.name, [python, "-I", "-c", code], environment)
        wait_for(lambda: self._answers(), 60, f"{self.name} answers")

    def _answers(self) -> bool:
        try:
            return self.client().request("GET", "kernelspecs", timeout=5).status_code == 200
        except OSError:
            return False

    def client(self) -> KernelClient:
        """Return a new client of this gateway."""
        return KernelClient(f"http://{LOOPBACK}:{self.port}", {"Authorization": f"token {self.stack.token}"})

    def _write_kernelspec(self, source: Path, name: str, user: str) -> None:
        target = self.folder / "kernels" / name
        shutil.copytree(source / "kernelspecs" / KERNELSPEC, target)
        shutil.copytree(source / "kernel-launchers" / "python" / "scripts", target / "scripts", dirs_exist_ok=True)
        launcher = target / "scripts" / "launch_ipykernel.py"
        launcher.write_text(launcher.read_text().replace(BROKEN, MENDED))
        for script in (target / "bin").iterdir():
            script.chmod(0o755)
        spec = json.loads((target / "kernel.json").read_text())
        spec["env"] = self._environment(spec["env"], user)
        installed = f"/usr/local/share/jupyter/kernels/{KERNELSPEC}"
        spec["argv"] = [part.replace(installed, str(target)) for part in spec["argv"]]
        (target / "kernel.json").write_text(json.dumps(spec, indent=1))

    def _environment(self, given: dict[str, str], user: str) -> dict[str, str]:
        """Return the kernelspec's variables with this machine's paths and the sizes of our own kernelspec."""
        python = str(self.stack.layout.spark_python)
        sizes = [
            f"--driver-memory {SPARK_SIZE['driver_memory_mb']}m",
            f"--executor-memory {SPARK_SIZE['executor_memory_mb']}m",
            f"--num-executors {SPARK_SIZE['executors']} --executor-cores 1 --queue {QUEUE}",
            f"--conf spark.executorEnv.PYSPARK_PYTHON={python} --conf spark.yarn.appMasterEnv.PYSPARK_PYTHON={python}",
        ]
        kept = [
            "--master yarn --deploy-mode cluster --name ${KERNEL_ID:-ERROR__NO__KERNEL_ID}",
            "--conf spark.yarn.submit.waitAppCompletion=false --conf spark.yarn.maxAppAttempts=1",
            "${KERNEL_EXTRA_SPARK_OPTS}",
        ]
        return {
            **given,
            "SPARK_HOME": str(hadoop.spark_home(self.stack.layout)),
            "PYSPARK_PYTHON": python,
            "PYTHONPATH": "",
            "SPARK_OPTS": " ".join([*kept, *sizes]),
            # YARN's ACLs let only the owner see where an application runs, so it has to be the kernel's user.
            "HADOOP_USER_NAME": user,
        }


def user_name(number: int) -> str:
    """Return one of the users who start kernels."""
    return f"user{number}"


def sources(tools: Path) -> Path:
    """Return the folder with Enterprise Gateway's own kernelspecs and launchers; fetch its source package once."""
    folder = tools / "bench" / f"enterprise-gateway-{VERSION}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        wanted = ["--no-deps", "--no-binary", ":all:", "--dest", str(partial), f"jupyter_enterprise_gateway=={VERSION}"]
        system_python = shutil.which("python3", path=os.defpath) or sys.executable
        subprocess.run([system_python, "-m", "pip", "download", "--quiet", *wanted], check=True)  # noqa: S603
        (archive,) = partial.glob("*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(partial, filter="data")
        partial.rename(folder)
    (etc,) = folder.glob("*/etc")
    return etc
