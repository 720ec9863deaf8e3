// The official TypeScript client: lists, calls, errors, progress, prompts and resources, in both eras. Prints JSON.
// node use_mcp_typescript.mjs NODE_MODULES ORIGIN KEY SERVER…
import { createRequire } from "node:module";

const [folder, origin, key, ...servers] = process.argv.slice(2);
const { Client, StreamableHTTPClientTransport } = createRequire(`${folder}/`)("@modelcontextprotocol/client");

async function open(path, mode, secret = key) {
  const client = new Client({ name: "tests", version: "1" }, { versionNegotiation: { mode } });
  const requestInit = { headers: { Authorization: `Bearer ${secret}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(origin + path), { requestInit }));
  return client;
}

const refusal = (told) => told.then(() => "no refusal", (error) => error.status ?? error.data?.status ?? error.code);

async function use(path, prefix, mode) {
  const client = await open(path, mode);
  const { tools } = await client.listTools();
  const progress = [];
  const counted = await client.callTool(
    { name: `${prefix}count`, arguments: { to: 3 } },
    { onprogress: (note) => progress.push(note.progress) },
  );
  const { resources } = await client.listResources();
  const mine = resources.find((each) => !prefix || each.uri.startsWith(`mcp+${prefix.slice(0, -2)}+`));
  const told = {
    tools: tools.map((tool) => tool.name).filter((name) => name.startsWith(prefix)),
    sum: (await client.callTool({ name: `${prefix}add`, arguments: { a: 2, b: 3 } })).structuredContent,
    broken: (await client.callTool({ name: `${prefix}break_down`, arguments: {} })).isError,
    counted: counted.content[0].text,
    progress,
    unknown: await refusal(client.callTool({ name: `${prefix}nothing`, arguments: {} })),
    greeting: (await client.getPrompt({ name: `${prefix}greet`, arguments: { name: "Ada" } })).messages[0].content.text,
    motto: (await client.readResource({ uri: mine.uri })).contents[0].text,
  };
  await client.close();
  return told;
}

const told = {};
for (const [era, mode] of [["legacy", "legacy"], ["modern", { pin: "2026-07-28" }], ["auto", "auto"]]) {
  for (const server of servers) {
    told[`${era} ${server}`] = await use(`/mcp/${server}`, "", mode);
    told[`${era} all ${server}`] = await use("/mcp", `${server}__`, mode);
  }
  told[`${era} wrong key`] = await refusal(open("/mcp", mode, "gwk_wrong"));
}
console.log(JSON.stringify(told));
