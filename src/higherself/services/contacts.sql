-- People that a business knows, found by how they are reached.

-- name: find_contacts :many
-- Those of an address, however it is written, or of a number; by the address first, the oldest first.
-- Served by contacts_profiles_by_email and contacts_profiles_by_phone.
SELECT * FROM contacts_profiles
WHERE entity = %(entity)s AND deleted_at IS NULL
    AND (lower(email) = %(email)s::text
        OR regexp_replace(phone, '[^0-9]', '', 'g') = %(digits)s::text)
ORDER BY (lower(email) = %(email)s::text) IS TRUE DESC, created_at, record_id
LIMIT 10;
