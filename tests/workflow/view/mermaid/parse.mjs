// Parses Mermaid texts: one JSON text a line in; {"type", "texts"} or {"error"} a line out.
// texts: what mermaid has understood as labels, so that tests can see that nothing was lost.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!DOCTYPE html>");
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, maxTextSize: 1_000_000, maxEdges: 10_000 });

const decoded = (text) =>
  text
    .replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/ﬂ°(\w+)¶ß/g, "#$1;");

function texts(diagram) {
  const { db } = diagram;
  if (diagram.type === "gantt") {
    const tasks = db.getTasks();
    return { sections: db.getSections().map(decoded), tasks: tasks.map((task) => decoded(task.task)) };
  }
  if (diagram.type === "sequence") {
    return { messages: db.getMessages().map((each) => decoded(String(each.message ?? ""))) };
  }
  return {
    vertices: [...db.getVertices().values()].map((each) => [each.id, decoded(each.text ?? each.id)]),
    edges: db.getEdges().map((each) => [each.start, each.end, decoded(each.text ?? "")]),
    boxes: db.getSubGraphs().map((each) => [each.id, decoded(each.title)]),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const text = JSON.parse(line);
    const { diagramType } = await mermaid.parse(text);
    answer = { type: diagramType, ...texts(await mermaid.mermaidAPI.getDiagramFromText(text)) };
  } catch (error) {
    answer = { error: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
