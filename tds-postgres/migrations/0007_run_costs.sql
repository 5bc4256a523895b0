-- What a run costs: how it was planned, and the calls that it took.

ALTER TABLE tds_sync_runs ADD COLUMN plan jsonb, ADD COLUMN calls bigint NOT NULL DEFAULT 0;

-- Calls are counted by what they were made for; '' where that is no one entity type.
ALTER TABLE tds_api_calls ADD COLUMN entity_type text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE tds_api_calls DROP CONSTRAINT tds_api_calls_pkey,
  ADD PRIMARY KEY (account, day, lane, entity_type, endpoint, result);
