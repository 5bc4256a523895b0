-- A faulty operators' DELETE: it selects a row, waits for its lock, and then deletes the row although its status may
-- have changed in the meantime.
CREATE OR REPLACE FUNCTION tds_sync_queue_delete() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  runs bigint[];
BEGIN
  IF OLD.status = 'completed' THEN
    DELETE FROM tds_queue_done WHERE id = OLD.id;
    RETURN OLD;
  END IF;
  DELETE FROM tds_queue_live WHERE id = OLD.id;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  WITH gone AS (DELETE FROM tds_queue_waiters WHERE item_id = OLD.id RETURNING cause, cause_id, counted),
  events AS (
    UPDATE tds_inbox_events e SET open_items = e.open_items - 1,
      status = CASE WHEN e.status <> 'failed' AND e.open_items <= 1 THEN 'completed' ELSE e.status END,
      outcome = CASE WHEN e.status <> 'failed' THEN tds_better_outcome(e.outcome, 'discarded') ELSE e.outcome END,
      processed_at = COALESCE(e.processed_at, clock_timestamp())
    FROM gone WHERE gone.cause = 'event' AND e.id = gone.cause_id),
  counts AS (
    UPDATE tds_sync_runs r SET open_items = r.open_items - 1, processed_items = r.processed_items + gone.counted::int
    FROM gone WHERE gone.cause = 'run' AND r.id = gone.cause_id RETURNING r.id)
  SELECT array_agg(id) INTO runs FROM counts;
  PERFORM tds_end_runs(runs);
  DELETE FROM tds_queue_attempts WHERE item_id = OLD.id;
  RETURN OLD;
END
$$;

DO $$ DECLARE t text; BEGIN
  FOR t IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'tds_sync_queue'::regclass AND tgtype & 8 = 8 LOOP
    EXECUTE format('DROP TRIGGER %I ON tds_sync_queue', t);
  END LOOP;
END $$;
CREATE TRIGGER tds_sync_queue_delete INSTEAD OF DELETE ON tds_sync_queue
  FOR EACH ROW EXECUTE FUNCTION tds_sync_queue_delete();
