//! `ClassifierService`: check, classify, convert.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::error::CallError;
use super::models::{Models, ServedModel};
use super::request::{self, ClassifyOptions};
use super::response::{self, model_version};
use super::text::{self, OffsetMap};
use super::workers::{Workers, classify};
use crate::config::Limits;
use crate::proto::classifier_service_server::ClassifierService;
use crate::proto::stream_classify_response::Result as ItemResult;
use crate::proto::{
    BatchClassifyRequest, BatchClassifyResponse, ClassifiedSentence, ClassifyRequest,
    ClassifyResponse, ClassifyTextRequest, ClassifyTextResponse, StreamClassifyRequest,
    StreamClassifyResponse,
};

/// Answers with the models that are active.
#[derive(Debug, Clone)]
pub(crate) struct Classifier {
    models: Arc<Models>,
    workers: Arc<Workers>,
    limits: Arc<Limits>,
}

impl Classifier {
    /// A service that answers with these models, and classifies on these workers what is large.
    pub(crate) fn new(models: Arc<Models>, workers: Arc<Workers>, limits: &Limits) -> Self {
        Self { models, workers, limits: Arc::new(limits.clone()) }
    }
}

#[tonic::async_trait]
impl ClassifierService for Classifier {
    async fn classify(
        &self,
        request: Request<ClassifyRequest>,
    ) -> Result<Response<ClassifyResponse>, Status> {
        let ClassifyRequest { sentence, options } = request.into_inner();
        let options = request::sentence(&sentence, options.as_ref(), &self.limits)?;
        let served = self.models.resolve(&options.target).await?;
        Ok(Response::new(ClassifyResponse {
            classification: Some(answer(&served, &sentence, &options)),
            model_version: Some(model_version(&served)),
        }))
    }

    async fn batch_classify(
        &self,
        request: Request<BatchClassifyRequest>,
    ) -> Result<Response<BatchClassifyResponse>, Status> {
        let request = request.into_inner();
        let options = request::batch(&request, &self.limits)?;
        let served = self.models.resolve(&options.target).await?;
        let version = model_version(&served);
        let answer_one = move |sentence: &str| answer(&served, sentence, &options);
        let classifications = self.workers.map(request.sentences, answer_one).await?;
        Ok(response::reply(BatchClassifyResponse { classifications, model_version: Some(version) }))
    }

    type StreamClassifyStream =
        Pin<Box<dyn Stream<Item = Result<StreamClassifyResponse, Status>> + Send>>;

    async fn stream_classify(
        &self,
        request: Request<Streaming<StreamClassifyRequest>>,
    ) -> Result<Response<Self::StreamClassifyStream>, Status> {
        let (models, limits) = (Arc::clone(&self.models), Arc::clone(&self.limits));
        let answers =
            request.into_inner().then(move |item| {
                let (models, limits) = (Arc::clone(&models), Arc::clone(&limits));
                async move {
                    Ok(answer_item(&models, &limits, item.map_err(CallError::Incoming)?).await)
                }
            });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn classify_text(
        &self,
        request: Request<ClassifyTextRequest>,
    ) -> Result<Response<ClassifyTextResponse>, Status> {
        let request = request.into_inner();
        let options = request::text(&request, &self.limits)?;
        let served = self.models.resolve(&options.target).await?;
        let version = model_version(&served);
        let max_bytes = self.limits.max_sentence_bytes.get();
        let sentences = self
            .workers
            .run(move |left| classify_text(&request, &options, &served, (max_bytes, left)))
            .await?;
        Ok(response::reply(ClassifyTextResponse { sentences, model_version: Some(version) }))
    }
}

/// The answer to a sentence, which is counted.
fn answer(
    served: &ServedModel,
    sentence: &str,
    options: &ClassifyOptions,
) -> crate::proto::Classification {
    classify(&served.model, sentence, &options.scoring, |answer| {
        served.tally.count(answer);
        response::classification(answer, &served.model, options.top_k)
    })
}

/// The answer to one item of a stream; what is wrong with the item is part of the answer.
async fn answer_item(
    models: &Arc<Models>,
    limits: &Limits,
    mut item: StreamClassifyRequest,
) -> StreamClassifyResponse {
    let (result, model_version) = match classify_item(models, limits, &mut item).await {
        Ok((classification, served)) => {
            (ItemResult::Classification(classification), Some(model_version(&served)))
        }
        Err(error) => (ItemResult::Error(error.into()), None),
    };
    StreamClassifyResponse { id: item.id, result: Some(result), model_version }
}

async fn classify_item(
    models: &Arc<Models>,
    limits: &Limits,
    item: &mut StreamClassifyRequest,
) -> Result<(crate::proto::Classification, Arc<ServedModel>), CallError> {
    let options = request::item(item, limits)?;
    let served = models.resolve(&options.target).await?;
    Ok((answer(&served, &item.sentence, &options), served))
}

/// Splits and classifies, until the caller leaves.
fn classify_text(
    request: &ClassifyTextRequest,
    options: &ClassifyOptions,
    served: &ServedModel,
    (max_sentence_bytes, caller_left): (usize, &AtomicBool),
) -> Vec<ClassifiedSentence> {
    let offsets = OffsetMap::new(&request.text, request.offset_encoding());
    let is_wanted = || !caller_left.load(Ordering::Relaxed);
    let places = text::split(&request.text, &request.language, max_sentence_bytes, &is_wanted);
    let wanted = places.into_iter().take_while(|_| is_wanted());
    let classified = wanted.filter_map(|place| {
        let sentence = request.text.get(place.clone())?;
        let mut classification = answer(served, sentence, options);
        let start = place.start;
        response::move_spans(&mut classification, |span| offsets.span_from(start, span));
        Some(ClassifiedSentence {
            span: Some(offsets.span(place)),
            sentence: sentence.to_owned(),
            classification: Some(classification),
        })
    });
    classified.collect()
}
