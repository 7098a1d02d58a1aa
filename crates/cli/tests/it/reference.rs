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
    add_page(&mut Vec::new(), &mut page);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/commands.md");
    if std::env::var_os("SKYHANDEL_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "{} is out of date; run `cargo xtask codegen`", path.display());
}

/// Adds the help of a command, then that of each of its own commands.
fn add_page(command: &mut Vec<String>, page: &mut String) {
    let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
    let help = printed(&arguments);
    let name = std::iter::once("skyhandel").chain(command.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join(" ");
    *page += &["\n## `", &name, "`\n\n```text\n", help.trim_end(), "\n```\n"].concat();
    let names = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = names.take_while(|line| !line.is_empty()).filter_map(|line| {
        // What a command does may go on in further lines, which begin further right.
        let line = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
        line.split_whitespace().next().filter(|name| *name != "help")
    });
    for name in names {
        command.push(name.to_owned());
        add_page(command, page);
        command.pop();
    }
}
