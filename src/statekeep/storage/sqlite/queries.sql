-- Parameters are numbered where rows come as tuples by the thousand, and named elsewhere. Every query finds its rows by an index.

-- name: newest_instance_id
SELECT seq FROM sqlite_sequence WHERE name = 'instances';

-- name: newest_journal_id
SELECT max(id) FROM journal;

-- Commits. The columns are in the order of the fields of domain.commit and domain.timer.

-- name: append_entry
INSERT INTO journal (id, instance_id, previous_id, revision, ts, origin, event, snapshot)
VALUES (?1, ?2, coalesce(?3, (SELECT journal_id FROM standings WHERE instance_id = ?2)), ?4, ?5, ?6, ?7, ?8);

-- name: move_instance
UPDATE standings SET revision = ?1, journal_id = ?2, due = ?3, next_timer_seq = ?4
WHERE instance_id = ?5 AND revision = ?6;

-- name: create_instance
INSERT INTO instances (id, machine_id, name, version, created_at)
VALUES (?1, ?2, ?3, (SELECT number FROM versions WHERE id = ?4), ?5);

-- name: create_standing
INSERT INTO standings (revision, journal_id, due, next_timer_seq, instance_id) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: set_timer
INSERT INTO timers (instance_id, seq, send_id, due_at, event, after, tries, is_dead, message, hops, failure, machine_id, died)
VALUES (
  ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
  CASE WHEN ?8 THEN (SELECT machine_id FROM instances WHERE id = ?1) END,
  CASE WHEN ?8 THEN 1 + coalesce((
    SELECT other.died FROM timers AS other
    WHERE other.machine_id = (SELECT machine_id FROM instances WHERE id = ?1) AND other.died IS NOT NULL
    ORDER BY other.died DESC LIMIT 1
  ), 0) END
);

-- name: remove_timer
DELETE FROM timers WHERE instance_id = ?1 AND seq = ?2;

-- name: instance_exists
SELECT 1 FROM instances WHERE id = ?1;

