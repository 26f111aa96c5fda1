-- The pages in Notion that show instances of workflows, and what people ask for on them.

-- name: refresh_alone :one
-- One process brings pages up to date at a time; the lock goes with the connection, however it ends.
SELECT pg_try_advisory_xact_lock(hashtext('higherself.notion.status')) AS ours;

-- name: page_alone :one
-- What is asked for on a page is done by one process at a time, until the transaction ends.
SELECT pg_try_advisory_xact_lock(hashtext('higherself.notion.command'), hashtext(%(page)s)) AS ours;

-- name: mark_unfinished :none
-- Have instances shown that were there before there was a database for their pages.
INSERT INTO notion_status (instance_id, entity, dirty_since)
SELECT instance_id, entity, %(now)s FROM workflow_instance WHERE finished_at IS NULL
ON CONFLICT (instance_id) DO NOTHING;

-- name: mark :none
-- Have a page looked at again, and its properties written in any case if they are ``wrong``.
UPDATE notion_status SET
    revision = revision + 1,
    dirty_since = coalesce(dirty_since, %(now)s),
    properties = CASE WHEN %(wrong)s THEN NULL ELSE properties END
WHERE instance_id = %(instance)s;

-- name: list_due :many
-- Pages that are not up to date, the longest first: it is a while since the first step that they do
-- not show, and since they were written last. Served by notion_status_dirty.
SELECT instance_id, entity, page_id, url, state, reason, revision, dirty_since, attempts, writes,
    pages, body_hash, region, properties, sending
FROM notion_status
WHERE dirty_since <= %(settled)s AND (not_before IS NULL OR not_before <= %(now)s)
    AND (refreshed_at IS NULL OR refreshed_at <= %(rested)s)
ORDER BY dirty_since LIMIT %(limit)s;

-- name: save_status :none
-- Note how a page is. It stays marked if a step has come meanwhile.
UPDATE notion_status SET
    page_id = %(page_id)s, url = %(url)s, state = %(state)s, reason = %(reason)s,
    writes = %(writes)s, pages = %(pages)s, body_hash = %(body_hash)s, region = %(region)s,
    properties = %(properties)s, sending = %(sending)s, attempts = 0, not_before = NULL,
    refreshed_at = %(refreshed_at)s::timestamptz,
    dirty_since = CASE WHEN revision = %(revision)s THEN NULL ELSE %(refreshed_at)s::timestamptz END
WHERE instance_id = %(instance_id)s;

-- name: note_progress :none
-- Note what was written, or is about to be, in the middle of bringing a page up to date.
UPDATE notion_status SET
    page_id = %(page_id)s, url = %(url)s, state = %(state)s, writes = %(writes)s,
    pages = %(pages)s, body_hash = %(body_hash)s, region = %(region)s,
    properties = %(properties)s, sending = %(sending)s
WHERE instance_id = %(instance_id)s;

-- name: put_off :none
-- Try a page again later, because this went wrong.
UPDATE notion_status SET
    not_before = %(not_before)s, attempts = attempts + 1, reason = %(reason)s
WHERE instance_id = %(instance_id)s;

-- name: change_state :maybe
-- Note that a page is in the trash, out of reach, or back. A page that is back is looked at again.
UPDATE notion_status SET
    state = %(state)s, reason = %(reason)s,
    dirty_since = CASE WHEN %(again)s THEN coalesce(dirty_since, %(now)s) ELSE dirty_since END,
    body_hash = CASE WHEN %(again)s THEN NULL ELSE body_hash END,
    region = CASE WHEN %(again)s THEN NULL ELSE region END,
    revision = revision + 1
WHERE page_id = %(page)s AND state <> %(state)s
RETURNING instance_id;

-- name: find_pages :many
-- The instances that some pages show. Served by notion_status_page.
SELECT status.instance_id, status.entity, status.page_id, status.state, status.properties,
    instance.status AS instance_status, instance.waits_for
FROM notion_status AS status JOIN workflow_instance AS instance USING (instance_id)
WHERE status.page_id = ANY(%(pages)s);

-- name: find_page_of :maybe
-- The page that shows an instance.
SELECT page_id, url, state, reason, dirty_since, refreshed_at FROM notion_status
WHERE instance_id = %(instance)s;

-- name: related :one
-- Where else to look from an instance: its parent's page, those of its workflow, of its business and
-- of the agent that did something last.
SELECT
    (SELECT parent.workflow FROM workflow_instance AS parent
     WHERE parent.instance_id = instance.parent_id) AS parent,
    (SELECT shown.page_id FROM notion_status AS shown
     WHERE shown.instance_id = instance.parent_id AND shown.state IN ('ok', 'edited')) AS parent_page,
    (SELECT definition.page_id FROM notion_definition AS definition
     WHERE definition.workflow = instance.workflow AND definition.state IN ('shown', 'loaded')
     ORDER BY definition.version = instance.version DESC, definition.version DESC LIMIT 1) AS definition,
    (SELECT record.page_id FROM business_entities AS business
     JOIN notion_record AS record ON record.database = 'business_entities'
         AND record.record_id = business.record_id AND record.state = 'ok'
     WHERE business.slug = instance.entity AND business.deleted_at IS NULL LIMIT 1) AS business,
    (SELECT record.page_id FROM agents AS agent
     JOIN notion_record AS record ON record.database = 'agents'
         AND record.record_id = agent.record_id AND record.state = 'ok'
     WHERE lower(agent.agent_id) = lower(%(agent)s) AND agent.deleted_at IS NULL LIMIT 1) AS agent
