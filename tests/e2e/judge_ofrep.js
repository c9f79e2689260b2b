// Asks OpenFeature's SDKs for JavaScript, which ask optoggles.
//
//     node judge_ofrep.js http://127.0.0.1:8080 TOKEN
//
// Each line that it reads is a question, {"keys": ["us-feature"], "users": ["alice", ""]}; "" is a
// user without a key. The answer is a line, {sdk: {key: {user: [value, reason, error]}}}. The
// default is true. The SDKs are "server"; "web", where each user has a client that polls; and
// "flagd", which evaluates the definition. "statuses" are those of all responses to each web client
// and for the definition, without repetitions. NODE_PATH is where the packages are.

const readline = require("readline");
const { FlagdCore } = require("@openfeature/flagd-core");
const { OFREPProvider } = require("@openfeature/ofrep-provider");
const { OFREPWebProvider } = require("@openfeature/ofrep-web-provider");
const { OpenFeature: Server } = require("@openfeature/server-sdk");
const { OpenFeature: Web } = require("@openfeature/web-sdk");

const [baseUrl, token] = process.argv.slice(2);
const headers = [["Authorization", `Bearer ${token}`]];
const webClients = {};
const flagd = new FlagdCore();
const statuses = { definition: [] };
let tag;

async function main() {
  await Server.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
  const server = Server.getClient();
  for await (const line of readline.createInterface(process.stdin)) {
    const question = JSON.parse(line);
    await readDefinition();
    for (const user of question.users) webClients[user] ??= await webClient(user);
    console.log(JSON.stringify({
      server: await ask(question, (key, user) =>
        server.getBooleanDetails(key, true, context(user))),
      web: await ask(question, (key, user) => webClients[user].getBooleanDetails(key, true)),
      flagd: await ask(question, (key, user) =>
        flagd.resolveBooleanEvaluation(key, true, context(user))),
      statuses,
    }));
  }
  process.exit();
}

async function ask({ keys, users }, evaluate) {
  const answer = {};
  for (const key of keys) {
    answer[key] = {};
    for (const user of users) {
      const { value, reason, errorCode } = await evaluate(key, user);
      answer[key][user] = [value, reason, errorCode ?? null];
    }
  }
  return answer;
}

async function webClient(user) {
  statuses[user] = [];
  const provider = new OFREPWebProvider({
    baseUrl,
    headers,
    pollInterval: 100,
    cacheMode: "disabled",
    fetchImplementation: (...request) => noted(statuses[user], ...request),
  });
  const domain = `for ${user}`;
  // If it fails, the defaults decide.
  await Web.setProviderAndWait(domain, provider, context(user)).catch(() => {});
  return Web.getClient(domain);
}

async function readDefinition() {
  const known = tag ? [["If-None-Match", tag]] : [];
  const request = [`${baseUrl}/flagd/flags.json`, { headers: [...headers, ...known] }];
  const response = await noted(statuses.definition, ...request);
  if (response.status === 200) {
    tag = response.headers.get("ETag");
    flagd.setConfigurations(await response.text());
  }
}

async function noted(list, ...request) {
  const response = await fetch(...request);
  if (list.at(-1) !== response.status) list.push(response.status);
  return response;
}

function context(user) {
  return user ? { targetingKey: user } : {};
}

main();
