// The AI SDK's MCP client, which shares no code with the official ones: what it can do, in both eras. Prints JSON.
// node use_mcp_ai_sdk.mjs NODE_MODULES ORIGIN KEY SERVER…
import { createRequire } from "node:module";

const [folder, origin, key, ...servers] = process.argv.slice(2);
const { createMCPClient } = createRequire(`${folder}/`)("@ai-sdk/mcp");

const open = (path, protocolVersionDiscovery, secret = key) =>
  createMCPClient({
    protocolVersionDiscovery,
    transport: { type: "http", url: origin + path, headers: { Authorization: `Bearer ${secret}` } },
  });

const refusal = (told) => told.then(() => "no refusal", (error) => error.code ?? error.statusCode ?? error.name);

async function use(path, prefix, discovers) {
  const client = await open(path, discovers);
  const { tools } = await client.listTools();
  const { resources } = await client.listResources();
  const mine = resources.find((each) => !prefix || each.uri.startsWith(`mcp+${prefix.slice(0, -2)}+`));
  const ready = await client.tools();
  const options = { messages: [], toolCallId: "1" };
  const told = {
    tools: tools.map((tool) => tool.name).filter((name) => name.startsWith(prefix)),
    sum: (await ready[`${prefix}add`].execute({ a: 2, b: 3 }, options)).structuredContent,
    broken: (await client.callTool({ name: `${prefix}break_down`, arguments: {} })).isError,
    counted: (await client.callTool({ name: `${prefix}count`, arguments: { to: 3 } })).content[0].text,
    unknown: await refusal(client.callTool({ name: `${prefix}nothing`, arguments: {} })),
    greeting: (await client.getPrompt({ name: `${prefix}greet`, arguments: { name: "Ada" } })).messages[0].content.text,
    motto: (await client.readResource({ uri: mine.uri })).contents[0].text,
    revision: client.initializeResult?.protocolVersion,
  };
  await client.close();
  return told;
}

const told = {};
for (const [era, discovers] of [["legacy", false], ["modern", true]]) {
  for (const server of servers) {
    told[`${era} ${server}`] = await use(`/mcp/${server}`, "", discovers);
    told[`${era} all ${server}`] = await use("/mcp", `${server}__`, discovers);
  }
  told[`${era} wrong key`] = await refusal(open("/mcp", discovers, "gwk_wrong"));
}
console.log(JSON.stringify(told));
