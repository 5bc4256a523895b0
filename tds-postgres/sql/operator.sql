-- What operators do with items: retry and discard, which the program and the view tds_sync_queue share. Operators'
-- scripts may do more with the view than read it: they may delete rows, update columns where an update has a meaning,
-- and retry failed items and dead letters.

-- Keeps what an operator does with items, for the histories of their records.
CREATE OR REPLACE FUNCTION tds_note_items(items bigint[], what text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO tds_decisions (item_id, inbox_event_id, entity_type, zoho_id, kind, action)
  SELECT q.id, q.inbox_event_id, q.entity_type, q.zoho_entity_id, 'operator', what
    FROM tds_queue_live q WHERE q.id = ANY(items) AND q.direction = 'inbound'
  UNION ALL
  SELECT q.id, NULL, q.entity_type, l.zoho_id, 'operator', what
    FROM tds_queue_live q JOIN tds_links l ON l.entity_type = q.entity_type AND l.local_id::text = q.entity_id
   WHERE q.id = ANY(items) AND q.direction = 'outbound' AND l.zoho_id IS NOT NULL
$$;

-- Retries locked items that are failed or dead letters, and counts their attempts anew. The newest dead letter of a
-- record becomes a live item again, unless the record has a live item. The other dead letters are folded into the live
-- item, each as the work of its own event. The events of dead letters wait again, and the operator waits for the live
-- item: cancelling a run that lists the record does not take the item out of the queue.
--
-- All items are locked before any event, as workers do. A session that attaches a waiter to the live item always
-- changes the row of that item. All waiters move in one statement, so that none can leave its dead letter in between.
CREATE OR REPLACE FUNCTION tds_retry_items(items bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  dead tds_queue_live;
  target tds_queue_live;
  folded bigint[] := '{}';
  targets bigint[] := '{}';
  generations bigint[] := '{}';
BEGIN
  PERFORM tds_note_items(items, 'retry');
  UPDATE tds_queue_live SET status = 'pending', retry_count = 0, run_at = clock_timestamp()
   WHERE id = ANY(items) AND status = 'failed';
  LOOP
    BEGIN
      WITH revived AS (
        UPDATE tds_queue_live q SET status = 'pending', retry_count = 0, run_at = clock_timestamp(),
          dead_lettered_at = NULL
         WHERE q.id IN (
             SELECT DISTINCT ON (d.entity_type, COALESCE(d.zoho_entity_id, d.entity_id), d.direction) d.id
               FROM tds_queue_live d WHERE d.id = ANY(items) AND d.dead_lettered_at IS NOT NULL
              ORDER BY d.entity_type, COALESCE(d.zoho_entity_id, d.entity_id), d.direction, d.id DESC)
           AND NOT EXISTS (
             SELECT FROM tds_queue_live o
              WHERE o.dead_lettered_at IS NULL AND o.entity_type = q.entity_type AND o.direction = q.direction
                AND COALESCE(o.zoho_entity_id, o.entity_id) = COALESCE(q.zoho_entity_id, q.entity_id))
        RETURNING q.id, q.generation)
      INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
        SELECT revived.id, 'operator', 0, revived.generation FROM revived
      ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = excluded.generation;
      EXIT;
    EXCEPTION WHEN unique_violation THEN
      -- Work of a record was queued in between: search for the live items again.
    END;
  END LOOP;
  FOR dead IN
    SELECT * FROM tds_queue_live q WHERE q.id = ANY(items) AND q.dead_lettered_at IS NOT NULL
     ORDER BY q.entity_type, q.zoho_entity_id, q.entity_id, q.id
  LOOP
    INSERT INTO tds_queue_live AS q
      (direction, entity_type, zoho_entity_id, entity_id, priority, version, payload, shape, pushed, recheck,
       observed_began, observed_ended, inbox_event_id)
    VALUES (dead.direction, dead.entity_type, dead.zoho_entity_id, dead.entity_id, dead.priority, dead.version,
      dead.payload, dead.shape, dead.pushed, dead.recheck, dead.observed_began, dead.observed_ended, dead.inbox_event_id)
    /* part: fold_into */
    INTO target.id, target.direction, target.entity_type, target.zoho_entity_id, target.entity_id, target.generation;
    folded := folded || dead.id;
    targets := targets || target.id;
    generations := generations || target.generation;
  END LOOP;
  WITH locked AS MATERIALIZED (
    SELECT e.id FROM tds_inbox_events e
     WHERE e.status = 'failed' AND e.id IN (
       SELECT w.cause_id FROM tds_queue_waiters w WHERE w.item_id = ANY(items) AND w.cause = 'event')
     ORDER BY e.id FOR UPDATE)
  UPDATE tds_inbox_events e SET status = 'pending', error_message = NULL, processed_at = NULL
    FROM locked WHERE e.id = locked.id;
  IF folded = '{}' THEN
    RETURN;
  END IF;
  WITH f AS (SELECT * FROM unnest(folded, targets, generations) AS f(item, target, generation)),
  moved AS (
    DELETE FROM tds_queue_waiters w USING f WHERE w.item_id = f.item
    RETURNING f.target, f.generation, w.cause, w.cause_id, w.counted),
  joined AS (
    INSERT INTO tds_queue_waiters AS w (item_id, cause, cause_id, generation, counted)
    SELECT m.target, m.cause, m.cause_id, max(m.generation), bool_or(m.counted)
      FROM (TABLE moved UNION ALL SELECT f.target, f.generation, 'operator', 0, true FROM f) AS m
     GROUP BY m.target, m.cause, m.cause_id
    ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = GREATEST(w.generation, excluded.generation)
    RETURNING w.cause, w.cause_id, w.xmax = 0 AS is_new),
  -- An event that waits for the live item already, or waited for two of the dead letters, has fewer items to wait for.
  ended_events AS (
    SELECT m.cause_id AS id, (m.n - COALESCE(j.n, 0))::int AS gone, 'superseded'::text AS outcome
      FROM (SELECT cause_id, count(*) AS n FROM moved WHERE cause = 'event' GROUP BY cause_id) AS m
      LEFT JOIN (SELECT cause_id, count(*) AS n FROM joined WHERE cause = 'event' AND is_new GROUP BY cause_id) AS j
        USING (cause_id)
     WHERE m.n > COALESCE(j.n, 0))
  /* part: end_events */;
  WITH ended AS (
    DELETE FROM tds_queue_live q WHERE q.id = ANY(folded) RETURNING q.*, 'superseded'::text AS outcome)
  /* part: archive */;
END
$$;

-- Discards locked items: they end for good, with their error kept.
CREATE OR REPLACE FUNCTION tds_discard_items(items bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tds_note_items(items, 'discard');
  PERFORM tds_discard_changes(items);
  WITH ended AS (
    DELETE FROM tds_queue_live q WHERE q.id = ANY(items) RETURNING q.*, 'discarded'::text AS outcome)
  /* part: archive */;
  PERFORM tds_discard_waiters(items);
END
$$;

-- Discards the local changes that locked outbound items carry, unless another item of the record carries them as well.
-- The records that the changes were about are read again, so that the ERP shows what the source has.
CREATE OR REPLACE FUNCTION tds_discard_changes(items bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  pushed record;
  again record;
  target tds_queue_live;
BEGIN
  FOR pushed IN
    SELECT DISTINCT q.entity_type, q.entity_id::bigint AS local_id FROM tds_queue_live q
     WHERE q.id = ANY(items) AND q.direction = 'outbound' AND q.entity_id ~ '^\d{1,18}$'
       AND NOT EXISTS (
         SELECT FROM tds_queue_live o
          WHERE o.direction = 'outbound' AND o.entity_type = q.entity_type AND o.dead_lettered_at IS NULL
            AND COALESCE(o.zoho_entity_id, o.entity_id) = q.entity_id AND o.id <> ALL(items))
     ORDER BY 1, 2
  LOOP
    FOR again IN
      WITH discarded AS (
        UPDATE tds_outbox o SET status = 'discarded', relayed = true, settled_at = clock_timestamp(),
          note = 'an operator discarded the push'
         WHERE o.entity_type = pushed.entity_type AND o.local_id = pushed.local_id AND o.status = 'pending' AND o.relayed
        RETURNING o.zoho_id)
      -- An adjustment of stock is no record of the source that is read. Its products are.
      SELECT DISTINCT l.product_zoho_id AS zoho_id FROM erp.stock_adjustment_lines l
       WHERE pushed.entity_type = 'stock' AND l.document_id = pushed.local_id AND l.product_zoho_id IS NOT NULL
         AND EXISTS (SELECT FROM discarded)
      UNION
      SELECT COALESCE((SELECT l.zoho_id FROM tds_links l
                        WHERE l.entity_type = pushed.entity_type AND l.local_id = pushed.local_id), max(d.zoho_id))
        FROM discarded d WHERE pushed.entity_type <> 'stock' HAVING count(*) > 0
    LOOP
      CONTINUE WHEN again.zoho_id IS NULL;
      INSERT INTO tds_queue_live AS q (direction, entity_type, zoho_entity_id, priority, recheck)
      VALUES ('inbound', pushed.entity_type, again.zoho_id, 0, true)
      /* part: fold_into */
      INTO target.id, target.direction, target.entity_type, target.zoho_entity_id, target.entity_id, target.generation;
      INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
      VALUES (target.id, 'operator', 0, target.generation)
      ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = excluded.generation;
    END LOOP;
    UPDATE tds_links l SET earlier = DEFAULT, kept = DEFAULT, sent = DEFAULT
     WHERE l.entity_type = pushed.entity_type AND l.local_id = pushed.local_id
       AND (l.earlier <> '[]' OR l.sent <> '[]' OR l.kept <> '{"fields": {}, "children": {}}')
       AND NOT EXISTS (SELECT FROM tds_outbox o
                        WHERE o.entity_type = l.entity_type AND o.local_id = l.local_id AND o.status IN ('pending', 'conflict'));
  END LOOP;
END
$$;

-- Notifies the waiters of locked items that the items were discarded. Events are locked before runs, each in the order
-- of their ids.
CREATE OR REPLACE FUNCTION tds_discard_waiters(items bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  runs bigint[];
BEGIN
  PERFORM FROM tds_inbox_events e
    WHERE e.id IN (SELECT w.cause_id FROM tds_queue_waiters w WHERE w.item_id = ANY(items) AND w.cause = 'event')
    ORDER BY e.id FOR UPDATE;
  PERFORM FROM tds_sync_runs r
    WHERE r.id IN (SELECT w.cause_id FROM tds_queue_waiters w WHERE w.item_id = ANY(items) AND w.cause = 'run')
    ORDER BY r.id FOR UPDATE;
  WITH gone AS (DELETE FROM tds_queue_waiters w WHERE w.item_id = ANY(items) RETURNING w.cause, w.cause_id, w.counted),
  ended_events AS (
    SELECT gone.cause_id AS id, count(*)::int AS gone, 'discarded'::text AS outcome
      FROM gone WHERE gone.cause = 'event' GROUP BY gone.cause_id),
  events AS (
    /* part: end_events */),
  counts AS (
    UPDATE tds_sync_runs r SET open_items = r.open_items - n.gone, processed_items = r.processed_items + n.counted
      FROM (SELECT gone.cause_id AS id, count(*) AS gone, count(*) FILTER (WHERE gone.counted) AS counted
              FROM gone WHERE gone.cause = 'run' GROUP BY gone.cause_id) AS n
     WHERE r.id = n.id RETURNING r.id)
  SELECT array_agg(counts.id) INTO runs FROM counts;
  IF runs IS NOT NULL THEN
    PERFORM tds_end_runs(runs);
  END IF;
END
$$;

-- Takes the operators' turn once in each transaction, and sets the lock timeout of a trigger's next try. The argument
-- `own` is the lock timeout of the session.
--
-- An operator's statement locks rows in the order in which the view shows them, and the trigger of a view cannot choose
-- another order. Workers lock rows in the order of records. An operator's statement and a worker could therefore wait
-- for each other, and the server then ends the transaction that detects the deadlock first. A session detects a
-- deadlock after deadlock_timeout, which is one second by default. The triggers wait for a shorter time and try again,
-- so they are never the ones that detect the deadlock. A worker gives up after its own lock_timeout and repeats its
-- work.
--
-- Two operators would lock the same rows in different orders. The later transaction therefore takes its turn after the
-- earlier one. An operator may leave a transaction open, so a transaction waits for its turn for ten seconds at most.
-- It waits for rows for ten seconds at most, too. After that, a trigger waits as long as its session would.
CREATE OR REPLACE FUNCTION tds_sync_queue_patience(tries integer, own text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  me text := concat(pg_current_xact_id(), ' ', current_schema());
BEGIN
  IF current_setting('tds.turn', true) IS DISTINCT FROM me THEN
    PERFORM set_config('tds.turn', me, true), set_config('lock_timeout', '10s', true);
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtext(tds_own('tds-operators')), 0);
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      NULL;
    END;
  END IF;
  PERFORM set_config('lock_timeout', CASE WHEN tries < 25 THEN '400ms' ELSE own END, true);
END
$$;

-- Executes DELETE FROM tds_sync_queue, as the operators' handbook describes it. The condition of the statement was
-- evaluated on the row that the statement saw. An item that changed while the statement waited for it, for example by a
-- retry, a claim or new work, stays.
CREATE OR REPLACE FUNCTION tds_sync_queue_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  own text := current_setting('lock_timeout');
  tries integer := 0;
  gone boolean;
BEGIN
  -- No worker processes an archived item, so its row needs no repeated tries.
  IF OLD.status = 'completed' THEN
    DELETE FROM tds_queue_done WHERE id = OLD.id;
    IF FOUND THEN
      RETURN OLD;
    END IF;
    RETURN NULL;
  END IF;
  LOOP
    PERFORM tds_sync_queue_patience(tries, own);
    BEGIN
      gone := tds_sync_queue_delete_item(OLD);
      EXIT;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      IF tries >= 25 THEN
        RAISE;
      END IF;
      tries := tries + 1;
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', own, true);
  IF gone THEN
    RETURN OLD;
  END IF;
  RETURN NULL;
END
$$;

-- Deletes one item, which is a discard that leaves nothing in the archive. Returns false if the item is not as the statement saw it.
CREATE OR REPLACE FUNCTION tds_sync_queue_delete_item(seen tds_sync_queue) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM tds_queue_live q
    WHERE q.id = seen.id AND q.status = seen.status AND q.retry_count = seen.retry_count AND q.priority = seen.priority
      AND q.run_at = seen.run_at AND q.queued_at = seen.queued_at
      AND (q.inbox_event_id, q.error_message, q.processing_started_at)
          IS NOT DISTINCT FROM (seen.inbox_event_id, seen.error_message, seen.processing_started_at)
    FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM tds_discard_changes(ARRAY[seen.id]);
  DELETE FROM tds_queue_live WHERE id = seen.id;
  PERFORM tds_discard_waiters(ARRAY[seen.id]);
  DELETE FROM tds_queue_attempts WHERE item_id = seen.id;
  RETURN true;
END
$$;
CREATE OR REPLACE TRIGGER tds_sync_queue_delete INSTEAD OF DELETE ON tds_sync_queue
  FOR EACH ROW EXECUTE FUNCTION tds_sync_queue_delete();

-- Executes UPDATE tds_sync_queue. The statement can change the times, priority, attempts and texts of any item, and can
-- retry failed items and dead letters. A row that no longer exists is not counted. A row is also not counted if a retry
-- finds another status than the one that the statement saw.
CREATE OR REPLACE FUNCTION tds_sync_queue_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed text[] := ARRAY(SELECT n.key FROM jsonb_each(to_jsonb(NEW)) n
                           WHERE n.value IS DISTINCT FROM to_jsonb(OLD) -> n.key ORDER BY n.key);
  fixed text[] := ARRAY['id', 'inbox_event_id', 'entity_type', 'entity_id', 'zoho_entity_id', 'outcome', 'direction'];
  retried boolean := 'status' = ANY(changed);
  own text := current_setting('lock_timeout');
  tries integer := 0;
  written tds_sync_queue;
BEGIN
  IF changed && fixed THEN
    RAISE EXCEPTION 'tds_sync_queue: % of an item cannot be changed', (
        SELECT string_agg(c, ', ') FROM unnest(changed) c WHERE c = ANY(fixed)) USING ERRCODE = 'feature_not_supported',
      HINT = 'Discard the item, then sync the record again.';
  ELSIF NEW.priority NOT BETWEEN 0 AND 50 OR NEW.retry_count < 0 THEN
    RAISE EXCEPTION 'tds_sync_queue: a priority is 0 to 50, a retry_count is not negative'
      USING ERRCODE = 'check_violation',
      HINT = '0 operator, 10 outbound, 20 webhook, 25 derived, 30 incremental, 40 full, 50 verify.';
  ELSIF retried AND (OLD.status NOT IN ('failed', 'dead_letter') OR NEW.status IS DISTINCT FROM 'pending') THEN
    RAISE EXCEPTION 'tds_sync_queue: status cannot go from % to %', OLD.status, COALESCE(NEW.status, 'NULL')
      USING ERRCODE = 'feature_not_supported',
      HINT = 'failed and dead_letter can go to pending, which is a retry. To give items up, discard them, or DELETE. '
        || 'A claimed item ends when its worker settles it or its lease runs out.';
  ELSIF OLD.status <> 'completed' AND ('processing_completed_at' = ANY(changed)
      OR 'processing_started_at' = ANY(changed) AND OLD.status = 'processing') THEN
    RAISE EXCEPTION 'tds_sync_queue: the processing times of an item that is % belong to its worker', OLD.status
      USING ERRCODE = 'feature_not_supported', HINT = 'They can be changed once the item is completed.';
  END IF;
  IF OLD.status = 'completed' THEN
    UPDATE tds_queue_done SET queued_at = NEW.queued_at, priority = NEW.priority, run_at = NEW.run_at,
      error_message = NEW.error_message, retry_count = NEW.retry_count,
      processing_started_at = NEW.processing_started_at, processing_completed_at = NEW.processing_completed_at
     WHERE id = OLD.id;
    IF FOUND THEN
      RETURN NEW;
    END IF;
    RETURN NULL;
  END IF;
  LOOP
    PERFORM tds_sync_queue_patience(tries, own);
    BEGIN
      written := tds_sync_queue_update_item(OLD, NEW, changed);
      EXIT;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
      IF tries >= 25 THEN
        RAISE;
      END IF;
      tries := tries + 1;
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', own, true);
  IF written.id IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN written;
END
$$;

-- Changes one item. Returns NULL if the item is left as it is.
CREATE OR REPLACE FUNCTION tds_sync_queue_update_item(seen tds_sync_queue, wanted tds_sync_queue, changed text[])
RETURNS tds_sync_queue LANGUAGE plpgsql AS $$
DECLARE
  retried boolean := 'status' = ANY(changed);
  now_is text;
BEGIN
  SELECT status INTO now_is FROM tds_queue_live WHERE id = seen.id FOR UPDATE;
  IF NOT FOUND OR retried AND now_is <> seen.status THEN
    RETURN NULL;
  END IF;
  -- A column that the statement does not change keeps its current value. A worker may have changed the value after the
  -- statement read the row.
  UPDATE tds_queue_live SET
    queued_at = CASE WHEN 'queued_at' = ANY(changed) THEN wanted.queued_at ELSE queued_at END,
    priority = CASE WHEN 'priority' = ANY(changed) THEN wanted.priority ELSE priority END,
    error_message = CASE WHEN 'error_message' = ANY(changed) THEN wanted.error_message ELSE error_message END,
    processing_started_at =
      CASE WHEN 'processing_started_at' = ANY(changed) THEN wanted.processing_started_at ELSE processing_started_at END,
    retry_count = CASE WHEN 'retry_count' = ANY(changed) THEN wanted.retry_count ELSE retry_count END,
    run_at = CASE WHEN 'run_at' = ANY(changed) THEN wanted.run_at ELSE run_at END
   WHERE id = seen.id;
  IF retried THEN
    PERFORM tds_retry_items(ARRAY[seen.id]);
    -- The retry sets these two columns. The values of the statement replace those of the retry.
    IF changed && ARRAY['retry_count', 'run_at'] THEN
      UPDATE tds_queue_live SET
        retry_count = CASE WHEN 'retry_count' = ANY(changed) THEN wanted.retry_count ELSE retry_count END,
        run_at = CASE WHEN 'run_at' = ANY(changed) THEN wanted.run_at ELSE run_at END
       WHERE id = seen.id;
    END IF;
    SELECT retry_count, run_at INTO wanted.retry_count, wanted.run_at FROM tds_queue_live WHERE id = seen.id;
    IF NOT FOUND THEN
      -- The item was folded into the live item of its record and is in the archive.
      SELECT v.* INTO wanted FROM tds_sync_queue v WHERE v.id = seen.id;
    END IF;
  END IF;
  RETURN wanted;
END
$$;
CREATE OR REPLACE TRIGGER tds_sync_queue_update INSTEAD OF UPDATE ON tds_sync_queue
  FOR EACH ROW EXECUTE FUNCTION tds_sync_queue_update();

-- Refuses INSERT INTO tds_sync_queue. The hint names the ways to queue work.
CREATE OR REPLACE FUNCTION tds_sync_queue_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'tds_sync_queue: nothing can be inserted' USING ERRCODE = 'feature_not_supported',
    HINT = 'Work is queued by webhooks, by bulk syncs, and by replaying events of the inbox.';
END
$$;
CREATE OR REPLACE TRIGGER tds_sync_queue_insert INSTEAD OF INSERT ON tds_sync_queue
  FOR EACH ROW EXECUTE FUNCTION tds_sync_queue_insert();
