//! What a served model takes of memory beside its file, how long a file takes until it answers, and
//! whether swaps leak.
//!
//! `cargo bench --bench memory [-- SWAPS [MODELS NAME]]` (Linux; default: the built-in model) loads the model's
//! newest version from the folder of models, swaps it that often (1,000), each time a newly loaded one, as a
//! server does; and starts the program on that folder until the model answers.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "common/program.rs"]
mod program;

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dictum::builtin;
use dictum::model::{Model, Options, Scorer};
use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::proto::{ClassifyOptions, ClassifyRequest};
use dictum::store::format;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const STARTS: usize = 5;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let n_swaps: u32 = args.next().map_or(Ok(1_000), |n| n.parse())?;
    let empty = tempfile::tempdir()?;
    let models = args.next().map_or_else(|| empty.path().to_owned(), PathBuf::from);
    let name = args.next();
    let file = match &name {
        Some(name) => fs::read(newest(&models.join(name))?)?,
        None => builtin::FILE.to_vec(),
    };
    println!("{} features", load(&file)?.n_features());
    measure_memory(&file)?;
    measure_swaps(&file, n_swaps)?;
    let mut starts: Vec<Duration> = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(&models, name.as_deref().unwrap_or_default())?);
    }
    starts.sort();
    let median = starts.get(STARTS / 2).ok_or("no starts")?;
    println!("start to its first answer: {:.0} ms", median.as_secs_f64() * 1e3);
    Ok(())
}

/// The file of a model's version with the highest number.
fn newest(model: &Path) -> Result<PathBuf> {
    let names = fs::read_dir(model)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let newest = names.filter_map(|name| name.parse::<u64>().ok()).max().ok_or("no version")?;
    Ok(model.join(newest.to_string()).join("model.safetensors"))
}

fn measure_memory(file: &[u8]) -> Result<()> {
    let start = Instant::now();
    // Freed memory is used again: what models need is what is added by those that stay.
    let kept: Vec<_> = (0..3).map(|_| load(file)).collect::<Result<_>>()?;
    println!("load: {:.1} ms", start.elapsed().as_secs_f64() * 1e3 / 3.0);
    let before = resident_bytes()?;
    let more: Vec<_> = (0..5).map(|_| load(file)).collect::<Result<_>>()?;
    let one = (resident_bytes()? - before) / 5.0;
    #[allow(clippy::cast_precision_loss, reason = "a file's length")]
    let file_bytes = file.len() as f64;
    println!("memory: {:.2} of the file of {:.2} MB", one / file_bytes, file_bytes / 1e6);
    drop((kept, more));
    Ok(())
}

fn measure_swaps(file: &[u8], n_swaps: u32) -> Result<()> {
    let (mut scorer, mut model, mut early) = (Scorer::default(), load(file)?, 0.0);
    for swap in 0..n_swaps {
        model = load(file)?;
        black_box(scorer.classify(&model, "The ministry denied it.", &Options::default()));
        if swap == n_swaps / 10 {
            early = resident_bytes()?;
        }
    }
    let late = resident_bytes()?;
    println!(
        "after {n_swaps} swaps: {:.2} MB, {:.2} MB after a tenth of them",
        late / 1e6,
        early / 1e6
    );
    drop(model);
    Ok(())
}

fn load(file: &[u8]) -> Result<Arc<Model>> {
    Ok(Arc::new(format::decode(file)?))
}

/// From the program's start to the model's first answer.
fn start(models: &Path, model: &str) -> Result<Duration> {
    let began = Instant::now();
    let (mut process, port) = program::serve(models)?;
    let answered = tokio::runtime::Runtime::new()?.block_on(first_answer(port, model));
    let time = began.elapsed();
    process.kill()?;
    process.wait()?;
    answered.map(|()| time)
}

async fn first_answer(port: u16, model: &str) -> Result<()> {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    for _ in 0..10_000 {
        ticks.tick().await;
        // A channel that failed to connect waits before it tries again.
        let address = format!("http://127.0.0.1:{port}");
        let Ok(mut client) = ClassifierServiceClient::connect(address).await else { continue };
        let options = ClassifyOptions { model: model.to_owned(), ..Default::default() };
        let sentence = "The ministry denied it.".to_owned();
        if client.classify(ClassifyRequest { sentence, options: Some(options) }).await.is_ok() {
            return Ok(());
        }
    }
    Err("the server does not answer".into())
}

/// Memory of this process that is in use.
fn resident_bytes() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
    Ok(kilobytes.parse::<f64>()? * 1024.0)
}
