"""Every bound of the product, named, with its unit. Those an operator may change are defaults of `settings`."""

from __future__ import annotations

from datetime import timedelta

from statekeep.domain.rates import Rate

KIB = 1024
MIB = 1024 * KIB

NAME_LENGTH_MAX = 128
"""Characters of a machine's or an instance's name."""
INDEXES_MAX = 50
"""Indexes of one machine."""
INDEX_SELECTOR_LENGTH_MAX = 1_000
"""Characters of the JSONPath that fills an index."""
INDEX_VALUE_BYTES_MAX = 1_024
"""UTF-8 of one value in an index. It has to fit into a URL three times as long, beside a cursor with another."""
INDEX_ENTRIES_MAX = 100
"""Values of one instance in one index."""
INDEX_ENTRIES_TOTAL_MAX = 1_000
"""Values of one instance in all indexes: the rows that one event may write and remove."""
INDEX_SEARCH_VALUES_MAX = 10_000
"""Values of a context that the selectors of one instance may look at: a millisecond, and that after every event."""
INDEX_QUERY_LIMIT = 100
"""Entries of one page, unless the caller says how many."""
INDEX_QUERY_LIMIT_MAX = 1_000
"""Who asks for more gets so many, and a cursor."""
INDEX_FILL_PORTION = 20
"""Instances that are indexed anew at once: about two milliseconds of the event loop, before others get their turn and the progress is written down."""
CLIENT_INFO_LENGTH_MAX = 1_000
"""Characters of an author's reference to a version."""

CODE_GZIPPED_BYTES_MAX = 1 * MIB
CODE_BYTES_MAX = 10 * MIB
BUNDLER_FRAME_BYTES_MAX = 64 * MIB
"""One answer of the bundler: the largest code that a server takes and its source map, quoted."""
CONTEXT_BYTES_MAX = 400_000
"""Context of one instance as JSON."""
SNAPSHOT_BYTES_MAX = 2 * CONTEXT_BYTES_MAX + 256 * KIB
"""A whole snapshot: context, children and history."""
JSON_DEPTH_MAX = 500
"""How deep events, contexts and snapshots may be nested: half of what Python's readers of JSON take, who meet them wrapped in something else."""
REQUEST_BYTES_MAX = 1 * MIB
"""Body of a request, uploads of code excepted. An event of this size is refused."""
UPLOAD_BYTES_MAX = CODE_BYTES_MAX + 64 * KIB
"""A multipart upload: the code and its form fields."""
PROVISIONAL_REQUEST_BYTES_MAX = 16 * MIB
"""The official client sends a migration's whole code along as a JSON object of bytes."""
FRAME_BYTES_MAX = 16 * MIB
"""One frame from a host."""

IDEMPOTENCY_KEY_LENGTH_MAX = 255
IDEMPOTENCY_KEYS_KEPT_FOR = timedelta(hours=24)

PAGE_SIZE = 100
"""Items of one page of a list."""

JOURNAL_PORTION_BYTES_MAX = 256 * KIB
"""What is read of a journal at once, unless a single entry is larger."""

RETENTION_AGE_MIN = timedelta(minutes=1)
"""The shortest time that a machine can choose to keep its transitions or its log entries for."""
RETENTION_ENTRIES_MAX = 10**12
"""The largest number of transitions that it can choose to keep: as good as all."""
RETENTION_SLACK = 1 / 16
"""By how much of its bounds a journal may be longer than these: each entry that goes costs a walk over as many that stay as this goes into one."""
RETENTION_INTERVAL = timedelta(minutes=10)
"""Between two looks at all journals that have bounds."""
RETENTION_INSTANCES_AT_ONCE = 500
"""Instances whose journals are looked at in one reading: a few milliseconds."""

BURST_EVENTS_MAX = 64
"""Events of one instance that go to the host in one frame."""
PIPELINED_BURSTS_MAX = 8
"""Bursts of one instance whose commits are under way at once."""
MAILBOX_LETTERS_MAX = 10_000
"""Events that wait for one instance; further ones are refused until it has caught up."""
CHILD_LETTERS_MAX = 2 * MAILBOX_LETTERS_MAX
"""Events that wait for one instance when one of its children sends another: then the children are stopped and count as lost. Callers alone
cannot fill it."""
MACROSTEPS_PER_EVENT_MAX = 1_000
"""Macrosteps that one event may cause by undelayed sends of the machine to itself."""
TIMERS_PER_INSTANCE_MAX = 10_000
"""Timers of one instance that are pending, and messages that it has sent and that were not delivered yet. Dead letters do not count."""
DEAD_LETTERS_PER_INSTANCE_MAX = 1_000
"""Timers and messages of one instance that were given up and are kept; one more, and the oldest is dropped."""
DEAD_LETTERS_RETRIED_AT_ONCE = 1_000
"""By one request: a few tenths of a second."""
MESSAGE_HOPS_MAX = 1_000
"""Messages between instances that one event from outside may lead to, one after the other: those that follow are dead letters."""
HOPS_FORGOTTEN_AFTER = timedelta(seconds=1)
"""What waits for so long begins anew: it cannot keep a server busy."""

