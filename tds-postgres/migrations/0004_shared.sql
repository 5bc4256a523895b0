-- What all processes share: the limits of the source, its access token, and who serves.

-- One document for each account and each credential. A process reads it, decides, and writes it if nobody wrote
-- meanwhile (the version tells): two plain statements, no lock that outlives them.
CREATE TABLE tds_shared_states (
  name text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL,
  state text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0);

-- Calls by day (UTC): statistics. What decides about a call is the document above.
CREATE TABLE tds_api_calls (
  account text COLLATE "C" NOT NULL,
  day date NOT NULL,
  lane text COLLATE "C" NOT NULL CHECK (lane IN
    ('operator', 'outbound', 'webhook', 'incremental', 'full', 'verify')),
  endpoint text COLLATE "C" NOT NULL,
  result text COLLATE "C" NOT NULL,
  calls bigint NOT NULL,
  -- What the calls were made for; '' where that is no one entity type.
  entity_type text COLLATE "C" NOT NULL DEFAULT '',
  PRIMARY KEY (account, day, lane, entity_type, endpoint, result)
) WITH (fillfactor = 70);

-- The servers of this database, as each tells a few times a minute: whether it works, with which credentials (a name that
-- tells nothing of them), and how it finds Zoho. Commands ask here instead of getting an access token of their own. A
-- server that ended without a word is known by the age of its row.
CREATE TABLE tds_processes (
  name text COLLATE "C" PRIMARY KEY,
  works boolean NOT NULL,
  credentials text COLLATE "C" NOT NULL,
  zoho_state text NOT NULL,
  zoho_detail text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- The functions that `migrate` applied: each name is a file of tds-postgres/sql, with its revision and the hash of its text.
CREATE TABLE tds_sync_functions (
  name text COLLATE "C" PRIMARY KEY,
  revision integer NOT NULL,
  hash text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
