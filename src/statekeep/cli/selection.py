"""Which instances a dry run or a bulk upgrade is about: those that fulfil all that is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from statekeep.cli.output import Misused


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Without any of them it is all instances that are not of the target version."""

    from_: Annotated[str | None, Parameter(name=("--from", "-f"), metavar="VERSION")] = None
    """Only instances of this machine version ID."""

    instance: Annotated[
        tuple[str, ...], Parameter(alias="-i", metavar="INSTANCE", consume_multiple=True)
    ] = ()
    """Only instances with these names."""

    index: Annotated[str | None, Parameter(metavar="INDEX")] = None
    """Only instances with an entry in this index."""

    op: Literal["eq", "ne", "gt", "gte", "lt", "lte"] | None = None
    """Only those whose entry compares so with --value."""

    value: Annotated[str | None, Parameter(metavar="VALUE", allow_leading_hyphen=True)] = None
    """What --op compares with."""

    def arguments(self) -> dict[str, Any]:
        """What the client takes. Raises Misused."""
        from statekeep.client import InstanceQuery

        if (self.op is None) != (self.value is None):
            raise Misused("op and value must both be specified or neither must be specified")
        if self.index is None and self.op is not None:
            raise Misused("--op needs --index")
        query = None if self.index is None else InstanceQuery(self.index, self.op, self.value)
        return {
            "from_machine_version_id": self.from_,
            "query": query,
            "instances": self.instance or None,
        }


Selection = Annotated[SelectionOptions, Parameter(name="*")]
ALL = SelectionOptions()
