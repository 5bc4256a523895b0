-- Runs that read a part of an entity type: records by their dates, or by their ids.

-- The selection, such as {"ids": ["460000000567114"]}. NULL: the run reads everything, or all changes.
ALTER TABLE tds_sync_runs ADD COLUMN selection jsonb;
