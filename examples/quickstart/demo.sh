#!/bin/sh
# Shows a flag that follows a policy file: demo.sh OPTOGGLES. Works in a copy of this folder.
set -eu

optoggles=$1
folder=$(mktemp -d)
trap 'kill $serve 2>/dev/null; rm -r "$folder"' EXIT
cp "$(dirname "$0")"/openfeature.toml "$(dirname "$0")"/users.json "$folder"
cd "$folder"

ask() {
	echo "$ curl -s http://127.0.0.1:8080/ofrep/v1/evaluate/flags/us-feature -d '{\"context\": {\"targetingKey\": \"bob\"}}'"
	curl -s --fail --retry 20 --retry-connrefused --retry-delay 1 \
		http://127.0.0.1:8080/ofrep/v1/evaluate/flags/us-feature -d '{"context": {"targetingKey": "bob"}}'
	echo
}

echo "$ optoggles -q -c openfeature.toml serve &"
"$optoggles" -q -c openfeature.toml serve &
serve=$!
ask
echo "$ sed -i 's/\"bob\"/\"erin\"/' users.json"
sed -i 's/"bob"/"erin"/' users.json
sleep 2
ask
