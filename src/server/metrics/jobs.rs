//! Trainings and evaluations.

use std::fmt;
use std::time::Duration;

use super::figures::{Count, Level, NO_LABELS, Times, Writer};

const SECONDS: [f64; 8] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0];

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    Training,
    Evaluation,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobEnd {
    /// With a model or a judgement.
    Done,
    /// With an error.
    Failed,
    /// Because its caller left.
    Cancelled,
}

const JOBS: [(Job, &str); 2] = [(Job::Training, "training"), (Job::Evaluation, "evaluation")];
const ENDS: [(JobEnd, &str); 3] =
    [(JobEnd::Done, "done"), (JobEnd::Failed, "failed"), (JobEnd::Cancelled, "cancelled")];

/// All jobs of the server's life.
#[derive(Debug)]
pub(crate) struct JobFigures {
    of_jobs: [OfJob; JOBS.len()],
    running: Level,
}

#[derive(Debug)]
struct OfJob {
    ended: [Count; ENDS.len()],
    seconds: Times<{ SECONDS.len() }>,
}

impl Default for JobFigures {
    fn default() -> Self {
        let of_job = |_| OfJob { ended: Default::default(), seconds: Times::new(&SECONDS) };
        Self { of_jobs: std::array::from_fn(of_job), running: Level::default() }
    }
}

impl JobFigures {
    /// A job begins.
    pub(crate) fn begin(&self) {
        self.running.up();
    }

    /// It has ended.
    pub(crate) fn end(&self, job: Job, end: JobEnd, time: Duration) {
        self.running.down();
        let Some((_, of_job)) = JOBS.iter().zip(&self.of_jobs).find(|((j, _), _)| *j == job) else {
            return;
        };
        if let Some((_, count)) = ENDS.iter().zip(&of_job.ended).find(|((e, _), _)| *e == end) {
            count.add(1);
        }
        of_job.seconds.add(time);
    }

    /// Writes what was counted.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let of_jobs = || JOBS.iter().zip(&self.of_jobs);
        writer.counters(
            ("dictum_jobs", "Trainings and evaluations that have ended, by how"),
            of_jobs().flat_map(|((_, job), of_job)| {
                let ends = ENDS.iter().zip(&of_job.ended);
                ends.map(|((_, end), count)| ([("job", *job), ("result", *end)], count.get()))
            }),
        )?;
        writer.gauges(
            ("dictum_jobs_running", "Trainings and evaluations that run"),
            [(NO_LABELS, self.running.get())],
        )?;
        writer.times(
            ("dictum_job_seconds", "From the first data of a job to its result"),
            of_jobs().map(|((_, job), of_job)| ([("job", *job)], &of_job.seconds)),
        )
    }
}
