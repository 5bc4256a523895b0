-- The checks of money that are about payments and credits. See money.sql.

-- Total - payments - credits = balance.
--
-- Payments and credits change a balance without a new version of the document, and the credits are only in `raw`, which
-- is as old as the last version. A document whose balance is newer than `raw` is `unknown`, unless it adds up.
CREATE OR REPLACE FUNCTION tds_money_balances(entity text)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
  paid text := tds_money_column(entity, 'payment_made', 'numeric');
  -- What else reduces the balance: the name of the amount of credits, and the names of other amounts.
  credits text := CASE entity WHEN 'invoices' THEN 'credits_applied' WHEN 'bills' THEN 'vendor_credits_applied'
                              ELSE 'total_credits_used' END;
  others text[] := CASE entity WHEN 'invoices' THEN '{tax_amount_withheld,write_off_amount}'
                               WHEN 'bills' THEN '{tax_amount_withheld}' ELSE '{total_refunded_amount}' END;
BEGIN
  RETURN QUERY SELECT * FROM tds_money_report('balances', format($sql$
    WITH head AS MATERIALIZED (
      SELECT h.zoho_id AS id, h.number, h.currency_code, h.total, h.balance, COALESCE(%2$s, 0) AS paid,
             COALESCE(h.total - COALESCE(%2$s, 0) = h.balance, false) AS adds_up
        FROM erp.%1$I AS h
       -- A void document keeps its total, and owes nothing.
       WHERE h.deleted_at IS NULL AND h.zoho_id IS NOT NULL AND lower(COALESCE(h.status, '')) <> 'void'),
    odd AS (
      SELECT j.*, k.*, j.total - j.paid - COALESCE(k.credits, 0) - k.others AS rest
        FROM head AS j JOIN erp.%1$I AS h ON h.zoho_id = j.id
        LEFT JOIN tds_sync_records AS s ON s.entity_type = %1$L AND s.zoho_id = j.id
        CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(h.raw) WHEN 'object' THEN h.raw ELSE '{}' END AS doc OFFSET 0) AS r
        CROSS JOIN LATERAL (SELECT COALESCE(tds_money_number(r.doc ->> %3$L), %5$s) AS credits,
            (SELECT COALESCE(sum(tds_money_number(r.doc ->> o.name)), 0) FROM unnest(%4$L::text[]) AS o(name)) AS others,
            -- A credit note need not show what was refunded of it.
            %1$L = 'credit_notes' AND NOT r.doc ? 'total_refunded_amount' AS no_refunds,
            tds_money_number(r.doc ->> 'balance') IS DISTINCT FROM j.balance
              OR r.doc ? 'payment_made' AND tds_money_number(r.doc ->> 'payment_made') IS DISTINCT FROM j.paid AS newer,
            s.zoho_id IS NOT NULL AND (s.detail_seen IS NULL OR s.version > s.detail_version) AS moving) AS k
       WHERE NOT j.adds_up)
    SELECT j.currency_code AS currency, %1$L::text AS of_what, j.balance AS stated, j.balance AS computed, 0::numeric AS off,
           'ok' AS verdict, NULL::text AS example
      FROM head AS j WHERE j.adds_up
    UNION ALL
    SELECT o.currency_code, %1$L, o.balance, o.rest, o.balance - o.rest,
           CASE WHEN o.rest = o.balance THEN 'ok' WHEN o.moving THEN 'in_flight'
                WHEN o.rest IS NULL OR o.balance IS NULL OR o.credits IS NULL OR o.newer OR o.no_refunds THEN 'unknown' ELSE 'wrong' END,
           format('%1$s %%s (%%s): %%s', o.id, o.number, CASE
             WHEN o.total IS NULL OR o.balance IS NULL THEN 'it has no total or no balance'
             WHEN o.credits IS NULL THEN 'the credits that were used are not known'
             WHEN o.newer THEN 'the balance is newer than the credits'
             WHEN o.no_refunds AND o.rest <> o.balance THEN 'refunds are not known'
             ELSE format('total %%s less payments %%s, credits %%s and other amounts %%s is %%s, balance is %%s',
               tds_money_text(o.total, 2), tds_money_text(o.paid, 2), tds_money_text(o.credits, 2), tds_money_text(o.others, 2),
               tds_money_text(o.rest, 2), tds_money_text(o.balance, 2)) END)
      FROM odd AS o$sql$, entity, paid, credits, others,
    -- A credit note shows the invoices that it was used for.
    CASE entity WHEN 'credit_notes' THEN $sql$(
      SELECT COALESCE(sum(COALESCE(tds_money_number(i ->> 'amount'), tds_money_number(i ->> 'credited_amount'))), 0)
        FROM jsonb_array_elements(CASE jsonb_typeof(r.doc -> 'invoices') WHEN 'array' THEN r.doc -> 'invoices' ELSE '[]' END
          || CASE jsonb_typeof(r.doc -> 'invoices_credited') WHEN 'array' THEN r.doc -> 'invoices_credited' ELSE '[]' END) AS i
      HAVING jsonb_typeof(r.doc -> 'invoices') = 'array' OR jsonb_typeof(r.doc -> 'invoices_credited') = 'array')$sql$
      ELSE 'NULL' END));
