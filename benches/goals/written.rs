//! The ratios as they were written down, and what has become worse since.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use toml::de::DeTable;

/// `"row" = ratio`, for each row that has a floor.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/goals.toml");

/// How much worse a ratio may be: less is noise.
const WORSE: f64 = 4.0 / 3.0;

pub(crate) type Ratios = BTreeMap<String, f64>;

pub(crate) fn read() -> Ratios {
    let text = fs::read_to_string(FILE).expect("benches/goals.toml is there");
    let table = DeTable::parse(&text).expect("benches/goals.toml is TOML");
    let ratios = table.get_ref().iter().map(|(row, ratio)| {
        let number = ratio.get_ref().as_float().map(|it| it.as_str());
        let ratio = number.and_then(|it| it.parse().ok());
        (
            row.get_ref().to_string(),
            ratio.expect("a ratio, such as 1.25"),
        )
    });
    ratios.collect()
}

/// Replaces them, in the order of the table. The comment at the top stays.
pub(crate) fn write(measured: &[(String, f64)]) {
    let text = fs::read_to_string(FILE).expect("benches/goals.toml is there");
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let head = head.map(str::to_owned);
    let lines = measured.iter().map(|(row, ratio)| line(row, *ratio));
    let lines: Vec<String> = head.chain(lines).collect();
    fs::write(FILE, lines.join("\n") + "\n").expect("benches/goals.toml can be written");
}

/// What is wrong with what was measured; if that was `all`, also with what is written.
pub(crate) fn complaints(measured: &[(String, f64)], written: &Ratios, all: bool) -> Vec<String> {
    let of_row = |(row, ratio): &(String, f64)| match written.get(row) {
        None => Some(format!(
            "no ratio is written down: add {}",
            line(row, *ratio)
        )),
        Some(before) if *ratio > before * WORSE => Some(format!(
            "{row}: {ratio:.2} times its floor, {before:.2} are written down"
        )),
        Some(_) => None,
    };
    let is_left = |row: &&String| all && !measured.iter().any(|(known, _)| known == *row);
    let left = written.keys().filter(is_left);
    let left = left.map(|row| format!("{row}: is written down and not measured: remove it"));
    measured.iter().filter_map(of_row).chain(left).collect()
}

fn line(row: &str, ratio: f64) -> String {
    // A string of TOML is written like one of JSON.
    format!("{} = {ratio:.2}", json!(row))
}
