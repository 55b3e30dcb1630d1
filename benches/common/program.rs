//! The program, started as its users do.

use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts the program on a folder of models; returns it and the port it will serve on.
pub(crate) fn serve(models: &Path) -> io::Result<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let listen = format!("127.0.0.1:{port}");
    let process = Command::new(env!("CARGO_BIN_EXE_dictum"))
        .args(["serve", "--listen", &listen, "--metrics-listen", "127.0.0.1:0", "--models"])
        .arg(models)
        .stderr(Stdio::null())
        .spawn()?;
    Ok((process, port))
}
