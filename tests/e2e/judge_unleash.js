// Asks Unleash's SDK for Node.js which users have which features.
//
// Reads {"url": "http://…/api/", "token": …, "keys": ["us-feature"], "users": ["alice", null]} and
// prints {key: [users]}, with the users who have the feature; null is a context without a userId.
// NODE_PATH is where unleash-client is.

const fs = require("fs");
const { InMemStorageProvider, startUnleash } = require("unleash-client");

async function main() {
  const { url, token, keys, users } = JSON.parse(fs.readFileSync(0));
  const unleash = await startUnleash({
    url,
    appName: "judge",
    customHeaders: { Authorization: token },
    disableMetrics: true,
    // Keeps nothing on disk.
    storageProvider: new InMemStorageProvider(),
  });
  const answer = keys.map((key) => {
    if (!unleash.getFeatureToggleDefinition(key)) throw new Error(`there is no feature ${key}`);
    const has = (user) => unleash.isEnabled(key, user === null ? {} : { userId: user });
    return [key, users.filter(has)];
  });
  console.log(JSON.stringify(Object.fromEntries(answer)));
  unleash.destroy();
}

main();
