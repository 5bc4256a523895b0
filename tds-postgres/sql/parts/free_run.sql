-- The condition for a run to be free: it is new, or its lease has ended while it was listing.
(status = 'pending' OR status = 'running' AND NOT listing_done AND (lease_expires_at IS NULL OR lease_expires_at <= now()))