UPGRADE_RETRIED_AFTER = timedelta(seconds=1)
"""After an upgrade that failed the next event tries again, but no sooner. Each further failure doubles it, up to the next."""
UPGRADE_RETRIED_AFTER_MAX = timedelta(hours=1)
MIGRATIONS_PER_MACHINE_MAX = 10_000
"""All of them are looked at when a path is searched."""
MIGRATION_PATH_LENGTH_MAX = 50
"""Migrations that one upgrade takes. Their code goes to one host."""
OUTLINES_REMEMBERED_MAX = 200
"""Versions whose states the server keeps in mind, for instances that leave them."""
OUTLINE_BYTES_MAX = 1 * MIB
OUTLINE_RETRIED_AFTER = timedelta(seconds=10)
"""A version that could not be loaded is not asked for its states again before, when instances leave it."""

BULK_UPGRADES_AT_ONCE = 16
"""Instances of one bulk upgrade that are being carried over at once: so many requests the host of the new version may have before an event of somebody else's."""
BULK_UPGRADE_JOBS_AT_ONCE = 8
"""Bulk upgrades that are worked on at once; others have their turn after a portion of these."""
BULK_UPGRADE_PORTION = 64
"""Instances whose results are written down together. After a crash so many are looked at again, and none is upgraded again."""
BULK_UPGRADE_PORTION_TIME = timedelta(seconds=1)
"""What is done after this time is written down, so that the progress of slow upgrades can be seen."""
BULK_SELECTION_PORTION = 1_000
"""Instances of the machine that are looked at with one write while it is found out which ones a bulk upgrade is about."""
BULK_UPGRADE_TRIES_MAX = 20
"""How often an instance is looked at that has not settled or is busy, before it counts as failed: a quarter of an hour."""
BULK_UPGRADE_RETRIED_AFTER = timedelta(seconds=1)
"""After the first look at those that were not ready; each further one doubles it, up to the next."""
BULK_UPGRADE_RETRIED_AFTER_MAX = timedelta(minutes=1)
BULK_UPGRADE_REST = timedelta(milliseconds=2)
"""Between two groups of instances, for everybody else."""
BULK_UPGRADES_KEPT = 100
"""Bulk upgrades of one machine that are over and still listed."""
SELECTION_NAMES_MAX = 1_000
"""Instances that a dry run or a bulk upgrade may name."""
RESULT_MESSAGE_LENGTH_MAX = 500
"""Characters of why an instance failed."""
HOST_DEATHS_MAX = 3
"""Host processes that may die of the instances of one bulk upgrade or dry run: then it stops."""

DRY_RUN_PORTION = 256
"""Instances that are read at once for a dry run."""
DRY_RUN_PORTION_BYTES_MAX = 4 * MIB
"""Their snapshots, unless a single one is larger."""
DRY_RUNS_AT_ONCE = 32
"""Instances of one dry run that are with the host at once."""
DRY_RUNS_RUNNING_MAX = 2
"""Dry runs at once; others wait their turn."""
DRY_RUNS_UNFINISHED_MAX = 4
"""Dry runs of one organization that run or wait for their turn, with the code that was sent along."""
DRY_RUNS_UNFINISHED_IN_ALL_MAX = 20
"""The same of all organizations together."""
DRY_RUNS_KEPT = 20
"""Dry runs of one organization that are remembered, those that run among them."""
DRY_RUNS_KEPT_IN_ALL = 200
"""The same of all organizations together. The largest reports take half a megabyte."""
DRY_RUN_TIME_MAX = timedelta(hours=1)
"""How long one may run."""
DRY_RUN_WAIT = timedelta(seconds=20)
"""How long the answer waits for the report to be complete."""
DRY_RUN_SAMPLES = 5
"""Names of instances that stand as examples for all that failed alike."""
DRY_RUN_GROUPS_MAX = 50
"""Kinds of failures, states, timers and children that a report tells apart; what is beyond is counted together."""
DRY_RUN_KIND_LENGTH_MAX = 1_000
"""Characters of a path or a name that a report tells; what is longer is counted with what is beyond."""
DRY_RUN_CODES_MAX = 20
"""Migrations that are sent along with a dry run."""
BLAST_RADIUS_INSTANCES_MAX = 20_000
"""Instances that are looked at while a version is published."""
BLAST_RADIUS_TIME = timedelta(milliseconds=500)
"""How long the answer to publishing a version may wait for that."""
BLAST_RADIUS_STATES_MAX = 200
"""States that a blast radius names, those with the most instances."""

