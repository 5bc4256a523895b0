-- A faulty `tds_complete`: it waits for a transaction that folds a change into its item, and then does not see the
-- waiter that this transaction added.
CREATE OR REPLACE FUNCTION tds_complete(ids bigint[], tokens bigint[], generations bigint[], outcomes text[])
RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  -- The ranks have the order of tds_better_outcome.
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
  -- The tables are updated in the same order as everywhere: items, events, runs.
  SELECT (SELECT array_agg(gone.id) FROM gone), (SELECT count(*) FROM told_events),
         (SELECT array_agg(told_runs.id) FROM told_runs) INTO completed, events_told, runs;
  IF runs IS NOT NULL THEN
    PERFORM tds_end_runs(runs);
  END IF;
  RETURN completed;
END
$$;
