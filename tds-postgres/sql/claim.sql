-- Claims: a lease and a fencing token for each item that is due.
--
-- The claims are functions, because the planner must have no choice: with the statistics of an empty queue it would sort
-- all of a full one to take a hundred items, or hash everybody who waits. Settings of a function hold behind a pooler
-- too. The functions are plpgsql, so that each connection parses them once. A plan that is kept would be a plan for the
-- queue as it once was: made for an empty queue, it would read all of the queue for each item. So each claim is planned
-- anew, which takes a third of a millisecond.
--
-- In all claims:
-- * An item is due where it is no dead letter, its time has come, nobody holds a lease on it, and its entity type is not
--   paused. `now()` stands in these conditions, so that they are index conditions. COALESCE keeps the paused types out of
--   the planner's estimate, which would believe that nothing is left.
-- * What only cancelled runs wait for is not claimed: cancelling takes such an item out of the queue, at once or, where a
--   session has locked the item or the process ends, some seconds later. There is hardly ever such a run, and the planner,
--   who knows the list when it plans, leaves the condition out then.
-- * MATERIALIZED: a sub-select with LIMIT and SKIP LOCKED could be executed more than once.
-- * The condition of what is due and the end of the statement, which takes the lease, are parts (sql/parts) and no functions:
--   a statement of its own, called after the items were chosen, would be planned as well and look up each item again, one
--   or two milliseconds more for a claim.
-- * A lease that was lost spends no attempt; lost leases are counted by themselves. What lost ten leases in a row is
--   claimed alone, because its processing may be what ends the program.

-- True where an event or a run that was not cancelled waits for an item, or nobody waits for it: then an operator queued it.
-- The column `inbox_event_id` does not count: it may name an event that ended while the run folded its work in.
CREATE OR REPLACE FUNCTION tds_is_wanted(item bigint, cancelled bigint[])
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT EXISTS (SELECT FROM tds_queue_waiters w
                      WHERE w.item_id = item AND w.cause = 'run' AND w.cause_id = ANY (cancelled))
      OR EXISTS (SELECT FROM tds_queue_waiters o
                  WHERE o.item_id = item AND NOT (o.cause = 'run' AND o.cause_id = ANY (cancelled)))
$$;

-- The claim of due items, lane by lane, the most urgent lane first: each lane is a range of the ready index from a cursor
-- on. LATERAL stops at the limit. A claim that begins at the start of every lane gives an item that lost ten leases, and
-- nothing else, where nothing else is due or that item has been due for a minute.
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
    -- It is among the first of its lane: nothing that waits longer was left behind.
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

-- Claims one item that lost its leases again and again.
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

-- As tds_claim, for those who may take a part only: items that one of these runs waits for (a command that executes its
-- own runs), or items that carry their payload (a process that may not ask the source just now). What lost ten leases in
-- a row is taken alone, where nothing else is due.
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