WATCHER_REST = timedelta(microseconds=100)
"""How long the watchers of an instance rest between two updates, for each of them: to tell one takes half of that."""
READERS_ASKED_ABOUT_AT_ONCE = 200
"""Auth contexts about which a machine's `allowRead` is asked in one frame."""

SOCKET_MESSAGE_BYTES_MAX = 16 * KIB
"""What a client sends over a realtime socket at once: names and an id."""
SOCKET_SUBSCRIPTIONS_MAX = 1_000
"""Subscriptions of one realtime socket."""
SOCKET_IDLE_TIMEOUT = timedelta(seconds=330)
"""A realtime socket whose client says nothing for so long is closed. The official client pings every 300 s."""
SOCKET_PING_INTERVAL = timedelta(seconds=60)
"""How often the server asks whether the other end of a realtime socket is still there."""
SOCKET_PONG_TIMEOUT = timedelta(seconds=30)
SOCKET_CLOSE_TIMEOUT = timedelta(seconds=10)
"""For the handshakes that open and close a realtime socket."""
STRANGER_LINGER = timedelta(seconds=60)
"""How long a realtime socket with a bad token stays open: the official client reconnects at once, without end."""
STREAM_PULSE = timedelta(seconds=15)
"""A stream of events that has nothing to tell says so this often, so that neither end waits for a dead one."""
REQUEST_ID_LENGTH_MAX = 128
"""Characters by which a client names a subscription."""

SETTLE_TIMEOUT = timedelta(seconds=90)
STEP_TIMEOUT = timedelta(seconds=5)
DRAIN_TIMEOUT = timedelta(seconds=10)

DELIVERY_TRIES_MAX = 5
DELIVERY_RETRY_AFTER = timedelta(seconds=30)

HOST_HEAP_MIB_MAX = 128
HOST_DATA_MIB_MAX = 1024
"""Private memory of a host process, heap, code and buffers together (RLIMIT_DATA)."""
HOSTS_MAX = 12
"""Host processes at once. Each takes some 50 to 100 MB."""
HOST_IDLE_TIMEOUT = timedelta(minutes=5)
HOST_START_TIMEOUT = timedelta(seconds=20)
HOST_WAIT_TIMEOUT = timedelta(seconds=10)
"""How long a request waits for a place in the pool."""
HOST_SESSIONS_MAX = 10_000
HOST_SESSION_BYTES_MAX = 32 * MIB
LOG_BYTES_PER_EVENT_MAX = 64 * KIB

RESIDENT_INSTANCES_MAX = 20_000
"""Instances kept in the server's memory with their newest snapshot."""
RESIDENT_BYTES_MAX = 256 * MIB

TOKEN_BYTES_MAX = 8 * KIB
"""A bearer token, as it is sent."""
ACT_BYTES_MAX = 8 * KIB
"""The header `x-statebacked-act`."""
LABEL_LENGTH_MAX = 200
"""Characters of what people call a key or an organization."""
CLOCK_SKEW = timedelta(seconds=5)
"""How long after its `exp` a token is still taken: the official client uses one until a second past it."""
UPLOAD_URL_VALID_FOR = timedelta(minutes=15)
SIGNED_ID_VALID_FOR = timedelta(hours=1)

