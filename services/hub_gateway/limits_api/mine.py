"""What one person may use, uses, and could start now."""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from hub_ext.errors import PublicError
from hub_ext.limits.ask import Held
from hub_ext.limits.largest import largest_kernel
from hub_ext.limits.refused_starts import RefusedStarts

from . import shown
from .advice import Cluster
from .answers import KernelUse, Largest, MyLimits, Refused
from .reading import Reading
from .state import State
from .table import Limits, Member, exceeded


class Mine:
    """Answers for the one who asks."""

    def __init__(
        self,
        state: State,
        reading: Reading,
        refusals: RefusedStarts,
        cluster: Cluster,
        overhead: tuple[float, int],
    ) -> None:
        self._state = state
        self._reading = reading
        self._refusals = refusals
        self._cluster = cluster
        self._overhead = overhead

    async def limits(self, user: str, groups: Collection[str]) -> MyLimits:
        """Return `user`'s limits and use.

        Parameters
        ----------
        groups : collection of str
            As the Hub tells them with the token: what counts when this person starts a kernel.
        """
        table = await self._state.some([user], {user: groups})
        member = table.member(user) or Member(user, tuple(groups))
        limits = table.limits(member)
        kernels = await self._reading.kernels(user)
        largest, cluster_error = await self._largest(limits, kernels)
        return MyLimits(
            user=user,
            limits=shown.limits(limits),
            used=table.used(member),
            kernels=kernels,
            over=exceeded(limits, table.used(member)),
            largest=largest,
            cluster_error=cluster_error,
            most_restrictive=table.resolver.all.configured.most_restrictive_group,
            refused=[Refused.model_validate(asdict(one)) for one in await self._refusals.of(user)],
        )

    async def _largest(self, limits: Limits, kernels: Sequence[KernelUse]) -> tuple[Largest | None, str]:
        """Return the largest kernel, or why it is not known."""
        try:
            cluster = await self._cluster()
        except PublicError as error:
            return None, error.message
        held = [Held(one.id, one.kernelspec, one.memory_mb, one.cores) for one in kernels if not one.gives_way]
        found = largest_kernel(limits, held, cluster, cluster.rules(*self._overhead))
        return Largest.model_validate(found.as_json()), ""
