//! The generated references tell the truth. `cargo xtask codegen` writes them anew.

use std::path::Path;
use std::process::Command;

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_skyhandel")).args(arguments).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn check(name: &str, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    let now = printed(arguments);
    if std::env::var_os("SKYHANDEL_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "{} is out of date; run `cargo xtask codegen`", path.display());
}

#[test]
fn the_schema_reference_is_up_to_date() {
    check("programme.schema.json", &["schema"]);
}

#[test]
fn the_programme_reference_is_up_to_date() {
    check("programme.md", &["schema", "--markdown"]);
}

#[test]
fn the_command_line_reference_is_up_to_date() {
    let mut page =
        "# Commands\n\nMade from the code by `cargo xtask codegen`; do not edit.\n".to_owned();
    let commands: [&[&str]; 17] = [
        &[],
        &["demo"],
        &["init"],
        &["apply"],
        &["import", "prices"],
        &["import", "rates"],
        &["import", "usage"],
        &["imports"],
        &["rate"],
        &["close"],
        &["adjust"],
        &["invoices"],
        &["invoices", "show"],
        &["export"],
        &["verify"],
        &["explain"],
        &["bench", "rate"],
    ];
    for command in commands {
        let help = printed(&[command, &["--help"]].concat());
        let name = std::iter::once("skyhandel").chain(command.iter().copied());
        let name = name.collect::<Vec<_>>().join(" ");
        page = [page, format!("\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end())].concat();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/commands.md");
    if std::env::var_os("SKYHANDEL_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "{} is out of date; run `cargo xtask codegen`", path.display());
}
