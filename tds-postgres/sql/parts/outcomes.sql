-- The outcomes, the most significant one first.
ARRAY['applied', 'deleted', 'unchanged', 'stale', 'superseded', 'ignored', 'discarded']
