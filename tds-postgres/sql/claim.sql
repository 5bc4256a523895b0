-- Claims: each claimed item gets a lease and a fencing token.
--
-- The claims are functions, because a function can restrict the choices of the planner. With the statistics of an empty
-- queue, the planner would sort a full queue to take a hundred items, or would hash all waiters. The settings of a
-- function also apply behind a connection pooler. The functions are written in plpgsql, so that each connection parses
-- them once. A cached plan would fit only the queue for which it was made. A plan that was made for an empty queue
-- would read the whole queue for each item. Each claim is therefore planned anew, which takes a third of a millisecond.
--
-- These rules apply to all claims:
-- * An item is due if it is not a dead letter, its `run_at` has come, no process holds a valid lease on it, and its
--   entity type is not paused. The conditions use `now()`, so that they are index conditions. COALESCE hides the paused
--   types from the planner, which would otherwise estimate that no item remains.
-- * An item that only cancelled runs wait for is not claimed. Cancelling a run takes such an item out of the queue.
--   This happens at once, or some seconds later if a session has locked the item or the process ends. Cancelled runs
--   with open items are rare. The planner knows the list of these runs when it plans, and leaves the condition out if
--   the list is empty.
-- * The table expressions are MATERIALIZED, because a sub-select with LIMIT and SKIP LOCKED could be executed more than
--   once.
-- * The condition for due items and the end of the statement, which takes the leases, are parts (sql/parts) and not
--   functions. A separate statement, executed after the items were chosen, would also have to be planned and would look
--   up each item again. This would add one or two milliseconds to each claim.
-- * A lost lease does not use up an attempt. Lost leases have a count of their own. An item that lost ten leases in a
--   row is claimed alone, because its processing may be what ends the program.

-- Returns true if an event, an operator or a run that was not cancelled waits for the item. Also returns true if the
-- item has no waiter: work of a page is queued before the page where another session delays the page. The column
-- `inbox_event_id` does not count as a waiter: it may name an event that ended while the run folded its work into the
-- item.
CREATE OR REPLACE FUNCTION tds_is_wanted(item bigint, cancelled bigint[])
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT EXISTS (SELECT FROM tds_queue_waiters w
                      WHERE w.item_id = item AND w.cause = 'run' AND w.cause_id = ANY (cancelled))
      OR EXISTS (SELECT FROM tds_queue_waiters o
                  WHERE o.item_id = item AND NOT (o.cause = 'run' AND o.cause_id = ANY (cancelled)))
$$;

-- Claims due items, lane by lane, beginning with the most urgent lane. Each lane is a range of the ready index that
-- begins at a claim cursor. LATERAL stops at the limit. A claim that begins at the start of every lane also looks for
-- an item that lost ten leases. The claim returns that item alone if no other item is due, or if that item has been due
-- for a minute.
CREATE OR REPLACE FUNCTION tds_claim(most bigint, priorities smallint[], ats timestamptz[], ids bigint[],
  belows smallint[], worker text, lease_seconds double precision)
RETURNS SETOF tds_queue_live LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  cancelled bigint[] := ARRAY(SELECT r.id FROM tds_sync_runs r WHERE r.status = 'cancelled' AND r.open_items > 0);
  suspect bigint;
  due_at timestamptz;