-- name: use_key
INSERT INTO idempotency_keys (instance_id, key, body_hash, answer, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (instance_id, key) DO UPDATE
SET body_hash = excluded.body_hash, answer = excluded.answer, expires_at = excluded.expires_at;

-- Instances.

-- name: instance_id
SELECT instances.id FROM machines JOIN instances ON instances.machine_id = machines.id
WHERE machines.organization_id = ?1 AND machines.name = ?2 AND instances.name = ?3;

-- name: birthplace
SELECT current.index_selectors,
  versions.id, machines.id, machines.organization_id, machines.name, versions.created_at, versions.client_info,
  versions.index_selectors, versions.xstate_major, versions.code_hash
FROM machines
JOIN versions AS current ON current.number = machines.current_version
JOIN versions ON versions.machine_id = machines.id AND versions.id = coalesce(?3, current.id)
WHERE machines.organization_id = ?1 AND machines.name = ?2;

-- name: is_taken
SELECT 1 FROM instances WHERE machine_id = ?1 AND name = ?2;

-- name: claim
SELECT
  machines.organization_id, machines.name, instances.name, instances.status, instances.created_at,
  standings.revision, standings.due, standings.next_timer_seq, journal.ts, journal.snapshot,
  current.id, machines.id, machines.organization_id, machines.name, current.created_at, current.client_info,
  current.index_selectors, current.xstate_major, current.code_hash,
  desired.id, desired.created_at, desired.client_info, machines.indexes <> '[]'
FROM instances
JOIN standings ON standings.instance_id = instances.id
JOIN journal ON journal.id = standings.journal_id
JOIN machines ON machines.id = instances.machine_id
JOIN versions AS current ON current.number = instances.version
LEFT JOIN versions AS desired ON desired.number = instances.desired_version
WHERE instances.id = ?1;

-- name: timers_of_instance
SELECT seq, send_id, due_at, event, after, tries, is_dead, message, hops, failure FROM timers WHERE instance_id = ?1 ORDER BY seq;

-- name: set_status
UPDATE instances SET status = :status WHERE id = :instance_id;

-- name: orphan_journal
INSERT INTO orphaned_journals (journal_id) SELECT journal_id FROM standings WHERE instance_id = :instance_id;

-- name: delete_instance
DELETE FROM instances WHERE id = :instance_id;

-- name: orphaned_journal
SELECT journal_id FROM orphaned_journals LIMIT 1;

-- name: newest_entries
WITH RECURSIVE walk (id, previous_id) AS (
  SELECT id, previous_id FROM journal WHERE id = :journal_id
  UNION ALL
  SELECT journal.id, journal.previous_id FROM walk JOIN journal ON journal.id = walk.previous_id
)
SELECT id, previous_id FROM walk LIMIT :limit;

-- name: delete_entry
DELETE FROM journal WHERE id = ?1;

-- name: orphan_rest
UPDATE orphaned_journals SET journal_id = :rest WHERE journal_id = :journal_id;

-- name: adopt_nothing
DELETE FROM orphaned_journals WHERE journal_id = :journal_id;

-- name: list_instances
SELECT instances.id, instances.name, instances.created_at, instances.status,
  versions.id, versions.created_at, versions.client_info, desired.id, desired.created_at, desired.client_info
FROM instances JOIN versions ON versions.number = instances.version
LEFT JOIN versions AS desired ON desired.number = instances.desired_version
WHERE instances.machine_id = :machine_id AND instances.id <= :first
ORDER BY instances.id DESC LIMIT :limit;

-- name: newest_entry
SELECT journal_id FROM standings WHERE instance_id = :instance_id;

-- name: list_transitions
WITH RECURSIVE walk (id, previous_id, origin) AS (
  SELECT id, previous_id, origin FROM journal WHERE id = :first AND instance_id = :instance_id
  UNION ALL
  SELECT journal.id, journal.previous_id, journal.origin FROM walk JOIN journal ON journal.id = walk.previous_id
)
SELECT journal.id, journal.revision, journal.ts, journal.event, journal.snapshot
FROM walk JOIN journal ON journal.id = walk.id
WHERE walk.origin <> :housekeeping LIMIT :limit;

-- Back along a journal, without the entries themselves: these may be large.
-- name: walk_back
WITH RECURSIVE walk (id, previous_id, revision) AS (
  SELECT id, previous_id, revision FROM journal WHERE id = :first AND instance_id = :instance_id
  UNION ALL
  SELECT journal.id, journal.previous_id, journal.revision
  FROM walk JOIN journal ON journal.id = walk.previous_id
  WHERE journal.revision > :revision
)
SELECT id, previous_id FROM walk WHERE revision > :revision LIMIT :limit;

-- name: walk_ages
WITH RECURSIVE walk (id, previous_id, revision, ts) AS (
  SELECT id, previous_id, revision, ts FROM journal WHERE id = :first AND instance_id = :instance_id
  UNION ALL
  SELECT journal.id, journal.previous_id, journal.revision, journal.ts
  FROM walk JOIN journal ON journal.id = walk.previous_id
)
SELECT id, previous_id, revision, ts FROM walk LIMIT :limit;

-- name: begin_journal
UPDATE journal SET previous_id = NULL WHERE id = :journal_id AND previous_id = :previous_id;

-- name: journal_cut
SELECT revision FROM journal_cuts WHERE instance_id = :instance_id;

-- name: note_cut
INSERT INTO journal_cuts (instance_id, revision, ts) SELECT id, :revision, :ts FROM instances WHERE id = :instance_id
ON CONFLICT (instance_id) DO UPDATE SET revision = excluded.revision, ts = excluded.ts;

-- name: orphan_entry
INSERT INTO orphaned_journals (journal_id) VALUES (:previous_id);

-- name: journal_extents
SELECT instances.id, standings.revision, coalesce(journal_cuts.revision, 1), coalesce(journal_cuts.ts, instances.created_at / 1000.0)
FROM instances
JOIN standings ON standings.instance_id = instances.id
LEFT JOIN journal_cuts ON journal_cuts.instance_id = instances.id
WHERE instances.machine_id = :machine_id AND instances.id > :after ORDER BY instances.id LIMIT :limit;

-- name: entry
SELECT origin, revision, ts, event, snapshot FROM journal WHERE id = :journal_id;

-- name: timers_due_before
SELECT timers.instance_id, timers.seq, timers.due_at, machines.organization_id FROM timers
CROSS JOIN instances ON instances.id = timers.instance_id
CROSS JOIN machines ON machines.id = instances.machine_id
WHERE is_dead = 0 AND due_at < :until AND (due_at, timers.instance_id, seq) > (:due_at, :instance_id, :seq)
  AND (NOT EXISTS (SELECT 1 FROM staged_machines) OR NOT EXISTS (
    SELECT 1 FROM staged_machines WHERE staged_machines.machine_id = instances.machine_id
  ))
ORDER BY due_at, timers.instance_id, seq LIMIT :limit;

-- name: update_timer
UPDATE timers SET tries = :tries, due_at = :due_at, is_dead = :is_dead, failure = :failure, hops = :hops,
  machine_id = CASE WHEN :is_dead THEN (SELECT machine_id FROM instances WHERE id = :instance_id) END,
  died = CASE WHEN :is_dead THEN coalesce(died, 1 + coalesce((
    SELECT other.died FROM timers AS other
    WHERE other.machine_id = (SELECT machine_id FROM instances WHERE id = :instance_id) AND other.died IS NOT NULL
    ORDER BY other.died DESC LIMIT 1
  ), 0)) END
WHERE instance_id = :instance_id AND seq = :seq;

-- name: dead_letters_of_machine
SELECT timers.died, timers.instance_id, instances.name,
  seq, send_id, due_at, event, after, tries, is_dead, message, hops, failure
FROM timers JOIN instances ON instances.id = timers.instance_id
WHERE timers.machine_id = :machine_id AND timers.died <= :first ORDER BY timers.died DESC LIMIT :limit;

-- By the key of the table: an instance has few, its machine may have any number.
-- name: dead_letters_of_instance
SELECT timers.died, timers.instance_id, instances.name,
  seq, send_id, due_at, event, after, tries, is_dead, message, hops, failure
FROM timers JOIN instances ON instances.id = timers.instance_id
WHERE timers.instance_id = :instance_id AND +timers.machine_id = :machine_id AND +timers.died <= :first
ORDER BY timers.died DESC LIMIT :limit;

-- name: remove_timer_named
DELETE FROM timers WHERE instance_id = :instance_id AND seq = :seq;

-- name: unsettled_instances
SELECT instance_id FROM standings WHERE due IS NOT NULL AND instance_id > :after
  AND (NOT EXISTS (SELECT 1 FROM staged_machines) OR NOT EXISTS (
    SELECT 1 FROM instances JOIN staged_machines ON staged_machines.machine_id = instances.machine_id WHERE instances.id = standings.instance_id
  ))
ORDER BY instance_id LIMIT :limit;

-- name: find_key
SELECT body_hash, answer FROM idempotency_keys WHERE instance_id = ?1 AND key = ?2 AND expires_at > ?3;

-- name: answer_key
UPDATE idempotency_keys SET answer = :answer WHERE instance_id = :instance_id AND key = :key;

-- name: forget_expired_keys
DELETE FROM idempotency_keys WHERE number IN (
  SELECT number FROM idempotency_keys WHERE expires_at <= :now_ms ORDER BY expires_at LIMIT :limit
);

-- Indexes.

-- name: add_index_entry
INSERT INTO index_entries (machine_id, name, value, instance_id)
SELECT machine_id, ?2, ?3, id FROM instances WHERE id = ?1
ON CONFLICT DO NOTHING;

-- name: remove_index_entry
DELETE FROM index_entries
WHERE machine_id = (SELECT machine_id FROM instances WHERE id = ?1) AND name = ?2 AND value = ?3 AND instance_id = ?1;

-- name: index_entries_of_instance
SELECT name, value FROM index_entries WHERE instance_id = ?1;

-- name: stands_at
SELECT EXISTS (SELECT 1 FROM standings WHERE instance_id = :instance_id AND revision = :revision);

-- name: query_index_ascending
SELECT index_entries.value, index_entries.instance_id, instances.name
FROM index_entries JOIN instances ON instances.id = index_entries.instance_id
WHERE index_entries.machine_id = :machine_id AND index_entries.name = :index
  AND (index_entries.value, index_entries.instance_id) > (:low_value, :low_id)
  AND (index_entries.value, index_entries.instance_id) < (:high_value, :high_id)
ORDER BY index_entries.value, index_entries.instance_id LIMIT :limit;

-- name: query_index_descending
SELECT index_entries.value, index_entries.instance_id, instances.name
FROM index_entries JOIN instances ON instances.id = index_entries.instance_id
WHERE index_entries.machine_id = :machine_id AND index_entries.name = :index
  AND (index_entries.value, index_entries.instance_id) > (:low_value, :low_id)
  AND (index_entries.value, index_entries.instance_id) < (:high_value, :high_id)
ORDER BY index_entries.value DESC, index_entries.instance_id DESC LIMIT :limit;

-- name: current_selectors
SELECT versions.index_selectors FROM machines JOIN versions ON versions.number = machines.current_version
WHERE machines.id = ?1;

-- name: start_index_fill
INSERT INTO index_fills (machine_id, generation, names) VALUES (:machine_id, :generation, :names)
ON CONFLICT (machine_id) DO UPDATE
SET generation = excluded.generation, names = excluded.names, position = 0, last = 0, done = 0, total = 0;

-- name: index_fill
SELECT machine_id, generation, names, position, last, done, total FROM index_fills WHERE machine_id = :machine_id;

-- name: next_index_fill
SELECT machine_id, generation, names, position, last, done, total FROM index_fills
WHERE machine_id > :after AND machine_id NOT IN (SELECT machine_id FROM staged_machines) ORDER BY machine_id LIMIT 1;

-- name: begin_index_fill
UPDATE index_fills SET
  last = coalesce((SELECT max(id) FROM instances WHERE instances.machine_id = :machine_id), 0),
  total = done + (SELECT count(*) FROM instances WHERE instances.machine_id = :machine_id AND instances.id > index_fills.position)
WHERE machine_id = :machine_id AND generation = :generation;

-- name: advance_index_fill
UPDATE index_fills SET position = :position, done = :done WHERE machine_id = :machine_id AND generation = :generation;

-- name: end_index_fill
DELETE FROM index_fills WHERE machine_id = :machine_id AND generation = :generation;

-- name: instances_to_index
SELECT instances.id, versions.id FROM instances JOIN versions ON versions.number = instances.version
WHERE instances.machine_id = :machine_id AND instances.id > :position AND instances.id <= :last
ORDER BY instances.id LIMIT :limit;

-- Organizations and keys.

-- name: create_organization
INSERT INTO organizations (id, name, created_at, allow_anonymous_access) VALUES (:id, :name, :created_at, :allow_anonymous_access);

-- name: organization
SELECT id, name, created_at, allow_anonymous_access FROM organizations WHERE id = :id;

-- name: usage
SELECT
  (SELECT count(*) FROM machines WHERE organization_id = :organization_id AND id NOT IN (SELECT machine_id FROM staged_machines)),
  (SELECT count(*) FROM machines CROSS JOIN versions ON versions.machine_id = machines.id
    WHERE machines.organization_id = :organization_id AND machines.id NOT IN (SELECT machine_id FROM staged_machines)),
  count(*),
  coalesce(sum(standings.revision), 0)
FROM machines CROSS JOIN instances ON instances.machine_id = machines.id JOIN standings ON standings.instance_id = instances.id
WHERE machines.organization_id = :organization_id AND machines.id NOT IN (SELECT machine_id FROM staged_machines);

-- name: create_key
INSERT INTO keys (id, organization_id, name, scopes, created_at, sealed_secret)
VALUES (:id, :organization_id, :name, :scopes, :created_at, :sealed_secret);

-- name: key
SELECT sealed_secret, id, organization_id, name, scopes, created_at FROM keys WHERE id = :id;

-- name: list_keys
SELECT number, id, organization_id, name, scopes, created_at FROM keys
WHERE organization_id = :organization_id AND number <= :first ORDER BY number DESC LIMIT :limit;

-- name: delete_key
DELETE FROM keys WHERE id = :id AND organization_id = :organization_id;

-- People.

-- name: create_user
INSERT INTO users (id, email, created_at, is_email_verified) VALUES (:id, :email, :created_at, :is_email_verified);

-- name: user
SELECT id, email, created_at, is_email_verified FROM users WHERE id = :id;

-- name: user_by_email
SELECT id, email, created_at, is_email_verified FROM users WHERE email = :email;

-- name: first_user
SELECT id, email, created_at, is_email_verified FROM users ORDER BY number LIMIT 1;

-- name: set_email
UPDATE users SET email = :email WHERE id = :id;

-- name: verify_email
UPDATE users SET is_email_verified = 1 WHERE id = :id AND is_email_verified = 0;

-- name: end_all_sessions
DELETE FROM sessions WHERE user_id = :user_id RETURNING id;

-- name: add_member
INSERT INTO members (user_id, organization_id, role, joined_at) VALUES (:user_id, :organization_id, :role, :joined_at);

-- name: memberships
SELECT members.role, organizations.id, organizations.name, organizations.created_at, organizations.allow_anonymous_access
FROM members JOIN organizations ON organizations.id = members.organization_id
WHERE members.user_id = :user_id ORDER BY organizations.created_at, organizations.number;

-- name: role_of
SELECT role FROM members WHERE user_id = :user_id AND organization_id = :organization_id;

-- name: list_members
SELECT members.number, users.id, users.email, members.role, members.joined_at
FROM members JOIN users ON users.id = members.user_id
WHERE members.organization_id = :organization_id AND members.number <= :first ORDER BY members.number DESC LIMIT :limit;

-- name: count_admins
SELECT count(*) FROM members WHERE organization_id = :organization_id AND role = 'admin';

-- name: set_role
UPDATE members SET role = :role WHERE user_id = :user_id AND organization_id = :organization_id;

-- name: remove_member
DELETE FROM members WHERE user_id = :user_id AND organization_id = :organization_id;

-- name: create_session
INSERT INTO sessions (id, user_id, kind, label, created_at, expires_at) VALUES (:id, :user_id, :kind, :label, :created_at, :expires_at);

-- name: end_oldest_sessions
DELETE FROM sessions WHERE number IN
  (SELECT number FROM sessions WHERE user_id = :user_id AND kind = :kind ORDER BY number DESC LIMIT -1 OFFSET :kept)
RETURNING id;

-- name: use_link
INSERT INTO used_links (id, expires_at) VALUES (:link_id, :expires_at);

-- name: session
SELECT id, user_id, kind, label, created_at, expires_at FROM sessions WHERE id = :id;

-- name: list_sessions
SELECT number, id, user_id, kind, label, created_at, expires_at FROM sessions
WHERE user_id = :user_id AND number <= :first ORDER BY number DESC LIMIT :limit;

-- name: end_session
DELETE FROM sessions WHERE id = :id AND user_id = :user_id;

-- name: has_member_with_email
SELECT EXISTS (
  SELECT 1 FROM users JOIN members ON members.user_id = users.id
  WHERE users.email = :email AND members.organization_id = :organization_id
);

-- name: count_members
SELECT (SELECT count(*) FROM members WHERE organization_id = :organization_id)
  + (SELECT count(*) FROM invitations WHERE organization_id = :organization_id);

-- name: withdraw_invitation
DELETE FROM invitations WHERE organization_id = :organization_id AND email = :email;

-- name: create_invitation
INSERT INTO invitations (id, organization_id, email, role, created_at, expires_at, is_mailed, code_hash)
VALUES (:id, :organization_id, :email, :role, :created_at, :expires_at, :is_mailed, :code_hash);

-- name: invitation
SELECT id, organization_id, email, role, created_at, expires_at, is_mailed FROM invitations WHERE code_hash = :code_hash;

-- name: list_invitations
SELECT number, id, organization_id, email, role, created_at, expires_at, is_mailed FROM invitations
WHERE organization_id = :organization_id AND number <= :first ORDER BY number DESC LIMIT :limit;

-- name: delete_invitation
DELETE FROM invitations WHERE id = :id AND organization_id = :organization_id;

-- name: has_invitation
SELECT EXISTS (SELECT 1 FROM invitations WHERE id = :id);

-- name: accept_invitation
INSERT INTO members (user_id, organization_id, role, joined_at)
SELECT :user_id, organization_id, role, :now FROM invitations WHERE id = :id
ON CONFLICT (user_id, organization_id) DO NOTHING;

-- name: use_up_invitation
DELETE FROM invitations WHERE id = :id;

-- name: forget_expired_sessions
DELETE FROM sessions WHERE expires_at <= :now;

-- name: forget_expired_links
DELETE FROM used_links WHERE expires_at <= :now;

-- name: forget_expired_invitations
DELETE FROM invitations WHERE expires_at <= :now;

-- Identity providers and token providers.

-- name: put_identity_provider
INSERT INTO identity_providers (id, organization_id, audience, issuer, algorithms, jwks_url, sealed_key, mapping)
VALUES (:id, :organization_id, :audience, :issuer, :algorithms, :jwks_url, :sealed_key, :mapping)
ON CONFLICT (organization_id, issuer, audience) DO UPDATE
SET id = excluded.id, algorithms = excluded.algorithms, jwks_url = excluded.jwks_url,
  sealed_key = excluded.sealed_key, mapping = excluded.mapping;

-- name: count_identity_providers
SELECT count(*) FROM identity_providers WHERE organization_id = :organization_id;

-- name: identity_provider
SELECT id, organization_id, audience, issuer, algorithms, jwks_url, sealed_key, mapping FROM identity_providers
WHERE organization_id = :organization_id AND issuer = :issuer AND audience = :audience;

-- name: identity_providers_for
SELECT id, organization_id, audience, issuer, algorithms, jwks_url, sealed_key, mapping FROM identity_providers
WHERE organization_id = :organization_id AND issuer IN ('', :issuer) AND audience IN (SELECT value FROM json_each(:audiences));

-- name: list_identity_providers
SELECT number, id, organization_id, audience, issuer, algorithms, jwks_url, sealed_key, mapping FROM identity_providers
WHERE organization_id = :organization_id AND number <= :first ORDER BY number DESC LIMIT :limit;

-- name: delete_identity_provider
DELETE FROM identity_providers
WHERE organization_id = :organization_id AND issuer = :issuer AND audience = :audience RETURNING id;

-- name: put_token_provider
INSERT INTO token_providers (id, organization_id, service, key_id, mapping)
VALUES (:id, :organization_id, :service, :key_id, :mapping)
ON CONFLICT (organization_id, service) DO UPDATE SET key_id = excluded.key_id, mapping = excluded.mapping;

-- name: count_token_providers
SELECT count(*) FROM token_providers WHERE organization_id = :organization_id;

-- name: token_provider
SELECT id, organization_id, service, key_id, mapping FROM token_providers
WHERE organization_id = :organization_id AND service = :service;

-- name: list_token_providers
SELECT number, id, organization_id, service, key_id, mapping FROM token_providers
WHERE organization_id = :organization_id AND number <= :first ORDER BY number DESC LIMIT :limit;

-- name: delete_token_provider
DELETE FROM token_providers WHERE organization_id = :organization_id AND service = :service RETURNING id;

-- name: service_of_exchange
SELECT token_providers.service FROM identity_providers JOIN token_providers
ON token_providers.organization_id = identity_providers.organization_id
WHERE identity_providers.id = :identity_provider_id AND token_providers.id = :token_provider_id
  AND identity_providers.organization_id = :organization_id;

-- Machines and versions.

-- name: create_machine
INSERT INTO machines (organization_id, name, indexes, created_at) VALUES (:organization_id, :name, :indexes, :created_at);

-- name: machine
SELECT machines.id, machines.organization_id, machines.name, machines.indexes, machines.created_at,
  versions.id, versions.created_at, versions.client_info
FROM machines LEFT JOIN versions ON versions.number = machines.current_version
WHERE machines.organization_id = :organization_id AND machines.name = :name;

-- name: list_machines
SELECT machines.id, machines.organization_id, machines.name, machines.indexes, machines.created_at,
  versions.id, versions.created_at, versions.client_info
FROM machines LEFT JOIN versions ON versions.number = machines.current_version
WHERE machines.organization_id = :organization_id AND machines.id <= :first
  AND machines.id NOT IN (SELECT machine_id FROM staged_machines)
ORDER BY machines.id DESC LIMIT :limit;

-- name: set_retention
UPDATE machines SET retention = :retention WHERE id = :machine_id;

-- name: retention
SELECT retention FROM machines WHERE id = :machine_id;

-- name: machine_retentions
SELECT id, retention FROM machines WHERE id > :after AND id NOT IN (SELECT machine_id FROM staged_machines) ORDER BY id LIMIT :limit;

-- name: machine_log_ages
SELECT id, organization_id, name, retention ->> '$.logs.maxAgeMs' AS age_ms FROM machines
WHERE id > :after AND age_ms IS NOT NULL AND id NOT IN (SELECT machine_id FROM staged_machines) ORDER BY id LIMIT :limit;

-- name: has_instances
SELECT EXISTS (SELECT 1 FROM instances WHERE machine_id = :machine_id);

-- name: delete_machine
DELETE FROM machines WHERE id = :machine_id;

-- name: save_upload
INSERT INTO uploads (version_id, code, is_gzipped, expires_at) VALUES (:version_id, :code, :is_gzipped, :expires_at)
ON CONFLICT (version_id) DO UPDATE
SET code = excluded.code, is_gzipped = excluded.is_gzipped, expires_at = excluded.expires_at;

-- name: upload
SELECT code, is_gzipped FROM uploads WHERE version_id = :version_id;

-- name: delete_upload
DELETE FROM uploads WHERE version_id = :version_id;

-- name: forget_expired_uploads
DELETE FROM uploads WHERE expires_at <= :now;

-- name: create_version
INSERT INTO versions (id, machine_id, created_at, client_info, index_selectors, xstate_major, code_hash)
VALUES (:id, :machine_id, :created_at, :client_info, :index_selectors, :xstate_major, :code_hash);

-- name: create_module
INSERT INTO modules (version, deflated) VALUES (:version, :deflated);

-- name: make_current
UPDATE machines SET current_version = :version WHERE id = :machine_id;

-- name: version
SELECT versions.id, machines.id, machines.organization_id, machines.name, versions.created_at, versions.client_info,
  versions.index_selectors, versions.xstate_major, versions.code_hash
FROM versions JOIN machines ON machines.id = versions.machine_id
WHERE versions.id = :version_id;

-- name: version_code
SELECT modules.deflated FROM versions JOIN modules ON modules.version = versions.number WHERE versions.id = :version_id;

-- name: list_versions
SELECT number, id, created_at, client_info FROM versions
WHERE machine_id = :machine_id AND number <= :first ORDER BY number DESC LIMIT :limit;

-- Migrations, and the versions that instances have, had and are to have.

-- name: create_migration
INSERT INTO migrations (id, machine_id, from_version, to_version, created_at, code_hash)
VALUES (
  :id, :machine_id, (SELECT number FROM versions WHERE id = :from_version), (SELECT number FROM versions WHERE id = :to_version),
  :created_at, :code_hash
);

-- name: create_migration_module
INSERT INTO migration_modules (migration, deflated) VALUES (:migration, :deflated);

-- name: migration
SELECT migrations.id, migrations.machine_id, source.id, target.id, migrations.created_at, migrations.code_hash
FROM migrations JOIN versions AS source ON source.number = migrations.from_version
JOIN versions AS target ON target.number = migrations.to_version
WHERE migrations.id = :migration_id;

-- name: migration_code
SELECT migration_modules.deflated FROM migrations JOIN migration_modules ON migration_modules.migration = migrations.number
WHERE migrations.id = :migration_id;

-- name: list_migrations
SELECT migrations.number, migrations.id, migrations.machine_id, source.id, target.id, migrations.created_at, migrations.code_hash
FROM migrations JOIN versions AS source ON source.number = migrations.from_version
JOIN versions AS target ON target.number = migrations.to_version
WHERE migrations.machine_id = :machine_id AND migrations.number <= :first ORDER BY migrations.number DESC LIMIT :limit;

-- name: set_desired_version
UPDATE instances SET desired_version = (SELECT number FROM versions WHERE id = :version_id AND number <> instances.version)
WHERE id = :instance_id;

-- name: record_upgrade
INSERT INTO upgrades (instance_id, revision, version) SELECT id, ?2, version FROM instances WHERE id = ?1;

-- name: upgrade_instance
UPDATE instances SET version = (SELECT number FROM versions WHERE id = ?2),
  desired_version = nullif(desired_version, (SELECT number FROM versions WHERE id = ?2))
WHERE id = ?1;

-- name: versions_left
SELECT upgrades.revision, versions.id, machines.id, machines.organization_id, machines.name, versions.created_at, versions.client_info,
  versions.index_selectors, versions.xstate_major, versions.code_hash
FROM upgrades JOIN versions ON versions.number = upgrades.version JOIN machines ON machines.id = versions.machine_id
WHERE upgrades.instance_id = :instance_id ORDER BY upgrades.revision;

-- name: version_of_instance
SELECT versions.id, machines.id, machines.organization_id, machines.name, versions.created_at, versions.client_info,
  versions.index_selectors, versions.xstate_major, versions.code_hash
FROM instances JOIN versions ON versions.number = instances.version JOIN machines ON machines.id = versions.machine_id
WHERE instances.id = :instance_id;

-- Imports.

-- name: stage_machine
INSERT INTO staged_machines (machine_id, import_id, name) VALUES (:machine_id, :import_id, :name);

-- name: publish_machines
UPDATE machines SET name = (SELECT name FROM staged_machines WHERE machine_id = machines.id)
WHERE id IN (SELECT machine_id FROM staged_machines WHERE import_id = :import_id);

-- name: forget_staged_machines
DELETE FROM staged_machines WHERE import_id = :import_id;

-- name: staged_imports
SELECT DISTINCT import_id FROM staged_machines;

-- name: staged_machine
SELECT machine_id FROM staged_machines WHERE import_id = :import_id LIMIT 1;

-- name: some_instances
SELECT id FROM instances WHERE machine_id = :machine_id LIMIT :limit;

-- Exports. One transaction reads all of them.

-- name: machines_to_export
SELECT id, name, indexes, created_at, retention, current_version FROM machines
WHERE organization_id = :organization_id AND (:name IS NULL OR name = :name) AND id NOT IN (SELECT machine_id FROM staged_machines)
ORDER BY id;

-- name: versions_to_export
SELECT versions.number, modules.deflated, versions.id, machines.id, machines.organization_id, machines.name, versions.created_at, versions.client_info,
  versions.index_selectors, versions.xstate_major, versions.code_hash
FROM versions JOIN modules ON modules.version = versions.number JOIN machines ON machines.id = versions.machine_id
WHERE versions.machine_id = :machine_id ORDER BY versions.number;

-- name: migrations_to_export
SELECT migration_modules.deflated, migrations.id, migrations.machine_id, source.id, target.id, migrations.created_at, migrations.code_hash
FROM migrations JOIN migration_modules ON migration_modules.migration = migrations.number
JOIN versions AS source ON source.number = migrations.from_version
JOIN versions AS target ON target.number = migrations.to_version
WHERE migrations.machine_id = :machine_id ORDER BY migrations.number;

-- name: instances_to_export
SELECT instances.id, instances.name, instances.status, instances.created_at, standings.revision, standings.journal_id, standings.next_timer_seq,
  standings.due, versions.id, desired.id
FROM instances JOIN standings ON standings.instance_id = instances.id
JOIN versions ON versions.number = instances.version
LEFT JOIN versions AS desired ON desired.number = instances.desired_version
WHERE instances.machine_id = :machine_id ORDER BY instances.id;

-- name: spans_to_export
SELECT upgrades.revision, versions.id FROM upgrades JOIN versions ON versions.number = upgrades.version
WHERE upgrades.instance_id = :instance_id ORDER BY upgrades.revision;

-- name: entry_to_export
SELECT revision, ts, origin, event, snapshot FROM journal WHERE id = :journal_id;
-- Bulk upgrades, and looking at many instances. A portion is so many instances of the machine, whichever of them are wanted, so that none takes long.

-- name: newest_instance_of_machine
SELECT coalesce(max(id), 0) FROM instances WHERE machine_id = :machine_id;

-- name: end_of_portion
SELECT coalesce(max(id), :last), count(*) FROM (
  SELECT id FROM instances WHERE machine_id = :machine_id AND id > :position AND id <= :last ORDER BY id LIMIT :limit
);

-- name: selected_instances
SELECT instances.id, instances.name, versions.id, standings.revision, journal.snapshot
FROM instances JOIN versions ON versions.number = instances.version
JOIN standings ON standings.instance_id = instances.id
JOIN journal ON journal.id = standings.journal_id
WHERE instances.machine_id = :machine_id AND instances.id > :position AND instances.id <= :last
  AND (:version IS NULL OR versions.id = :version)
  AND (:names IS NULL OR instances.name IN (SELECT value FROM json_each(:names)))
  AND (:index IS NULL OR EXISTS (
    SELECT 1 FROM index_entries
    WHERE index_entries.instance_id = instances.id AND index_entries.name = :index AND CASE :comparison
      WHEN 'eq' THEN index_entries.value = :value WHEN 'ne' THEN index_entries.value <> :value
      WHEN 'gt' THEN index_entries.value > :value WHEN 'gte' THEN index_entries.value >= :value
      WHEN 'lt' THEN index_entries.value < :value WHEN 'lte' THEN index_entries.value <= :value
      ELSE 1 END
  ))
ORDER BY instances.id;

-- name: missing_instances
SELECT value FROM json_each(:names)
WHERE NOT EXISTS (SELECT 1 FROM instances WHERE instances.machine_id = :machine_id AND instances.name = value)
ORDER BY key;

-- name: count_selected_instances
SELECT count(*) FROM instances JOIN versions ON versions.number = instances.version
WHERE instances.machine_id = :machine_id AND instances.id > :position AND instances.id <= :last
  AND (:version IS NULL OR versions.id = :version)
  AND (:names IS NULL OR instances.name IN (SELECT value FROM json_each(:names)))
  AND (:index IS NULL OR EXISTS (
    SELECT 1 FROM index_entries
    WHERE index_entries.instance_id = instances.id AND index_entries.name = :index AND CASE :comparison
      WHEN 'eq' THEN index_entries.value = :value WHEN 'ne' THEN index_entries.value <> :value
      WHEN 'gt' THEN index_entries.value > :value WHEN 'gte' THEN index_entries.value >= :value
      WHEN 'lt' THEN index_entries.value < :value WHEN 'lte' THEN index_entries.value <= :value
      ELSE 1 END
  ));

-- name: unfinished_bulk_upgrade
SELECT id FROM bulk_upgrades WHERE machine_id = :machine_id AND status IN ('running', 'paused') LIMIT 1;

-- name: create_bulk_upgrade
INSERT INTO bulk_upgrades (
  id, machine_id, to_version, from_version, index_name, comparison, value, names, created_at, status, reason, finished_at, position, last
) VALUES (
  :id, :machine_id, (SELECT number FROM versions WHERE id = :target), (SELECT number FROM versions WHERE id = :version),
  :index, :comparison, :value, :names, :created_at, :status, :reason, :finished_at, :position, :last
);

-- name: forget_old_bulk_upgrades
DELETE FROM bulk_upgrades WHERE number IN (
  SELECT number FROM bulk_upgrades WHERE machine_id = :machine_id AND status IN ('cancelled', 'done')
  ORDER BY number DESC LIMIT -1 OFFSET :kept
);

-- name: bulk_upgrade
SELECT bulk_upgrades.number, bulk_upgrades.id, target.id, bulk_upgrades.machine_id, source.id, bulk_upgrades.index_name, bulk_upgrades.comparison,
  bulk_upgrades.value, bulk_upgrades.names, bulk_upgrades.created_at, bulk_upgrades.status, bulk_upgrades.reason, bulk_upgrades.finished_at,
  bulk_upgrades.position, bulk_upgrades.last
FROM bulk_upgrades JOIN versions AS target ON target.number = bulk_upgrades.to_version
LEFT JOIN versions AS source ON source.number = bulk_upgrades.from_version
WHERE bulk_upgrades.id = :job_id;

-- name: list_bulk_upgrades
SELECT bulk_upgrades.number, bulk_upgrades.id, target.id, bulk_upgrades.machine_id, source.id, bulk_upgrades.index_name, bulk_upgrades.comparison,
  bulk_upgrades.value, bulk_upgrades.names, bulk_upgrades.created_at, bulk_upgrades.status, bulk_upgrades.reason, bulk_upgrades.finished_at,
  bulk_upgrades.position, bulk_upgrades.last
FROM bulk_upgrades JOIN versions AS target ON target.number = bulk_upgrades.to_version
LEFT JOIN versions AS source ON source.number = bulk_upgrades.from_version
WHERE bulk_upgrades.machine_id = :machine_id AND bulk_upgrades.number <= :first ORDER BY bulk_upgrades.number DESC LIMIT :limit;

-- name: running_bulk_upgrades
SELECT bulk_upgrades.number, bulk_upgrades.id, target.id, bulk_upgrades.machine_id, source.id, bulk_upgrades.index_name, bulk_upgrades.comparison,
  bulk_upgrades.value, bulk_upgrades.names, bulk_upgrades.created_at, bulk_upgrades.status, bulk_upgrades.reason, bulk_upgrades.finished_at,
  bulk_upgrades.position, bulk_upgrades.last
FROM bulk_upgrades INDEXED BY running_bulk_upgrades
JOIN versions AS target ON target.number = bulk_upgrades.to_version
LEFT JOIN versions AS source ON source.number = bulk_upgrades.from_version
WHERE bulk_upgrades.status = 'running' AND bulk_upgrades.number > 0 ORDER BY bulk_upgrades.number;

-- name: change_bulk_upgrade
UPDATE bulk_upgrades SET status = :status, reason = :reason, finished_at = :finished_at
WHERE id = :job_id AND status IN ('running', 'paused');

-- name: select_for_bulk_upgrade
INSERT INTO bulk_upgrade_results (job, instance_id, version, outcome)
SELECT bulk_upgrades.number, instances.id, instances.version, iif(instances.version = bulk_upgrades.to_version, 'unchanged', 'pending')
FROM bulk_upgrades JOIN instances ON instances.machine_id = bulk_upgrades.machine_id
WHERE bulk_upgrades.id = :job_id AND instances.id > bulk_upgrades.position AND instances.id <= :until
  AND (bulk_upgrades.from_version IS NULL OR instances.version = bulk_upgrades.from_version)
  AND (bulk_upgrades.names IS NULL OR instances.name IN (SELECT value FROM json_each(bulk_upgrades.names)))
  AND (bulk_upgrades.index_name IS NULL OR EXISTS (
    SELECT 1 FROM index_entries
    WHERE index_entries.instance_id = instances.id AND index_entries.name = bulk_upgrades.index_name AND CASE bulk_upgrades.comparison
      WHEN 'eq' THEN index_entries.value = bulk_upgrades.value WHEN 'ne' THEN index_entries.value <> bulk_upgrades.value
      WHEN 'gt' THEN index_entries.value > bulk_upgrades.value WHEN 'gte' THEN index_entries.value >= bulk_upgrades.value
      WHEN 'lt' THEN index_entries.value < bulk_upgrades.value WHEN 'lte' THEN index_entries.value <= bulk_upgrades.value
      ELSE 1 END
  ));

-- name: move_bulk_upgrade
UPDATE bulk_upgrades SET position = :until WHERE id = :job_id;

-- name: bulk_upgrade_tasks
SELECT bulk_upgrade_results.instance_id, versions.id, bulk_upgrade_results.tries
FROM bulk_upgrades JOIN bulk_upgrade_results ON bulk_upgrade_results.job = bulk_upgrades.number
JOIN versions ON versions.number = bulk_upgrade_results.version
WHERE bulk_upgrades.id = :job_id AND bulk_upgrade_results.outcome = :outcome AND bulk_upgrade_results.instance_id > :after
ORDER BY bulk_upgrade_results.instance_id LIMIT :limit;

-- name: record_upgrade_result
UPDATE bulk_upgrade_results SET outcome = :outcome, reason = :reason, message = :message, tries = :tries
WHERE job = (SELECT number FROM bulk_upgrades WHERE id = :job_id) AND instance_id = :instance_id;

-- name: bulk_upgrade_counts
SELECT bulk_upgrade_results.outcome, count(*)
FROM bulk_upgrades JOIN bulk_upgrade_results ON bulk_upgrade_results.job = bulk_upgrades.number
WHERE bulk_upgrades.id = :job_id GROUP BY bulk_upgrade_results.outcome;

-- name: list_upgrade_results
SELECT instances.id, instances.name, versions.id, bulk_upgrade_results.outcome, bulk_upgrade_results.reason, bulk_upgrade_results.message
FROM bulk_upgrades JOIN bulk_upgrade_results ON bulk_upgrade_results.job = bulk_upgrades.number
JOIN instances ON instances.id = bulk_upgrade_results.instance_id
JOIN versions ON versions.number = bulk_upgrade_results.version
WHERE bulk_upgrades.id = :job_id AND bulk_upgrade_results.instance_id <= :first
ORDER BY bulk_upgrade_results.instance_id DESC LIMIT :limit;

-- name: list_upgrade_results_with
SELECT instances.id, instances.name, versions.id, bulk_upgrade_results.outcome, bulk_upgrade_results.reason, bulk_upgrade_results.message
FROM bulk_upgrades JOIN bulk_upgrade_results ON bulk_upgrade_results.job = bulk_upgrades.number
JOIN instances ON instances.id = bulk_upgrade_results.instance_id
JOIN versions ON versions.number = bulk_upgrade_results.version
WHERE bulk_upgrades.id = :job_id AND bulk_upgrade_results.outcome = :outcome AND bulk_upgrade_results.instance_id <= :first
ORDER BY bulk_upgrade_results.instance_id DESC LIMIT :limit;
