-- Where this database was when TDS last migrated it. A restored backup brings the row of another place, or of an earlier
-- history of the same place: see sql/restored.sql.
CREATE TABLE tds_database_identity (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  -- The cluster, and the history of it. NULL: the role may not know.
  system_identifier text,
  timeline text,
  -- Of the database and of the table tds_outbox. A dump that is restored makes new ones.
  database_oid oid NOT NULL,
  outbox_oid oid NOT NULL,
  noticed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The oldest version of the schema whose programs work on this one. Such a program may start here, so that an upgrade can
-- be taken back.
CREATE TABLE tds_oldest_program (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  schema_version bigint NOT NULL
);