EMAIL_LENGTH_MAX = 254
"""Characters of an e-mail address: what fits into a path of RFC 5321."""
MEMBERS_MAX = 1_000
"""Members of one organization and those who are invited, together."""
INVITATION_VALID_FOR = timedelta(days=7)
SIGN_IN_LINK_VALID_FOR = timedelta(hours=1)
MAILS_TO_ONE_RATE = Rate(1 / 600, 5)
"""Mails to one address: five at once, and one every ten minutes."""
MAILS_RATE = Rate(1, 100)
"""Mails of the server, to all addresses together."""
MAIL_TIMEOUT = timedelta(seconds=15)
"""For one mail, from looking up the mail server's name to its answer."""
DEVICE_LOGIN_VALID_FOR = timedelta(minutes=15)
NEXT_PAGE_KEPT_FOR = DEVICE_LOGIN_VALID_FOR
"""How long a browser keeps the page that it was sent away from to sign in first: as long as a code on it is good."""
DEVICE_POLL_INTERVAL = timedelta(seconds=5)
"""Between two questions of a device, which gets longer by as much each time it does not wait."""
DEVICE_LOGINS_MAX = 10_000
"""Device logins that are under way. With one more the oldest is forgotten; their rate does not let so many begin."""
DEVICE_NAME_LENGTH_MAX = 100
"""Characters of what a device, or the program on it, calls itself."""
CODE_TRIES_RATE = Rate(1 / 60, 10)
"""Wrong codes that one user types: with so few tries the eight letters of a device's code, good for a quarter of an hour, are not found (RFC 8628, 5.1)."""
DEVICE_LOGINS_RATE = Rate(5, 100)
"""Device logins that begin, of all strangers together."""
WRONG_LINKS_RATE = Rate(20, 200)
"""Links of strangers that lead nowhere. They cannot be found by trying; this bounds the work."""
BROWSER_SESSIONS_MAX = 20
"""Browsers in which one user is signed in."""
DEVICE_SESSIONS_MAX = 50
"""Command lines and the like that one user has let in."""
SERVER_SESSIONS_MAX = 2
"""Tokens of `credentials.json` that work: the present one, and the one before, which somebody may have copied."""
BROWSER_SESSION_VALID_FOR = timedelta(days=14)
DEVICE_SESSION_VALID_FOR = timedelta(days=90)
SERVER_SESSION_VALID_FOR = timedelta(days=365)
SERVER_SESSION_RENEWED_BEFORE = timedelta(days=30)
"""A start writes a new token into `credentials.json` when less than this is left of the old one."""
CACHED_TOKENS_MAX = 10_000
"""Checked tokens that are kept until they expire, so that one is checked once and not at every request."""

CACHED_TOKENS_BYTES_MAX = 64 * MIB
"""The headers that they came in. One token takes half a kilobyte, unless somebody makes it longer."""

RATE_BURST_SECONDS = 5
"""A burst is what its rate allows in so many seconds, unless something else is said."""
ANONYMOUS_RATE = Rate(20, 100)
"""Requests of one anonymous session."""
ANONYMOUS_TOTAL_RATE = Rate(1_000, 5_000)
"""Requests of all anonymous callers of an organization together: they can make up any number of sessions."""
TOKEN_EXCHANGE_RATE = Rate(100, 500)
"""Tokens that are exchanged for an organization. Anyone may ask, and each costs a signature or two."""
RATE_BUCKETS_MAX = 100_000
"""Callers of one kind whose rate is kept in mind. Each takes some 150 bytes."""

HTTP_REQUEST_BYTES_MAX = REQUEST_BYTES_MAX
"""Body of a request to an author's HTTP endpoint."""
HTTP_MEANING_BYTES_MAX = 1 * MIB
"""What a handler returns, as JSON."""
HTTP_RESPONSE_BYTES_MAX = 1 * MIB
"""What a response mapper returns, as JSON."""
HTTP_RESPONSE_HEADERS_MAX = 100
HTTP_RESPONSE_HEADERS_BYTES_MAX = 8 * KIB
"""Headers of an answer, names and values. Clients and proxies break off where there are more, and would not learn that their request counts."""
HTTP_DEPTH_MAX = 200
"""How deep either may be nested. Strangers write bodies that handlers pass on, and what is much deeper no frame can carry."""
HTTP_MAPPING_TIMEOUT = timedelta(seconds=10)
"""For the promise of a handler or of a response mapper. What computes without a pause has the step timeout."""
HTTP_UNANSWERED_BYTES_MAX = 2 * MIB
"""Requests and states of one version that are with its handlers and response mappers at once: they wait in the host's heap."""
HTTP_UNANSWERED_MAX = 256
HTTP_API_RATE = Rate(200, 1_000)
"""Requests to the HTTP endpoints of an organization. Anyone may send them."""

