-- The extension stays: others may use it, and it costs nothing.
DO $$
DECLARE
    space smallint;
BEGIN
    FOR space IN SELECT space_id FROM embedding_space LOOP
        EXECUTE format('DROP TABLE IF EXISTS embedding_%s', space);
    END LOOP;
END
$$;
DROP TABLE embedding_space, lexical_posting, chunk, document_label, document;
