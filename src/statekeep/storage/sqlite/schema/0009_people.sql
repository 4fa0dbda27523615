-- People are known by their e-mail address. Until now there was nobody but the admin of the first start.
ALTER TABLE users RENAME COLUMN name TO email;
UPDATE users SET email = lower(email) || '@localhost' WHERE instr(email, '@') = 0;
ALTER TABLE users ADD COLUMN is_email_verified INTEGER NOT NULL DEFAULT 1;

-- Members are listed, so they have numbers.
CREATE TABLE numbered_members (
  number INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  role TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  UNIQUE (user_id, organization_id)
) STRICT;
INSERT INTO numbered_members (user_id, organization_id, role, joined_at)
SELECT members.user_id, members.organization_id, members.role, organizations.created_at
FROM members JOIN organizations ON organizations.id = members.organization_id ORDER BY organizations.number;
DROP TABLE members;
ALTER TABLE numbered_members RENAME TO members;

CREATE INDEX members_of_organization ON members (organization_id);

-- What is in a session's token is signed, so that nothing here opens anything.
CREATE TABLE sessions (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL REFERENCES users (id),
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_of_user ON sessions (user_id, kind);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Links that are good once and were used.
CREATE TABLE used_links (
  id TEXT NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_links_by_expiry ON used_links (expires_at);

CREATE TABLE invitations (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  email TEXT NOT NULL,
  role TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  is_mailed INTEGER NOT NULL,
  code_hash BLOB NOT NULL UNIQUE,
  UNIQUE (organization_id, email)
) STRICT;

CREATE INDEX invitations_by_expiry ON invitations (expires_at);
