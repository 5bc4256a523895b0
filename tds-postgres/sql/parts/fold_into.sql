
-- The end of an INSERT that folds new work into the live item `q` of its record. tds_fold chooses between the two
-- payloads. The work is new if it changes the payload, or if it asks for a recheck that the item does not ask for yet.
-- Every fold changes the row, because a waiter is attached after the fold. tds_complete depends on this change.
ON CONFLICT (entity_type, COALESCE(zoho_entity_id, entity_id), direction) WHERE dead_lettered_at IS NULL DO UPDATE SET
  attached = q.attached + 1,
  hurried = q.hurried OR q.status = 'processing' AND excluded.priority < q.priority,
  recheck = q.recheck OR excluded.recheck,
  queued_at = LEAST(q.queued_at, excluded.queued_at),
  (priority, version, payload, shape, pushed, observed_began, observed_ended, inbox_event_id, generation,
   requeued_at, status, retry_count, run_at) = (
    SELECT LEAST(q.priority, excluded.priority), GREATEST(q.version, excluded.version),
      CASE k WHEN 2 THEN excluded.payload WHEN 1 THEN q.payload END,
      CASE k WHEN 2 THEN excluded.shape WHEN 1 THEN q.shape END,
      CASE k WHEN 2 THEN excluded.pushed WHEN 1 THEN q.pushed END,
      CASE k WHEN 2 THEN excluded.observed_began WHEN 1 THEN q.observed_began END,
      CASE k WHEN 2 THEN excluded.observed_ended WHEN 1 THEN q.observed_ended END,
      CASE k WHEN 2 THEN excluded.inbox_event_id WHEN 1 THEN q.inbox_event_id
             ELSE COALESCE(excluded.inbox_event_id, q.inbox_event_id) END,
      q.generation + is_new::int,
      CASE WHEN q.status = 'processing' AND is_new THEN LEAST(q.requeued_at, excluded.queued_at)
           ELSE q.requeued_at END,
      CASE WHEN q.status = 'failed' AND is_new THEN 'pending' ELSE q.status END,
      CASE WHEN q.status = 'failed' AND is_new THEN 0 ELSE q.retry_count END,
      -- Work that was not tried yet waits for nothing but its time, and is due with the earliest of the work. What was put
      -- off stays so, unless the new work is more urgent. Work that arrives during a claim may wait for its slot as well.
      CASE WHEN q.status = 'processing' AND is_new AND q.requeued_at IS NULL AND excluded.run_at > now()
           THEN excluded.run_at
           WHEN q.status = 'processing' AND is_new
             OR q.status = 'failed' AND is_new
             OR q.status <> 'processing' AND (excluded.priority < q.priority
              OR excluded.priority = q.priority AND (q.processing_started_at IS NULL OR q.queued_at > now()))
           THEN LEAST(q.run_at, excluded.run_at) ELSE q.run_at END
    FROM (SELECT k, k <> 1 OR excluded.recheck AND NOT q.recheck AS is_new
            FROM (SELECT tds_fold(q.payload, q.version, q.shape, q.observed_ended, excluded.payload, excluded.version,
                                  excluded.shape, excluded.pushed, excluded.observed_began) AS k) AS fold) AS choice)
RETURNING q.id, q.direction, q.entity_type, q.zoho_entity_id, q.entity_id, q.generation
