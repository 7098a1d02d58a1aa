//! A server that is killed under load: what it acknowledged is there, once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};

use serde_json::{Value, json};
use testkit::{TestDatabase, fixtures};

/// How often the server is killed.
const KILLS: u32 = 50;
/// Programs that send at once.
const SENDERS: u32 = 3;
/// Events of a batch.
const BATCH: u32 = 40;
const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";

/// A data folder, and how commands find it.
struct Place {
    folder: tempfile::TempDir,
    database: TestDatabase,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(&data).unwrap();
        let database = TestDatabase::fresh(&data);
        let place = Self { folder, database };
        place.run(&["init"]);
        let programme = place.file("programme.toml", &fixtures::two_edges(&[SUBSCRIPTION]));
        place.run(&["apply", programme.to_str().unwrap(), "--yes"]);
        let prices = place.file("prices.json", &fixtures::rate_card(&[("m1", r#"{"0": 1}"#)]));
        place.run(&["import", "prices", prices.to_str().unwrap(), "--sheet", "list"]);
        place
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skyhandel"));
        let data: &Path = &self.folder.path().join("data");
        command.args(arguments).arg("--data").arg(data).arg("--json");
        command.env("SKYHANDEL_DATABASE", self.database.full_url());
        command.env("SKYHANDEL_LOG", "error");
        command
    }

    fn run(&self, arguments: &[&str]) -> Value {
        let done = self.command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&done.stdout).unwrap()
    }

    fn serve(&self) -> Served {
        let mut server = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut process = server.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let mut text = String::new();
        // One JSON value over several lines.
        while !text.contains('}') {
            assert!(said.read_line(&mut text).unwrap() > 0, "the server does not serve");
        }
        let json: Value = serde_json::from_str(&text).unwrap();
        let address = json["url"].as_str().unwrap().trim_start_matches("http://").to_owned();
        Served { process, address }
    }
}

struct Served {
    process: Child,
    address: String,
}

/// Sends a request; nothing comes back where the server is gone.
fn ask(address: &str, head: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let request = format!(
        "{head}\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

fn token(address: &str, application: &Value) -> String {
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        application["application_id"].as_str().unwrap(),
        application["secret"].as_str().unwrap()
    );
    let head = "POST /oauth2/token HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded";
    let (status, answer) = ask(address, head, &form).unwrap();
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

fn batch(first: u32) -> String {
    let events = (first..first + BATCH).map(|id| {
        json!({
            "specversion": "1.0", "id": id.to_string(), "source": "m", "type": "skyhandel.usage.v1",
            "data": {
                "subscription_id": SUBSCRIPTION, "meter_id": "m1", "quantity": "1",
                "usage_start": "2026-01-05T00:00:00Z", "usage_end": "2026-01-05T01:00:00Z",
                "unit": "1 Hour",
            },
        })
    });
    Value::from(events.collect::<Vec<_>>()).to_string()
}

/// What has become of each batch: how often each of its events was accepted.
#[derive(Default)]
struct Ledger {
    accepted: BTreeMap<u64, u32>,
    acknowledged: BTreeMap<u64, u32>,
}

impl Ledger {
    fn note(&mut self, answer: &Value) {
        for result in answer["results"].as_array().unwrap() {
            let id = result["id"].as_str().unwrap().parse().unwrap();
            let status = result["status"].as_str().unwrap();
            assert!(["accepted", "duplicate"].contains(&status), "{result}");
            *self.acknowledged.entry(id).or_default() += 1;
            if status == "accepted" {
                *self.accepted.entry(id).or_default() += 1;
            }
        }
    }
}

/// Sends batches until the server is gone, each fifth one twice; gives back the first that was not
/// answered.
fn send(
    (address, token): (&str, &str),
    next: &AtomicU32,
    (left, ledger, told): (Option<u32>, &Mutex<Ledger>, &mpsc::Sender<()>),
) -> Option<u32> {
    let head = format!(
        "POST /api/v1/usage/events HTTP/1.1\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}"
    );
    let mut first = left.unwrap_or_else(|| next.fetch_add(BATCH, Ordering::Relaxed));
    loop {
        let times = if first % (5 * BATCH) == 0 { 2 } else { 1 };
        for _ in 0..times {
            match ask(address, &head, &batch(first)) {
                Some((200, answer)) => ledger.lock().unwrap().note(&answer),
                Some((503, _)) | None => return Some(first),
                Some(other) => panic!("{other:?}"),
            }
        }
        if told.send(()).is_err() {
            return None;
        }
        first = next.fetch_add(BATCH, Ordering::Relaxed);
    }
}

#[test]
fn no_acknowledged_event_is_lost_or_doubled_by_kill_9() {
    let place = Place::new();
    let application = place.run(&["applications", "create", "--name", "ops", "--duty", "operator"]);
    let (next, ledger) = (AtomicU32::new(0), Mutex::new(Ledger::default()));
    let mut left: Vec<Option<u32>> = vec![None; SENDERS as usize];
    for kill in 0..KILLS {
        let mut served = place.serve();
        let token = token(&served.address, &application);
        let (told, heard) = mpsc::channel();
        let asked = (served.address.as_str(), token.as_str());
        left = std::thread::scope(|scope| {
            let senders: Vec<_> = left
                .iter()
                .map(|left| {
                    let (told, next, ledger) = (told.clone(), &next, &ledger);
                    scope.spawn(move || send(asked, next, (*left, ledger, &told)))
                })
                .collect();
            // In the middle of whatever it does after so many batches.
            for _ in 0..=kill % 7 {
                heard.recv().unwrap();
            }
            served.process.kill().unwrap();
            served.process.wait().unwrap();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
    }
    // What was not answered is sent once more.
    let mut served = place.serve();
    let token = token(&served.address, &application);
    let head = format!(
        "POST /api/v1/usage/events HTTP/1.1\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}"
    );
    for first in left.into_iter().flatten() {
        let (status, answer) = ask(&served.address, &head, &batch(first)).unwrap();
        assert_eq!(status, 200, "{answer}");
        ledger.lock().unwrap().note(&answer);
    }
    served.process.kill().unwrap();
    served.process.wait().unwrap();
    let ledger = ledger.into_inner().unwrap();
    let sent = u64::from(next.into_inner());
    assert!(ledger.accepted.values().all(|times| *times == 1), "something was accepted twice");
    assert_eq!(ledger.acknowledged.len() as u64, sent, "something was never acknowledged");
    // The command moves what the dead server has left behind.
    let rated = place.run(&["rate", "--period", "2026-01"]);
    assert_eq!(rated["records"], sent);
    assert_eq!(rated["edges"][0]["net"], format!("{sent}.00"));
}
