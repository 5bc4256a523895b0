-- The checks of money that compare sums over records: what parties owe, stock, and rates. See money.sql.

-- Open documents - unused credits - unapplied payments = what the contact says, for each contact.
--
-- A contact says two amounts, and their difference is compared, as of one moment. What the contact says is true from
-- the read that brought it (`balance_seen_at`) until the last complete list of contacts, which showed the same. What the
-- documents say is true from the last write of one of them until the last complete list of the documents began. Where
-- these two spans do not meet, the contact is in flight.
CREATE OR REPLACE FUNCTION tds_money_accounts(name text, contacts text, party text, documents text, credits text, payments text,
  unused text)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
  known_until timestamptz := (
    SELECT CASE WHEN bool_and(t.at IS NOT NULL) THEN min(t.at) END
      FROM (SELECT tds_money_known_until(e.name, true) AS at FROM unnest(ARRAY[documents, credits, payments]) AS e(name)) AS t);
  -- An incremental list does not show a balance that moved.
  listed_at timestamptz := tds_money_known_until(contacts, false);
  -- A document in a state in which it counts for nothing.
  counts text := 'd.deleted_at IS NULL AND lower(COALESCE(%s, '''')) NOT IN (''draft'', ''void'', ''pending_approval'', ''rejected'')';
BEGIN
  RETURN QUERY SELECT * FROM tds_money_report(name, format($sql$
    WITH move AS (
      SELECT d.%3$I AS party, d.currency_code, d.balance AS amount, format('%4$s %%s (%%s)', d.zoho_id, d.number) AS document
        FROM erp.%4$I AS d WHERE %8$s AND d.balance <> 0 AND d.%3$I IS NOT NULL
      UNION ALL
      SELECT d.%3$I, d.currency_code, -d.balance, format('%5$s %%s (%%s)', d.zoho_id, d.number)
        FROM erp.%5$I AS d WHERE %8$s AND d.balance <> 0 AND d.%3$I IS NOT NULL
      UNION ALL
      SELECT d.%3$I, d.currency_code, -d.%7$I, format('%6$s %%s (%%s)', d.zoho_id, d.number)
        FROM erp.%6$I AS d WHERE %9$s AND d.%7$I <> 0 AND d.%3$I IS NOT NULL),
    sums AS (
      SELECT m.party, sum(m.amount) AS amount, count(*) AS n, min(m.currency_code) AS currency,
             max(m.currency_code) <> min(m.currency_code) OR bool_or(m.currency_code IS NULL) AS mixed
        FROM move AS m GROUP BY m.party),
    -- When a document of the party was last written, whether it still counts or not.
    written AS (
      SELECT w.party, max(w.at) AS at FROM (
        SELECT d.%3$I AS party, d.synced_at AS at FROM erp.%4$I AS d UNION ALL
        SELECT d.%3$I, d.synced_at FROM erp.%5$I AS d UNION ALL
        SELECT d.%3$I, d.synced_at FROM erp.%6$I AS d) AS w GROUP BY w.party),
    compared AS (
      SELECT c.zoho_id AS id, c.name, c.currency_code, c.outstanding_amount AS outstanding, COALESCE(c.unused_credits, 0) AS unused,
             c.outstanding_amount - COALESCE(c.unused_credits, 0) AS stated, COALESCE(s.amount, 0) AS computed, COALESCE(s.n, 0) AS n,
             COALESCE(s.mixed OR s.currency <> c.currency_code, false) AS foreign_documents,
             c.balance_seen_at AS seen, w.at AS written, CASE jsonb_typeof(c.raw) WHEN 'object' THEN
               COALESCE(tds_money_number(c.raw ->> 'opening_balance_amount'), 0) <> 0 ELSE false END AS opening
        FROM erp.%2$I AS c LEFT JOIN sums AS s ON s.party = c.zoho_id LEFT JOIN written AS w ON w.party = c.zoho_id
       WHERE c.deleted_at IS NULL AND c.zoho_id IS NOT NULL
      UNION ALL
      SELECT s.party, NULL, s.currency, NULL, NULL, NULL, s.amount, s.n, s.mixed, NULL, NULL, false FROM sums AS s
       WHERE NOT EXISTS (SELECT FROM erp.%2$I AS c WHERE c.zoho_id = s.party AND c.deleted_at IS NULL)),
    judged AS (
      SELECT c.*, CASE
          WHEN c.foreign_documents THEN 'unknown'
          WHEN c.stated = c.computed THEN 'ok'
          WHEN c.stated IS NULL OR c.opening THEN 'unknown'
          WHEN c.seen IS NOT NULL AND (%10$L::timestamptz IS NULL OR m.at < c.seen OR c.written >= m.at) THEN 'in_flight'
          ELSE 'wrong' END AS verdict
        FROM compared AS c
       CROSS JOIN LATERAL (SELECT LEAST(GREATEST(c.seen, %11$L::timestamptz), %10$L::timestamptz) AS at) AS m)
    SELECT j.currency_code AS currency, NULL::text AS of_what, j.stated, j.computed, j.stated - j.computed AS off, j.verdict,
           CASE WHEN j.verdict <> 'ok' THEN format('%2$s %%s (%%s): %%s', j.id, j.name, CASE
             WHEN j.foreign_documents THEN 'documents in another currency than that of the contact'
             WHEN j.opening THEN 'the contact has an opening balance'
             WHEN j.stated IS NULL THEN format('documents add up to %%s, and the contact states no amount', tds_money_text(j.computed, 2))
             ELSE format('the contact says %%s (outstanding %%s, unused credits %%s), %%s documents add up to %%s%%s',
               tds_money_text(j.stated, 2), tds_money_text(j.outstanding, 2), tds_money_text(j.unused, 2), j.n,
               tds_money_text(j.computed, 2), (
                 SELECT ': ' || string_agg(x.says, ', ' ORDER BY x.place) || CASE WHEN j.n > 10 THEN ', ...' ELSE '' END
                   FROM (SELECT format('%%s %%s', m.document, tds_money_text(m.amount, 2)) AS says,
                                row_number() OVER (ORDER BY abs(m.amount) DESC, m.document) AS place
                           FROM move AS m WHERE m.party = j.id AND j.verdict = 'wrong') AS x
                  WHERE x.place <= 10)) END) END AS example
      FROM judged AS j
     WHERE j.stated <> 0 OR j.computed <> 0 OR j.verdict <> 'unknown'$sql$,
    name, contacts, party, documents, credits, payments, unused, format(counts, 'd.status'),
    format(counts, CASE WHEN tds_has_columns(to_regclass(format('erp.%I', payments)), '{status}') THEN 'd.status' ELSE 'NULL::text' END),
    known_until, listed_at));
END
$$;

-- The stock of all locations adds up to the stock of the item, in each of the four numbers.
CREATE OR REPLACE FUNCTION tds_money_stock()
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT * FROM tds_money_report('stock_locations', $sql$
    WITH level AS (
      SELECT l.product_zoho_id AS id, n.name, l.location_zoho_id = '' AS is_total, n.value
        FROM erp.stock_levels AS l CROSS JOIN LATERAL (VALUES ('stock_on_hand', l.stock_on_hand),
          ('available_stock', l.available_stock), ('actual_available_stock', l.actual_available_stock),
          ('committed_stock', l.committed_stock)) AS n(name, value)),
    item AS (
      SELECT l.id, l.name, max(l.value) FILTER (WHERE l.is_total) AS stated, sum(l.value) FILTER (WHERE NOT l.is_total) AS computed,
             bool_or(l.value IS NULL AND NOT l.is_total) AS incomplete
        FROM level AS l GROUP BY l.id, l.name
      -- Without locations there is nothing to add up.
      HAVING count(*) FILTER (WHERE NOT l.is_total) > 0)
    SELECT NULL::text AS currency, i.name AS of_what, i.stated, i.computed, i.stated - i.computed AS off,
           CASE WHEN i.stated = i.computed AND NOT i.incomplete THEN 'ok'
                WHEN i.stated IS NULL OR i.computed IS NULL OR i.incomplete THEN 'unknown' ELSE 'wrong' END AS verdict,
           format('stock %s (%s): locations add up to %s, %s of the item is %s', i.id,
             (SELECT p.name FROM erp.products AS p WHERE p.zoho_id = i.id), COALESCE(trim_scale(i.computed)::text, 'nothing'), i.name,
             COALESCE(trim_scale(i.stated)::text, 'not known')) AS example
      FROM item AS i$sql$);
END
$$;

-- Every document has a rate: 1 in the base currency, and otherwise one inside a band around what the rate of its month
-- was. `factor` is the width of the band: 2 means from half of it to twice of it.
--
-- The rate of a month is the median of its documents, if it has three or more. The rates of the currency correct a month
-- in which most documents are wrong, and stand in for a month with few documents.
CREATE OR REPLACE FUNCTION tds_money_rates(entities text[], factor numeric)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
  base text := COALESCE((SELECT NULLIF(o.currency_code, '') FROM erp.organization AS o LIMIT 1),
    (SELECT c.code FROM erp.currencies AS c WHERE c.is_base_currency AND c.deleted_at IS NULL LIMIT 1));
  documents text := (
    SELECT string_agg(format($sql$
      SELECT %1$L::text AS entity, h.zoho_id AS id, %2$s AS number, h.date, h.currency_code, h.exchange_rate AS rate,
             %3$s AS total FROM erp.%1$I AS h
       WHERE h.deleted_at IS NULL AND h.zoho_id IS NOT NULL AND lower(COALESCE(%4$s, '')) <> 'void'$sql$,
             e.name, tds_money_column(e.name, 'number', 'text'),
             CASE WHEN tds_has_columns(to_regclass(format('erp.%I', e.name)), '{total}') THEN 'h.total' ELSE 'h.amount' END,
             tds_money_column(e.name, 'status', 'text')), ' UNION ALL ')
      FROM unnest(entities) AS e(name));
BEGIN
  IF base IS NULL OR documents IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT * FROM tds_money_report('rates', format($sql$
    WITH document AS MATERIALIZED (
      SELECT d.*, date_trunc('month', d.date::timestamp)::date AS month FROM (%1$s) AS d WHERE d.currency_code IS NOT NULL),
    month AS (
      SELECT d.currency_code, d.month, count(*) AS n, percentile_disc(0.5) WITHIN GROUP (ORDER BY d.rate) AS median
        FROM document AS d WHERE d.currency_code <> %2$L AND d.rate > 0 GROUP BY d.currency_code, d.month),
    listed AS (
      SELECT r.currency_code, r.effective_date AS day, r.rate FROM erp.exchange_rates AS r WHERE r.rate > 0
      UNION ALL
      SELECT c.code, COALESCE(c.effective_date, current_date), c.exchange_rate FROM erp.currencies AS c
       WHERE c.exchange_rate > 0 AND c.deleted_at IS NULL),
    expected AS MATERIALIZED (
      SELECT e.currency_code, e.month, l.rate AS listed, CASE
          WHEN m.n >= 3 AND (l.rate IS NULL OR m.median BETWEEN l.rate / %3$L::numeric AND l.rate * %3$L::numeric) THEN m.median
          ELSE COALESCE(l.rate, near.median) END AS rate
        FROM (SELECT DISTINCT d.currency_code, d.month FROM document AS d WHERE d.currency_code <> %2$L) AS e
        LEFT JOIN month AS m ON m.currency_code = e.currency_code AND m.month = e.month
        -- A rate of another season says nothing about this month.
        LEFT JOIN LATERAL (SELECT r.rate FROM listed AS r
                            WHERE r.currency_code = e.currency_code AND abs(r.day - (e.month + 14)) <= 100
                            ORDER BY abs(r.day - (e.month + 14)) LIMIT 1) AS l ON true
        LEFT JOIN LATERAL (SELECT o.median FROM month AS o
                            WHERE o.currency_code = e.currency_code AND o.n >= 3 AND abs(o.month - e.month) <= 100
                            ORDER BY abs(o.month - e.month) LIMIT 1) AS near ON true),
    judged AS (
      SELECT d.*, CASE WHEN d.currency_code = %2$L THEN 1 ELSE e.rate END AS expected, CASE
          WHEN d.currency_code = %2$L THEN CASE WHEN COALESCE(d.rate, 1) = 1 THEN 'ok' ELSE 'wrong' END
          WHEN d.rate IS NULL THEN 'missing'
          WHEN d.rate <= 0 THEN 'wrong'
          WHEN d.rate = 1 THEN CASE WHEN e.listed = 1 THEN 'ok' ELSE 'wrong' END
          WHEN d.date IS NULL OR e.rate IS NULL THEN 'unknown'
          WHEN d.rate BETWEEN e.rate / %3$L::numeric AND e.rate * %3$L::numeric THEN 'ok'
          ELSE 'wrong' END AS verdict
        FROM document AS d LEFT JOIN expected AS e ON e.currency_code = d.currency_code AND e.month = d.month),
    settled AS (
      SELECT j.*, CASE
          WHEN j.verdict <> 'missing' THEN j.verdict
          -- The list of some documents shows no rate, and the detail of some does not either.
          WHEN s.zoho_id IS NOT NULL AND s.detail_seen IS NULL THEN 'in_flight'
          WHEN s.zoho_id IS NOT NULL AND NOT tds_money_shows(j.entity, j.id, 'exchange_rate') THEN 'unknown'
          ELSE 'wrong' END AS settled
        FROM judged AS j LEFT JOIN tds_sync_records AS s
          ON j.verdict = 'missing' AND s.entity_type = j.entity AND s.zoho_id = j.id)
    SELECT j.currency_code AS currency, NULL::text AS of_what, 0::numeric AS stated, 0::numeric AS computed,
           -- How much the amount in the base currency is off.
           GREATEST(round(abs(COALESCE(j.total, 0) * (COALESCE(j.rate, 0) - COALESCE(j.expected, j.rate, 0))), 2), 0.01) AS off,
           j.settled AS verdict,
           CASE WHEN j.settled <> 'ok' THEN format('%%s %%s (%%s) of %%s: rate %%s, expected about %%s', j.entity, j.id, j.number, j.date,
             COALESCE(trim_scale(j.rate)::text, 'is missing'), COALESCE(trim_scale(round(j.expected, 9))::text, 'an unknown rate')) END AS example
      FROM settled AS j$sql$, documents, base, factor));
END
$$;

-- Returns whether the source sent a key of a record.
CREATE OR REPLACE FUNCTION tds_money_shows(entity text, id text, key text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  shown boolean;
BEGIN
  EXECUTE format('SELECT h.raw ? $2 FROM erp.%I AS h WHERE h.zoho_id = $1', entity) INTO shown USING id, key;
  RETURN COALESCE(shown, true);
END
$$;