END
$$;

-- When the last complete list of an entity type, or of its changes, began: everything that was changed before is known.
CREATE OR REPLACE FUNCTION tds_money_known_until(entity text, or_changes boolean) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT max(r.started_at) FROM tds_sync_runs AS r
   WHERE r.entity_type = entity AND (r.run_type IN ('full', 'verify') OR or_changes AND r.run_type = 'incremental') AND r.selection IS NULL
     AND (r.status IN ('completed', 'completed_with_errors') OR r.run_type = 'verify' AND r.listing_done)
$$;

-- The payments of each document add up to what the document says was paid, and to no more than its total.
CREATE OR REPLACE FUNCTION tds_money_paid(entity text, payments text, allocations text)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
  known_until timestamptz := tds_money_known_until(payments, true);
  -- A selection leaves out payments, and then less was paid than the document says.
  is_part boolean := EXISTS (SELECT FROM tds_sync_runs AS r WHERE r.entity_type = payments AND r.selection IS NOT NULL)
    AND NOT EXISTS (SELECT FROM tds_sync_runs AS r WHERE r.entity_type = payments AND r.run_type = 'full'
                       AND r.selection IS NULL AND r.status IN ('completed', 'completed_with_errors'));
BEGIN
  RETURN QUERY SELECT * FROM tds_money_report('payments', format($sql$
    WITH share AS (
      SELECT a.document_zoho_id AS id, sum(a.amount_applied) AS amount, max(p.synced_at) AS changed,
             bool_or(a.amount_applied IS NULL) AS incomplete,
             string_agg(DISTINCT p.currency_code, ',') AS currencies,
             array_agg(format('%2$s %%s %%s', p.zoho_id, tds_money_text(a.amount_applied, 2)) ORDER BY p.zoho_id) AS names
        FROM erp.%3$I AS a JOIN erp.%2$I AS p ON p.zoho_id = a.payment_zoho_id AND p.deleted_at IS NULL
       WHERE a.document_zoho_id IS NOT NULL AND lower(COALESCE(%6$s, '')) NOT IN ('void', 'failure')
       GROUP BY a.document_zoho_id),
    head AS (
      SELECT h.zoho_id AS id, h.number, h.currency_code, h.total, h.synced_at, COALESCE(h.payment_made, 0) AS paid,
             COALESCE(x.amount, 0) AS amount, x.changed, x.incomplete, x.currencies, x.names,
             COALESCE(h.payment_made, 0) = COALESCE(x.amount, 0) AND COALESCE(x.amount, 0) <= h.total AS adds_up
        FROM erp.%1$I AS h LEFT JOIN share AS x ON x.id = h.zoho_id
       WHERE h.deleted_at IS NULL AND h.zoho_id IS NOT NULL AND lower(COALESCE(h.status, '')) <> 'void')
    SELECT j.currency_code AS currency, %1$L::text AS of_what, j.paid AS stated, j.amount AS computed, j.paid - j.amount AS off,
           CASE WHEN j.adds_up THEN 'ok'
                WHEN j.incomplete OR j.currencies <> j.currency_code OR j.total IS NULL OR %5$L::boolean AND j.amount < j.paid THEN 'unknown'
                WHEN s.zoho_id IS NOT NULL AND (s.detail_seen IS NULL OR s.version > s.detail_version OR j.changed > s.detail_seen)
                  THEN 'in_flight'
                WHEN j.amount < j.paid AND j.synced_at IS NOT NULL AND COALESCE(%4$L::timestamptz <= j.synced_at, true) THEN 'in_flight'
                ELSE 'wrong' END AS verdict,
           CASE WHEN NOT COALESCE(j.adds_up, false) THEN
             format('%1$s %%s (%%s): payments add up to %%s, %%s is %%s%%s', j.id, j.number, tds_money_text(j.amount, 2),
               CASE WHEN j.paid = j.amount THEN 'total' ELSE 'payment_made' END,
               tds_money_text(CASE WHEN j.paid = j.amount THEN j.total ELSE j.paid END, 2),
               ': ' || array_to_string(j.names[1:5], ', ')) END AS example
      FROM head AS j LEFT JOIN tds_sync_records AS s ON s.entity_type = %1$L AND s.zoho_id = j.id AND NOT COALESCE(j.adds_up, false)$sql$,
    entity, payments, allocations, known_until, is_part,
    CASE WHEN tds_has_columns(to_regclass(format('erp.%I', payments)), '{status}') THEN 'p.status' ELSE 'NULL::text' END));
