-- Who serves, and claims of a part of the queue.

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

-- As tds_claim, for those who may take a part only: items that one of these runs waits for (a command that executes its
-- own runs), or items that carry their payload (a process that may not ask the source just now). What lost ten leases in a
-- row is taken alone, where nothing else is due.
CREATE FUNCTION tds_claim_scoped(most bigint, below smallint, runs bigint[], carried boolean, worker text,
  lease_seconds double precision)
RETURNS SETOF tds_queue_live LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off SET plan_cache_mode = force_custom_plan AS $$
BEGIN
  FOR suspects IN 0..1 LOOP
    RETURN QUERY
    WITH c AS MATERIALIZED (
      SELECT q.id, q.retry_count, q.processing_started_at, q.lease_owner, q.lease_expires_at IS NOT NULL AS lost
        FROM tds_queue_live q
       WHERE q.dead_lettered_at IS NULL AND q.priority < tds_claim_scoped.below AND q.run_at <= now()
         AND (q.lease_expires_at IS NULL OR q.lease_expires_at <= now())
         AND (q.lost_leases + (q.lease_expires_at IS NOT NULL)::int >= 10) = (suspects = 1)
         AND (NOT tds_claim_scoped.carried OR q.payload IS NOT NULL)
         AND (tds_claim_scoped.runs IS NULL OR EXISTS (
               SELECT FROM tds_queue_waiters w
                WHERE w.item_id = q.id AND w.cause = 'run' AND w.cause_id = ANY (tds_claim_scoped.runs)))
         AND COALESCE(q.entity_type <> ALL (ARRAY(
               SELECT k.entity_type FROM tds_entity_controls k WHERE k.paused_at IS NOT NULL)), true)
       ORDER BY q.priority, q.run_at, q.id LIMIT CASE suspects WHEN 1 THEN 1 ELSE tds_claim_scoped.most END
         FOR UPDATE OF q SKIP LOCKED),
    lost AS (
      INSERT INTO tds_queue_attempts (item_id, attempt, started_at, worker, result, error)
      SELECT c.id, c.retry_count + 1, c.processing_started_at, c.lease_owner, 'lease_lost',
             'the worker died or stopped renewing its lease' FROM c WHERE c.lost)
    UPDATE tds_queue_live q SET status = 'processing', lease_token = nextval('tds_lease_seq'),
      lease_owner = tds_claim_scoped.worker, lost_leases = q.lost_leases + c.lost::int, hurried = false,
      lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds),
      processing_started_at = clock_timestamp(), claimed_event_id = q.inbox_event_id, requeued_at = NULL
      FROM c WHERE q.id = c.id
    RETURNING q.*;
    EXIT WHEN FOUND;
  END LOOP;
END
$$;
