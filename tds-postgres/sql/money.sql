-- The checks of money: rules that the rows of the mirror have to keep, and sums that have to agree.
--
-- No check calls the source. Each check judges records one by one: `ok`, `wrong`, `unknown` (the rule that the source
-- applies cannot be known from what it sends) or `in_flight` (the values were read at different times). It returns one
-- row for each currency. A difference never cancels another one: `difference` adds the amounts without their signs.
--
-- Amounts are exact. An amount is wrong if it differs by more than half a unit of the document's last place for each
-- line. Most documents add up exactly; only for the others is `raw` read, because it is large.
--
-- docs/operations/money.md describes each check.

-- Returns a decimal of a text of the source; NULL where the text is no plain number.
CREATE OR REPLACE FUNCTION tds_money_number(value text) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN value ~ '^\s*-?[0-9]+(\.[0-9]+)?\s*$' THEN value::numeric END
$$;

-- Returns the amount that a discount takes from an amount: `5%`, or the amount itself. NULL where it is neither.
CREATE OR REPLACE FUNCTION tds_money_discount(discount text, amount numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN discount IS NULL OR discount !~ '[1-9]' THEN 0
              WHEN discount ~ '%\s*$' THEN tds_money_number(rtrim(discount, ' %')) / 100 * amount
              ELSE tds_money_number(discount) END
$$;

-- Writes an amount with two digits, with those of its currency if they are more, or with its own if they are more.
CREATE OR REPLACE FUNCTION tds_money_text(amount numeric, digits int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT round(amount, LEAST(GREATEST(digits, min_scale(amount)), 12))::text
$$;

-- Judges the records that `body` selects as (currency, of_what, stated, computed, off, verdict, example): what the
-- source states, what the rows add up to, how much is off, the verdict, and a sentence about the record.
CREATE OR REPLACE FUNCTION tds_money_report(name text, body text)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY EXECUTE format($sql$
    WITH r AS MATERIALIZED (%s),
    g AS (
      SELECT r.currency, r.of_what, count(*) AS records,
             COALESCE(sum(r.stated) FILTER (WHERE r.verdict IN ('ok', 'wrong')), 0) AS stated,
             COALESCE(sum(CASE r.verdict WHEN 'ok' THEN r.stated WHEN 'wrong' THEN r.computed END), 0) AS computed,
             COALESCE(sum(abs(r.off)) FILTER (WHERE r.verdict = 'wrong'), 0) AS off,
             count(*) FILTER (WHERE r.verdict = 'wrong') AS wrong,
             count(*) FILTER (WHERE r.verdict = 'unknown') AS unknown,
             count(*) FILTER (WHERE r.verdict = 'in_flight') AS moving,
             min(r.example) FILTER (WHERE r.verdict = 'unknown') AS unknown_one,
             (array_agg(r.example ORDER BY abs(r.off) DESC NULLS LAST, r.example) FILTER (WHERE r.verdict = 'wrong'))[1:20]
               AS worst
        FROM r GROUP BY r.currency, r.of_what)
    SELECT %L::text, g.currency, g.of_what, tds_money_text(g.stated, d.digits), tds_money_text(g.computed, d.digits),
           tds_money_text(g.off, d.digits), g.wrong = 0, g.moving,
           COALESCE(g.worst, '{}') || CASE WHEN g.unknown > 0 THEN ARRAY[format(
             'unknown: %%s of %%s records, such as %%s', g.unknown, g.records, g.unknown_one)] ELSE '{}' END
      FROM g CROSS JOIN LATERAL (
        SELECT GREATEST((SELECT max(c.price_precision) FROM erp.currencies AS c
                          WHERE c.code = g.currency AND c.deleted_at IS NULL), 2) AS digits) AS d
     ORDER BY g.of_what, g.currency$sql$, body, name);
EXCEPTION
  -- The operator has tables of their own in the place of those of TDS.
  WHEN undefined_table OR undefined_column OR undefined_function OR insufficient_privilege OR datatype_mismatch THEN
    check_name := name; difference := '0.00'; holds := true; in_flight := 0;
    examples := ARRAY['unknown: the check cannot be made: ' || SQLERRM];
    RETURN NEXT;
END
$$;

-- Returns an expression for a column, or for NULL where the table of the entity type does not have the column.
CREATE OR REPLACE FUNCTION tds_money_column(entity text, name text, kind text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN tds_has_columns(to_regclass(format('erp.%I', entity)), ARRAY[name]) THEN format('h.%I', name)
              ELSE format('NULL::%s', kind) END
$$;

-- Lines + tax + shipping + adjustment - discount = total.
--
-- `lines` has one row for each document: the number of lines, what they add up to, and whether each of them is exactly
-- its quantity times its rate less its discount. A document that adds up exactly is right, whatever else `raw` says.
CREATE OR REPLACE FUNCTION tds_money_documents(entity text, line_table text)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT * FROM tds_money_report('documents', format($sql$
    WITH line AS (
      SELECT l.document_zoho_id AS id, l.position, l.total, l.quantity, l.rate, l.quantity * l.rate AS amount,
             COALESCE(NULLIF(l.discount_amount, 0), CASE WHEN l.discount ~ '[1-9]'
               THEN tds_money_discount(l.discount, l.quantity * l.rate) ELSE 0 END) AS off,
             COALESCE(l.tax_percentage, 0) AS tax
        FROM erp.%2$I AS l
       -- A heading between the lines has no amount.
       WHERE l.total IS NOT NULL OR l.rate IS NOT NULL),
    lines AS (
      SELECT l.id, count(*) AS n, sum(COALESCE(l.total, l.amount - l.off)) AS base,
             bool_and(COALESCE(l.total = l.amount - l.off, l.total IS NULL AND l.amount IS NOT NULL)) AS exact
        FROM line AS l GROUP BY l.id),
    head AS MATERIALIZED (
      SELECT h.zoho_id AS id, h.number, h.currency_code, h.total, COALESCE(h.tax_total, 0) AS tax, h.tax_total IS NULL AS no_tax,
             %3$s AS discount, COALESCE(%4$s, 0) AS shipping, COALESCE(%5$s, 0) AS adjustment,
             COALESCE(l.n, 0) AS n, COALESCE(l.base, 0) AS base, COALESCE(l.exact, false) AS exact
        FROM erp.%1$I AS h LEFT JOIN lines AS l ON l.id = h.zoho_id
       WHERE h.deleted_at IS NULL AND h.zoho_id IS NOT NULL),
    judged AS (
      SELECT h.*, COALESCE(h.exact AND COALESCE(h.discount, '') !~ '[1-9]'
               AND h.base + h.tax + h.shipping + h.adjustment = h.total, false) AS adds_up
        FROM head AS h),
    odd AS MATERIALIZED (
      SELECT j.*, k.precision, k.half, k.inclusive, k.entity_level, k.roundoff, k.tds, k.shipping_net, k.stated_discount,
             k.before_tax, k.reverse, k.no_raw, k.shows_no_lines, k.moving
        FROM judged AS j JOIN erp.%1$I AS h ON h.zoho_id = j.id
        LEFT JOIN tds_sync_records AS s ON s.entity_type = %1$L AND s.zoho_id = j.id
        CROSS JOIN LATERAL jsonb_to_record(CASE jsonb_typeof(h.raw) WHEN 'object' THEN h.raw ELSE '{}' END) AS r(
          price_precision text, is_inclusive_tax text, discount_type text, is_discount_before_tax text,
          discount_total text, discount_amount text, roundoff_value text, tds_amount text,
          shipping_charge_exclusive_of_tax text, is_reverse_charge_applied text, reverse_charge_tax_total text,
          reverse_charge_vat_total text, line_items jsonb)
        LEFT JOIN LATERAL (SELECT max(c.price_precision) AS digits FROM erp.currencies AS c
                            WHERE c.code = j.currency_code AND c.deleted_at IS NULL) AS c ON true
        CROSS JOIN LATERAL (SELECT GREATEST(LEAST(COALESCE(tds_money_number(r.price_precision)::int, c.digits, 2),
            COALESCE(c.digits, tds_money_number(r.price_precision)::int, 2)), min_scale(j.total), 0) AS precision) AS p
        CROSS JOIN LATERAL (SELECT p.precision, 0.5 * power(10::numeric, -p.precision) AS half,
            COALESCE(r.is_inclusive_tax = 'true', false) AND j.tax <> 0 AS inclusive,
            COALESCE(NULLIF(r.discount_type, ''), '') AS entity_level,
            COALESCE(tds_money_number(r.roundoff_value), 0) AS roundoff,
            COALESCE(tds_money_number(r.tds_amount), 0) AS tds,
            COALESCE(tds_money_number(r.shipping_charge_exclusive_of_tax), j.shipping) AS shipping_net,
            COALESCE(NULLIF(tds_money_number(r.discount_total), 0), NULLIF(tds_money_number(r.discount_amount), 0))
              AS stated_discount,
            COALESCE(r.is_discount_before_tax = 'true', true) AS before_tax,
            COALESCE(r.is_reverse_charge_applied = 'true', false) OR COALESCE(tds_money_number(r.reverse_charge_tax_total), 0) <> 0
              OR COALESCE(tds_money_number(r.reverse_charge_vat_total), 0) <> 0 AS reverse,
            h.raw IS NULL AS no_raw,
            jsonb_typeof(r.line_items) = 'array' AND r.line_items = '[]' AS shows_no_lines,
            -- A list row brought a newer total than the lines that a detail brought.
            s.zoho_id IS NOT NULL AND (s.detail_seen IS NULL OR s.version > s.detail_version) AS moving) AS k
       WHERE NOT j.adds_up),
    odd_lines AS (
      SELECT o.id, count(*) FILTER (WHERE l.off <> 0) AS discounted,
             count(*) FILTER (WHERE l.total IS NULL AND l.amount IS NULL OR l.off IS NULL) AS unknown,
             count(*) FILTER (WHERE l.tax <> 0) AS taxed,
             -- Discounts that the totals of their lines do not contain.
             COALESCE(sum(l.off) FILTER (WHERE abs(l.total - l.amount) <= o.half AND l.off <> 0), 0) AS left_off,
             min(CASE WHEN COALESCE(NOT (abs(l.total - (l.amount - l.off)) <= o.half OR abs(l.total - l.amount) <= o.half AND l.off <> 0
                   OR o.inclusive AND l.tax <> 0 AND LEAST(abs(l.total - (l.amount - l.off) / (1 + l.tax / 100)),
                        abs(l.total - l.amount / (1 + l.tax / 100))) <= o.half), false)
                 THEN format('line %%s is %%s, and not %%s x %%s%%s', l.position, trim_scale(l.total), trim_scale(l.quantity),
                   trim_scale(l.rate), CASE WHEN l.off <> 0 THEN format(' - %%s', trim_scale(l.off)) ELSE '' END) END) AS fault
        FROM odd AS o JOIN line AS l ON l.id = o.id GROUP BY o.id),
    computed AS (
      SELECT o.*, COALESCE(l.discounted, 0) AS discounted, COALESCE(l.unknown, 0) AS unknown, COALESCE(l.taxed, 0) AS taxed, l.fault,
             d.off, d.off IS NULL AS no_discount,
             o.base - COALESCE(d.off, 0) + o.tax + o.shipping + o.adjustment + o.roundoff AS net,
             o.half * (GREATEST(o.n, 1) + CASE WHEN o.discount ~ '%%' THEN 1 ELSE 0 END) AS tolerance
        FROM odd AS o LEFT JOIN odd_lines AS l ON l.id = o.id
        CROSS JOIN LATERAL (SELECT CASE
            WHEN o.entity_level = 'item_level' OR o.entity_level = '' AND COALESCE(l.discounted, 0) > 0 THEN COALESCE(l.left_off, 0)
            WHEN COALESCE(o.discount, '') !~ '[1-9]' THEN 0
            ELSE COALESCE(o.stated_discount,
              tds_money_discount(o.discount, o.base + CASE WHEN o.before_tax THEN 0 ELSE o.tax END)) END AS off) AS d),
    settled AS (
      SELECT c.*, abs(c.total - c.net) <= c.tolerance
               OR c.inclusive AND LEAST(abs(c.total - (c.net - c.tax)), abs(c.total - (c.net - c.shipping + c.shipping_net))) <= c.tolerance
               OR c.tds <> 0 AND abs(c.total - (c.net - c.tds)) <= c.tolerance AS fits,
             CASE WHEN c.total IS NULL THEN 'it has no total'
                  WHEN c.reverse THEN 'reverse charge'
                  WHEN c.tds <> 0 THEN 'tax deducted at source'
                  WHEN c.inclusive AND c.off <> 0 THEN 'a discount on prices that include the tax'
                  WHEN c.no_discount THEN 'a discount that is neither an amount nor a percentage'
                  WHEN c.entity_level = '' AND c.discounted > 0 AND c.discount ~ '[1-9]' THEN 'discounts of lines and of the document'
                  WHEN c.no_tax AND c.taxed > 0 THEN 'a tax without an amount'
                  WHEN c.unknown > 0 THEN 'a line without an amount'
                  WHEN c.n = 0 AND (c.no_raw OR c.shows_no_lines) THEN 'it has no lines' END AS reason
        FROM computed AS c)
    SELECT j.currency_code AS currency, %1$L::text AS of_what, j.total AS stated, j.total AS computed, 0::numeric AS off,
           'ok' AS verdict, NULL::text AS example
      FROM judged AS j WHERE j.adds_up
    UNION ALL
    SELECT s.currency_code, %1$L, s.total, s.net, CASE WHEN COALESCE(s.fits, false) THEN s.half * 2 ELSE s.total - s.net END,
           CASE WHEN s.fits AND s.fault IS NULL THEN 'ok' WHEN s.moving THEN 'in_flight' WHEN s.reason IS NOT NULL THEN 'unknown'
                ELSE 'wrong' END,
           format('%1$s %%s (%%s): %%s', s.id, s.number, CASE WHEN s.reason IS NOT NULL THEN s.reason ELSE
             concat_ws('; ', s.fault, CASE WHEN NOT COALESCE(s.fits, false) THEN format('%%s lines add up to %%s%%s, total is %%s',
               s.n, tds_money_text(s.base, s.precision),
               concat(CASE WHEN s.tax <> 0 THEN ', tax ' || tds_money_text(s.tax, s.precision) END,
                 CASE WHEN s.shipping <> 0 THEN ', shipping ' || tds_money_text(s.shipping, s.precision) END,
                 CASE WHEN s.adjustment <> 0 THEN ', adjustment ' || tds_money_text(s.adjustment, s.precision) END,
                 CASE WHEN s.off <> 0 THEN ', discount ' || tds_money_text(s.off, s.precision) END),
               tds_money_text(s.total, s.precision)) END) END)
      FROM settled AS s$sql$,
    entity, line_table, tds_money_column(entity, 'discount', 'text'), tds_money_column(entity, 'shipping_charge', 'numeric'),
    tds_money_column(entity, 'adjustment', 'numeric')));
END
$$;
