-- What operators' scripts may do with the view tds_sync_queue beside reading and deleting: updates where they have a
-- meaning, and the retry of what has failed.

-- Retries a locked item that is failed or a dead letter, as the retry of the API does: a dead letter lives again, or is
-- folded into what lives of its record; its events wait again.
CREATE FUNCTION tds_queue_retry(item bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  dead tds_queue_live;
  target tds_queue_live;
BEGIN
  UPDATE tds_inbox_events e SET status = 'pending', error_message = NULL, processed_at = NULL
    FROM tds_queue_waiters w WHERE w.item_id = item AND w.cause = 'event' AND e.id = w.cause_id AND e.status = 'failed';
  LOOP
    SELECT * INTO dead FROM tds_queue_live WHERE id = item;
    SELECT * INTO target FROM tds_queue_live q
     WHERE q.entity_type = dead.entity_type AND q.zoho_entity_id = dead.zoho_entity_id
       AND q.dead_lettered_at IS NULL AND q.id <> item FOR UPDATE;
    EXIT WHEN FOUND;
    BEGIN
      UPDATE tds_queue_live SET status = 'pending', dead_lettered_at = NULL WHERE id = item;
      RETURN;
    EXCEPTION WHEN unique_violation THEN
      -- Work of the record was queued just now: look again.
    END;
  END LOOP;
  -- The same rules as those of the statement that folds new work.
  UPDATE tds_queue_live q SET
    (priority, version, payload, shape, pushed, observed_began, observed_ended, inbox_event_id, generation,
     requeued_at, status, retry_count, run_at) = (
      SELECT LEAST(q.priority, dead.priority), GREATEST(q.version, dead.version),
        CASE k WHEN 2 THEN dead.payload WHEN 1 THEN q.payload END,
        CASE k WHEN 2 THEN dead.shape WHEN 1 THEN q.shape END,
        CASE k WHEN 2 THEN dead.pushed WHEN 1 THEN q.pushed END,
        CASE k WHEN 2 THEN dead.observed_began WHEN 1 THEN q.observed_began END,
        CASE k WHEN 2 THEN dead.observed_ended WHEN 1 THEN q.observed_ended END,
        CASE k WHEN 2 THEN dead.inbox_event_id WHEN 1 THEN q.inbox_event_id
               ELSE COALESCE(dead.inbox_event_id, q.inbox_event_id) END,
        q.generation + (k <> 1)::int,
        CASE WHEN q.status = 'processing' AND k <> 1 THEN COALESCE(q.requeued_at, clock_timestamp())
             ELSE q.requeued_at END,
        CASE WHEN q.status = 'failed' AND k <> 1 THEN 'pending' ELSE q.status END,
        CASE WHEN q.status = 'failed' AND k <> 1 THEN 0 ELSE q.retry_count END,
        CASE WHEN q.status = 'failed' AND k <> 1 THEN LEAST(q.run_at, now()) ELSE q.run_at END
      FROM (SELECT tds_fold(q.payload, q.version, q.shape, q.observed_ended, dead.payload, dead.version, dead.shape,
                            dead.pushed, dead.observed_began) AS k) AS choice)
   WHERE q.id = target.id RETURNING q.generation INTO target.generation;
  -- A cause that waits for the live item already has one item less to wait for.
  UPDATE tds_inbox_events e SET open_items = e.open_items - 1, outcome = tds_better_outcome(e.outcome, 'superseded')
    FROM tds_queue_waiters w JOIN tds_queue_waiters o USING (cause, cause_id)
   WHERE w.item_id = item AND o.item_id = target.id AND w.cause = 'event' AND e.id = w.cause_id;
  INSERT INTO tds_queue_waiters AS w (item_id, cause, cause_id, generation, counted)
  SELECT target.id, cause, cause_id, target.generation, counted FROM tds_queue_waiters WHERE item_id = item
  ON CONFLICT (item_id, cause, cause_id) DO UPDATE SET generation = GREATEST(w.generation, excluded.generation);
  DELETE FROM tds_queue_waiters WHERE item_id = item;
  DELETE FROM tds_queue_live WHERE id = item;
  INSERT INTO tds_queue_done (id, inbox_event_id, entity_type, entity_id, zoho_entity_id, direction, priority, outcome,
    retry_count, error_message, queued_at, processing_started_at, processing_completed_at, run_at, version)
  VALUES (dead.id, dead.inbox_event_id, dead.entity_type, dead.entity_id, dead.zoho_entity_id, dead.direction,
    dead.priority, 'superseded', dead.retry_count, dead.error_message, dead.queued_at, dead.processing_started_at,
    dead.dead_lettered_at, dead.run_at, dead.version);
END
$$;

-- UPDATE tds_sync_queue: times, priority, attempts and texts of any item, and the retry of what has failed. A row that
-- is not there any more, or of which a retry finds another status than the statement saw, is left out of the count.
CREATE FUNCTION tds_sync_queue_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed text[] := ARRAY(SELECT n.key FROM jsonb_each(to_jsonb(NEW)) n
                           WHERE n.value IS DISTINCT FROM to_jsonb(OLD) -> n.key ORDER BY n.key);
  fixed text[] := ARRAY['id', 'inbox_event_id', 'entity_type', 'entity_id', 'zoho_entity_id', 'outcome', 'direction'];
  retried boolean := 'status' = ANY(changed);
  seen text;
BEGIN
  IF changed && fixed THEN
    RAISE EXCEPTION 'tds_sync_queue: % of an item cannot be changed', (
        SELECT string_agg(c, ', ') FROM unnest(changed) c WHERE c = ANY(fixed)) USING ERRCODE = 'feature_not_supported',
      HINT = 'Discard the item (tds-server queue discard) and fetch the record again (tds-server bulk-sync).';
  ELSIF NEW.priority NOT BETWEEN 0 AND 50 OR NEW.retry_count < 0 THEN
    RAISE EXCEPTION 'tds_sync_queue: a priority is 0 to 50, a retry_count is not negative'
      USING ERRCODE = 'check_violation',
      HINT = '0 operator, 10 outbound, 20 webhook, 30 incremental, 40 full, 50 verify.';
  ELSIF retried AND (OLD.status NOT IN ('failed', 'dead_letter') OR NEW.status IS DISTINCT FROM 'pending') THEN
    RAISE EXCEPTION 'tds_sync_queue: status cannot go from % to %', OLD.status, COALESCE(NEW.status, 'NULL')
      USING ERRCODE = 'feature_not_supported',
      HINT = 'failed and dead_letter can go to pending, which is a retry. To give items up: tds-server queue discard, '
        || 'or DELETE. An item in work ends by its worker or its lease.';
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
  ELSIF 'processing_completed_at' = ANY(changed)
      OR 'processing_started_at' = ANY(changed) AND OLD.status = 'processing' THEN
    RAISE EXCEPTION 'tds_sync_queue: the processing times of an item that is % belong to its worker', OLD.status
      USING ERRCODE = 'feature_not_supported', HINT = 'They can be changed once the item is completed.';
  END IF;
  SELECT status INTO seen FROM tds_queue_live WHERE id = OLD.id FOR UPDATE;
  IF NOT FOUND OR retried AND seen <> OLD.status THEN
    RETURN NULL;
  END IF;
  -- What the statement does not name keeps its value, though a worker may have changed it since the statement looked.
  UPDATE tds_queue_live SET
    queued_at = CASE WHEN 'queued_at' = ANY(changed) THEN NEW.queued_at ELSE queued_at END,
    priority = CASE WHEN 'priority' = ANY(changed) THEN NEW.priority ELSE priority END,
    error_message = CASE WHEN 'error_message' = ANY(changed) THEN NEW.error_message ELSE error_message END,
    processing_started_at =
      CASE WHEN 'processing_started_at' = ANY(changed) THEN NEW.processing_started_at ELSE processing_started_at END,
    retry_count = CASE WHEN 'retry_count' = ANY(changed) THEN NEW.retry_count WHEN retried THEN 0 ELSE retry_count END,
    run_at = CASE WHEN 'run_at' = ANY(changed) THEN NEW.run_at WHEN retried THEN clock_timestamp() ELSE run_at END
   WHERE id = OLD.id;
  IF retried THEN
    PERFORM tds_queue_retry(OLD.id);
    SELECT retry_count, run_at INTO NEW.retry_count, NEW.run_at FROM tds_queue_live WHERE id = OLD.id;
    IF NOT FOUND THEN
      -- It was folded into the live item of its record and is in the archive.
      SELECT v.* INTO NEW FROM tds_sync_queue v WHERE v.id = OLD.id;
    END IF;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER tds_sync_queue_update INSTEAD OF UPDATE ON tds_sync_queue
  FOR EACH ROW EXECUTE FUNCTION tds_sync_queue_update();

CREATE FUNCTION tds_sync_queue_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'tds_sync_queue: nothing can be inserted' USING ERRCODE = 'feature_not_supported',
    HINT = 'Work is queued by webhooks (tds-server webhook send), by runs (tds-server bulk-sync), '
      || 'and by replaying events (tds-server inbox replay).';
END
$$;
CREATE TRIGGER tds_sync_queue_insert INSTEAD OF INSERT ON tds_sync_queue
  FOR EACH ROW EXECUTE FUNCTION tds_sync_queue_insert();
