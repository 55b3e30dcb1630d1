//! Sentences are classified here, one after another as they come.

use super::Folder;
use crate::cli::error::CliError;
use crate::cli::output::classification::Answer;
use crate::cli::sentences::{Item, Sentences};
use crate::config::Limits;
use crate::model::Scorer;
use crate::proto::{ClassifyOptions, ClassifyResponse, ItemError};
use crate::server::error::CallError;
use crate::server::models::ServedModel;
use crate::server::{request, response};

impl Folder {
    /// Classifies sentences, and hands each answer on at once, with a word on whether the next one may have
    /// to be waited for.
    pub(in crate::cli) fn classify(
        &self,
        mut sentences: Sentences,
        options: &ClassifyOptions,
        print: &mut impl FnMut(&Answer, bool) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let target = request::target("model", &options.model, options.version)?;
        let served = self.resolve(&target)?;
        let mut scorer = Scorer::default();
        while let Some(Item { position, sentence }) = sentences.next()? {
            let result = sentence.and_then(|sentence| {
                classify(&mut scorer, &served, &sentence, options)
                    .map(|response| (sentence, response))
                    .map_err(ItemError::from)
            });
            let answer = match result {
                Ok((sentence, response)) => Answer { position, sentence, result: Ok(response) },
                Err(error) => Answer { position, sentence: String::new(), result: Err(error) },
            };
            print(&answer, sentences.may_wait())?;
        }
        Ok(())
    }
}

fn classify(
    scorer: &mut Scorer,
    served: &ServedModel,
    sentence: &str,
    options: &ClassifyOptions,
) -> Result<ClassifyResponse, CallError> {
    let options = request::sentence(sentence, Some(options), &Limits::default())?;
    let answer = scorer.classify(&served.model, sentence, &options.scoring);
    Ok(ClassifyResponse {
        classification: Some(response::classification(answer, &served.model, options.top_k)),
        model_version: Some(response::model_version(served)),
    })
}
