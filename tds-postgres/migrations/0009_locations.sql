-- Locations, at which stock is kept and business is done.

CREATE TABLE erp.locations (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, zoho_id text UNIQUE, name text,
  location_type text, status text, is_primary boolean, parent_zoho_id text, email text, phone text,
  address jsonb, custom_fields jsonb, raw jsonb,
  zoho_created_at timestamptz, zoho_modified_at timestamptz, synced_at timestamptz, deleted_at timestamptz
);
