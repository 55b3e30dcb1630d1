//! Two who write at the same time.

use std::process::Stdio;
use std::time::Instant;

use dictum::store::StoreError;

use crate::folder::{Folder, MODEL, model, name};
use crate::program::{self, Server};
use crate::{Scale, Survived};

/// Two programs train one model on one folder, a server and a program do, and two write at once.
pub(crate) fn two(scale: Scale) -> Survived {
    let mut folder = Folder::new();
    let (models, csv) = (folder.models(), folder.csv());
    let args = ["train", &csv, "--model", MODEL];
    let mut n = 0;
    for _ in 0..scale.pick(2, 20) {
        let before = folder.after_start();
        let claim = folder.repository().begin_training(&name()).expect("the first trainer");
        let started = Instant::now();
        let told = program::refusal(&program::run(&models, &args));
        assert!(told.contains("is being trained by another process"), "{told}");
        assert!(started.elapsed().as_secs_f64() < 2.0, "told at once");
        assert_eq!(folder.after_start(), before, "the second one changed nothing");
        drop(claim);
        let [won, lost] = at_once(&folder, &args);
        assert_eq!((won, lost), (1, 1), "one wins, the other is told");
        assert_eq!(folder.after_start().active, Some(folder.highest()), "the winner answers");
        n += 2;
    }
    let server = Server::start(&models);
    let claim = folder.repository().begin_training(&name()).expect("a trainer");
    let url = server.url();
    let told = program::refusal(&program::run(&models, &[&args[..], &["--server", &url]].concat()));
    assert!(told.contains("is being trained"), "{told}");
    drop(claim);
    n += 1 + writers(&folder);
    Survived::new(n, "one wins, the other is told; a second writer waits, then is told")
}

/// Starts two trainings; returns how many won and how many were told. One that came so late that the
/// other was done does not count: then another one is started.
fn at_once(folder: &Folder, args: &[&str]) -> [usize; 2] {
    loop {
        let start = || {
            let mut command = program::command(&folder.models(), args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
        };
        let both = [start(), start()].map(|child| child.wait_with_output().expect("it ends"));
        let won = both.iter().filter(|output| output.status.success()).count();
        for lost in both.iter().filter(|output| !output.status.success()) {
            let told = program::refusal(lost);
            assert!(told.contains("is being trained by another process"), "{told}");
        }
        assert!(won > 0, "one wins");
        if won == 1 {
            return [won, 2 - won];
        }
    }
}

/// Two writers that publish without training: the second one waits, and gets the next number.
fn writers(folder: &Folder) -> usize {
    let before = folder.state().versions.len();
    let publish = || folder.repository().publish(&name(), &model());
    let published: Vec<Result<u64, StoreError>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(publish)).collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    });
    let mut numbers: Vec<u64> = published.into_iter().map(|p| p.expect("published")).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 4, "a number each");
    assert_eq!(folder.state().versions.len(), before + 4);
    4
}
