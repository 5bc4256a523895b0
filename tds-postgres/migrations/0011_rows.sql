-- What is known of a record beside its row in the mirror.

-- The columns that the list spells in another way than the whole record, separated by blanks: a full sync compares the
-- others with the mirror's row.
ALTER TABLE tds_sync_records ADD COLUMN list_spells text;

-- A delivery that comes again: whether others of its record came in between. `again` is its last place among all
-- deliveries, where that is not its id; `records` are those that it is about, where that is not just `entity_id`.
ALTER TABLE tds_inbox_events ADD COLUMN records text[], ADD COLUMN again bigint;
CREATE INDEX tds_inbox_again ON tds_inbox_events (again) WHERE again IS NOT NULL;
