-- Completions in one statement, and rows that are cheap to claim.

-- An update writes to the log what lies between the first and the last changed byte of a row: the payload, most of the
-- row, has to stand behind what a claim changes. (It is moved out of the row only beyond 2 kB, whatever is set.)
ALTER TABLE tds_queue_live ADD COLUMN body text;
UPDATE tds_queue_live SET body = payload WHERE payload IS NOT NULL;
ALTER TABLE tds_queue_live DROP COLUMN payload;
ALTER TABLE tds_queue_live RENAME COLUMN body TO payload;

-- As before (see 0006), parsed once a connection. A plan that is kept would be one for the queue as it once was: empty, it
-- would read all of it for each item. So it is planned anew each time, which takes a third of a millisecond.
-- Events become `processing` where the work takes longer than a moment: marking them with every claim was an update of
-- each more.
CREATE OR REPLACE FUNCTION tds_claim(most bigint, priorities smallint[], ats timestamptz[], ids bigint[],
  belows smallint[], worker text, lease_seconds double precision)
RETURNS SETOF tds_queue_live LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  RETURN QUERY
  WITH c AS MATERIALIZED (
    SELECT due.* FROM unnest(priorities, ats, ids, belows) AS l(priority, at, id, below)
     CROSS JOIN LATERAL (
      SELECT q.id, q.retry_count, q.processing_started_at, q.lease_owner, q.lease_expires_at IS NOT NULL AS lost
        FROM tds_queue_live q
       WHERE q.dead_lettered_at IS NULL AND q.priority < l.below AND q.run_at <= now()
         AND (q.priority, q.run_at, q.id) >= (l.priority, COALESCE(l.at, '-infinity'), l.id)
         AND (q.lease_expires_at IS NULL OR q.lease_expires_at <= now())
         AND COALESCE(q.entity_type <> ALL (ARRAY(
               SELECT k.entity_type FROM tds_entity_controls k WHERE k.paused_at IS NOT NULL)), true)
       ORDER BY q.priority, q.run_at, q.id LIMIT most FOR UPDATE OF q SKIP LOCKED) AS due
     LIMIT most),
  lost AS (
    INSERT INTO tds_queue_attempts (item_id, attempt, started_at, worker, result, error)
    SELECT c.id, c.retry_count + 1, c.processing_started_at, c.lease_owner, 'lease_lost',
           'the worker died or stopped renewing its lease' FROM c WHERE c.lost)
  UPDATE tds_queue_live q SET status = 'processing', lease_token = nextval('tds_lease_seq'),
    lease_owner = tds_claim.worker, retry_count = q.retry_count + c.lost::int,
    lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds),
    processing_started_at = clock_timestamp(), claimed_event_id = q.inbox_event_id, requeued_at = NULL
    FROM c WHERE q.id = c.id
  RETURNING q.*;
END
$$;

-- Ends items in success whose claim is still ours and that nothing was added to meanwhile, together with the older dead
-- letters of their records; tells the events and runs that waited. Answers the ended items: what is missing was claimed
-- by somebody else, or runs once more.
--
-- One statement, because each step reads what the one before returned. The row decides, not a look before: where
-- somebody folds work into it at the same time, DELETE waits and sees the new generation. Rows are locked in the order
-- of records, as by folding: nested loops go by the order of the first table. All waiters of an item whose generation
-- did not move are older than it. The event whose payload was used has the item's outcome; the others were folded into it.
CREATE FUNCTION tds_complete(ids bigint[], tokens bigint[], generations bigint[], outcomes text[])
RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  -- The order of tds_better_outcome.
  ranks text[] := ARRAY['applied', 'deleted', 'unchanged', 'stale', 'superseded', 'ignored', 'discarded'];
  any_dead boolean := EXISTS (SELECT FROM tds_queue_live WHERE dead_lettered_at IS NOT NULL);
  completed bigint[];
  events_told bigint;
  runs bigint[];
