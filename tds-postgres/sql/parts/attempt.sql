-- Records the claims of the items `t` as attempts. The result, the error and the items follow.
INSERT INTO tds_queue_attempts (item_id, attempt, started_at, worker, result, error)
SELECT t.id, t.retry_count + 1, t.processing_started_at, t.lease_owner,
