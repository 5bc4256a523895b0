-- What is not kept: bodies of events after some time, values of hidden columns, and records of persons that were erased.

-- When the body of the event was blanked, because it was old enough or because a person in it was erased. NULL: the body
-- is as it was stored.
ALTER TABLE tds_inbox_events ADD COLUMN blanked_at timestamptz;

-- The hidden columns by which the stored data was last redacted: one row. A start with other hidden columns redacts the
-- stored data again.
CREATE TABLE tds_redaction (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  rules text NOT NULL DEFAULT '',
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO tds_redaction DEFAULT VALUES;

-- Records of persons that were erased: who erased which record when, and how much was removed. Pruning deletes no row.
CREATE TABLE tds_erasures (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entity_type text COLLATE "C" NOT NULL,
  -- The id stays, because a later read of the record is refused by it. It says nothing without the source.
  zoho_id text COLLATE "C" NOT NULL,
  erased_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  erased_by text NOT NULL,
  counts jsonb NOT NULL DEFAULT '{}',
  -- The record may return since then. NULL: the erasure is in force.
  undone_at timestamptz,
  undone_by text
);
CREATE UNIQUE INDEX tds_erasures_in_force ON tds_erasures (zoho_id, entity_type) WHERE undone_at IS NULL;
