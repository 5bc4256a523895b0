//! Triggers in the processes' database that record what is no longer visible when the system is idle.

/// The triggers are installed after the migrations. `check` reads what they write.
pub(crate) const TRIGGERS: &str = r"
CREATE SCHEMA monkey;

-- Events that were pruned, as they were.
CREATE TABLE monkey.pruned_events (id bigint, event_id text, status text, open_items integer);
CREATE FUNCTION monkey.event_goes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO monkey.pruned_events VALUES (OLD.id, OLD.event_id, OLD.status, OLD.open_items);
  RETURN OLD;
END $$;
CREATE TRIGGER monkey_event_goes AFTER DELETE ON tds_inbox_events FOR EACH ROW EXECUTE FUNCTION monkey.event_goes();

-- Dead letters, though they are retried or discarded later.
CREATE TABLE monkey.dead_letters (entity_type text, zoho_id text, error text, retry_count integer, at timestamptz);
CREATE FUNCTION monkey.dies() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO monkey.dead_letters
    VALUES (NEW.entity_type, NEW.zoho_entity_id, NEW.error_message, NEW.retry_count, clock_timestamp());
  RETURN NEW;
END $$;
CREATE TRIGGER monkey_dies AFTER UPDATE ON tds_queue_live FOR EACH ROW
  WHEN (OLD.dead_lettered_at IS NULL AND NEW.dead_lettered_at IS NOT NULL) EXECUTE FUNCTION monkey.dies();
CREATE TRIGGER monkey_is_dead AFTER INSERT ON tds_queue_live FOR EACH ROW
  WHEN (NEW.dead_lettered_at IS NOT NULL) EXECUTE FUNCTION monkey.dies();

-- Runs that failed, though they were resumed or pruned later.
CREATE TABLE monkey.failed_runs (id bigint, run_type text, entity_type text, error text);
CREATE FUNCTION monkey.run_fails() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO monkey.failed_runs VALUES (NEW.id, NEW.run_type, NEW.entity_type, NEW.error_log);
  RETURN NEW;
END $$;
CREATE TRIGGER monkey_run_fails AFTER UPDATE ON tds_sync_runs FOR EACH ROW
  WHEN (OLD.status <> 'failed' AND NEW.status = 'failed') EXECUTE FUNCTION monkey.run_fails();

-- Items that were taken into work though only cancelled runs wait for them: what is locked when a run is cancelled, or
-- left by a process that is killed meanwhile, is taken out within seconds.
CREATE TABLE monkey.in_vain (run_id bigint, item_id bigint, item text);
CREATE FUNCTION monkey.begins() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO monkey.in_vain
    SELECT r.id, NEW.id, to_jsonb(OLD)::text FROM tds_queue_waiters w JOIN tds_sync_runs r ON w.cause = 'run' AND w.cause_id = r.id
     WHERE w.item_id = NEW.id AND r.status = 'cancelled' AND r.completed_at < clock_timestamp() - interval '15 seconds'
       AND NOT EXISTS (SELECT FROM tds_queue_waiters o WHERE o.item_id = NEW.id AND o.cause <> 'run')
       AND NOT EXISTS (SELECT FROM tds_queue_waiters o JOIN tds_sync_runs alive ON alive.id = o.cause_id
                        WHERE o.item_id = NEW.id AND o.cause = 'run' AND alive.status <> 'cancelled');
  RETURN NEW;
END $$;
CREATE TRIGGER monkey_begins AFTER UPDATE ON tds_queue_live FOR EACH ROW
  WHEN (OLD.status <> 'processing' AND NEW.status = 'processing') EXECUTE FUNCTION monkey.begins();

-- Items that were alive and that an operator's DELETE of dead letters took.
CREATE TABLE monkey.taken (id bigint, entity_type text, zoho_id text, status text);
CREATE FUNCTION monkey.taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('application_name') = 'monkey-deletes' AND OLD.status <> 'dead_letter' THEN
    INSERT INTO monkey.taken VALUES (OLD.id, OLD.entity_type, OLD.zoho_entity_id, OLD.status);
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER monkey_taken AFTER DELETE ON tds_queue_live FOR EACH ROW EXECUTE FUNCTION monkey.taken();

-- Rows that became older.
CREATE TABLE monkey.went_back (entity text, zoho_id text, before timestamptz, after timestamptz);
CREATE FUNCTION monkey.goes_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO monkey.went_back VALUES (TG_TABLE_NAME, OLD.zoho_id, OLD.zoho_modified_at, NEW.zoho_modified_at);
  RETURN NEW;
END $$;
DO $$
DECLARE
  head text;
BEGIN
  FOR head IN SELECT table_name FROM information_schema.columns
    WHERE table_schema = 'erp' AND column_name = 'zoho_modified_at'
      AND table_name IN (SELECT table_name FROM information_schema.tables
                          WHERE table_schema = 'erp' AND table_type = 'BASE TABLE')
  LOOP
    EXECUTE format('CREATE TRIGGER monkey_goes_back AFTER UPDATE ON erp.%I FOR EACH ROW
      WHEN (NEW.zoho_modified_at < OLD.zoho_modified_at) EXECUTE FUNCTION monkey.goes_back()', head);
  END LOOP;
END $$;
";
