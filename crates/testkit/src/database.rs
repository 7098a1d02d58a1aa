//! A database for a test: embedded, or one of a PostgreSQL server that the tests were told of.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use app::DatabaseUrl;

/// The server on which tests make their databases; tests run on the embedded one without it.
/// `cargo xtask test` starts one and runs the suites of both.
pub const SERVER: &str = "SKYHANDEL_TEST_POSTGRES";

/// A database that is new and is gone afterwards.
#[derive(Debug)]
pub struct TestDatabase {
    url: DatabaseUrl,
    /// Server and name, to drop it.
    made: Option<(String, String)>,
}

impl TestDatabase {
    /// One that belongs to a folder.
    ///
    /// # Panics
    /// Where the server that the tests were told of makes none.
    pub fn fresh(folder: &Path) -> Self {
        match std::env::var(SERVER) {
            Ok(server) if !server.is_empty() => Self::postgres(&server),
            _ => Self { url: DatabaseUrl::embedded(folder), made: None },
        }
    }

    /// One on a PostgreSQL server.
    ///
    /// # Panics
    /// Where the server makes none.
    pub fn postgres(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{count}", std::process::id());
        let sql = format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
        );
        assert!(psql(server, &sql), "{server} makes no database for tests");
        let url = format!("{server}/{name}").parse().unwrap_or_else(|_| unreachable!("a URL"));
        Self { url, made: Some((server.to_owned(), name)) }
    }

    /// Where it is.
    pub const fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Whether it is one of a server.
    pub const fn is_shared(&self) -> bool {
        self.made.is_some()
    }

    /// Where it is, with everything that is needed to connect.
    pub fn full_url(&self) -> String {
        match &self.made {
            Some((server, name)) => format!("{server}/{name}"),
            None => self.url.to_string(),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.made {
            psql(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn psql(server: &str, sql: &str) -> bool {
    let database = format!("{server}/postgres");
    let done = Command::new("psql").args(["-q", "-d", &database, "-c", sql]).status();
    done.is_ok_and(|status| status.success())
}
