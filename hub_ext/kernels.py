"""What a kernel definition is: the ``remote_kernel`` block in a kernelspec's metadata.

The truth about a definition is its kernel.json. A hand-written kernelspec without the block is visible to everyone;
its size and queue are read from its Spark options.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from . import spark_options
from .sizes import UNBOUNDED_EXECUTORS, KernelSize

#: Where the block stands in ``kernel.json``: ``metadata.remote_kernel``.
METADATA_KEY = "remote_kernel"

#: What starts the kernels that have a whole block.
LAUNCHER = "jeg_plugin.launch"

KernelType = Literal["spark-python", "python"]
Visibility = Literal["private", "group", "everyone"]

TYPE_LABELS: dict[str, str] = {"spark-python": "Spark (Python)", "python": "Python in YARN"}


class Size(BaseModel):
    """The size part of the block; memory in MiB."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    driver_memory_mb: int = Field(ge=1, le=4_194_304)
    driver_cores: int = Field(default=1, ge=1, le=1024)
    executors: int = Field(default=0, ge=0, le=10_000)
    executor_memory_mb: int = Field(default=0, ge=0, le=4_194_304)
    executor_cores: int = Field(default=1, ge=1, le=1024)
    driver_overhead_mb: int | None = Field(default=None, ge=0, le=4_194_304)
    executor_overhead_mb: int | None = Field(default=None, ge=0, le=4_194_304)
    overhead_factor: float | None = Field(default=None, ge=0.0001, le=10)
    pyspark_memory_mb: int | None = Field(default=None, ge=0, le=4_194_304)
    off_heap_mb: int | None = Field(default=None, ge=0, le=4_194_304)
    executors_max: int | None = Field(default=None, ge=0, le=UNBOUNDED_EXECUTORS)

    def as_kernel_size(self) -> KernelSize:
        """Return the plain value that `hub_ext.sizes` computes with."""
        return KernelSize(**self.model_dump())


class KernelDefinition(BaseModel):
    """What a person sees of a kernel in the catalogue, and what decides who may use it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    display_name: str
    language: str = ""
    type: KernelType | None = None
    description: str = ""
    owner: str | None = None
    visibility: Visibility = "everyone"
    groups: tuple[str, ...] = ()
    queue: str | None = None
    size: Size | None = None
    #: More stands in a file that nobody here reads: size and queue may be others.
    size_unknown: bool = False
    python: str | None = None
    archive: str | None = None
    spark_conf: dict[str, str] = Field(default_factory=dict)
    resources: dict[str, str] = Field(default_factory=dict)

    def visible_to(self, user: str, groups: frozenset[str] | set[str], admin: bool = False) -> bool:
        """Say whether this person may see and start the kernel."""
        if admin or self.visibility == "everyone" or self.owner == user:
            return True
        return self.visibility == "group" and bool(set(self.groups) & set(groups))

    @property
    def type_label(self) -> str:
        """The type in words."""
        return TYPE_LABELS.get(self.type or "", self.language or "other")


def definition_of(name: str, model: dict[str, Any]) -> KernelDefinition:
    """Read the definition out of one entry of ``/api/kernelspecs``.

    Parameters
    ----------
    name : str
        The kernelspec's name.
    model : dict
        ``{"name": …, "spec": {kernel.json}, "resources": {…}}`` as Jupyter's kernelspec API gives it.

    Returns
    -------
    KernelDefinition
        A block that can't be read makes the definition private to administrators: better unseen
        than shown to the wrong people.
    """
    spec = model.get("spec") or {}
    base: dict[str, Any] = {
        "name": name,
        "display_name": str(spec.get("display_name") or name),
        "language": str(spec.get("language") or ""),
        "resources": {k: v for k, v in (model.get("resources") or {}).items() if isinstance(v, str)},
    }
    options = from_options(spec)
    block = (spec.get("metadata") or {}).get(METADATA_KEY)
    if block is None:
        return KernelDefinition(**base, **options)
    # Whoever writes a size into the block vouches for it.
    if isinstance(block, dict):
        base["size_unknown"] = bool(options.get("size_unknown")) and block.get("size") is None
    try:
        return KernelDefinition.model_validate({**options, **_without_nothing(block), **base})
    except (ValidationError, TypeError, AttributeError):
        return KernelDefinition(
            **{**options, **base},
            visibility="private",
            description="Its kernel.json has a remote_kernel block that can't be read.",
        )


def from_options(spec: dict[str, Any]) -> dict[str, Any]:
    """Return size and queue that a kernelspec's Spark options tell; empty for a kernel outside YARN.

    Our launcher reads the block and nothing else, so options beside it count for nothing.
    """
    argv = spec.get("argv")
    if isinstance(argv, list) and LAUNCHER in argv:
        return {}
    found = spark_options.read(spec)
    if found is None:
        return {}
    return {"size": Size(**found.size), "queue": found.queue, "size_unknown": found.unknown}


def _without_nothing(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if value is not None}


def public_model(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """Return the kernelspec entry that a notebook server may see.

    Command line, environment and process proxy stay on the edge node: they carry its paths and addresses.
    """
    spec = model.get("spec") or {}
    metadata = spec.get("metadata") or {}
    block = metadata.get(METADATA_KEY)
    shown: dict[str, Any] = {"debugger": bool(metadata.get("debugger", False))}
    if isinstance(block, dict):
        shown[METADATA_KEY] = {k: v for k, v in block.items() if k not in {"python", "archive"}}
    elif block is None and (options := from_options(spec)):
        shown[METADATA_KEY] = {
            "size": options["size"].model_dump(exclude_none=True),
            **({"queue": options["queue"]} if options["queue"] else {}),
        }
    return {
        "name": name,
        "spec": {
            "argv": [],
            "env": {},
            "display_name": spec.get("display_name", name),
            "language": spec.get("language", ""),
            "interrupt_mode": spec.get("interrupt_mode", "signal"),
            "metadata": shown,
        },
        "resources": model.get("resources") or {},
    }
