//! Labelled examples as they come in over a stream of messages, handed to a thread that reads them.
//!
//! The async side ([`begin`], [`Upload::pump`]) checks the order of the messages and passes on what
//! they hold, through a channel that lets no more in than the reader takes. The blocking side
//! ([`read`]) takes its rows out. The end of the data is a message of its own: a channel
//! that just closes means that the caller has gone, and half of a file is never taken for all of it.

use std::io::{self, Read};
use std::ops::ControlFlow;

use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::error::{CallError, Violations};
use crate::proto::evaluate_model_request::Payload as EvaluatePayload;
use crate::proto::train_model_request::Payload as TrainPayload;
use crate::proto::{self, EvaluateModelRequest, TrainModelRequest};
use crate::train::TrainError;
use crate::train::examples::{CsvError, CsvOptions, Limits, Progress, Rows, read_csv_into};

/// Pieces on their way to the reader: a few, so that both sides are busy.
pub(crate) const PIECES_UNDERWAY: usize = 4;

/// Between the two sides.
pub(crate) type Pieces = mpsc::Receiver<Result<Piece, CallError>>;

/// A part of the data.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Bytes of a CSV.
    Csv(Vec<u8>),
    /// Examples as messages.
    Examples(Vec<proto::Example>),
    /// There is no more.
    End,
}

/// What a message of an upload holds.
#[derive(Debug)]
pub(crate) enum Payload<S> {
    /// What to do with the data.
    Spec(S),
    /// Data.
    Data(Piece),
    /// Nothing that this server knows.
    Nothing,
}

/// A message of an upload.
pub(crate) trait UploadMessage {
    /// What to do with the data; by default where the client does not say.
    type Spec: Default;

    /// What the message holds.
    fn payload(self) -> Payload<Self::Spec>;
}

impl UploadMessage for TrainModelRequest {
    type Spec = proto::TrainingSpec;

    fn payload(self) -> Payload<Self::Spec> {
        match self.payload {
            Some(TrainPayload::Spec(spec)) => Payload::Spec(spec),
            Some(TrainPayload::Csv(bytes)) => Payload::Data(Piece::Csv(bytes)),
            Some(TrainPayload::Examples(some)) => Payload::Data(Piece::Examples(some.examples)),
            None => Payload::Nothing,
        }
    }
}

impl UploadMessage for EvaluateModelRequest {
    type Spec = proto::EvaluationSpec;

    fn payload(self) -> Payload<Self::Spec> {
        match self.payload {
            Some(EvaluatePayload::Spec(spec)) => Payload::Spec(spec),
            Some(EvaluatePayload::Csv(bytes)) => Payload::Data(Piece::Csv(bytes)),
            Some(EvaluatePayload::Examples(some)) => Payload::Data(Piece::Examples(some.examples)),
            None => Payload::Nothing,
        }
    }
}

/// An upload whose first message has come.
#[derive(Debug)]
pub(crate) struct Upload<R> {
    requests: R,
    first: Option<Piece>,
}

/// Waits for the first message, which says what to do unless all defaults hold.
pub(crate) async fn begin<R, M>(mut requests: R) -> Result<(M::Spec, Upload<R>), CallError>
where
    R: Stream<Item = Result<M, Status>> + Unpin,
    M: UploadMessage,
{
    let (spec, first) = match next(&mut requests).await? {
        Some(Payload::Spec(spec)) => (spec, None),
        Some(Payload::Data(piece)) => (M::Spec::default(), Some(piece)),
        Some(Payload::Nothing) => return Err(nothing()),
        None => (M::Spec::default(), Some(Piece::End)),
    };
    Ok((spec, Upload { requests, first }))
}

