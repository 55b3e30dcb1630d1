//! What a served model takes of memory beside its file, how long a file takes until it answers, and
//! whether swaps leak.
//!
//! `cargo bench --bench memory [-- MODEL.safetensors [SWAPS]]` (Linux; default: the built-in model's training
//! data) loads the model, then swaps it that often (1,000), each time a newly loaded one, as a server does.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use dictum::builtin;
use dictum::model::{Model, Options, Scorer};
use dictum::store::format;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let file = match args.next() {
        Some(path) => fs::read(path)?,
        None => format::encode(&builtin::train()?)?,
    };
    let n_swaps: u32 = args.next().map_or(Ok(1_000), |n| n.parse())?;
    let start = Instant::now();
    let mut model = load(&file)?;
    println!("load: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    // Freed memory is used again: what models need is what is added by those that stay.
    let kept: Vec<_> = (0..2).map(|_| load(&file)).collect::<Result<_>>()?;
    let before = resident_bytes()?;
    let more: Vec<_> = (0..4).map(|_| load(&file)).collect::<Result<_>>()?;
    let one = (resident_bytes()? - before) / 4.0;
    #[allow(clippy::cast_precision_loss, reason = "a file's length")]
    let file_bytes = file.len() as f64;
    println!("memory: {:.2} of the file of {:.2} MB", one / file_bytes, file_bytes / 1e6);
    drop((kept, more));
    let mut scorer = Scorer::default();
    let mut early = 0.0;
    for swap in 0..n_swaps {
        model = load(&file)?;
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
    Ok(Arc::new(Model::try_new(&format::decode(file)?)?))
}

/// Memory of this process that is in use.
fn resident_bytes() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
    Ok(kilobytes.parse::<f64>()? * 1024.0)
}
