-- Verification: comparing the mirror with Zoho.

-- The verification that a run belongs to: the id of its first run. NULL: the run is of another type.
ALTER TABLE tds_sync_runs ADD COLUMN verification bigint, ADD COLUMN repair boolean NOT NULL DEFAULT false;
CREATE INDEX tds_runs_verification ON tds_sync_runs (verification, id) WHERE verification IS NOT NULL;

-- A comparison and a download of images may run beside a sync of the same entity type.
DROP INDEX tds_runs_active;
CREATE UNIQUE INDEX tds_runs_active ON tds_sync_runs
  (entity_type, (CASE WHEN run_type IN ('full', 'incremental') THEN 'sync' ELSE run_type END))
  WHERE status IN ('pending', 'running');

-- The records that looked different once, and what the other looks showed. Pruning deletes the rows with their run.
CREATE TABLE tds_verify_findings (
  run_id bigint NOT NULL,
  zoho_id text COLLATE "C" NOT NULL,
  state text NOT NULL DEFAULT 'suspect' CHECK (state IN ('suspect', 'clean', 'in_flight', 'drift')),
  looks smallint NOT NULL DEFAULT 0,
  looked_at timestamptz,
  class text CHECK (class IN ('missing_local', 'missing_remote', 'stale', 'field_diff')),
  -- [{"field": "rate", "zoho": 5, "erp": 6}, ...]
  fields jsonb NOT NULL DEFAULT '[]',
  repaired_at timestamptz,
  PRIMARY KEY (run_id, zoho_id)
);
CREATE INDEX tds_verify_suspects ON tds_verify_findings (run_id, looks, zoho_id) WHERE state = 'suspect';
CREATE INDEX tds_verify_drift ON tds_verify_findings (run_id, zoho_id) WHERE state = 'drift';

-- What a run of a verification compared.
CREATE TABLE tds_verify_counts (
  run_id bigint PRIMARY KEY,
  source_records bigint NOT NULL,
  target_records bigint NOT NULL,
  compared bigint NOT NULL,
  sampled bigint NOT NULL
);

-- A verification that is complete, with the results of its checks of money. Pruning deletes the row with the last run of
-- the verification.
CREATE TABLE tds_verifications (
  id bigint PRIMARY KEY,
  completed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  money jsonb NOT NULL DEFAULT '[]'
);