impl<R, M> Upload<R>
where
    R: Stream<Item = Result<M, Status>> + Unpin,
    M: UploadMessage,
{
    /// Passes on the data until its end, an error, or until nobody takes it any more.
    pub(crate) async fn pump(mut self, pieces: mpsc::Sender<Result<Piece, CallError>>) {
        let mut is_csv = None;
        loop {
            let piece = self.next_piece(&mut is_csv).await;
            let is_last = matches!(piece, Ok(Piece::End) | Err(_));
            if pieces.send(piece).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn next_piece(&mut self, is_csv: &mut Option<bool>) -> Result<Piece, CallError> {
        let piece = match self.first.take() {
            Some(piece) => piece,
            None => match next(&mut self.requests).await? {
                Some(Payload::Data(piece)) => piece,
                Some(Payload::Spec(_)) => {
                    let problem = "may come once, as the first message";
                    return Err(Violations::one("spec", "SPEC_NOT_FIRST", problem).into());
                }
                Some(Payload::Nothing) => return Err(nothing()),
                None => Piece::End,
            },
        };
        let kind = match &piece {
            Piece::Csv(_) => Some(true),
            Piece::Examples(_) => Some(false),
            Piece::End => None,
        };
        if kind.is_some() && is_csv.is_some() && kind != *is_csv {
            let problem = "has csv and examples, one of them is possible";
            return Err(Violations::one("payload", "PAYLOAD_MIXED", problem).into());
        }
        *is_csv = is_csv.or(kind);
        Ok(piece)
    }
}

async fn next<R, M>(requests: &mut R) -> Result<Option<Payload<M::Spec>>, CallError>
where
    R: Stream<Item = Result<M, Status>> + Unpin,
    M: UploadMessage,
{
    let message = requests.next().await.transpose().map_err(CallError::Incoming)?;
    Ok(message.map(UploadMessage::payload))
}

fn nothing() -> CallError {
    Violations::one("payload", "PAYLOAD_MISSING", "is required").into()
}

/// Reads the data to its end, on a thread that may block. `watch` may end it.
pub(crate) fn read(
    pieces: Pieces,
    options: &CsvOptions,
    rows: &mut impl Rows,
    watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), CallError> {
    let mut source = Source { pieces, csv: io::Cursor::default(), has_ended: false, failure: None };
    match source.receive()? {
        Piece::Examples(examples) => source.read_examples(examples, rows, watch),
        Piece::Csv(bytes) => {
            source.csv = io::Cursor::new(bytes);
            source.read_csv(options, rows, watch)
        }
        Piece::End => {
            source.has_ended = true;
            source.read_csv(options, rows, watch)
        }
    }
}

/// The blocking side of an upload.
struct Source {
    pieces: Pieces,
    csv: io::Cursor<Vec<u8>>,
    has_ended: bool,
    /// Why a read failed, where the reader of the CSV sees an I/O error only.
    failure: Option<CallError>,
}

impl Source {
    fn receive(&mut self) -> Result<Piece, CallError> {
        // A closed channel: the call has ended before its data.
        self.pieces.blocking_recv().unwrap_or(Err(TrainError::Cancelled.into()))
    }

    fn read_csv(
        mut self,
        options: &CsvOptions,
        rows: &mut impl Rows,
        watch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), CallError> {
        match read_csv_into(rows, &mut self, options, &Limits::default(), watch) {
            Err(CsvError::Io(error)) => Err(self.failure.unwrap_or(CsvError::Io(error).into())),
            Err(CsvError::Cancelled) => Err(TrainError::Cancelled.into()),
            read => Ok(read?),
        }
    }

    fn read_examples(
        mut self,
        mut examples: Vec<proto::Example>,
        rows: &mut impl Rows,
        mut watch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), CallError> {
        let mut progress = Progress::default();
        loop {
            for example in &examples {
                progress.row_count += 1;
                rows.push(progress.row_count, &example.sentence, &example.label)
                    .map_err(CsvError::Limit)?;
            }
            if watch(progress).is_break() {
                return Err(TrainError::Cancelled.into());
            }
            match self.receive()? {
                Piece::Examples(more) => examples = more,
                Piece::Csv(_) => return Err(CallError::Internal("csv among examples")),
                Piece::End => return Ok(()),
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.csv.read(buffer)?;
            if n > 0 || self.has_ended || buffer.is_empty() {
                return Ok(n);
            }
            match self.receive() {
                Ok(Piece::Csv(bytes)) => self.csv = io::Cursor::new(bytes),
                Ok(Piece::End) => self.has_ended = true,
                Ok(Piece::Examples(_)) => {
                    self.failure = Some(CallError::Internal("examples among csv"));
                    return Err(io::ErrorKind::InvalidData.into());
                }
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
    }
}
