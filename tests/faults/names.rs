//! Names and links that lead out of the folder.

use std::fs;
use std::os::unix::fs::symlink;

use dictum::proto::{
    ActivateModelRequest, DeleteModelRequest, GetModelRequest, VerifyModelRequest,
};
use tonic::{Code, Status};

use crate::folder::Folder;
use crate::program::{self, Server};
use crate::{Scale, Survived};

/// Names that no model may have.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "../x",
        "..",
        ".",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a\0b",
        "\0",
        "mine\n",
        "Mine",
        "-x",
        ".x",
    ]
    .map(str::to_owned)
    .into();
    names.push("n".repeat(300));
    names.push(format!("../{}", "n".repeat(300)));
    names
}

/// Every RPC and every command that takes a name, on every bad name; then links of every kind.
pub(crate) fn refused(_scale: Scale) -> Survived {
    let folder = Folder::new();
    let outside = folder.models().with_file_name("x");
    fs::create_dir(&outside).expect("a folder");
    let server = Server::start(&folder.models());
    let mut n = 0;
    for name in names() {
        for status in of_rpcs(&server, &name, 1) {
            assert_eq!(status.code(), Code::InvalidArgument, "{name:?}: {status:?}");
            n += 1;
        }
        if !name.contains('\0') {
            let csv = folder.csv();
            let version = format!("{name}@1");
            for args in [
                &["train", &csv, &format!("--model={name}")][..],
                &["models", "activate", "--", &version],
                &["models", "delete", "--", &version],
                &["models", "show", "--", &version],
                &["models", "verify", "--", &name],
                &["classify", &format!("--model={name}"), "x"],
            ] {
                let output = program::run(&folder.models(), args);
                assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
                n += 1;
            }
        }
    }
    n += links(&folder, &server);
    assert_eq!(fs::read_dir(&outside).expect("a folder").count(), 1, "nothing was made outside");
    server.assert_serves("mine", 2);
    Survived::new(n, "all refused; nothing read or made outside")
}

/// The refusals of every RPC that takes a stored version.
fn of_rpcs(server: &Server, model: &str, version: u64) -> Vec<Status> {
    let mut client = server.models();
    let model = || model.to_owned();
    let get = GetModelRequest { model: model(), version };
    let activate = ActivateModelRequest { model: model(), version };
    let delete = DeleteModelRequest { model: model(), version };
    let verify = VerifyModelRequest { model: model(), version };
    server.block_on(async {
        vec![
            client.get_model(get).await.expect_err("refused"),
            client.activate_model(activate).await.expect_err("refused"),
            client.delete_model(delete).await.expect_err("refused"),
            client.verify_model(verify).await.expect_err("refused"),
        ]
    })
}

/// A model's folder, a version's folder and a file that are links; returns how many refusals there were.
fn links(folder: &Folder, server: &Server) -> usize {
    let outside = folder.models().with_file_name("x");
    let models = folder.models();
    fs::create_dir(outside.join("1")).expect("a folder");
    fs::copy(models.join("mine/1/model.safetensors"), outside.join("1/model.safetensors"))
        .expect("copied");
    symlink(&outside, models.join("linked")).expect("a link");
    symlink(outside.join("1"), models.join("mine/3")).expect("a link");
    fs::create_dir(models.join("mine/4")).expect("a folder");
    symlink(outside.join("1/model.safetensors"), models.join("mine/4/model.safetensors"))
        .expect("a link");
    let mut n = 0;
    for (model, version) in [("linked", 1), ("mine", 3), ("mine", 4)] {
        for status in of_rpcs(server, model, version) {
            let is_refused = matches!(status.code(), Code::DataLoss | Code::NotFound);
            assert!(is_refused, "{model}@{version}: {status:?}");
            n += 1;
        }
        for what in ["activate", "delete"] {
            let version = format!("{model}@{version}");
            program::refusal(&program::run(&models, &["models", what, &version]));
            n += 1;
        }
    }
    let csv = folder.csv();
    program::refusal(&program::run(&models, &["train", &csv, "--model", "linked"]));
    assert!(outside.join("1/model.safetensors").exists());
    n + 1
}
