"""Which kernel definitions there are for whom, as Enterprise Gateway knows them."""

from dataclasses import dataclass
from typing import Any

from hub_ext.errors import PublicError
from hub_ext.kernels import KernelDefinition, definition_of, public_model
from hub_ext.names import is_kernelspec_name

from .upstream import EnterpriseGateway


@dataclass(frozen=True)
class Person:
    """For whom something is done: the owner named in the path, with what decides what they may see."""

    name: str
    groups: frozenset[str]
    #: The caller is an administrator of kernels, perhaps acting for somebody else.
    admin: bool
    #: Notebook server whose token was used, None for any other client.
    server: str | None
    #: The caller is the owner; `groups` are then the Hub's own answer.
    own: bool = True


class Catalogue:
    """The kernelspecs, each person's own view of them."""

    def __init__(self, upstream: EnterpriseGateway) -> None:
        self._upstream = upstream

    async def definitions(self, person: Person) -> tuple[str, dict[str, dict[str, Any]]]:
        """Return the default kernelspec's name and the models of those that this person may see."""
        answer = await self._upstream.kernelspecs()
        models = answer.get("kernelspecs") or {}
        visible = {
            name: public_model(name, model)
            for name, model in sorted(models.items())
            if definition_of(name, model).visible_to(person.name, person.groups, person.admin)
        }
        default = str(answer.get("default") or "")
        return (default if default in visible else next(iter(visible), ""), visible)

    async def definition(self, person: Person, kernelspec: str) -> KernelDefinition:
        """Return one kernel definition, or refuse as if it did not exist."""
        if is_kernelspec_name(kernelspec):
            model = ((await self._upstream.kernelspecs()).get("kernelspecs") or {}).get(kernelspec)
            if model is not None:
                found = definition_of(kernelspec, model)
                if found.visible_to(person.name, person.groups, person.admin):
                    return found
        raise PublicError(
            "no-such-kernelspec",
            "There is no such kernel in the catalogue, or you may not use it.",
            remedy="The Kernels page lists those that you can start.",
        )
