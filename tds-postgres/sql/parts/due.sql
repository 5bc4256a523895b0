-- The condition for an item `q` to be due. claim.sql explains it.
q.dead_lettered_at IS NULL AND q.run_at <= now() AND (q.lease_expires_at IS NULL OR q.lease_expires_at <= now())
AND (cancelled = '{}' OR tds_is_wanted(q.id, cancelled))
AND COALESCE(q.entity_type <> ALL (ARRAY(
      SELECT k.entity_type FROM tds_entity_controls k WHERE k.paused_at IS NOT NULL)), true)
