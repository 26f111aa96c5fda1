// Use every method of the official JavaScript client on a workspace; print each answer with its type.
import { Client } from "@notionhq/client"

const [baseUrl, token] = process.argv.slice(2)
const notion = new Client({ auth: token, baseUrl, notionVersion: "2026-03-11", retry: false })
const show = (type, answer) => {
  console.log(JSON.stringify({ type, answer }))
  return answer
}
const text = content => [{ text: { content } }]

const me = show("GetSelfResponse", await notion.users.me({}))
show("ListUsersResponse", await notion.users.list({}))
show("GetUserResponse", await notion.users.retrieve({ user_id: me.id }))

const home = show("CreatePageResponse", await notion.pages.create({
  parent: { workspace: true, type: "workspace" },
  properties: { title: { title: text("Home") } },
  icon: { type: "emoji", emoji: "🏠" },
  cover: { type: "external", external: { url: "https://a.example/cover.png" } },
}))
const more = show("CreatePageResponse", await notion.pages.create({
  parent: { page_id: home.id },
  markdown: "# From markdown\n\nHello **you**\n- a\n\t- b",
}))
show("GetPageResponse", await notion.pages.retrieve({ page_id: home.id }))
show("UpdatePageResponse", await notion.pages.update({ page_id: more.id, properties: { title: { title: text("More") } } }))
show("GetPageMarkdownResponse", await notion.pages.retrieveMarkdown({ page_id: more.id }))
show("UpdatePageMarkdownResponse", await notion.pages.updateMarkdown({
  page_id: more.id,
  type: "update_content",
  update_content: { content_updates: [{ old_str: "**you**", new_str: "world" }] },
}))

const rich = [
  { type: "text", text: { content: "bold", link: { url: "https://a.example" } }, annotations: { bold: true, color: "red" } },
  { type: "mention", mention: { type: "page", page: { id: home.id } } },
  { type: "mention", mention: { type: "user", user: { id: me.id } } },
  { type: "mention", mention: { type: "date", date: { start: "2026-07-04" } } },
  { type: "equation", equation: { expression: "x^2" } },
]
const inner = [{ paragraph: { rich_text: text("inside") } }]
const file = { type: "external", external: { url: "https://a.example/f.pdf" } }
const blocks = [
  { paragraph: { rich_text: rich, color: "blue_background" } },
  { heading_1: { rich_text: rich } },
  { heading_2: { rich_text: rich, is_toggleable: true, children: inner } },
  { heading_3: { rich_text: rich } },
  { heading_4: { rich_text: rich } },
  { bulleted_list_item: { rich_text: rich, children: inner } },
  { numbered_list_item: { rich_text: rich } },
  { to_do: { rich_text: rich, checked: true } },
  { toggle: { rich_text: rich, children: inner } },
  { quote: { rich_text: rich } },
  { callout: { rich_text: rich, icon: { type: "emoji", emoji: "💡" }, color: "gray_background" } },
  { code: { rich_text: text("graph LR"), language: "mermaid", caption: text("caption") } },
  { equation: { expression: "e=mc^2" } },
  { divider: {} },
  { breadcrumb: {} },
  { table_of_contents: { color: "gray" } },
  { column_list: { children: [{ column: { children: inner } }, { column: { children: inner } }] } },
  { table: { table_width: 2, has_column_header: true, children: [{ table_row: { cells: [text("a"), rich] } }] } },
  { image: file },
  { video: file },
  { pdf: file },
  { file },
  { audio: file },
  { bookmark: { url: "https://a.example" } },
  { embed: { url: "https://a.example" } },
  { link_to_page: { type: "page_id", page_id: more.id } },
  { synced_block: { synced_from: null, children: inner } },
  { tab: { children: [{ paragraph: { rich_text: text("Tab"), children: inner } }] } },
]
const made = show("AppendBlockChildrenResponse", await notion.blocks.children.append({ block_id: home.id, children: blocks }))
const synced = made.results.find(block => block.type === "synced_block")
await notion.blocks.children.append({
  block_id: home.id,
  children: [{ synced_block: { synced_from: { type: "block_id", block_id: synced.id } } }],
})
const first = made.results[0]
show("GetBlockResponse", await notion.blocks.retrieve({ block_id: first.id }))
show("UpdateBlockResponse", await notion.blocks.update({ block_id: first.id, paragraph: { rich_text: text("changed") } }))
show("ListBlockChildrenResponse", await notion.blocks.children.list({ block_id: home.id }))
show("DeleteBlockResponse", await notion.blocks.delete({ block_id: first.id }))

