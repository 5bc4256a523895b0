-- Counts completed items by entity type. The count is a sum of changes: each statement that adds items to the archive
-- or takes items from it inserts its own rows, so that no transaction waits for the counter of another transaction.
-- Pruning adds the rows up.
CREATE OR REPLACE FUNCTION tds_queue_tally() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE TRIGGER tds_queue_tally_added AFTER INSERT ON tds_queue_done REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION tds_queue_tally();
CREATE OR REPLACE TRIGGER tds_queue_tally_gone AFTER DELETE ON tds_queue_done REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION tds_queue_tally();
CREATE OR REPLACE TRIGGER tds_queue_tally_emptied AFTER TRUNCATE ON tds_queue_done
  FOR EACH STATEMENT EXECUTE FUNCTION tds_queue_tally();