CONNECTIONS_MAX = 20_000
"""Connections at once, WebSockets included."""
HEAD_BYTES_MAX = 32 * KIB
"""Request line and headers: two headers of 8 KiB, a token in the URL, and as much again for what browsers and proxies add."""
HEADERS_MAX = 100
URL_BYTES_MAX = 16 * KIB
"""Path and query. A WebSocket has its token there."""
HEAD_TIMEOUT = timedelta(seconds=20)
"""From the first byte of a request, or from the beginning of a connection, to the end of its headers."""
BODY_STALL_TIMEOUT = timedelta(seconds=20)
"""How far the body of a request may lag behind `BODY_BYTES_PER_SECOND_MIN` before its connection is closed."""
BODY_BYTES_PER_SECOND_MIN = 500
UNREAD_BODY_BYTES_MAX = 16 * MIB
"""What is left of a body after its request was answered and is read, to no purpose but that the client gets to see the answer."""
SUBJECT_TOKEN_BYTES_MAX = 16 * KIB
"""A token of an identity provider. Those that list a user's groups grow large."""
TOKEN_REQUEST_BYTES_MAX = SUBJECT_TOKEN_BYTES_MAX + 4 * KIB
"""The form of a token exchange."""
SUBJECT_AUDIENCES_MAX = 50
"""Audiences of one token of an identity provider."""
CLAIMS_DEPTH_MAX = 16
"""How deep a token's claims, and a mapping, may be nested."""
EXCHANGED_TOKEN_VALID_FOR = timedelta(hours=12)
FORM_BYTES_MAX = 4 * KIB
"""What a page for people sends."""
PROVIDER_REQUEST_BYTES_MAX = 64 * KIB
"""The configuration of an identity provider or a token provider: key and mapping."""
IDENTITY_PROVIDERS_MAX = 100
"""Of one organization, the anonymous one among them."""
TOKEN_PROVIDERS_MAX = 100
"""The same."""
PROVIDER_TEXT_LENGTH_MAX = 1_000
"""Characters of an audience, an issuer or the URL of a key set."""
SHARED_SECRET_BYTES_MIN = 14
"""Of an identity provider: 112 bits, below which a secret can be found by trying (NIST SP 800-131A)."""
VERIFICATION_KEY_BYTES_MAX = 16 * KIB
RSA_KEY_BITS_MIN = 2048
RSA_KEY_BITS_MAX = 8192
"""Larger ones only cost time."""
MAPPING_SIZE_MAX = 16_000
"""Characters and values of a mapping together."""
MAPPED_CLAIMS_SIZE_MAX = 8_000
"""The same of what a mapping makes. One path can be named many times, so that little makes much."""
MAPPING_PATH_LENGTH_MAX = 1_000
"""Characters of a JSONPath in a mapping."""
MAPPING_SEARCH_STEPS_MAX = 24
"""Steps of the paths of one mapping that search (wildcards, slices, filters, descendants): each may look at every claim."""
MAPPING_MATCHES_MAX = 1_000
"""Values that one path may find."""
ANONYMOUS_ID_LENGTH_MAX = 200
"""Characters of an anonymous caller's `sid` or `did`."""

JWKS_BYTES_MAX = 256 * KIB
"""A published key set."""
JWKS_KEYS_MAX = 100
"""Keys of one set; the others are not looked at."""
KEYS_TRIED_MAX = 10
"""Keys with which one signature is checked. Issuers publish two or three that a token could be signed with."""
JWKS_TIMEOUT = timedelta(seconds=5)
"""For one fetch as a whole."""
JWKS_FRESH_FOR = timedelta(minutes=15)
"""How long a key set is used without looking whether it changed: so long may a withdrawn key still be good."""
JWKS_KEPT_FOR = timedelta(hours=6)
"""How long a key set is used that cannot be fetched again."""
JWKS_REFRESHED_AFTER = timedelta(seconds=60)
"""A token with an unknown key id makes a set be fetched again, but no sooner after the last fetch."""
JWKS_RETRIED_AFTER = timedelta(seconds=10)
"""A set that could not be fetched is asked for again, but no sooner."""
JWKS_CACHED_MAX = 1_000
"""Key sets in memory."""
LOOKUPS_MAX = 64
"""Names of their hosts that are looked up at once, each on a thread. One that nobody answers for takes half a minute, however soon it is given up."""
JWKS_FETCHES_MAX = 20
"""Fetches at once, of all organizations."""