BEGIN
  IF array_remove(ats, NULL) = '{}' THEN
    -- The suspect is among the first items of its lane, because earlier claims left no item behind that waits longer.
    SELECT head.id, head.run_at INTO suspect, due_at FROM unnest(priorities, belows) AS l(priority, below)
     CROSS JOIN LATERAL (
      SELECT q.id, q.run_at, q.lost_leases + (q.lease_expires_at IS NOT NULL)::int AS lost FROM tds_queue_live q
       WHERE /* part: due */ AND q.priority >= l.priority AND q.priority < l.below
       ORDER BY q.priority, q.run_at, q.id LIMIT 100) AS head
     WHERE head.lost >= 10 LIMIT 1;
    IF due_at <= now() - interval '1 minute' THEN
      RETURN QUERY SELECT * FROM tds_claim_alone(suspect, worker, lease_seconds);
      IF FOUND THEN
        RETURN;
      END IF;
    END IF;
  END IF;
  RETURN QUERY
  WITH c AS MATERIALIZED (
    SELECT due.* FROM unnest(priorities, ats, ids, belows) AS l(priority, at, id, below)
     CROSS JOIN LATERAL (
      SELECT q.id, q.retry_count, q.processing_started_at, q.lease_owner, q.lease_expires_at IS NOT NULL AS lost
        FROM tds_queue_live q
       WHERE /* part: due */ AND q.priority < l.below
         AND (q.priority, q.run_at, q.id) >= (l.priority, COALESCE(l.at, '-infinity'), l.id)
         AND COALESCE(q.lost_leases + (q.lease_expires_at IS NOT NULL)::int < 10, true)
       ORDER BY q.priority, q.run_at, q.id LIMIT most FOR UPDATE OF q SKIP LOCKED) AS due
     LIMIT most),
  /* part: take_lease */;
  IF NOT FOUND AND suspect IS NOT NULL THEN
    RETURN QUERY SELECT * FROM tds_claim_alone(suspect, worker, lease_seconds);
  END IF;
END
$$;

-- Claims one item that lost ten leases in a row.
CREATE OR REPLACE FUNCTION tds_claim_alone(item bigint, worker text, lease_seconds double precision)
RETURNS SETOF tds_queue_live LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY
  WITH c AS MATERIALIZED (
    SELECT q.id, q.retry_count, q.processing_started_at, q.lease_owner, q.lease_expires_at IS NOT NULL AS lost
      FROM tds_queue_live q
     WHERE q.id = item AND q.dead_lettered_at IS NULL AND (q.lease_expires_at IS NULL OR q.lease_expires_at <= now())
       FOR UPDATE SKIP LOCKED),
  /* part: take_lease */;
END
$$;

-- Like tds_claim, but claims only some of the due items. If `runs` is not NULL, only items that one of these runs waits
-- for are claimed (for a command that executes its own runs). If `carried` is true, only items that carry their payload
-- are claimed (for a process that may not call the source at the moment). An item that lost ten leases in a row is
-- claimed alone, and only if none of the other items is due.
CREATE OR REPLACE FUNCTION tds_claim_scoped(most bigint, below smallint, runs bigint[], carried boolean, worker text,
  lease_seconds double precision)
RETURNS SETOF tds_queue_live LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  cancelled bigint[] := ARRAY(SELECT r.id FROM tds_sync_runs r WHERE r.status = 'cancelled' AND r.open_items > 0);
BEGIN
  FOR suspects IN 0..1 LOOP
    RETURN QUERY
    WITH c AS MATERIALIZED (
      SELECT q.id, q.retry_count, q.processing_started_at, q.lease_owner, q.lease_expires_at IS NOT NULL AS lost
        FROM tds_queue_live q
       WHERE /* part: due */ AND q.priority < tds_claim_scoped.below
         AND (q.lost_leases + (q.lease_expires_at IS NOT NULL)::int >= 10) = (suspects = 1)
         AND (NOT tds_claim_scoped.carried OR q.payload IS NOT NULL)
         AND (tds_claim_scoped.runs IS NULL OR EXISTS (
               SELECT FROM tds_queue_waiters w
                WHERE w.item_id = q.id AND w.cause = 'run' AND w.cause_id = ANY (tds_claim_scoped.runs)))
       ORDER BY q.priority, q.run_at, q.id LIMIT CASE suspects WHEN 1 THEN 1 ELSE tds_claim_scoped.most END
         FOR UPDATE OF q SKIP LOCKED),
    /* part: take_lease */;
    EXIT WHEN FOUND;
  END LOOP;
END
$$;