const properties = {
  Name: { title: {} },
  Text: { rich_text: {} },
  Number: { number: { format: "euro" } },
  Select: { select: { options: [{ name: "A", color: "green" }] } },
  Multi: { multi_select: { options: [{ name: "B" }] } },
  Status: { status: {} },
  Date: { date: {} },
  People: { people: {} },
  Files: { files: {} },
  Check: { checkbox: {} },
  Url: { url: {} },
  Email: { email: {} },
  Phone: { phone_number: {} },
  Formula: { formula: { expression: 'prop("Number") * 2' } },
  Created: { created_time: {} },
  CreatedBy: { created_by: {} },
  Edited: { last_edited_time: {} },
  EditedBy: { last_edited_by: {} },
  Id: { unique_id: { prefix: "T" } },
}
const database = show("CreateDatabaseResponse", await notion.databases.create({
  parent: { type: "page_id", page_id: home.id },
  title: text("Base"),
  initial_data_source: { properties },
}))
const source = database.data_sources[0].id
show("GetDatabaseResponse", await notion.databases.retrieve({ database_id: database.id }))
show("UpdateDatabaseResponse", await notion.databases.update({ database_id: database.id, description: text("About") }))
show("GetDataSourceResponse", await notion.dataSources.retrieve({ data_source_id: source }))
show("UpdateDataSourceResponse", await notion.dataSources.update({
  data_source_id: source,
  properties: { Related: { relation: { data_source_id: source, dual_property: {} } } },
}))
show("UpdateDataSourceResponse", await notion.dataSources.update({
  data_source_id: source,
  properties: { Rolled: { rollup: { relation_property_name: "Related", rollup_property_name: "Number", function: "sum" } } },
}))
show("CreateDataSourceResponse", await notion.dataSources.create({
  parent: { type: "database_id", database_id: database.id },
  title: text("Second"),
  properties: { Title: { title: {} } },
}))
show("ListDataSourceTemplatesResponse", await notion.dataSources.listTemplates({ data_source_id: source }))
const row = show("CreatePageResponse", await notion.pages.create({
  parent: { data_source_id: source },
  properties: {
    Name: { title: text("Row") },
    Text: { rich_text: rich },
    Number: { number: 21 },
    Select: { select: { name: "A" } },
    Multi: { multi_select: [{ name: "B" }, { name: "C" }] },
    Status: { status: { name: "Done" } },
    Date: { date: { start: "2026-07-04", end: "2026-07-05" } },
    People: { people: [{ id: me.id }] },
    Files: { files: [{ name: "f", external: { url: "https://a.example/f" } }] },
    Check: { checkbox: true },
    Url: { url: "https://a.example" },
    Email: { email: "a@a.example" },
    Phone: { phone_number: "1" },
  },
}))
show("UpdatePageResponse", await notion.pages.update({ page_id: row.id, properties: { Related: { relation: [{ id: row.id }] } } }))
for (const name of Object.keys({ ...properties, Related: 0, Rolled: 0 })) {
  const { id } = row.properties[name]
  show("GetPagePropertyResponse", await notion.pages.properties.retrieve({ page_id: row.id, property_id: id }))
}
show("QueryDataSourceResponse", await notion.dataSources.query({
  data_source_id: source,
  filter: { and: [{ property: "Number", number: { greater_than: 20 } }, { property: "Status", status: { equals: "Done" } }] },
  sorts: [{ property: "Number", direction: "descending" }, { timestamp: "last_edited_time", direction: "ascending" }],
  page_size: 10,
}))
show("MovePageResponse", await notion.pages.move({ page_id: more.id, parent: { data_source_id: source } }))
show("SearchResponse", await notion.search({ query: "Home", filter: { property: "object", value: "page" } }))
show("SearchResponse", await notion.search({ filter: { property: "object", value: "data_source" } }))

