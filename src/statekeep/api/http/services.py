"""What the API calls: the use cases, made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from statekeep.application.authenticate import Authenticator
from statekeep.application.blast_radius import BlastRadii
from statekeep.application.bulk_upgrades import BulkUpgrades
from statekeep.application.dead_letters import DeadLetters
from statekeep.application.desired_versions import DesiredVersions
from statekeep.application.dry_runs import DryRuns
from statekeep.application.exchange import TokenExchange
from statekeep.application.exports import Exports
from statekeep.application.http_api import HttpApi
from statekeep.application.identity_providers import IdentityProviders
from statekeep.application.imports import Imports
from statekeep.application.indexes import Indexes
from statekeep.application.instances import Instances
from statekeep.application.keys import Keys
from statekeep.application.logs import Logs
from statekeep.application.machines import Machines
from statekeep.application.migration_stubs import MigrationStubs
from statekeep.application.migrations import Migrations
from statekeep.application.organizations import Organizations
from statekeep.application.people import People
from statekeep.application.rate_limits import RateLimits, unlimited
from statekeep.application.retention import Retentions
from statekeep.application.token_providers import TokenProviders
from statekeep.application.usage import Usages
from statekeep.application.versions import Versions
from statekeep.application.watching import Watching
from statekeep.ports.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases behind the routes."""

    authenticator: Authenticator
    instances: Instances
    indexes: Indexes
    machines: Machines
    versions: Versions
    migrations: Migrations
    desired_versions: DesiredVersions
    keys: Keys
    organizations: Organizations
    people: People
    usages: Usages
    watching: Watching
    dead_letters: DeadLetters
    retentions: Retentions
    clock: Clock
    identity_providers: IdentityProviders
    token_providers: TokenProviders
    exchange: TokenExchange
    http_api: HttpApi
    logs: Logs
    exports: Exports
    imports: Imports
    blast_radii: BlastRadii
    bulk_upgrades: BulkUpgrades
    dry_runs: DryRuns
    migration_stubs: MigrationStubs
    rate_limits: RateLimits = field(default_factory=unlimited)
