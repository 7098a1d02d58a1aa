//! Killed at any moment and run again: the same documents, byte for byte.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use testkit::{contents, fixtures};

/// How many customers, and so how many numbers are drawn besides the provider's.
const CUSTOMERS: usize = 60;
/// How many usage files.
const FILES: usize = 8;
/// How many customers have usage that arrives after the close.
const LATE: usize = 3;
/// The signal that nobody can catch.
const SIGKILL: i32 = 9;
/// Places that are tried at least.
const PLACES_MIN: usize = 200;

/// The input, and the commands over it.
struct Scenario {
    folder: tempfile::TempDir,
    commands: Vec<Vec<String>>,
}

fn subscription(customer: usize) -> String {
    format!("11111111-2222-4333-8444-{customer:012}")
}

/// A partner with many customers; the first one is that of the fixture.
fn programme() -> String {
    let mut text = fixtures::two_edges(&[&subscription(0)]);
    for customer in 1..CUSTOMERS {
        let key = format!("c{customer}");
        let id = subscription(customer);
        text = [
            text,
            format!("\n[[organisation]]\nkey = \"{key}\"\nrole = \"customer\"\nname = \"{key}\"\ncountry = \"US\"\n"),
            format!("\n[[relationship]]\npartner = \"partner\"\nwith = \"{key}\"\nfrom = 2010-01-01\n"),
            format!("\n[[agreement]]\nseller = \"partner\"\nbuyer = \"{key}\"\nfrom = 2010-01-01\ncurrency = \"USD\"\nprice_book = \"selling\"\n"),
            format!("\n[[subscription]]\nid = \"{id}\"\noffer = \"usage\"\npath = [\"cloud\", \"partner\", \"{key}\"]\nfrom = 2010-01-01\n"),
        ]
        .concat();
    }
    text
}

fn usage(file: usize) -> String {
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let rows = (0..CUSTOMERS).map(|customer| {
        format!(
            "{file}-{customer},{},m{},2026-01-{:02}T00:00:00Z,2026-01-{:02}T01:00:00Z,{}.5,h\n",
            subscription(customer),
            (customer + file) % 2,
            file + 1,
            file + 1,
            customer * 7 + file
        )
    });
    std::iter::once(header.to_owned()).chain(rows).collect()
}

impl Scenario {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let programme = put("programme.toml", &programme());
        let card =
            fixtures::rate_card(&[("m0", r#"{"0": 1.25}"#), ("m1", r#"{"0": 0, "40": 0.333333}"#)]);
        let prices = put("prices.json", &card);
        let mut commands = vec![
            vec!["init".to_owned()],
            ["apply", &programme, "--yes"].map(str::to_owned).to_vec(),
            ["import", "prices", &prices, "--sheet", "list"].map(str::to_owned).to_vec(),
        ];
        for file in 0..FILES {
            let path = put(&format!("usage-{file}.csv"), &usage(file));
            commands.push(["import", "usage", &path].map(str::to_owned).to_vec());
        }
        commands.push(["close", "--period", "2026-01"].map(str::to_owned).to_vec());
        // Usage that comes too late for a few customers, and what it comes to.
        let late: String = usage(FILES).split_inclusive('\n').take(LATE + 1).collect();
        let path = put("late.csv", &late);
        commands.push(["import", "usage", &path].map(str::to_owned).to_vec());
        commands.push(["adjust", "--period", "2026-01", "--post"].map(str::to_owned).to_vec());
        Self { folder, commands }
    }

    /// Runs a command on a data folder; with a place, it is killed there.
    fn run(&self, command: usize, data: &Path, crash_at: Option<u64>) -> ExitStatus {
        let mut process = self.process(command, data);
        if let Some(at) = crash_at {
            process.env("SKYHANDEL_CRASH_AT", at.to_string());
        }
        process.output().unwrap().status
    }

    fn process(&self, command: usize, data: &Path) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_skyhandel"));
        process
            .args(&self.commands[command])
            .arg("--data")
            .arg(data)
            .env("SKYHANDEL_NOW", "2026-02-02T09:00:00Z");
        process
    }

    /// How many places a command comes to.
    fn places(&self, command: usize, data: &Path) -> u64 {
        let count = self.folder.path().join("count");
        let _ = std::fs::remove_file(&count);
        let status = self.process(command, data).env("SKYHANDEL_CRASH_COUNT", &count).output();
        assert!(status.unwrap().status.success(), "command {command}");
        std::fs::read_to_string(&count).unwrap().trim().parse().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    for (name, content) in contents(from).unwrap() {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn documents(data: &Path) -> BTreeMap<String, Vec<u8>> {
    contents(&data.join("documents")).unwrap()
}

#[test]
fn killed_anywhere_and_run_again_gives_the_same_documents() {
    if !cfg!(debug_assertions) {
        return;
    }
    let scenario = Scenario::new();
    let (data, before) = (scenario.path("data"), scenario.path("before"));
    std::fs::create_dir_all(&data).unwrap();
    let last = scenario.commands.len();
    // A run without accidents, with the state before each command.
    let mut places = Vec::new();
    for command in 0..last {
        copy(&data, &before.join(command.to_string()));
        places.push(scenario.places(command, &data));
    }
    let expected = documents(&data);
    assert_eq!(
        expected.keys().filter(|name| name.ends_with("invoice.json")).count(),
        CUSTOMERS + 1 + LATE + 1
    );
    let all: Vec<(usize, u64)> = places
        .iter()
        .enumerate()
        .flat_map(|(command, places)| (1..=*places).map(move |place| (command, place)))
        .collect();
    assert!(all.len() >= PLACES_MIN, "{} places: {places:?}", all.len());
    for (command, place) in all {
        copy(&before.join(command.to_string()), &data);
        let status = scenario.run(command, &data, Some(place));
        assert_eq!(status.signal(), Some(SIGKILL), "command {command} at {place}");
        for again in command..last {
            assert!(scenario.run(again, &data, None).success(), "{command} at {place}: {again}");
        }
        assert!(documents(&data) == expected, "command {command} at {place}");
    }
}
