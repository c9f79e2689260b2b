//! Mistakes in `[[sources]]`.

use super::*;

#[test]
fn mistakes_in_sources_are_found_where_they_are_made() {
    examine(MISTAKES);
}

const MISTAKES: &[Mistake] = &[
    (
        "[[sources]]",
        "[sources]",
        &["2:1 `sources` must be a list of tables, not a table"],
    ),
    ("id = \"opal\"", "", &["2:1 `id` is missing"]),
    (
        "id = \"opal\"",
        "id = \"opal/1\"",
        &["3:6 `opal/1` is no id of a source"],
    ),
    (
        "id = \"opal\"",
        "id = \"opal\"\ntype = \"OPAL\"",
        &["4:8 unknown type of source `OPAL`"],
    ),
    (
        "id = \"opal\"",
        "id = \"opal\"\ntype = \"disk\"",
        &["4:8 unknown type of source `disk`"],
    ),
    (
        "id = \"opal\"",
        "id = \"opal\"\ntype = \"file\"",
        &[
            "5:1 unknown key `url`",
            "6:1 unknown key `token`",
            "7:1 unknown key `advertised_address`",
            "8:1 unknown key `opa_token`",
        ],
    ),
    (
        "id = \"opal\"",
        "id = \"opal\"\npoll_interval = \"1s\"",
        &["4:1 unknown key `poll_interval`"],
    ),
    (
        "id = \"opal\"",
        "id = \"opal\"\ntype = \"opa\"\npoll_interval = \"0s\"",
        &[
            "5:17 `poll_interval` is not between 1ms and 1 year: `0s`",
            "8:1 unknown key `advertised_address`",
            "9:1 unknown key `opa_token`",
        ],
    ),
    (
        "url = \"http://ann:",
        "url = \"ftp://ann:",
        &["4:7 `url` is no usable address: an address starts with http:// or https://"],
    ),
    (
        "url = \"http://ann:hunter2@localhost:7000\"",
        "",
        &["2:1 `url` is missing"],
    ),
    (
        "localhost:7000",
        "localhost:70000",
        &["4:7 `url` is no usable address: the port is not a number from 1 to 65535"],
    ),
    (
        "\"hunter2\"",
        "2",
        &["5:9 `token` must be a string, not an integer"],
    ),
    (
        "\"hunter2\"",
        "[\"hunter2\"]",
        &["5:9 `token` must be a string, not a list"],
    ),
    ("\"hunter2\"", "\"\"", &["5:9 `token` is empty"]),
    ("\"hunter2\"", "\"${EMPTY}\"", &["5:9 `token` is empty"]),
    (
        "\"hunter2\"",
        "\"${LINES}\"",
        &["5:9 `token` holds characters that no header can carry"],
    ),
    (
        "\"hunter2\"",
        "\"hunter2${MISSING}\"",
        &["5:9 the environment variable `MISSING` is not set"],
    ),
    (
        "\"hunter2\"",
        "\"${file:missing}${TOKEN\"",
        &[
            "5:9 cannot read `missing`: there is no such file",
            "5:9 `${` without a closing `}`",
        ],
    ),
    (
        "token = \"hunter2\"",
        "tokne = \"hunter2\"",
        &["5:1 unknown key `tokne`"],
    ),
    (
        "advertised_address",
        "advertisedAddress",
        &["6:1 unknown key `advertisedAddress`"],
    ),
    (
        "\"localhost:8080\"",
        "\"optoggles\"",
        &["6:22 `advertised_address` is no usable address: the port is missing"],
    ),
    (
        "\"localhost:8080\"",
        "\"http://a:hunter2@b:1\"",
        &[
            "6:22 `advertised_address` is no usable address: a callback cannot carry a user name and password",
        ],
    ),
    (
        "opa_token =",
        "instance = \"\"\nopa_token =",
        &["7:12 `instance` is empty"],
    ),
    (
        "opa_token =",
        "wait_until_ready = \"no\"\nopa_token =",
        &["7:20 `wait_until_ready` must be true or false, not a string"],
    ),
    (
        "opa_token =",
        "cert_file = \"cert.pem\"\nopa_token =",
        &["7:13 `cert_file` needs `key_file` beside it"],
    ),
    (
        "opa_token =",
        "ca_file = \"key.pem\"\nkey_file = \"cert.pem\"\nopa_token =",
        &[
            "7:11 the file of `ca_file` holds no certificate",
            "8:12 the file of `key_file` holds no private key",
            "8:12 `key_file` needs `cert_file` beside it",
        ],
    ),
    (
        "opa_token =",
        "ca_file = \"folder\"\nopa_token =",
        &["7:11 cannot read `folder`: it is a folder"],
    ),
    (
        "[target]",
        "[[sources]]\nid = \"opal\"\ntype = \"opa\"\nurl = \"http://[::1]\"\n[target]",
        &["9:6 there are two sources with the id `opal`"],
    ),
    (
        "opa_token =",
        "key_file = \"-----BEGIN hunter2\"\nopa_token =",
        &[
            "7:12 `key_file` must be the path of a file, not what is in it",
            "7:12 `key_file` needs `cert_file` beside it",
        ],
    ),
    (
        "id = \"opal\"",
        "type = \"opalll\"",
        &["2:1 `id` is missing", "3:8 unknown type of source `opalll`"],
    ),
];
