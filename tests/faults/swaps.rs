//! The active version is swapped again and again while clients ask as fast as they can.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dictum::builtin;
use dictum::model::{Model, Numbers, Options, Scorer};
use dictum::proto::ActivateModelRequest;
use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::store::Repository;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::folder::{MODEL, name};
use crate::program::{SENTENCE, Server, pause, request};
use crate::{Scale, Survived};

/// More than stay in memory, so that every swap reads a file.
const N_VERSIONS: u32 = 12;
/// Connections, and requests under way on each.
const CONNECTIONS: usize = 4;
const STREAMS: usize = 8;
/// Swaps between two looks at the server's memory.
const BLOCK: u32 = 20;
/// What memory may grow by from the first third of the swaps to the last.
const MAX_GROWTH_KIB: u64 = 16 * 1024;

/// What the best label's probability is with each version.
type Expected = BTreeMap<u64, f64>;

/// What clients measured.
#[derive(Debug, Default)]
struct Measured {
    micros: Vec<u32>,
    n_failed: usize,
}

impl Measured {
    fn p99(&mut self) -> f64 {
        self.micros.sort_unstable();
        f64::from(self.micros[self.micros.len() * 99 / 100]) / 1_000.0
    }
}

/// Swaps under load, with the load alone before and after.
pub(crate) fn swaps(scale: Scale) -> Survived {
    let folder = TempDir::new().expect("a temporary folder");
    let expected = Arc::new(publish(folder.path()));
    let server = Server::start(folder.path());
    let n_swaps = scale.pick(60, 1_000);
    let alone = scale.pick(Duration::from_secs(1), Duration::from_secs(8));
    // Memory and clients get to what they are under load with swaps, before anything is measured.
    under_load(&server, &expected, || swap(&server, 2 * N_VERSIONS as usize));
    let mut before = under_load(&server, &expected, || pause(alone));
    let mut memory = Vec::new();
    let started = Instant::now();
    let mut during = under_load(&server, &expected, || {
        for _ in 0..n_swaps / BLOCK {
            swap(&server, BLOCK as usize);
            memory.push(resident_kib(&server));
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let mut after = under_load(&server, &expected, || pause(alone));
    let n_failed = before.n_failed + during.n_failed + after.n_failed;
    assert_eq!(n_failed, 0, "requests failed, or were answered by a mix");
    // The calmer of the two is what the swaps are held against, the louder one what the machine does anyway.
    let (p99, p99_alone) = (during.p99(), before.p99().min(after.p99()));
    let [early, late] = [&memory[..memory.len() / 3], &memory[memory.len() * 2 / 3..]].map(median);
    let found = format!(
        "0 of {} requests failed; p99 {p99:.2} ms, without swaps {p99_alone:.2} ms; memory {} MiB, \
         later {} MiB; {:.0} swaps/s",
        during.micros.len(),
        early / 1024,
        late / 1024,
        f64::from(n_swaps) / seconds,
    );
    // In a short run there are too few swaps, and too much else on the machine, for either figure to be held
    // against anything.
    if scale == Scale::Long {
        assert!(late < early + MAX_GROWTH_KIB, "memory grows: {found}: {memory:?} KiB");
        assert!(p99 <= 2.0 * p99_alone, "slow: {found}");
    }
    Survived::new(n_swaps as usize, found)
}

/// Publishes versions that give different probabilities.
fn publish(folder: &Path) -> Expected {
    let built_in = builtin::model().expect("a model");
    let repository = Repository::open(folder).expect("a folder");
    let mut expected = Expected::new();
    for nth in 1..=N_VERSIONS {
        let model = shifted(&built_in, 0.25 * f64::from(nth));
        let version = repository.publish(&name(), &model).expect("published");
        let mut scorer = Scorer::default();
        let answer = scorer.classify(&model, SENTENCE, &Options::default());
        expected.insert(version, answer.probabilities.iter().copied().fold(0.0, f64::max));
    }
    repository.activate(&name(), 1).expect("activated");
    expected
}

/// The model with another offset of its first label.
fn shifted(model: &Model, by: f64) -> Model {
    let mut arrays = model.arrays();
    for array in &mut arrays {
        if let ("offsets", Numbers::F64(offsets)) = (array.name.as_str(), &mut array.numbers) {
            offsets.to_mut()[0] += by;
        }
    }
    let metadata = model.metadata().clone();
    let arrays = &mut arrays.into_iter().collect();
    Model::from_arrays(metadata, model.n_features(), arrays).expect("a model")
}

/// Activates one version after the other.
fn swap(server: &Server, n: usize) {
    let mut client = server.models();
    for _ in 0..n {
        let active = server.block_on(async {
            let request = dictum::proto::GetModelRequest { model: MODEL.to_owned(), version: 0 };
            client.get_model(request).await.expect("a model").into_inner().model
        });
        let active = active.and_then(|model| model.model_version).expect("a version").version;
        let version = active % u64::from(N_VERSIONS) + 1;
        let request = ActivateModelRequest { model: MODEL.to_owned(), version };
        server.block_on(client.activate_model(request)).expect("activated");
    }
}

/// Does something while clients ask as fast as they are answered.
fn under_load(server: &Server, expected: &Arc<Expected>, work: impl FnOnce()) -> Measured {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let channel = server.channel();
        for _ in 0..STREAMS {
            let client = ask(channel.clone(), Arc::clone(expected), Arc::clone(&stop));
            clients.spawn_on(client, server.runtime().handle());
        }
    }
    work();
    stop.store(true, Ordering::Relaxed);
    let mut all = Measured::default();
    for measured in server.block_on(clients.join_all()) {
        all.micros.extend(measured.micros);
        all.n_failed += measured.n_failed;
    }
    all
}

async fn ask(channel: Channel, expected: Arc<Expected>, stop: Arc<AtomicBool>) -> Measured {
    let mut client = ClassifierServiceClient::new(channel);
    let mut measured = Measured::default();
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let answer = client.classify(request(MODEL)).await;
        measured.micros.push(started.elapsed().as_micros() as u32);
        let is_right = answer.is_ok_and(|answer| {
            let answer = answer.into_inner();
            let version = answer.model_version.map_or(0, |version| version.version);
            let best = answer.classification.and_then(|c| c.scores.first().map(|s| s.probability));
            let wanted = expected.get(&version);
            wanted.zip(best).is_some_and(|(wanted, best)| (wanted - best).abs() < 1e-9)
        });
        measured.n_failed += usize::from(!is_right);
    }
    measured
}

fn median(values: &[u64]) -> u64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.get(values.len() / 2).copied().expect("swaps enough")
}

/// Memory that the server holds.
fn resident_kib(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("its state");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
}
