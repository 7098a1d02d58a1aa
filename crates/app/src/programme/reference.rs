//! The reference page of programme files, from their schema.

use serde_json::Value;

/// The page, as Markdown.
pub fn reference() -> String {
    let schema = super::schema();
    let mut page = vec![
        "# Programme files".to_owned(),
        String::new(),
        "Made from the code by `cargo xtask codegen`; do not edit.".to_owned(),
        String::new(),
        text(&schema["description"]),
        String::new(),
        "Amounts and percentages are exact decimals in quotes; days are TOML dates or texts such as \
         `\"2026-10-01\"`."
            .to_owned(),
        String::new(),
    ];
    let tables = schema["properties"].as_object().into_iter().flatten();
    for (name, table) in tables {
        let is_list = table["type"] == "array";
        let heading = if is_list { format!("[[{name}]]") } else { format!("[{name}]") };
        let entry = if is_list { &table["items"] } else { table };
        section(&schema, &heading, entry, &mut page);
    }
    page.join("\n").trim_end().to_owned() + "\n"
}

/// A table, and those below it.
fn section(schema: &Value, heading: &str, entry: &Value, page: &mut Vec<String>) {
    let entry = resolved(schema, entry);
    page.extend([format!("## `{heading}`"), String::new(), text(&entry["description"])]);
    page.extend([String::new(), "| key | needed | what |".into(), "|---|---|---|".into()]);
    let required: Vec<&str> =
        entry["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut below = Vec::new();
    for (name, key) in entry["properties"].as_object().into_iter().flatten() {
        let needed = if required.contains(&name.as_str()) { "yes" } else { "" };
        page.push(format!("| `{name}` | {needed} | {} |", text(&key["description"])));
        if let Some((inner, is_list)) = table_of(schema, key) {
            below.push((name.clone(), inner, is_list));
        }
    }
    page.push(String::new());
    for (name, inner, is_list) in below {
        let outer = heading.trim_matches(['[', ']']);
        let (open, close) = if is_list { ("[[", "]]") } else { ("[", "]") };
        section(schema, &format!("{open}{outer}.{name}{close}"), inner, page);
    }
}

/// The table behind a key, if it holds one, and whether it holds a list of them.
fn table_of<'s>(schema: &'s Value, key: &'s Value) -> Option<(&'s Value, bool)> {
    let choices = key["anyOf"].as_array().into_iter().flatten();
    let (list, alone) = (&key["items"], std::iter::once(key).chain(choices));
    let is_table = |value: &&Value| resolved(schema, value)["properties"].is_object();
    if is_table(&list) {
        return Some((list, true));
    }
    alone.into_iter().find(is_table).map(|table| (table, false))
}

/// What a reference refers to.
fn resolved<'s>(schema: &'s Value, value: &'s Value) -> &'s Value {
    let name = value["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    name.map_or(value, |name| &schema["$defs"][name])
}

fn text(description: &Value) -> String {
    description
        .as_str()
        .unwrap_or_default()
        .replace("\n\n", "\u{0}")
        .replace('\n', " ")
        .replace('\u{0}', "\n\n")
}
