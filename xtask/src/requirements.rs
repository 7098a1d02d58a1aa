//! Every requirement of `docs/requirements.md` and the tests that cite it.
//!
//! A test cites by a comment above it: `// req: D1` or `/// req: H1 H4`.

use std::collections::BTreeMap;
use std::path::Path;

/// Where a requirement is cited.
type Citations = BTreeMap<String, Vec<String>>;

/// Prints the table; an unknown id is an error.
pub fn run(root: &Path) -> Result<(), String> {
    let list = root.join("docs/requirements.md");
    let list = std::fs::read_to_string(&list).map_err(|e| format!("{}: {e}", list.display()))?;
    let mut cited: Citations = known(&list).into_iter().map(|id| (id, Vec::new())).collect();
    let mut unknown = Vec::new();
    for file in crate::rust_files(root)? {
        let text =
            std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        for (id, place) in citations(&name, &text) {
            match cited.get_mut(&id) {
                Some(places) => places.push(place),
                None => unknown.push(format!("{place}: {id} is not in docs/requirements.md")),
            }
        }
    }
    for (id, places) in &cited {
        println_line(id, places);
    }
    if unknown.is_empty() { Ok(()) } else { Err(unknown.join("\n")) }
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn println_line(id: &str, places: &[String]) {
    let places = if places.is_empty() { "no test yet".to_owned() } else { places.join("\n     ") };
    println!("{id:<4} {places}");
}

/// The ids of the first column of the tables.
fn known(list: &str) -> Vec<String> {
    list.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
        .map(|(id, _)| id.trim().to_owned())
        .filter(|id| is_id(id))
        .collect()
}

fn is_id(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_uppercase())
        && !characters.as_str().is_empty()
        && characters.all(|c| c.is_ascii_digit())
}

/// Each cited id with the file and the name of the test below the comment.
fn citations(name: &str, text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let comment = line.trim_start().trim_start_matches('/');
        if comment.len() == line.trim_start().len() {
            continue;
        }
        let Some(ids) = comment.trim_start().strip_prefix("req:") else { continue };
        let test = lines[at..].iter().find_map(|line| {
            let rest = line.trim_start().trim_start_matches("async ").strip_prefix("fn ")?;
            rest.split(['(', '<']).next()
        });
        let place = format!("{name} {}", test.unwrap_or("(the whole file)"));
        let ids = ids.split([',', ' ']).filter(|id| !id.is_empty());
        found.extend(ids.map(|id| (id.to_owned(), place.clone())));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cited_requirement_is_known() {
        run(&crate::root()).unwrap();
    }

    #[test]
    fn ids_are_read_from_the_tables() {
        assert_eq!(known("| id | what |\n|---|---|\n| A1 | one |\n| B16 | two |\n"), ["A1", "B16"]);
    }

    #[test]
    fn a_citation_names_the_test_below_it() {
        let comment = ["//", " req: D1, H2"].concat();
        let text = format!("{comment}\n#[test]\nasync fn owners() {{}}\n");
        let place = "x.rs owners".to_owned();
        let cited = citations("x.rs", &text);
        assert_eq!(cited, [("D1".to_owned(), place.clone()), ("H2".to_owned(), place)]);
    }
}
