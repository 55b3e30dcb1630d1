//! Why a call fails: one enum for every RPC. `status` says what each becomes on the wire.

use std::time::Duration;

use tonic::Status;

use crate::builtin::BuiltInError;
use crate::store::{ModelName, StoreError};
use crate::train::TrainError;
use crate::train::examples::CsvError;

/// Why a call fails, by what its caller can do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Fields are at fault.
    #[error(transparent)]
    Invalid(#[from] Violations),
    /// The stored models are not loaded yet.
    #[error("the server is starting")]
    Starting,
    /// The version is there, but its file is not usable.
    #[error("version {version} of model {name} is damaged")]
    Damaged {
        /// The model.
        name: ModelName,
        /// The version.
        version: u64,
    },
    /// This server asks for signatures and cannot sign what it trains.
    #[error(
        "only signed models answer here, and there is no signing key: train without activation, sign the \
         version, then activate it"
    )]
    NoSigningKey,
    /// The built-in model cannot be trained over.
    #[error("{name} is the built-in model and cannot be trained, choose another name")]
    BuiltInNotTrainable {
        /// Its name.
        name: ModelName,
    },
    /// The built-in model has one version, which is always active.
    #[error("{name} is the built-in model, it has one version that is always active")]
    BuiltInFixed {
        /// Its name.
        name: ModelName,
    },
    /// The same model is being trained by another call.
    #[error("model {name} is being trained by another call")]
    TrainingRunning {
        /// The model.
        name: ModelName,
    },
    /// As many trainings and evaluations run as may.
    #[error("{limit} trainings and evaluations are running, no more are taken")]
    TooManyJobs {
        /// How many may run.
        limit: usize,
    },
    /// As many large batches and texts wait for a thread as may.
    #[error("{limit} batches and texts are waiting, no more are taken")]
    TooManyBatches {
        /// How many may wait.
        limit: u64,
    },
    /// The data has taken too long to come.
    #[error("the data has not come within {} s", limit.as_secs_f64())]
    UploadTooSlow {
        /// How long it may take.
        limit: Duration,
    },
    /// The call's messages could not be received.
    #[error("the request stream failed: {}", .0.message())]
    Incoming(Status),
    /// The CSV cannot be read.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The data gave no model.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no built-in model.
    #[error(transparent)]
    BuiltIn(#[from] &'static BuiltInError),
    /// A defect of this program; the text is for the log.
    #[error("internal: {0}")]
    Internal(&'static str),
}

/// The fields of a request that are at fault: the first [`Violations::MAX_LISTED`] and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.summary())]
pub(crate) struct Violations {
    listed: Vec<Violation>,
    count: usize,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Path of the field, such as `sentences[3]`.
    pub(crate) field: String,
    /// A constant in capitals that programs can test.
    pub(crate) reason: &'static str,
    /// What is wrong, behind the field's path. Never text of the request.
    pub(crate) problem: String,
    /// The limit it is over, if that is what is wrong.
    pub(crate) exceeded: Option<Exceeded>,
}

/// A limit, and what is over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// How much there is.
    pub(crate) value: u64,
    /// How much there may be.
    pub(crate) limit: u64,
    what: &'static str,
}

impl Exceeded {
    /// So much of `what`, where `limit` are allowed.
    pub(crate) fn new<N: TryInto<u64>>(value: N, limit: N, what: &'static str) -> Self {
        let number = |n: N| n.try_into().unwrap_or(u64::MAX);
        Self { value: number(value), limit: number(limit), what }
    }
}

impl Violations {
    /// How many are named in an error.
    pub(crate) const MAX_LISTED: usize = 20;

    /// One violation, as an error.
    pub(crate) fn one(
        field: impl Into<String>,
        reason: &'static str,
        problem: impl Into<String>,
    ) -> Self {
        let mut violations = Self::default();
        violations.push(field, reason, problem);
        violations
    }

    /// Takes note of a field at fault.
    pub(crate) fn push(
        &mut self,
        field: impl Into<String>,
        reason: &'static str,
        problem: impl Into<String>,
    ) {
        let (field, problem) = (field.into(), problem.into());
        self.list(Violation { field, reason, problem, exceeded: None });
    }

    /// Takes note of a field over a limit.
    pub(crate) fn push_exceeded(
        &mut self,
        field: impl Into<String>,
        reason: &'static str,
        exceeded: Exceeded,
    ) {
        let Exceeded { value, limit, what } = exceeded;
        let problem = format!("has {value} {what}, at most {limit} are allowed");
        self.list(Violation { field: field.into(), reason, problem, exceeded: Some(exceeded) });
    }

    fn list(&mut self, violation: Violation) {
        self.count += 1;
        if self.listed.len() < Self::MAX_LISTED {
            self.listed.push(violation);
        }
    }

    /// The first of them.
    pub(crate) fn listed(&self) -> &[Violation] {
        &self.listed
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Ends the checks: an error if anything was noted.
    pub(crate) fn check(self) -> Result<(), Self> {
        if self.count == 0 { Ok(()) } else { Err(self) }
    }

    fn summary(&self) -> String {
        let Some(Violation { field, problem, .. }) = self.listed.first() else {
            return "the request is at fault".to_owned();
        };
        match self.count.saturating_sub(1) {
            0 => format!("{field} {problem}"),
            more => format!("{field} {problem}, and {more} more"),
        }
    }
}
