//! Sentences go to a server as they come, many under way at once, and their answers are taken in order.
//!
//! A thread of its own reads, since reading may block for ever. It tells the printing side of every
//! sentence before it sends it, so that the two are matched by their order.

use std::collections::HashMap;
use std::thread;

use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::Client;
use crate::cli::error::CliError;
use crate::cli::output::classification::Answer;
use crate::cli::sentences::{Item, Sentences};
use crate::proto::stream_classify_response::Result as Outcome;
use crate::proto::{
    ClassifyOptions, ClassifyResponse, ItemError, StreamClassifyRequest, StreamClassifyResponse,
};

/// Sentences under way to the server and back.
const UNDERWAY: usize = 1_024;

impl Client {
    /// Has sentences classified, and hands each answer on as soon as it is there.
    pub(in crate::cli) fn classify(
        &self,
        sentences: Sentences,
        options: ClassifyOptions,
        mut print: impl FnMut(&Answer) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let (announce, mut items) = mpsc::channel(UNDERWAY);
        let (send, sent) = mpsc::channel(UNDERWAY);
        thread::spawn(move || feed(sentences, &announce, &send));
        let requests = ReceiverStream::new(sent).map(move |sentence| StreamClassifyRequest {
            id: String::new(),
            sentence,
            options: Some(options.clone()),
        });
        self.runtime.block_on(async {
            let mut classifier = self.classifier();
            let answers = classifier.stream_classify(requests).await;
            let mut answers = answers.map_err(CliError::call(&self.server))?.into_inner();
            while let Some(item) = items.recv().await {
                let Item { position, sentence } = item?;
                let (sentence, result) = match sentence {
                    Ok(sentence) => {
                        let answer =
                            answers.message().await.map_err(CliError::call(&self.server))?;
                        let result = self.result(answer.ok_or_else(|| self.lacks("end"))?)?;
                        (sentence, result)
                    }
                    Err(error) => (String::new(), Err(error)),
                };
                print(&Answer { position, sentence, result })?;
            }
            Ok(())
        })
    }

    fn result(
        &self,
        answer: StreamClassifyResponse,
    ) -> Result<Result<ClassifyResponse, ItemError>, CliError> {
        let model_version = answer.model_version;
        match answer.result {
            Some(Outcome::Classification(classification)) => {
                Ok(Ok(ClassifyResponse { classification: Some(classification), model_version }))
            }
            Some(Outcome::Error(error)) if error.code == i32::from(Code::InvalidArgument) => {
                Ok(Err(error))
            }
            // Not the sentence is at fault: the next one will not fare better.
            Some(Outcome::Error(error)) => {
                let details = ErrorDetails::with_error_info(error.reason, "", HashMap::new());
                let code = Code::from(error.code);
                let status = Status::with_error_details(code, error.message, details);
                Err(CliError::call(&self.server)(status))
            }
            None => Err(self.lacks("result")),
        }
    }
}

/// Reads sentences to their end or until nobody wants more.
fn feed(
    mut sentences: Sentences,
    announce: &mpsc::Sender<Result<Item, CliError>>,
    send: &mpsc::Sender<String>,
) {
    while let Some(item) = sentences.next().transpose() {
        let sentence = item.as_ref().ok().and_then(|item| item.sentence.as_ref().ok()).cloned();
        let is_heard = announce.blocking_send(item).is_ok();
        let is_sent = sentence.is_none_or(|sentence| send.blocking_send(sentence).is_ok());
        if !is_heard || !is_sent {
            return;
        }
    }
}