END
$$;

-- The amounts that a payment pays of documents, what is unused, and what was refunded add up to the payment.
CREATE OR REPLACE FUNCTION tds_money_allocations(entity text, allocations text, unused text)
RETURNS TABLE (check_name text, currency text, of_what text, zoho text, erp text, difference text, holds boolean,
               in_flight bigint, examples text[])
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT * FROM tds_money_report('allocations', format($sql$
    WITH share AS (
      SELECT a.payment_zoho_id AS id, count(*) AS n, sum(a.amount_applied) AS amount, bool_or(a.amount_applied IS NULL) AS incomplete
        FROM erp.%2$I AS a GROUP BY a.payment_zoho_id),
    head AS MATERIALIZED (
      SELECT h.zoho_id AS id, h.number, h.currency_code, h.amount, h.%3$I AS unused, COALESCE(x.n, 0) AS n,
             COALESCE(x.amount, 0) AS applied, COALESCE(x.incomplete, false) AS incomplete,
             COALESCE(COALESCE(x.amount, 0) + h.%3$I = h.amount, false) AS adds_up
        FROM erp.%1$I AS h LEFT JOIN share AS x ON x.id = h.zoho_id
       WHERE h.deleted_at IS NULL AND h.zoho_id IS NOT NULL),
    odd AS (
      SELECT j.*, k.*, j.applied + j.unused + k.refunded AS rest
        FROM head AS j JOIN erp.%1$I AS h ON h.zoho_id = j.id
        LEFT JOIN tds_sync_records AS s ON s.entity_type = %1$L AND s.zoho_id = j.id
        CROSS JOIN LATERAL (SELECT CASE jsonb_typeof(h.raw) WHEN 'object' THEN h.raw ELSE '{}' END AS doc OFFSET 0) AS r
        CROSS JOIN LATERAL (SELECT
            COALESCE(tds_money_number(r.doc ->> 'amount_refunded'), 0) + COALESCE((SELECT sum(tds_money_number(f ->> 'amount'))
              FROM jsonb_array_elements(CASE jsonb_typeof(r.doc -> 'vendorpayment_refunds') WHEN 'array'
                THEN r.doc -> 'vendorpayment_refunds' ELSE '[]' END) AS f), 0) AS refunded,
            -- What is unused changes without a new version of the payment, and `raw` is then older.
            r.doc ? %3$L AND tds_money_number(r.doc ->> %3$L) IS DISTINCT FROM j.unused AS newer,
            s.zoho_id IS NOT NULL AND (s.detail_seen IS NULL OR s.version > s.detail_version) AS moving) AS k
       WHERE NOT j.adds_up)
    SELECT j.currency_code AS currency, %1$L::text AS of_what, j.amount AS stated, j.amount AS computed, 0::numeric AS off,
           'ok' AS verdict, NULL::text AS example
      FROM head AS j WHERE j.adds_up
    UNION ALL
    SELECT o.currency_code, %1$L, o.amount, o.rest, o.amount - o.rest,
           CASE WHEN o.rest = o.amount THEN 'ok' WHEN o.moving THEN 'in_flight'
                WHEN o.rest IS NULL OR o.amount IS NULL OR o.incomplete OR o.newer THEN 'unknown' ELSE 'wrong' END,
           format('%1$s %%s (%%s): %%s documents take %%s, %%s is unused, amount is %%s', o.id, o.number, o.n,
             tds_money_text(o.applied, 2), COALESCE(tds_money_text(o.unused, 2), 'an unknown amount'),
             COALESCE(tds_money_text(o.amount, 2), 'not known'))
      FROM odd AS o$sql$, entity, allocations, unused));
END
$$;
