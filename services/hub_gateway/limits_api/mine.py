"""What one person may use, uses, and could start now."""

from collections.abc import Collection

from . import shown
from .advice import Cluster
from .answers import MyLimits
from .reading import Reading
from .state import State
from .table import Member, exceeded


class Mine:
    """Answers for the one who asks."""

    def __init__(self, state: State, reading: Reading, cluster: Cluster) -> None:
        self._state = state
        self._reading = reading
        self._cluster = cluster

    async def limits(self, user: str, groups: Collection[str]) -> MyLimits:
        """Return `user`'s limits and use.

        Parameters
        ----------
        groups : collection of str
            As the Hub tells them with the token: what counts when this person starts a kernel.
        """
        table = await self._state.table()
        known = table.member(user) or Member(user)
        member = Member(user, tuple(groups), known.last_kernel_at)
        limits = table.limits(member)
        kernels = await self._reading.kernels(user)
        largest, cluster_error = None, ""
        return MyLimits(
            user=user,
            limits=shown.limits(limits),
            used=table.used(member),
            kernels=kernels,
            over=exceeded(limits, table.used(member)),
            largest=largest,
            cluster_error=cluster_error,
            most_restrictive=table.resolver.all.configured.most_restrictive_group,
        )
