-- What TDS measures about itself over days and weeks.

-- How long the program's own answers took: one row for each hour and kind of answer, for all processes together.
CREATE TABLE tds_answer_times (
  hour timestamptz NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('webhook', 'api')),
  answers bigint NOT NULL,
  faults bigint NOT NULL, -- answers that report a fault of TDS (5xx)
  seconds double precision NOT NULL,
  -- The number of answers that took at most 5, 10, 25, 50, 100, 200, 500, 1000, 2500 and 10000 ms, and longer.
  classes bigint[] NOT NULL CHECK (cardinality(classes) = 11),
  PRIMARY KEY (hour, kind)
) WITH (fillfactor = 70);

-- The changes of a day (UTC) and the deliveries that announced them. A day that is compared has a row for each entity
-- type with webhooks.
CREATE TABLE tds_webhook_coverage (
  day date NOT NULL,
  entity_type text COLLATE "C" NOT NULL,
  changes bigint NOT NULL,
  delivered bigint NOT NULL,
  late_p50 double precision, -- seconds from the change to the delivery
  late_p99 double precision,
  PRIMARY KEY (day, entity_type)
);

-- Looks at Zoho's own history of deliveries.
CREATE TABLE tds_webhook_histories (
  checked_at timestamptz PRIMARY KEY,
  answered boolean NOT NULL, -- false: Zoho did not show its history, and nothing is known
  detail text NOT NULL,
  calls bigint NOT NULL,
  failed bigint NOT NULL,
  read_again bigint NOT NULL
);

-- The sizes of the tables, once a day. The name '' stands for the whole database.
CREATE TABLE tds_table_sizes (
  day date NOT NULL,
  name text COLLATE "C" NOT NULL,
  rows_estimate bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (day, name)
);

-- Work that one process does once a day: the last day on which it was taken.
CREATE TABLE tds_daily (
  name text COLLATE "C" PRIMARY KEY,
  day date NOT NULL
);
