//! The bytes of a connection, encrypted or not.
//!
//! A handshake is part of reading and writing: it runs where the connection is served, so that none waits
//! for the handshake of another.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::Accept;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::server::TlsStream;

/// The names in the certificate that a client has shown: DNS names and URIs. Unset before the handshake is
/// over, and where it showed none.
pub(crate) type Names = Arc<OnceLock<Vec<Arc<str>>>>;

/// A connection's bytes.
pub(crate) enum Stream {
    /// Not encrypted.
    Plain(TcpStream),
    /// Until the handshake is over.
    Handshake(Box<Accept<TcpStream>>, Names),
    /// Encrypted.
    Open(Box<TlsStream<TcpStream>>),
    /// The handshake went wrong.
    Failed,
}

/// Bytes both ways.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

impl Stream {
    /// Waits until bytes can go both ways.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Duplex>>> {
        if let Self::Handshake(accept, names) = self {
            match ready!(Pin::new(accept).poll(cx)) {
                Ok(stream) => {
                    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
                    if let Some(certificate) = shown.first() {
                        // It is set here alone.
                        names.set(names_of(certificate)).ok();
                    }
                    *self = Self::Open(Box::new(stream));
                }
                Err(error) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    *self = Self::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Open(stream) => Ok(Pin::new(stream)),
            Self::Handshake(..) | Self::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

fn names_of(certificate: &CertificateDer<'_>) -> Vec<Arc<str>> {
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    certificate.valid_dns_names().chain(certificate.valid_uri_names()).map(Arc::from).collect()
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(cx))?.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Open(stream) => Pin::new(stream).poll_shutdown(cx),
            // Nothing was said that could be lost: closing the socket is enough.
            Self::Handshake(..) | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.get_mut().poll_open(cx))?.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Open(stream) => stream.is_write_vectored(),
            // Asked once, before the handshake: what TLS streams say.
            Self::Handshake(..) | Self::Failed => true,
        }
    }
}