const comment = show("CreateCommentResponse", await notion.comments.create({ parent: { page_id: home.id }, rich_text: rich }))
show("CreateCommentResponse", await notion.comments.create({ discussion_id: comment.discussion_id, rich_text: text("reply") }))
show("ListCommentsResponse", await notion.comments.list({ block_id: home.id }))
show("GetCommentResponse", await notion.comments.retrieve({ comment_id: comment.id }))
show("UpdateCommentResponse", await notion.comments.update({ comment_id: comment.id, rich_text: text("changed") }))
show("DeleteCommentResponse", await notion.comments.delete({ comment_id: comment.id }))

const upload = show("CreateFileUploadResponse", await notion.fileUploads.create({ mode: "single_part", filename: "a.txt", content_type: "text/plain" }))
show("SendFileUploadResponse", await notion.fileUploads.send({
  file_upload_id: upload.id,
  file: { filename: "a.txt", data: new Blob(["hello"], { type: "text/plain" }) },
}))
show("GetFileUploadResponse", await notion.fileUploads.retrieve({ file_upload_id: upload.id }))
show("ListFileUploadsResponse", await notion.fileUploads.list({}))
show("AppendBlockChildrenResponse", await notion.blocks.children.append({
  block_id: home.id,
  children: [{ file: { type: "file_upload", file_upload: { id: upload.id } } }],
}))
const parts = await notion.fileUploads.create({ mode: "multi_part", filename: "b.txt", content_type: "text/plain", number_of_parts: 1 })
await notion.fileUploads.send({ file_upload_id: parts.id, part_number: "1", file: { filename: "b.txt", data: new Blob(["b"], { type: "text/plain" }) } })
show("CompleteFileUploadResponse", await notion.fileUploads.complete({ file_upload_id: parts.id }))

const view = show("CreateViewResponse", await notion.views.create({
  database_id: database.id,
  data_source_id: source,
  name: "Board",
  type: "board",
  configuration: { type: "board", group_by: { type: "status", property_id: row.properties.Status.id, group_by: "option", sort: { type: "manual" } } },
}))
show("GetViewResponse", await notion.views.retrieve({ view_id: view.id }))
show("UpdateViewResponse", await notion.views.update({ view_id: view.id, name: "By status" }))
show("ListDatabaseViewsResponse", await notion.views.list({ database_id: database.id }))
const asked = show("CreateViewQueryResponse", await notion.views.queries.create({ view_id: view.id }))
show("GetViewQueryResultsResponse", await notion.views.queries.results({ view_id: view.id, query_id: asked.id }))
show("DeleteViewQueryResponse", await notion.views.queries.delete({ view_id: view.id, query_id: asked.id }))
show("DeleteViewResponse", await notion.views.delete({ view_id: view.id }))

show("ListCustomEmojisResponse", await notion.customEmojis.list({}))
show("QueryMeetingNotesResponse", await notion.blocks.meetingNotes.query({}))
const app = { client_id: "client", client_secret: "secret" }
const granted = show("OauthTokenResponse", await notion.oauth.token({ ...app, grant_type: "authorization_code", code: "code", redirect_uri: "https://a.example" }))
show("OauthIntrospectResponse", await notion.oauth.introspect({ ...app, token: granted.access_token }))
show("OauthRevokeResponse", await notion.oauth.revoke({ ...app, token: "somebody's" }))
