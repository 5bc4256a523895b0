-- Fields that have no column of their own: those that an operator makes a column of, and those that TDS does not know.

-- The values of custom fields as the types of generated columns. A value that the type cannot hold is NULL, so that no
-- value keeps its row from being written.
--
-- A generated column stores the result of its function. If the text of a function changed, the stored values would stay
-- as they are. A function with another meaning therefore gets another name, and these functions are part of a migration
-- and not of a family in `sql/`. They call only functions of PostgreSQL that depend on no setting.

CREATE FUNCTION tds_custom_numeric(value text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN value ~ '^\s*[+-]?(\d{1,200}(\.\d{0,200})?|\.\d{1,200})([eE][+-]?\d{1,3})?\s*$' THEN value::numeric END
$$;

CREATE FUNCTION tds_custom_integer(value text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN value ~ '^\s*[+-]?\d{1,10}(\.0{0,20})?\s*$' THEN
    CASE WHEN value::numeric BETWEEN -2147483648 AND 2147483647 THEN value::numeric::integer END END
$$;

CREATE FUNCTION tds_custom_boolean(value text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN lower(btrim(value)) IN ('true', 't', 'yes', 'y', 'on', '1') THEN true
              WHEN lower(btrim(value)) IN ('false', 'f', 'no', 'n', 'off', '0') THEN false END
$$;

-- YYYY-MM-DD. Of a time, the date as it is written counts, because it is the day of the organization. A day that its
-- month does not have leads to another month.
CREATE FUNCTION tds_custom_date(value text) RETURNS date LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  p text[] := regexp_match(value, '^\s*(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?:[Tt ].*|\s*)$');
  day date;
BEGIN
  IF p IS NULL OR p[1] = '0000' THEN
    RETURN NULL;
  END IF;
  day := make_date(p[1]::integer, p[2]::integer, 1) + (p[3]::integer - 1);
  RETURN CASE WHEN date_part('month', day) = p[2]::integer THEN day END;
END
$$;

-- A time with an offset. Without an offset, the moment would be ambiguous.
CREATE FUNCTION tds_custom_timestamptz(value text) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  p text[] := regexp_match(value, '^\s*(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):([0-5]\d)'
    '(?::([0-5]\d(?:\.\d{1,9})?))?\s*(?:([Zz])|([+-])(0\d|1[0-5]):?([0-5]\d))\s*$');
  day date;
  ahead interval;
BEGIN
  IF p IS NULL OR p[1] = '0000' THEN
    RETURN NULL;
  END IF;
  day := make_date(p[1]::integer, p[2]::integer, 1) + (p[3]::integer - 1);
  IF date_part('month', day) <> p[2]::integer THEN
    RETURN NULL;
  END IF;
  ahead := CASE WHEN p[7] IS NULL THEN make_interval(hours => p[9]::integer, mins => p[10]::integer)
                ELSE make_interval() END;
  IF p[8] = '-' THEN
    ahead := -ahead;
  END IF;
  RETURN (day::timestamp + make_interval(hours => p[4]::integer, mins => p[5]::integer,
           secs => COALESCE(p[6], '0')::double precision) - ahead) AT TIME ZONE 'UTC';
END
$$;

-- Fields that the source sent and that no column takes, except those that are known to have no column. Each field is
-- one row. The values of the fields are in the column raw of the records.
CREATE TABLE tds_unknown_fields (
  entity_type text COLLATE "C" NOT NULL,
  path text COLLATE "C" NOT NULL, -- such as note_to_self, or line_items[].colour
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  occurrences bigint NOT NULL, -- the number of times that a record with the field was read
  PRIMARY KEY (entity_type, path)
);
