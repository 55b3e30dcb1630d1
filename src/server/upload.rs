//! Labelled examples as they come in over a stream of messages, handed to a thread that reads them.
//!
//! The async side ([`begin`], [`Upload::pump`]) checks the order of the messages and passes on what
//! they hold, through a channel that lets no more in than the reader takes. The blocking side
//! ([`read`]) takes its rows out. The end of the data is a message of its own: a channel
//! that just closes means that the caller has gone, and half of a file is never taken for all of it.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::error::{CallError, Violations};
use crate::config::ServeConfig;
use crate::proto::evaluate_model_request::Payload as EvaluatePayload;
use crate::proto::train_model_request::Payload as TrainPayload;
use crate::proto::{self, EvaluateModelRequest, TrainModelRequest};
use crate::train::TrainError;
use crate::train::examples::{
    CsvError, CsvOptions, LimitExceeded, Limits, Progress, Rows, read_csv_into,
};

/// Pieces on their way to the reader: a few, so that both sides are busy.
pub(crate) const PIECES_UNDERWAY: usize = 4;

/// How much a call may bring, and how long that may take.
#[derive(Debug, Clone)]
pub(crate) struct UploadLimits {
    /// How much is taken in, and with how much memory.
    pub(crate) data: Limits,
    /// From the beginning of the call to the end of the data.
    pub(crate) time: Duration,
}

impl From<&ServeConfig> for UploadLimits {
    fn from(ServeConfig { limits, timeouts, .. }: &ServeConfig) -> Self {
        let data = Limits {
            max_bytes: limits.max_upload_bytes.get(),
            max_rows: limits.max_upload_rows.get(),
            max_memory_bytes: limits.max_job_memory_bytes,
            ..Limits::default()
        };
        Self { data, time: timeouts.upload }
    }
}

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
    deadline: Deadline,
    first: Option<Piece>,
}

/// When the data has to have come.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    time: Duration,
}

/// Waits for the first message, which says what to do unless all defaults hold. The data has to have come
/// after `time`.
pub(crate) async fn begin<R, M>(
    mut requests: R,
    time: Duration,
) -> Result<(M::Spec, Upload<R>), CallError>
where
    R: Stream<Item = Result<M, Status>> + Unpin,
    M: UploadMessage,
{
    let deadline = Deadline { at: Instant::now() + time, time };
    let (spec, first) = match next(&mut requests, deadline).await? {
        Some(Payload::Spec(spec)) => (spec, None),
        Some(Payload::Data(piece)) => (M::Spec::default(), Some(piece)),
        Some(Payload::Nothing) => return Err(nothing()),
        None => (M::Spec::default(), Some(Piece::End)),
    };
    Ok((spec, Upload { requests, deadline, first }))
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
            None => match next(&mut self.requests, self.deadline).await? {
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

async fn next<R, M>(
    requests: &mut R,
    deadline: Deadline,
) -> Result<Option<Payload<M::Spec>>, CallError>
where
    R: Stream<Item = Result<M, Status>> + Unpin,
    M: UploadMessage,
{
    let message = timeout_at(deadline.at, requests.next())
        .await
        .map_err(|_elapsed| CallError::UploadTooSlow { limit: deadline.time })?
        .transpose()
        .map_err(CallError::Incoming)?;
    Ok(message.map(UploadMessage::payload))
}

fn nothing() -> CallError {
    Violations::one("payload", "PAYLOAD_MISSING", "is required").into()
}

/// Reads the data to its end, on a thread that may block. `watch` may end it.
pub(crate) fn read(
    pieces: Pieces,
    (options, limits): (&CsvOptions, &Limits),
    rows: &mut impl Rows,
    watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), CallError> {
    let mut source = Source { pieces, csv: io::Cursor::default(), has_ended: false, failure: None };
    match source.receive()? {
        Piece::Examples(examples) => source.read_examples(examples, limits, rows, watch),
        Piece::Csv(bytes) => {
            source.csv = io::Cursor::new(bytes);
            source.read_csv((options, limits), rows, watch)
        }
        Piece::End => {
            source.has_ended = true;
            source.read_csv((options, limits), rows, watch)
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
        (options, limits): (&CsvOptions, &Limits),
        rows: &mut impl Rows,
        watch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), CallError> {
        match read_csv_into(rows, &mut self, options, limits, watch) {
            Err(CsvError::Io(error)) => Err(self.failure.unwrap_or(CsvError::Io(error).into())),
            Err(CsvError::Cancelled) => Err(TrainError::Cancelled.into()),
            read => Ok(read?),
        }
    }

    fn read_examples(
        mut self,
        mut examples: Vec<proto::Example>,
        limits: &Limits,
        rows: &mut impl Rows,
        mut watch: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), CallError> {
        let mut progress = Progress::default();
        let limit = limits.max_bytes;
        let mut n_bytes = 0_u64;
        loop {
            for example in &examples {
                progress.row_count += 1;
                n_bytes += (example.sentence.len() + example.label.len()) as u64;
                if n_bytes > limit {
                    return Err(CsvError::Limit(LimitExceeded::Bytes { limit }).into());
                }
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
