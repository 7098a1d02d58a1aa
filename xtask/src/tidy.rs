//! What the compiler does not check: the arrows between crates and the size of files.

use std::path::Path;

/// Which crates of the workspace a crate may use. Arrows point inwards.
///
/// `verify` stands alone on purpose: it judges what the others have written, so it shares
/// no line with them.
const ARROWS: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("verify", &[]),
    ("desk", &[]),
    ("domain", &["kernel"]),
    ("lake", &["kernel"]),
    ("rating", &["kernel", "domain"]),
    ("store", &["kernel", "domain"]),
    ("documents", &["kernel", "domain", "lake"]),
    ("app", &["kernel", "domain", "rating", "store", "lake", "documents", "desk"]),
    ("wire", &["kernel"]),
    ("api", &["kernel", "domain", "app", "wire"]),
    ("testkit", &["kernel", "domain", "rating", "store", "lake", "documents", "desk", "app"]),
    (
        "cli",
        &[
            "kernel",
            "domain",
            "rating",
            "store",
            "lake",
            "documents",
            "app",
            "wire",
            "api",
            "verify",
            "desk",
            "testkit",
        ],
    ),
    ("xtask", &[]),
];

/// Lines of a file beyond which two names tell more than one.
const FILE_LINES: usize = 650;
/// Characters of a line, as a reader sees them.
const LINE_CHARACTERS: usize = 150;

/// Checks everything and lists every fault.
pub fn run(root: &Path) -> Result<(), String> {
    let mut faults = arrows(root)?;
    for file in crate::rust_files(root)? {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        faults.extend(lengths(&name, &text));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn arrows(root: &Path) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    let mut manifests = vec![root.join("xtask/Cargo.toml")];
    let crates = root.join("crates");
    let entries =
        std::fs::read_dir(&crates).map_err(|error| format!("{}: {error}", crates.display()))?;
    manifests.extend(entries.flatten().map(|entry| entry.path().join("Cargo.toml")));
    manifests.sort();
    for manifest in manifests {
        let text = std::fs::read_to_string(&manifest)
            .map_err(|error| format!("{}: {error}", manifest.display()))?;
        faults.extend(arrows_of(&text)?);
    }
    Ok(faults)
}

/// The arrows of one manifest that must not be. Development dependencies count only for `verify`.
fn arrows_of(manifest: &str) -> Result<Vec<String>, String> {
    let manifest: toml::Table = manifest.parse().map_err(|error| format!("{error}"))?;
    let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
    let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == name) else {
        return Ok(vec![format!("{name}: give the new crate its arrows in xtask/src/tidy.rs")]);
    };
    let tables: &[&str] = match name.as_str() {
        "verify" => &["dependencies", "dev-dependencies", "build-dependencies"],
        _ => &["dependencies", "build-dependencies"],
    };
    let used = tables
        .iter()
        .filter_map(|table| manifest.get(*table).and_then(toml::Value::as_table))
        .flat_map(toml::Table::keys);
    let ours = |of: &&String| ARROWS.iter().any(|(known, _)| known == of);
    Ok(used
        .filter(ours)
        .filter(|of| !allowed.contains(&of.as_str()))
        .map(|of| format!("{name} must not use {of}: arrows point inwards"))
        .collect())
}

fn lengths(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES {
        faults.push(format!("{name}: {lines} lines; {FILE_LINES} at most"));
    }
    for (at, line) in text.lines().enumerate() {
        let characters = line.chars().count();
        if characters > LINE_CHARACTERS {
            faults.push(format!(
                "{name}:{}: {characters} characters; {LINE_CHARACTERS} at most",
                at + 1
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        run(&crate::root()).unwrap();
    }

    #[test]
    fn an_outward_arrow_is_named() {
        let manifest = "[package]\nname = 'domain'\n[dependencies]\nkernel = '1'\nstore = '1'";
        assert_eq!(
            arrows_of(manifest).unwrap(),
            ["domain must not use store: arrows point inwards"]
        );
        let judge = "[package]\nname = 'verify'\n[dev-dependencies]\nrating = '1'";
        assert_eq!(arrows_of(judge).unwrap().len(), 1, "not even in its tests");
        let unknown = "[package]\nname = 'misc'";
        assert_eq!(arrows_of(unknown).unwrap().len(), 1);
    }

    #[test]
    fn a_long_line_and_a_long_file_are_named() {
        let line = "x".repeat(LINE_CHARACTERS + 1);
        assert!(lengths("a.rs", &line)[0].starts_with("a.rs:1: 151 characters"));
        let file = "x\n".repeat(FILE_LINES + 1);
        assert_eq!(lengths("a.rs", &file), ["a.rs: 651 lines; 650 at most"]);
    }
}
