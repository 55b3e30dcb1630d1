//! A CSV is sent to a server in pieces, to be trained on or judged by.
//!
//! The file is read by a thread of its own, since reading may block for ever. A file that cannot be read
//! to its end must not look like one that ended: the call is then given up.

use std::future::Future;
use std::io::{self, Read};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Client;
use crate::cli::error::CliError;
use crate::cli::input::Input;
use crate::cli::progress::Progress;
use crate::proto::train_model_response::Update;
use crate::proto::{
    EvaluateModelRequest, EvaluateModelResponse, EvaluationSpec, TrainModelRequest,
    TrainModelResponse, TrainingSpec, evaluate_model_request, train_model_request,
};

/// Bytes in a piece.
const PIECE_BYTES: u64 = 256 * 1024;
/// Pieces read ahead.
const PIECES_AHEAD: usize = 4;

impl Client {
    /// Has a model trained; returns the last message.
    pub(in crate::cli) fn train(
        &self,
        spec: TrainingSpec,
        input: Input,
        progress: &Progress,
    ) -> Result<TrainModelResponse, CliError> {
        use train_model_request::Payload;
        let request = |payload| TrainModelRequest { payload: Some(payload) };
        self.upload(input, |pieces| async move {
            let pieces = pieces.map(move |piece| request(Payload::Csv(piece)));
            let requests = tokio_stream::once(request(Payload::Spec(spec))).chain(pieces);
            let mut replies = self.models().train_model(requests).await?.into_inner();
            let mut last = None;
            while let Some(reply) = replies.message().await? {
                if let Some(Update::Progress(update)) = &reply.update {
                    progress.hear(update);
                }
                last = Some(reply);
            }
            Ok(last)
        })?
        .filter(|last| !matches!(last.update, Some(Update::Progress(_))))
        .ok_or_else(|| self.lacks("result"))
    }

    /// Has a model judged.
    pub(in crate::cli) fn evaluate(
        &self,
        spec: EvaluationSpec,
        input: Input,
    ) -> Result<EvaluateModelResponse, CliError> {
        use evaluate_model_request::Payload;
        let request = |payload| EvaluateModelRequest { payload: Some(payload) };
        self.upload(input, |pieces| async move {
            let pieces = pieces.map(move |piece| request(Payload::Csv(piece)));
            let requests = tokio_stream::once(request(Payload::Spec(spec))).chain(pieces);
            Ok(self.models().evaluate_model(requests).await?.into_inner())
        })
    }

    /// Makes a call that is fed with an input.
    fn upload<T, F>(
        &self,
        input: Input,
        call: impl FnOnce(ReceiverStream<Vec<u8>>) -> F,
    ) -> Result<T, CliError>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let Input { reader, name, .. } = input;
        let (pieces, sent) = mpsc::channel(PIECES_AHEAD);
        let (failure, failed) = oneshot::channel();
        thread::spawn(move || feed(reader, pieces, failure));
        let call = call(ReceiverStream::new(sent));
        self.runtime.block_on(async move {
            tokio::select! {
                Ok((source, _open)) = failed => Err(CliError::Read { name, source }),
                answer = call => answer.map_err(CliError::call(&self.server)),
            }
        })
    }
}

type Pieces = mpsc::Sender<Vec<u8>>;

/// Reads an input to its end or until nobody wants more. On failure the sender goes with the error, so that
/// the stream of pieces stays open until the call is given up.
fn feed(mut reader: impl Read, pieces: Pieces, failure: oneshot::Sender<(io::Error, Pieces)>) {
    loop {
        let mut piece = Vec::new();
        match reader.by_ref().take(PIECE_BYTES).read_to_end(&mut piece) {
            Ok(0) => return,
            Ok(_) if pieces.blocking_send(piece).is_err() => return,
            Ok(_) => {}
            Err(e) => {
                // If nobody listens any more, the call has ended already.
                failure.send((e, pieces)).ok();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    /// An input that gives a few bytes and then fails.
    fn failing() -> impl Read {
        struct Failure;
        impl Read for Failure {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        b"text,label\n".chain(Failure)
    }

    #[test]
    fn an_input_that_fails_does_not_look_like_one_that_ended() {
        let (pieces, mut sent) = mpsc::channel(PIECES_AHEAD);
        let (failure, failed) = oneshot::channel();
        feed(failing(), pieces, failure);
        let (error, open) = failed.blocking_recv().expect("the failure is told");
        assert_eq!(error.to_string(), "the disk is gone");
        assert_eq!(sent.try_recv(), Err(TryRecvError::Empty), "the stream of pieces stays open");
        drop(open);
        assert_eq!(sent.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn an_input_arrives_whole_and_ends() {
        let input: Vec<u8> = (0..=u8::MAX).cycle().take(600_000).collect();
        let (pieces, mut sent) = mpsc::channel(PIECES_AHEAD);
        let (failure, failed) = oneshot::channel();
        feed(input.as_slice(), pieces, failure);
        let mut arrived = Vec::new();
        while let Ok(piece) = sent.try_recv() {
            arrived.extend(piece);
        }
        assert!(arrived == input);
        assert!(failed.blocking_recv().is_err(), "no failure is told");
    }
}
