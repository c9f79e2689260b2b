# Makes openapi.json of Unleash's own description of its API, which is licensed under Apache-2.0, as all of
# Unleash 7.4.1 (https://github.com/Unleash/unleash/tree/v7.4.1): the bodies of the requests that optoggles sends
# and of their answers, without what neither side of the tests uses. `GET user` is left out, because what Unleash
# answers to an API token does not fit the description.
#
#     curl https://UNLEASH/docs/openapi.json | jq --tab -S -f openapi.jq > openapi.json

# What is not named here is unknown to the trimmed description, and so it is refused in most places.
def used: IN("caseInsensitive", "constraints", "contextName", "dependencies", "description", "disabled",
  "enabled", "environment", "environments", "feature", "features", "id", "impressionData",
  "inlineSegmentConstraints", "inverted", "name", "op", "operator", "parameters", "path", "project", "query",
  "segments", "sortOrder", "stale", "strategies", "tags", "title", "total", "type", "value", "values", "variants");

def trim:
  if type == "array" then map(trim)
  elif type != "object" then .
  else (if .nullable then .type = [.type, "null"] | if .enum then .enum += [null] else . end else . end)
    | (.required // []) as $required
    | del(.description, .example, .title, .format, .deprecated, .default, .nullable)
    | if .properties then .properties |= with_entries(select(.key | used or IN($required[])) | .value |= trim) else . end
    | with_entries(if .key | IN("items", "allOf", "anyOf", "oneOf", "additionalProperties") then .value |= trim else . end)
  end;

def body: .content["application/json"].schema | if . then trim else empty end;

"/api/admin/projects/{projectId}/features" as $features
| "\($features)/{featureName}/environments/{environment}" as $environment
| .components.schemas as $schemas
| ([.paths | to_entries[] | .key as $path | .value | to_entries[] | .value.path = $path | .value.method = .key | .value
  | select("\(.method) \(.path)" | IN("post \($features)", "get \($features)/{featureName}",
    "patch \($features)/{featureName}", "post \($environment)/strategies",
    "put \($environment)/strategies/{strategyId}", "get /api/admin/projects/{projectId}/overview",
    "get /api/admin/features/{featureName}/tags", "post /api/admin/features/{featureName}/tags",
    "get /api/admin/search/features", "get /api/client/features"))
  | { key: "\(.method | ascii_upcase) \(.path)",
      value: ({ request: [.requestBody | values | body][0], answer: [.responses["200", "201"] | values | body][0] }
        | with_entries(select(.value))) }] | from_entries) as $bodies
| def names: [.. | objects | .["$ref"]? | strings | ltrimstr("#/components/schemas/")] | unique;
  def closure: . as $known | ($known + ([$schemas[$known[]] | trim] | names) | unique)
    | if . == $known then . else closure end;
{ info: .info | { title, version, license: "Apache-2.0" }, bodies: $bodies,
  components: { schemas: ($bodies | names | closure | map({ key: ., value: ($schemas[.] | trim) }) | from_entries) } }