LOG_ENTRY_BYTES_MAX = LOG_BYTES_PER_EVENT_MAX
"""Text of one log entry; what is longer is cut."""
LOG_ENTRY_OVERHEAD_BYTES = 256
"""What an entry takes beside its text: names, row and index."""
LOG_ENTRIES_PER_MILLISECOND_MAX = PAGE_SIZE
"""Entries of one organization with the same timestamp. A page ends where a millisecond does, so one has to fit on it."""
LOG_RATE = Rate(1 * MIB, 16 * MIB)
"""Bytes of log entries of one organization."""
LOG_WAITING_BYTES_MAX = 16 * MIB
"""Entries of one organization that are in memory because they are not written yet."""
LOG_WAITING_TOTAL_BYTES_MAX = 64 * MIB
"""The same of all organizations together."""
LOG_BATCH_BYTES_MAX = 1 * MIB
LOG_BATCH_ENTRIES_MAX = 2_000
"""What is written of them in one transaction."""
LOG_WRITE_INTERVAL = timedelta(milliseconds=200)
"""How long an entry may wait for others before it is written."""
LOG_RETRY_AFTER = timedelta(seconds=1)
"""Between two tries to write where there is no room on the disk."""
LOG_DROPS_TOLD_EVERY = timedelta(seconds=1)
"""How often an organization is told that entries of its were dropped."""
LOG_CLOCK_BELIEVED = timedelta(minutes=1)
"""How far back the clock of a host may say that an entry was written."""
LOGS_KEPT_FOR = timedelta(days=30)
LOGS_MIB_MAX = 512
"""Entries of one organization on the disk. Some more until the next look, which is a minute away at the most."""
LOG_AGES_AT_ONCE = 500
"""Machines that keep their log entries for a time of their own, looked up in one reading."""

METRIC_MACHINES_MAX = 1_000
"""Machines whose events are told apart in the metrics, where that is asked for. Each is a handful of series in whatever keeps them."""
METRICS_TOKEN_LENGTH_MIN = 16
"""Characters of the token that opens the metrics."""
TRACE_CAUSES_MAX = 10_000
"""Timers and messages under way for which is kept which event they come of, so that traces can be linked."""
TRACE_FLUSH_TIMEOUT = timedelta(seconds=2)
"""How long a server that ends still tries to get rid of its last traces, once everything else is done."""
TRACED_NAME_LENGTH_MAX = 200
"""Characters of an event's type in a trace: authors and callers may make it as long as an event."""

EXPORTS_MAX = 2
"""Exports at once. Each has a connection and a thread, and makes the database keep what it looks at."""
EXPORT_PORTION_BYTES_MAX = 64 * KIB
"""What is read for an export at once, unless a single record is larger: made into lines in a few milliseconds, in which others wait."""
EXPORT_LOG_BYTES_MAX = 1024 * MIB
"""How large the database's log may become while somebody exports: it cannot begin again before they are done."""
EXPORT_STALL_TIMEOUT = timedelta(seconds=60)
"""An export whose client takes nothing for so long ends."""
IMPORTS_MAX = 2
"""Imports at once."""
IMPORT_LINE_BYTES_MAX = 16 * MIB
"""One line: the largest code in base64, and what is said about it."""
IMPORT_RECORD_BYTES_MAX = 5 * MIB
"""One line that brings no code: an entry with the largest event and snapshot, twice as long where they stand there as strings."""
IMPORT_PORTION_BYTES_MAX = 128 * KIB
"""What is written of an import at once."""
IMPORT_PORTION_RECORDS_MAX = 500
IMPORT_MACHINES_MAX = 10_000
IMPORT_VERSIONS_MAX = 10_000
"""Versions of one import, of all its machines: their ids are kept in mind."""
IMPORT_YEARS = range(1970, 3000)
"""Of all that has a time: others could be written, and not be shown. The longest delay of a timer is a century."""
IMPORT_TIMESTAMP_MAX = 2**42
"""Milliseconds since the epoch, in the year 2109. Beyond it numbers do not tell two microseconds apart, so that the next timestamp would not be greater."""
IMPORT_TIMERS_MAX = TIMERS_PER_INSTANCE_MAX + DEAD_LETTERS_PER_INSTANCE_MAX
"""Timers, messages and dead letters of one instance."""

FEED_NEWS_MAX = 10_000
"""Changes that a feed of transitions may be behind, before it leaves out the oldest."""

FEED_INSTANCES_MAX = 10_000
"""Instances of which a feed knows how far it has told of them."""
