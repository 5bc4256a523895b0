-- State that all processes share: the limits of the source, its access token, and the list of servers.

-- One document for each account and each credential. A process reads the document, decides, and writes the document
-- only if no other process has written it since the read. The version shows this. The read and the write are two plain
-- statements, and no lock outlives them.
CREATE TABLE tds_shared_states (
  name text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  state text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);

-- Statistics: the number of calls by day (UTC). Decisions about calls use the document in tds_shared_states.
CREATE TABLE tds_api_calls (
  account text COLLATE "C" NOT NULL,
  day date NOT NULL,
  lane text COLLATE "C" NOT NULL CHECK (lane IN
    ('operator', 'outbound', 'webhook', 'incremental', 'full', 'verify')),
  endpoint text COLLATE "C" NOT NULL,
  result text COLLATE "C" NOT NULL,
  calls bigint NOT NULL,
  -- The entity type that the calls were made for. The value is '' if the calls were made for no entity type or for
  -- several.
  entity_type text COLLATE "C" NOT NULL DEFAULT '',
  PRIMARY KEY (account, day, lane, entity_type, endpoint, result)
) WITH (fillfactor = 70);

-- The servers of this database. Each server updates its row a few times a minute: whether it works, which credentials
-- it uses (as a name that reveals nothing about them), and the state in which it finds Zoho. Commands read this table
-- instead of getting an access token of their own. A server that ended without notice is recognized by the age of its
-- row.
CREATE TABLE tds_processes (
  name text COLLATE "C" PRIMARY KEY,
  works boolean NOT NULL,
  credentials text COLLATE "C" NOT NULL,
  zoho_state text NOT NULL,
  zoho_detail text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- The families of functions that `migrate` applied. Each name is that of a file in tds-postgres/sql. The row has the
-- revision of the family and the hash of its text.
CREATE TABLE tds_sync_functions (
  name text COLLATE "C" PRIMARY KEY,
  revision integer NOT NULL,
  hash text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
