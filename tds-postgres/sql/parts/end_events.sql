-- Notifies the events that waited for items. For each event, the table expression `ended_events` has the number of its
-- items that ended and their best outcome.
UPDATE tds_inbox_events e SET open_items = e.open_items - n.gone,
  outcome = tds_better_outcome(e.outcome, n.outcome),
  status = CASE WHEN e.open_items <= n.gone THEN 'completed' ELSE e.status END,
  error_message = CASE WHEN e.open_items > n.gone THEN e.error_message END,
  processed_at = CASE WHEN e.open_items <= n.gone THEN clock_timestamp() ELSE e.processed_at END
 FROM ended_events n WHERE e.id = n.id
