//! Model files that are not what was written.

use std::collections::BTreeMap;
use std::fs;

use dictum::proto::{ActivateModelRequest, VerifyModelRequest};
use dictum::store::format;
use tonic::Code;

use crate::folder::{Folder, MODEL, Random, is_corrupt, name, small_file};
use crate::program::Server;
use crate::{Scale, Survived};

/// Flipped bits: some by chance, or all there are.
pub(crate) fn bits(scale: Scale) -> Survived {
    let mut file = small_file();
    let n_bits = file.len() as u64 * 8;
    let mut random = Random(7);
    let n = scale.pick(10_000, n_bits);
    let mut reasons = Reasons::default();
    for at in 0..n {
        let bit = scale.pick(random.below(n_bits), at) as usize;
        file[bit / 8] ^= 1 << (bit % 8);
        reasons.refused(&file);
        file[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(format::decode(&file).is_ok(), "the whole file is read");
    Survived::new(n as usize, format!("of {n_bits} bits; all refused: {}", reasons.text()))
}

/// Files that end early, at each length, or late.
pub(crate) fn cuts(scale: Scale) -> Survived {
    let file = small_file();
    let mut reasons = Reasons::default();
    let mut n = 0;
    for len in (0..file.len()).step_by(scale.pick(7, 1)) {
        reasons.refused(&file[..len]);
        n += 1;
    }
    for more in 1..=scale.pick(16, 256) {
        reasons.refused(&[file.clone(), vec![0; more]].concat());
        n += 1;
    }
    Survived::new(n, format!("all refused: {}", reasons.text()))
}

/// Two tensors of one file in each other's place.
pub(crate) fn tensors(_scale: Scale) -> Survived {
    let file = small_file();
    let end = format::header_end(&file).expect("a header");
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&file[8..end]).expect("JSON");
    let places: Vec<_> = header
        .values()
        .filter_map(|info| {
            let offset = |at: usize| Some(end + info["data_offsets"][at].as_u64()? as usize);
            Some(offset(0)?..offset(1)?)
        })
        .filter(|place| !place.is_empty())
        .collect();
    let mut reasons = Reasons::default();
    let mut n = 0;
    for (i, one) in places.iter().enumerate() {
        for other in &places[..i] {
            let len = one.len().min(other.len());
            let mut swapped = file.clone();
            swapped[one.start..one.start + len]
                .copy_from_slice(&file[other.start..other.start + len]);
            swapped[other.start..other.start + len]
                .copy_from_slice(&file[one.start..one.start + len]);
            if swapped != file {
                reasons.refused(&swapped);
                n += 1;
            }
        }
    }
    Survived::new(n, format!("all refused: {}", reasons.text()))
}

/// Damaged versions that a live server is told to activate, while an old one answers.
pub(crate) fn server(scale: Scale) -> Survived {
    let folder = Folder::new();
    let server = Server::start(&folder.models());
    let mut client = server.models();
    let (file, mut random) = (small_file(), Random(3));
    let n = scale.pick(12, 300);
    for at in 0..n {
        let version = 100 + at;
        let mut damaged = file.clone();
        if at % 3 == 0 {
            damaged.truncate(random.below(file.len() as u64) as usize);
        } else {
            damaged[random.below(file.len() as u64) as usize] ^= 1 << random.below(8);
        }
        let path = folder.models().join(MODEL).join(version.to_string());
        fs::create_dir(&path).expect("a folder");
        fs::write(path.join("model.safetensors"), damaged).expect("a file");
        assert!(is_corrupt(&folder.repository().load(&name(), version)), "{version}");
        let request = ActivateModelRequest { model: MODEL.to_owned(), version };
        let status = server.block_on(client.activate_model(request)).expect_err("refused");
        assert_eq!(status.code(), Code::DataLoss, "{status:?}");
        let request = VerifyModelRequest { model: MODEL.to_owned(), version };
        let verified = server.block_on(client.verify_model(request)).expect("an answer");
        assert!(!verified.into_inner().problem.is_empty(), "the reason is said");
        // As if another process had moved the pointer to it.
        fs::write(folder.models().join(MODEL).join("active"), format!("{version}\n2\n"))
            .expect("a file");
        server.assert_serves(MODEL, 2);
    }
    fs::write(folder.models().join(MODEL).join("2/model.safetensors"), "nothing").expect("a file");
    server.assert_serves(MODEL, 2);
    Survived::new(n as usize + 1, "all refused by name; version 2 answered on, health unchanged")
}

/// How often which reason was given.
#[derive(Debug, Default)]
struct Reasons(BTreeMap<&'static str, usize>);

impl Reasons {
    fn refused(&mut self, file: &[u8]) {
        let problem = format::decode(file).expect_err("a damaged file is refused").to_string();
        let reason = match problem.as_str() {
            "the digest does not match the content" => "digest",
            problem if problem.starts_with("not a model file") => "container",
            problem if problem.starts_with("format version") => "version",
            _ => "content",
        };
        *self.0.entry(reason).or_default() += 1;
    }

    fn text(&self) -> String {
        let texts: Vec<_> = self.0.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        texts.join(", ")
    }
}
