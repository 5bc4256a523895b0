-- Ends items with success and notifies the events and runs that waited for them. An item ends only if its claim is
-- still held and if nothing was added to the item since the claim. The older dead letters of its record end with it.
-- The function returns the ids of the ended items. An item whose id is missing was claimed by another worker, or runs
-- once more.
--
-- One statement does all of this, because each step reads the rows that the step before returned. DELETE checks the
-- conditions on the row that it deletes, and not on the result of an earlier query: if a session folds work into the
-- item at the same time, DELETE waits and sees the new generation. Rows are locked in the order of records, as when
-- work is folded, because nested loops follow the order of the first table. If the generation of an item did not
-- change, none of its waiters waits for a later generation. The event whose payload was used gets the outcome of the
-- item. The other events were folded into that event.
--
-- A statement has one snapshot. If DELETE waits for a fold, it checks the newest version of the item's row, but the
-- statement still reads the waiters as they were in its snapshot. A fold that keeps the waiting payload does not change
-- the generation but adds a waiter. This waiter would remain without an item. The number of attachments in the snapshot
-- must therefore equal the number in the row that is deleted. An item to which a waiter was attached in between is left
-- to the caller, which locks the row first and reads the waiters afterwards.
--
-- No waiter is attached to a dead letter. All of its waiters are older than the time at which it became a dead letter,
-- so every snapshot that shows the dead letter also shows the waiters.
--
-- The settings of the function restrict the choices of the planner. claim.sql explains why.
CREATE OR REPLACE FUNCTION tds_complete(ids bigint[], tokens bigint[], generations bigint[], outcomes text[])
RETURNS bigint[] LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  ranks text[] := /* part: outcomes */;
  any_dead boolean := EXISTS (SELECT FROM tds_queue_live WHERE dead_lettered_at IS NOT NULL);
  completed bigint[];
  events_notified bigint;
  runs bigint[];
BEGIN
  WITH d AS MATERIALIZED (
    SELECT d.*, q.attached FROM unnest(ids, tokens, generations, outcomes) AS d(id, token, generation, outcome)
      JOIN tds_queue_live q ON q.id = d.id ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id),
  gone AS (
    DELETE FROM tds_queue_live q USING d
     WHERE q.id = d.id AND q.lease_token = d.token AND q.generation = d.generation AND q.attached = d.attached
    RETURNING q.id, q.inbox_event_id, q.claimed_event_id, q.entity_type,
      q.entity_id, q.zoho_entity_id, q.direction, q.priority, q.retry_count, q.error_message, q.queued_at,
      q.processing_started_at, q.dead_lettered_at, q.run_at, q.version, q.lease_owner, d.outcome),
  resolved AS (
    DELETE FROM tds_queue_live q USING gone
     WHERE any_dead AND q.dead_lettered_at IS NOT NULL AND q.entity_type = gone.entity_type
       AND COALESCE(q.zoho_entity_id, q.entity_id) = COALESCE(gone.zoho_entity_id, gone.entity_id)
       AND q.direction = gone.direction
    RETURNING q.id, q.inbox_event_id, q.claimed_event_id, q.entity_type,
      q.entity_id, q.zoho_entity_id, q.direction, q.priority, q.retry_count, q.error_message, q.queued_at,
      q.processing_started_at, q.dead_lettered_at, q.run_at, q.version, q.lease_owner, 'superseded'::text AS outcome),
  ended AS (TABLE gone UNION ALL TABLE resolved),
  archived AS (
    /* part: archive */),
  attempts AS (
    /* part: attempt */ 'completed', NULL FROM gone t WHERE t.retry_count > 0),
  completions AS (
    DELETE FROM tds_queue_waiters w USING ended e WHERE w.item_id = e.id
    RETURNING w.cause, w.cause_id, w.counted,
      CASE WHEN w.cause_id = e.claimed_event_id THEN e.outcome ELSE 'superseded' END AS outcome),
  ended_events AS MATERIALIZED (
    SELECT t.cause_id AS id, count(*)::int AS gone, ranks[min(array_position(ranks, t.outcome))] AS outcome
      FROM completions t WHERE t.cause = 'event' GROUP BY t.cause_id ORDER BY t.cause_id),
  notified_events AS (
    /* part: end_events */ RETURNING e.id),
  notified_runs AS (
    UPDATE tds_sync_runs r SET open_items = r.open_items - n.gone, processed_items = r.processed_items + n.counted
     FROM (SELECT t.cause_id AS id, count(*) AS gone, count(*) FILTER (WHERE t.counted) AS counted
             FROM completions t WHERE t.cause = 'run' GROUP BY t.cause_id ORDER BY t.cause_id) AS n
    WHERE r.id = n.id RETURNING r.id)
  -- Rows are locked in this order, as everywhere: items, events, runs.
  SELECT (SELECT array_agg(gone.id) FROM gone), (SELECT count(*) FROM notified_events),
         (SELECT array_agg(notified_runs.id) FROM notified_runs) INTO completed, events_notified, runs;
  IF runs IS NOT NULL THEN
    PERFORM tds_end_runs(runs);
  END IF;
  RETURN completed;
END
$$;
