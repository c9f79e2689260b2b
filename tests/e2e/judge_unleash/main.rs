//! Asks Unleash's engine which users have which features of an answer to `GET /api/client/features`.
//!
//! Reads `{"features": ANSWER, "keys": ["us-feature"], "users": ["alice", null]}` and prints
//! `{key: [users]}`, with the users who have the feature; null is a context without a `userId`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;

use serde_json::{Value, from_value, json};
use unleash_yggdrasil::EngineState;

fn main() -> Result<(), Box<dyn Error>> {
    let mut question: Value = serde_json::from_reader(io::stdin())?;
    let engine = EngineState::default();
    let warnings = engine.take_state(from_value(question["features"].take())?);
    if let Some(warnings) = warnings {
        return Err(format!("{warnings:?}").into());
    }
    let keys: Vec<String> = from_value(question["keys"].take())?;
    let users: Vec<Value> = from_value(question["users"].take())?;
    let mut answer = BTreeMap::new();
    for key in keys {
        answer.insert(key.clone(), with_feature(&engine, &key, &users)?);
    }
    println!("{}", json!(answer));
    Ok(())
}

fn with_feature<'u>(
    engine: &EngineState,
    key: &str,
    users: &'u [Value],
) -> Result<Vec<&'u Value>, Box<dyn Error>> {
    if engine.list_known_toggles().iter().all(|it| it.name != key) {
        return Err(format!("there is no feature {key}").into());
    }
    let mut found = Vec::new();
    for user in users {
        let context = match user {
            Value::Null => json!({}),
            user => json!({ "userId": user }),
        };
        if engine.is_enabled(key, &from_value(context)?, &None) {
            found.push(user);
        }
    }
    Ok(found)
}
