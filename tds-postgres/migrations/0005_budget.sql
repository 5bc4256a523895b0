-- What all processes share when they call the source: its limits, and its access token.

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
  PRIMARY KEY (account, day, lane, endpoint, result)
) WITH (fillfactor = 70);
