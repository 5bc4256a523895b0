-- Functions that combine the work and the outcomes of one record.

-- Returns which payload survives a fold: 2 for the incoming payload, 1 for the waiting payload (nothing is new), 0 for
-- neither payload (the record is read from the source).
CREATE OR REPLACE FUNCTION tds_fold(
  old_payload text, old_version timestamptz, old_shape text, old_ended timestamptz,
  new_payload text, new_version timestamptz, new_shape text, new_pushed boolean, new_began timestamptz
) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN old_payload IS NULL OR new_payload IS NULL OR old_version IS NULL OR new_version IS NULL THEN 0
    WHEN new_version > old_version THEN 2
    WHEN new_version = old_version THEN CASE WHEN new_payload = old_payload AND new_shape = old_shape THEN 1 ELSE 0 END
    WHEN NOT new_pushed AND new_began > old_ended THEN 0
    ELSE 1
  END
$$;

-- Returns the better of two outcomes. An event with several items shows their best outcome. The program uses the same
-- order.
CREATE OR REPLACE FUNCTION tds_better_outcome(one text, other text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (/* part: outcomes */)[LEAST(
    array_position(/* part: outcomes */, one),
    array_position(/* part: outcomes */, other))]
$$;
