//! What is written down is what the code does. `cargo xtask codegen` writes it anew.

use std::path::PathBuf;

use crate::world::Served;

fn compare(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference").join(name);
    if std::env::var_os("SKYHANDEL_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "{name} is not what the code says; run `cargo xtask codegen`");
}

#[test]
fn the_reference_of_openapi_is_that_of_the_routes() {
    let served = Served::new();
    let document = served.get("/api/v1/openapi.json", "").json();
    let text = serde_json::to_string_pretty(&document).unwrap();
    compare("openapi.json", &format!("{text}\n"));
}

#[test]
fn the_reference_of_errors_has_every_code() {
    compare("errors.md", &api::pages());
}

// req: C6
#[test]
fn the_reference_of_permissions_is_the_table() {
    let head = "# Permissions\n\nWhat each duty may do: to everything, to what is its \
                organisation's own (\"own\"), or not at all.\n\n";
    compare("permissions.md", &format!("{head}{}", domain::permissions_page()));
}
