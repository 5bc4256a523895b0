-- What the guard decided on each read, what was repeated, and what operators did, for the history of a record.

-- Rows are only inserted, and deleted when they are older than the retention. The rows of a batch are inserted by the
-- statement that stores the sync states of the batch. Their ids are sorted, so the index of records grows at few places.
-- Rows of one time lie together, so that an index of page ranges finds the rows to prune.
--
-- The words of `kind`, `action`, `verdict`, `outcome` and `operation` are those of the enums of the core. No constraint
-- repeats them: applying a record would cost 1 % more, and every row is written by TDS itself.
--
-- Pruning deletes about the same number of rows in an hour as were inserted in an hour a retention ago. Vacuum starts
-- after a twentieth of the rows, so that new rows use the space of the deleted ones.
CREATE TABLE tds_decisions (
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  version timestamptz, -- the version that the read shows
  observed_began timestamptz, observed_ended timestamptz, -- when the source was in the state that the read shows
  item_id bigint, -- the queue item because of which the read was made, or that an operator changed
  inbox_event_id bigint,
  by_run boolean NOT NULL DEFAULT false, -- a run that was active at this time listed the record
  entity_type text COLLATE "C" NOT NULL,
  zoho_id text COLLATE "C" NOT NULL,
  kind text NOT NULL, -- webhook, list, detail, push, verify, operator
  action text NOT NULL DEFAULT 'judged', -- judged, duplicate, retry, discard, replay
  verdict text, -- apply, unchanged, stale, reread
  outcome text, -- applied, unchanged, stale, deleted
  operation text, -- insert, update, delete, restore; NULL: no row was written
  detail text, -- why the record is read again
  changed text[] -- the columns and child tables that changed; NULL: none, or all because the row is new
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2,
        autovacuum_analyze_scale_factor = 0.2);
CREATE INDEX tds_decisions_record ON tds_decisions (zoho_id);
CREATE INDEX tds_decisions_at ON tds_decisions USING brin (at);
