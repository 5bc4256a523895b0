-- Cancelled runs of which items are still queued, because somebody had locked them: every server looks for these every few
-- seconds.
CREATE INDEX tds_runs_cancelled ON tds_sync_runs (id) WHERE status = 'cancelled' AND open_items > 0;
