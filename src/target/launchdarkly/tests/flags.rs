//! Flags.

use super::flag::Instruction;
use super::*;

/// Whom a flag is on for, read in another way: none unless it is certainly for nobody else, and
/// nothing is to be put right.
fn holders(flag: &Value) -> Option<Users> {
    let index = |value| {
        let all = flag["variations"].as_array()?;
        let place = all.iter().position(|it| it["value"] == json!(value))?;
        (all.len() == 2).then_some(json!(place))
    };
    let (yes, no) = (index(true)?, index(false)?);
    let config = &flag["environments"][PRODUCTION];
    let is_empty = |list: &Value| list.is_null() || *list == json!([]);
    let is_right = config["on"] == json!(true)
        && config["fallthrough"]["variation"] == no
        && config["fallthrough"]["rollout"].is_null()
        && config["offVariation"] == no
        && is_empty(&config["rules"])
        && is_empty(&config["prerequisites"]);
    if !is_right || flag["archived"] == json!(true) {
        return None;
    }
    let mut users = Vec::new();
    for list in [&config["targets"], &config["contextTargets"]] {
        for target in list.as_array().into_iter().flatten() {
            let values = target["values"].as_array()?;
            let is_user = target["contextKind"].is_null() || target["contextKind"] == json!("user");
            let is_right = is_user && target["variation"] == yes;
            if !(values.is_empty() || is_right) {
                return None;
            }
            users.extend(values.iter().filter_map(Value::as_str));
        }
    }
    Some(users.into_iter().collect())
}

/// The id of the variation of this value.
fn id_of(flag: &Value, value: bool) -> &Value {
    let all = flag["variations"].as_array().unwrap();
    let found = all.iter().find(|it| it["value"] == json!(value)).unwrap();
    &found["_id"]
}

#[test]
fn a_list_is_no_part_of_a_flag_whatever_is_in_it() {
    for (part, list) in [
        ("/variations/0", json!(["id-true", true])),
        (
            "/environments/production",
            json!([true, { "variation": 1 }, 1]),
        ),
        ("/environments/production/fallthrough", json!([1, null])),
        (
            "/environments/production/targets/0",
            json!([["eve"], 0, "user"]),
        ),
    ] {
        let mut flag = json!({
            "key": "us", "name": "US",
            "variations": [{ "_id": "t", "value": true }, { "_id": "f", "value": false }],
            "environments": { PRODUCTION: {
                "on": true, "fallthrough": { "variation": 1 }, "offVariation": 1,
                "targets": [{ "values": ["eve"], "variation": 0 }],
            } },
        });
        let read = |flag: &Value| Answer::of(200, flag.to_string().as_bytes()).json::<FlagAnswer>();
        assert!(read(&flag).is_ok());
        *flag.pointer_mut(part).unwrap() = list;
        assert!(read(&flag).is_err(), "{flag}");
    }
}

