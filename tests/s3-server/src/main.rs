//! `s3-server FOLDER PORT`: serves the folders in a folder as buckets, on 127.0.0.1. Port 0: a free one. The
//! port is printed when it listens. The key is `test`, the secret `test-secret`.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

#[tokio::main]
async fn main() {
    let mut args = std::env::args_os().skip(1);
    let folder = PathBuf::from(args.next().expect("a folder"));
    let port = args.next().and_then(|port| port.to_str()?.parse().ok()).expect("a port");
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).expect("the folder is there"));
    builder.set_auth(SimpleAuth::from_single("test", "test-secret"));
    let s3 = builder.build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
    println!("{}", listener.local_addr().expect("an address").port());
    std::io::stdout().flush().expect("somebody reads it");
    // s3s-fs looks at the condition of a put, then writes: one after the other, so that it holds.
    let puts = Arc::new(Semaphore::new(1));
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let (s3, puts) = (s3.clone(), Arc::clone(&puts));
        let serve = service_fn(move |request: Request<Incoming>| {
            let (s3, puts) = (s3.clone(), Arc::clone(&puts));
            async move {
                let _turn = match *request.method() {
                    Method::PUT => Some(puts.acquire_owned().await.expect("it is never closed")),
                    _ => None,
                };
                s3.call(request.map(s3s::Body::from)).await
            }
        });
        let http = hyper::server::conn::http1::Builder::new();
        tokio::spawn(http.serve_connection(TokioIo::new(socket), serve));
    }
}
