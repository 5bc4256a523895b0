-- Throughput that does not depend on how much is finished: claims that begin where the last one ended, counters instead
-- of counting, one index less to write.

-- The claim of due items, lane by lane, most urgent first: each is a range of the ready index from a spot on. A function,
-- because the planner must have no choice: with the statistics of an empty queue it would sort all of a full one to take
-- a hundred, or hash everybody who waits. Settings of a function hold behind a pooler too.
--
-- LATERAL stops at the limit. MATERIALIZED: a sub-select with LIMIT and SKIP LOCKED could be executed more than once.
-- What has lost its lease is taken here too, at the price of one attempt. `now()` in conditions, so that they are index
-- conditions. COALESCE keeps the paused types out of the planner's estimate, which would think that nothing is left.
CREATE FUNCTION tds_claim(most bigint, priorities smallint[], ats timestamptz[], ids bigint[], belows smallint[],
  worker text, lease_seconds double precision)
RETURNS SETOF tds_queue_live LANGUAGE sql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off AS $$
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
    SELECT id, retry_count + 1, processing_started_at, lease_owner, 'lease_lost',
           'the worker died or stopped renewing its lease' FROM c WHERE lost),
  events AS (
    UPDATE tds_inbox_events e SET status = 'processing' FROM tds_queue_waiters w, c
     WHERE w.item_id = c.id AND w.cause = 'event' AND e.id = w.cause_id AND e.status = 'pending')
  UPDATE tds_queue_live q SET status = 'processing', lease_token = nextval('tds_lease_seq'), lease_owner = worker,
    retry_count = q.retry_count + c.lost::int,
    lease_expires_at = clock_timestamp() + make_interval(secs => lease_seconds),
    processing_started_at = clock_timestamp(), claimed_event_id = q.inbox_event_id, requeued_at = NULL
    FROM c WHERE q.id = c.id
  RETURNING q.*
$$;

-- Nothing reads the archive by record; every completed item paid for this index, in random places of it.
DROP INDEX tds_queue_done_record;

-- Completed items by entity type, as a sum of changes: a row for each statement that adds to the archive or takes from
-- it, so that no transaction waits for another one's counter. Pruning adds the rows up.
CREATE TABLE tds_queue_tally (entity_type text COLLATE "C" NOT NULL, completed bigint NOT NULL);

CREATE FUNCTION tds_queue_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM tds_queue_tally;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO tds_queue_tally SELECT entity_type, count(*) FROM changed GROUP BY entity_type;
  ELSE
    INSERT INTO tds_queue_tally SELECT entity_type, -count(*) FROM changed GROUP BY entity_type;
  END IF;
  RETURN NULL;
END
$$;
LOCK TABLE tds_queue_done IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO tds_queue_tally SELECT entity_type, count(*) FROM tds_queue_done GROUP BY entity_type;
CREATE TRIGGER tds_queue_tally_added AFTER INSERT ON tds_queue_done REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION tds_queue_tally();
CREATE TRIGGER tds_queue_tally_gone AFTER DELETE ON tds_queue_done REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION tds_queue_tally();
CREATE TRIGGER tds_queue_tally_emptied AFTER TRUNCATE ON tds_queue_done
  FOR EACH STATEMENT EXECUTE FUNCTION tds_queue_tally();

-- An event is updated twice: in work, at its end. Its body and headers stay where they are, and no index changes: the
-- partial index on the status, which no statement can use, made each update write all the others too.
DROP INDEX tds_inbox_failed;
ALTER TABLE tds_inbox_events SET (fillfactor = 45, toast_tuple_target = 256);
ALTER TABLE tds_inbox_events ALTER COLUMN event_id SET STORAGE MAIN;

-- The state of a record is written again with each change of it; room on the page keeps that from touching the index.
ALTER TABLE tds_sync_records SET (fillfactor = 70);
