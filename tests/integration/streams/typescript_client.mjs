// Every way in which the TypeScript SDK asks; what it saw goes to the test as one line of JSON.
import Anthropic from "@anthropic-ai/sdk";
const client = new Anthropic({ baseURL: process.env.URL, apiKey: process.env.KEY, maxRetries: 0 });
const question = { role: "user", content: "The quick brown fox" };
const ask = { model: process.env.MODEL, max_tokens: 2000, messages: [question] };
const tool = {
  name: "look_up",
  input_schema: { type: "object", properties: { word: { type: "string" } }, required: ["word"] },
};
const seen = {};
const whole = await client.messages.create(ask);
seen.whole = whole.content[0].text;
seen.helper = (await client.messages.stream(ask).finalMessage()).content[0].text;
seen.events = [];
for await (const event of await client.messages.create({ ...ask, stream: true })) seen.events.push(event.type);
const use = { ...ask, tools: [tool], tool_choice: { type: "tool", name: "look_up" } };
const used = await client.messages.stream(use).finalMessage();
seen.tool = used.content.at(-1).input;
const think = { ...ask, thinking: { type: "enabled", budget_tokens: 1024 } };
const thought = await client.messages.stream(think).finalMessage();
seen.thinking = thought.content[0].signature.length > 0;
seen.model = (await client.models.retrieve(process.env.MODEL)).id;
const cut = { ...ask, messages: [{ role: "user", content: "Be cut" }] };
try { await client.messages.stream(cut).finalMessage(); } catch (error) { seen.cut = error.error?.error?.type; }
const continued = client.messages.stream(
  { ...ask, messages: [{ role: "user", content: "Go on" }] }, { headers: { "sluice-continue": "true" } });
seen.continued = (await continued.finalMessage()).content.map((block) => block.text);
console.log(JSON.stringify(seen));