FROM workflow_instance AS instance WHERE instance.instance_id = %(instance)s;

-- name: list_children :many
-- The instances that one has started, and their pages. Served by workflow_instance_by_parent.
SELECT child.instance_id, child.workflow, shown.page_id
FROM workflow_instance AS child
LEFT JOIN notion_status AS shown
    ON shown.instance_id = child.instance_id AND shown.state IN ('ok', 'edited')
WHERE child.parent_id = %(instance)s
ORDER BY child.instance_id LIMIT 20;

-- name: list_left :many
-- Pages of instances that are no more.
SELECT page_id, attempts FROM notion_left_page
WHERE not_before IS NULL OR not_before <= %(now)s ORDER BY left_at LIMIT %(limit)s;

-- name: forget_left :none
DELETE FROM notion_left_page WHERE page_id = %(page)s;

-- name: put_off_left :none
UPDATE notion_left_page SET not_before = %(not_before)s, attempts = attempts + 1
WHERE page_id = %(page)s;

-- name: count_pages :many
-- How many pages are in which state, and how many are not up to date.
SELECT state, count(*) AS pages, count(dirty_since) AS waiting, min(dirty_since) AS since
FROM notion_status GROUP BY state ORDER BY state;

-- name: list_troubled :many
-- Pages that are not kept up to date as they should be, and why.
SELECT instance_id, page_id, url, state, reason, attempts FROM notion_status
WHERE state NOT IN ('new', 'ok') OR reason <> '' ORDER BY instance_id DESC LIMIT %(limit)s;

-- name: take_choice :maybe
-- Take note of what was chosen on a page, unless one that was chosen before is not done yet: then
-- nothing comes back. Served by notion_command_open_choice.
INSERT INTO notion_command (
    command_id, entity, instance_id, page_id, source, action, words, person_id, person, state, seen_at
)
SELECT
    %(page)s::text || '/' || (count(*) + 1), %(entity)s, %(instance)s, %(page)s::text, 'property',
    %(action)s, '',
    %(person_id)s, %(person)s, 'taken', %(now)s
FROM notion_command WHERE page_id = %(page)s::text AND source = 'property'
ON CONFLICT DO NOTHING
RETURNING command_id;

-- name: take_comment :maybe
-- Take note of a comment that asks for something; each counts once.
INSERT INTO notion_command (
    command_id, entity, instance_id, page_id, source, action, words, discussion, person_id, person,
    state, seen_at
)
VALUES (
    %(comment)s, %(entity)s, %(instance)s, %(page)s, 'comment', %(action)s, %(words)s,
    %(discussion)s, %(person_id)s, %(person)s, 'taken', %(now)s
)
ON CONFLICT DO NOTHING
RETURNING command_id;

-- name: known_comments :many
-- Those of some comments that have been taken note of.
SELECT command_id FROM notion_command WHERE command_id = ANY(%(comments)s);

-- name: list_open :many
-- What people have asked for and that is not done, or not answered. Served by notion_command_open.
SELECT command_id, entity, instance_id, page_id, source, action, words, discussion, person_id, person,
    state, outcome, answer
FROM notion_command
WHERE state <> 'answered' AND (%(page)s::text IS NULL OR page_id = %(page)s)
ORDER BY seen_at, command_id LIMIT %(limit)s;

-- name: end_command :none
-- Note what came of it.
UPDATE notion_command SET
    state = 'done', outcome = %(outcome)s, answer = %(answer)s, done_at = %(now)s
WHERE command_id = %(command)s AND state = 'taken';

-- name: answer_command :none
-- Note that it was answered on its page.
UPDATE notion_command SET state = 'answered' WHERE command_id = %(command)s;

-- name: list_commands :many
-- What people have asked of an instance on its page, the latest first.
SELECT command_id, source, action, words, person_id, person, state, outcome, answer, seen_at, done_at
FROM notion_command WHERE instance_id = %(instance)s ORDER BY seen_at DESC, command_id DESC LIMIT %(limit)s;

-- name: list_commentable :many
-- Pages whose instance waits for a person, those first whose comments were read longest ago.
SELECT status.page_id, status.instance_id, status.entity
FROM notion_status AS status JOIN workflow_instance AS instance USING (instance_id)
WHERE status.page_id IS NOT NULL AND status.state IN ('ok', 'edited', 'damaged')
    AND instance.finished_at IS NULL
    AND (instance.waits_for IN ('approval', 'person'))
    AND (status.comments_read_at IS NULL OR status.comments_read_at <= %(before)s)
ORDER BY status.comments_read_at NULLS FIRST LIMIT %(limit)s;

-- name: note_comments_read :none
UPDATE notion_status SET comments_read_at = %(now)s WHERE page_id = %(page)s;