#[test]
fn a_flag_that_shows_an_environment_or_its_targets_twice_is_an_error() {
    let off = r#""production":{"on":false}"#;
    for environments in [
        format!("{{{off},{off}}}"),
        r#"{"production":{"on":true,"targets":[],"targets":[]}}"#.to_owned(),
    ] {
        let text =
            format!(r#"{{"key":"us","name":"US","variations":[],"environments":{environments}}}"#);
        let read = Answer::of(200, text.as_bytes());
        let failure = read.json::<FlagAnswer>().err().unwrap();
        assert!(failure.to_string().contains(" twice (line 1 "), "{failure}");
    }
}

#[test]
fn another_flag_is_not_taken_for_ours_nor_named() {
    let flag = json!({ "key": "mallory", "name": "US", "archived": true, "variations": [] });
    let answer = Answer::of(200, flag.to_string().as_bytes())
        .json::<FlagAnswer>()
        .unwrap();
    let failure = answer.flag(&spec("us")).err().unwrap();
    assert_eq!(failure.to_string(), "the answer is not about the flag us");
}

#[test]
fn a_flag_without_ids_of_its_variations_cannot_be_changed() {
    for ids in [
        [json!("t"), json!("")],
        [json!(null), json!("f")],
        [json!("x"), json!("x")],
    ] {
        let variation = |(id, value): (&Value, bool)| match id {
            Value::Null => json!({ "value": value }),
            id => json!({ "_id": id, "value": value }),
        };
        let variations: Vec<Value> = ids.iter().zip([true, false]).map(variation).collect();
        let flag = json!({ "key": "us", "name": "US", "variations": variations });
        let answer = Answer::of(200, flag.to_string().as_bytes())
            .json::<FlagAnswer>()
            .unwrap();
        let failure = answer.flag(&spec("us")).err().unwrap();
        let words = "the variations of the flag us have no ids";
        assert_eq!(failure.to_string(), words);
    }
}

/// Asserts that nothing is taken for right that is not, that only the right variations are named in
/// a patch, and that nothing is quoted.
fn examine(body: &[u8], desired: &Users) {
    let answer = Answer::of(200, body).json::<FlagAnswer>();
    let mut flag = match answer.and_then(|answer| answer.flag(&spec("us"))) {
        Ok(flag) => flag,
        Err(failure) => return assert!(!failure.to_string().contains(QUOTE), "{failure}"),
    };
    let environment = flag.present(&spec("us"), &[]).environments.remove(0);
    let Ok(environment) = environment else {
        return;
    };
    // What stands beside what is looked at may be a text that is none.
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    if let (Some(users), true) = (&environment.users, environment.in_order) {
        assert_eq!(Some(&**users), holders(&json).as_ref(), "{json}");
    }
    let (on, state) = flag.take(0).unwrap();
    let patch = state.patch(&on, &Arc::new(desired.clone()), "user");
    assert_eq!(
        patch.is_empty(),
        holders(&json).as_ref() == Some(desired),
        "{json}"
    );
    let (yes, no) = (id_of(&json, true), id_of(&json, false));
    for instruction in patch {
        let said = serde_json::to_value(&instruction).unwrap();
        let (named, right) = match instruction {
            Instruction::AddTargets(_) => (&said["variationId"], yes),
            Instruction::ReplaceTargets { .. } if !desired.is_empty() => {
                (&said["targets"][0]["variationId"], yes)
            }
            Instruction::UpdateFallthroughVariationOrRollout { .. }
            | Instruction::UpdateOffVariation { .. } => (&said["variationId"], no),
            _ => continue,
        };
        assert_eq!(named, right, "{json}");
    }
    assert!(yes != no && *yes != json!("") && *no != json!(""), "{json}");
}

fn any_wanted() -> impl Strategy<Value = Users> {
    let people = prop::sample::subsequence(vec!["ann", "bob", "eve"], 0..=3);
    people.prop_map(|keys| keys.into_iter().collect())
}

proptest! {
    #[test]
    fn a_flag_that_is_nearly_right_is_never_taken_for_another(
        flag in any_flag("us"),
        changes in any_changes(),
        edits in any_edits(),
        desired in any_wanted(),
    ) {
        let flag = changed(flag, &changes);
        let body = serde_json::to_vec(&flag).unwrap();
        examine(&body, &desired);
        examine(&edited(&body, &edits), &desired);
    }

    #[test]
    fn a_flag_of_any_json_or_any_bytes_is_an_error_that_quotes_nothing(
        flag in any_flag("us"),
        json in any_json(),
        bytes: Vec<u8>,
        desired in any_wanted(),
    ) {
        examine(&serde_json::to_vec(&json).unwrap(), &desired);
        examine(&bytes, &desired);
        let mut flag = flag;
        flag["environments"][PRODUCTION] = json;
        examine(&serde_json::to_vec(&flag).unwrap(), &desired);
    }

    #[test]
    fn any_refusal_is_explained_in_one_short_line(
        status in 300_u16..600,
        message in "\\PC{0,300}",
        json in any_json(),
        bytes: Vec<u8>,
    ) {
        let refusal = json!({ "code": "conflict", "message": message, "id": json });
        for body in [serde_json::to_vec(&refusal).unwrap(), serde_json::to_vec(&json).unwrap(), bytes] {
            let failure = refusal_of(&Answer::of(status, &body), &spec("us").about());
            prop_assert_eq!(failure.kind, Kind::Status(status));
            let words = failure.to_string();
            prop_assert!(!words.contains(char::is_control), "{:?}", words);
            prop_assert!(words.chars().count() < 3000, "{}", words);
        }
    }
}