BEGIN
  WITH d AS MATERIALIZED (
    SELECT d.* FROM unnest(ids, tokens, generations, outcomes) AS d(id, token, generation, outcome)
      JOIN tds_queue_live q ON q.id = d.id ORDER BY q.entity_type, q.zoho_entity_id),
  gone AS (
    DELETE FROM tds_queue_live q USING d
     WHERE q.id = d.id AND q.lease_token = d.token AND q.generation = d.generation
    RETURNING q.id, q.inbox_event_id, q.claimed_event_id, q.entity_type,
      q.entity_id, q.zoho_entity_id, q.direction, q.priority, q.retry_count, q.error_message, q.queued_at,
      q.processing_started_at, q.dead_lettered_at, q.run_at, q.version, q.lease_owner, d.outcome),
  resolved AS (
    DELETE FROM tds_queue_live q USING gone
     WHERE any_dead AND q.dead_lettered_at IS NOT NULL AND q.entity_type = gone.entity_type
       AND q.zoho_entity_id = gone.zoho_entity_id
    RETURNING q.id, q.inbox_event_id, q.claimed_event_id, q.entity_type,
      q.entity_id, q.zoho_entity_id, q.direction, q.priority, q.retry_count, q.error_message, q.queued_at,
      q.processing_started_at, q.dead_lettered_at, q.run_at, q.version, q.lease_owner, 'superseded'::text AS outcome),
  ended AS (TABLE gone UNION ALL TABLE resolved),
  archived AS (
    INSERT INTO tds_queue_done (id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome,
      retry_count, error_message, queued_at, processing_started_at, processing_completed_at, run_at, version, worker)
    SELECT e.id, e.inbox_event_id, e.entity_type, e.entity_id, e.zoho_entity_id, e.direction, e.priority, e.outcome,
      e.retry_count, CASE WHEN e.outcome IN ('discarded', 'superseded') THEN e.error_message END, e.queued_at,
      e.processing_started_at, COALESCE(e.dead_lettered_at, clock_timestamp()), e.run_at, e.version, e.lease_owner
      FROM ended e),
  attempts AS (
    INSERT INTO tds_queue_attempts (item_id, attempt, started_at, worker, result)
    SELECT g.id, g.retry_count + 1, g.processing_started_at, g.lease_owner, 'completed' FROM gone g WHERE g.retry_count > 0),
  told AS (
    DELETE FROM tds_queue_waiters w USING ended e WHERE w.item_id = e.id
    RETURNING w.cause, w.cause_id, w.counted,
      CASE WHEN w.cause_id = e.claimed_event_id THEN e.outcome ELSE 'superseded' END AS outcome),
  events AS MATERIALIZED (
    SELECT t.cause_id AS id, count(*)::int AS gone, ranks[min(array_position(ranks, t.outcome))] AS outcome
      FROM told t WHERE t.cause = 'event' GROUP BY t.cause_id ORDER BY t.cause_id),
  told_events AS (
    UPDATE tds_inbox_events e SET open_items = e.open_items - n.gone,
      outcome = tds_better_outcome(e.outcome, n.outcome),
      status = CASE WHEN e.open_items <= n.gone THEN 'completed' ELSE e.status END,
      error_message = CASE WHEN e.open_items > n.gone THEN e.error_message END,
      processed_at = CASE WHEN e.open_items <= n.gone THEN clock_timestamp() ELSE e.processed_at END
     FROM events n WHERE e.id = n.id RETURNING e.id),
  told_runs AS (
    UPDATE tds_sync_runs r SET open_items = r.open_items - n.gone, processed_items = r.processed_items + n.counted
     FROM (SELECT t.cause_id AS id, count(*) AS gone, count(*) FILTER (WHERE t.counted) AS counted
             FROM told t WHERE t.cause = 'run' GROUP BY t.cause_id ORDER BY t.cause_id) AS n
    WHERE r.id = n.id RETURNING r.id)
  -- In this order, as everywhere: items, events, runs.
  SELECT (SELECT array_agg(gone.id) FROM gone), (SELECT count(*) FROM told_events),
         (SELECT array_agg(told_runs.id) FROM told_runs) INTO completed, events_told, runs;
  IF runs IS NOT NULL THEN
    PERFORM tds_end_runs(runs);
  END IF;
  RETURN completed;
END
$$;

-- The local id of a record is looked up where somebody wants to see it, not for every item that ends.
CREATE OR REPLACE VIEW tds_sync_queue AS
  SELECT id, inbox_event_id, entity_type, entity_id, zoho_entity_id, priority, status, retry_count, error_message,
         queued_at, processing_started_at, NULL::timestamptz AS processing_completed_at,
         NULL::text AS outcome, run_at, direction
    FROM tds_queue_live
  UNION ALL
  SELECT id, inbox_event_id, entity_type,
         COALESCE(entity_id, (SELECT r.local_id::text FROM tds_sync_records r
                               WHERE r.entity_type = d.entity_type COLLATE "default"
                                 AND r.zoho_id = d.zoho_entity_id COLLATE "default")),
         zoho_entity_id, priority, 'completed'::text, retry_count,
         error_message, queued_at, processing_started_at, processing_completed_at, outcome, run_at, direction
    FROM tds_queue_done d;

-- What a run has listed, a row for each record: looking through all pages before for the ids of the next one took longer
-- with every page. No foreign key, whose check would cost more than the row: pruning deletes them with their run.
CREATE TABLE tds_run_records (
  run_id bigint NOT NULL,
  zoho_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (run_id, zoho_id)
);
INSERT INTO tds_run_records (run_id, zoho_id)
  SELECT DISTINCT p.run_id, u.id FROM tds_run_pages p JOIN tds_sync_runs r ON r.id = p.run_id, unnest(p.ids) AS u(id)
   WHERE r.status <> 'completed' AND u.id IS NOT NULL;
DROP TABLE tds_run_pages;
