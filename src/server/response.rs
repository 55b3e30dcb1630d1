//! Answers of the model become messages.

use prost::Message;
use tonic::Response;

use super::models::ServedModel;
use super::request::Version;
use super::spec::{EvaluationPlan, TrainingPlan};
use super::status::chain;
use crate::features::{Span, View};
use crate::model::{
    AbstainReason, ChosenSettings, Classification, Contribution, CoveragePoint, Evaluation,
    Explanation, Metadata, Method, Model, Outcome, Weighting,
};
use crate::proto;
use crate::store::format::Description;
use crate::store::{Signature, StoreError};
use crate::train::examples::{DataReport, FindingCode};
use crate::train::{Interval, Threshold, Trained};

/// Findings in a reply.
const MAX_FINDINGS: usize = 20;
/// Replies of so many bytes are compressed for clients that wish so.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// A message as a reply. A short one is not compressed, whatever the client takes: that would cost more than
/// it saves.
pub(crate) fn reply<M: Message>(message: M) -> Response<M> {
    let is_short = message.encoded_len() < MIN_COMPRESSED_BYTES;
    let mut reply = Response::new(message);
    if is_short {
        reply.disable_compression();
    }
    reply
}

/// Who gave an answer.
pub(crate) fn model_version(served: &ServedModel) -> proto::ModelVersion {
    proto::ModelVersion { name: served.name.clone(), version: served.version }
}

/// One answer, with the best `top_k` labels. Spans count UTF-8 bytes of the sentence.
pub(crate) fn classification(
    answer: &Classification,
    model: &Model,
    top_k: usize,
) -> proto::Classification {
    let labels = model.labels();
    let (label, abstain_reason) = match answer.outcome {
        Outcome::Label(position) => (name_of(labels, position), proto::AbstainReason::Unspecified),
        Outcome::Abstained(AbstainReason::LowProbability) => {
            (String::new(), proto::AbstainReason::LowProbability)
        }
        Outcome::Abstained(AbstainReason::NoKnownTokens) => {
            (String::new(), proto::AbstainReason::NoKnownTokens)
        }
    };
    let scores = answer.ranked(top_k).into_iter().map(|(position, probability)| {
        proto::LabelScore { label: name_of(labels, position), probability }
    });
    proto::Classification {
        label,
        abstain_reason: abstain_reason.into(),
        scores: scores.collect(),
        token_count: answer.token_count,
        unknown_token_count: answer.unknown_token_count,
        explanation: answer.explanation.as_ref().map(|e| explanation(e, labels)),
    }
}

fn explanation(explanation: &Explanation, labels: &[String]) -> proto::Explanation {
    proto::Explanation {
        label: name_of(labels, explanation.label),
        against: name_of(labels, explanation.against),
        prior_log_odds: explanation.prior_log_odds,
        contributions: explanation.contributions.iter().map(contribution).collect(),
        rest_log_odds: explanation.rest_log_odds,
    }
}

fn contribution(contribution: &Contribution) -> proto::Contribution {
    proto::Contribution {
        feature: contribution.feature.clone(),
        log_odds: contribution.log_odds,
        spans: contribution.spans.iter().map(span).collect(),
    }
}

fn span(span: &Span) -> proto::Span {
    proto::Span { start: span.start, end: span.end }
}

/// Replaces each span of an answer's reasons.
pub(crate) fn move_spans(
    classification: &mut proto::Classification,
    moved: impl Fn(&proto::Span) -> proto::Span,
) {
    let explanation = classification.explanation.iter_mut();
    for contribution in explanation.flat_map(|e| e.contributions.iter_mut()) {
        for span in &mut contribution.spans {
            *span = moved(span);
        }
    }
}

fn name_of(labels: &[String], position: usize) -> String {
    labels.get(position).cloned().unwrap_or_default()
}

/// Who signed a version. What cannot be read is logged.
pub(crate) fn signature(found: Result<Option<Signature>, StoreError>) -> Option<proto::Signature> {
    match found {
        Ok(signature) => signature.map(signed_by),
        Err(error) => {
            tracing::warn!(error = chain(&error), "a signature cannot be read");
            Some(proto::Signature::default())
        }
    }
}

/// Who signed a version.
pub(crate) fn signed_by(signature: Signature) -> proto::Signature {
    proto::Signature { public_key: signature.key.to_string() }
}

/// A judgement.
pub(crate) fn evaluation(evaluation: &Evaluation) -> proto::Evaluation {
    let labels = evaluation.labels.iter().map(|of| proto::LabelEvaluation {
        label: of.label.clone(),
        precision: of.precision,
        recall: of.recall,
        f1: of.f1,
        support: of.support,
    });
    let confusion = evaluation.confusion.iter().map(|cell| proto::ConfusionCell {
        label: cell.label.clone(),
        predicted: cell.predicted.clone(),
        count: cell.count,
    });
    let coverage = evaluation.coverage.iter().map(coverage_point);
    let method = match evaluation.method {
        Method::OutOfFold => proto::EvaluationMethod::OutOfFold,
        Method::GivenExamples => proto::EvaluationMethod::GivenExamples,
    };
    let Interval { low, high } = Interval::of_accuracy(evaluation);
    proto::Evaluation {
        example_count: evaluation.example_count,
        accuracy: evaluation.accuracy,
        macro_f1: evaluation.macro_f1,
        log_loss: evaluation.log_loss,
        expected_calibration_error: evaluation.expected_calibration_error,
        labels: labels.collect(),
        confusion: confusion.collect(),
        coverage: coverage.collect(),
        method: method.into(),
        data_digest: evaluation.data_digest.clone(),
        sampled_from: 0,
        accuracy_interval: Some(proto::Interval { low, high }),
    }
}

/// The evaluation that a model carries from its training.
pub(crate) fn own_evaluation(metadata: &Metadata) -> proto::Evaluation {
    proto::Evaluation {
        sampled_from: metadata.sampled_from().unwrap_or_default(),
        ..evaluation(&metadata.evaluation)
    }
}

/// What a threshold costs and gives.
pub(crate) fn coverage_point(point: &CoveragePoint) -> proto::CoveragePoint {
    proto::CoveragePoint {
        min_probability: point.min_probability,
        coverage: point.coverage,
        accuracy: point.accuracy,
    }
}

/// The end of a training.
pub(crate) fn trained(
    plan: &TrainingPlan,
    trained: &Trained,
    model: proto::Model,
    activation: proto::Activation,
) -> proto::TrainModelResponse {
    let is_wish = matches!(plan.settings.threshold, Threshold::TargetAccuracy(_));
    proto::TrainModelResponse {
        update: Some(proto::train_model_response::Update::Model(model)),
        data_report: Some(data_report(&trained.report, plan.all_findings)),
        activation: Some(activation),
        threshold: is_wish.then(|| coverage_point(&trained.threshold)),
    }
}

/// The end of an evaluation.
pub(crate) fn evaluated(
    plan: &EvaluationPlan,
    served: &ServedModel,
    judgement: &Evaluation,
    report: &DataReport,
) -> proto::EvaluateModelResponse {
    let metadata = served.model.metadata();
    proto::EvaluateModelResponse {
        evaluation: Some(evaluation(judgement)),
        model_version: Some(model_version(served)),
        data_report: Some(data_report(report, plan.all_findings)),
        settings: Some(settings(&metadata.settings)),
        training_data_digest: metadata.data_digest.clone(),
    }
}

/// A version as far as the model itself knows; without its evaluation.
pub(crate) fn model(served: &ServedModel) -> proto::Model {
    summary(model_version(served), served.model.metadata(), served.model.n_features())
}

/// A stored version as far as its file's header knows; without its evaluation.
pub(crate) fn described(version: &Version, description: &Description) -> proto::Model {
    let Version { name, version } = version;
    let version = proto::ModelVersion { name: name.to_string(), version: *version };
    summary(version, &description.metadata, description.n_features)
}

fn summary(version: proto::ModelVersion, metadata: &Metadata, n_features: usize) -> proto::Model {
    let counts = metadata.labels.iter().zip(&metadata.label_counts);
    let labels = counts
        .map(|(label, count)| proto::LabelCount { label: label.clone(), example_count: *count });
    proto::Model {
        model_version: Some(version),
        labels: labels.collect(),
        feature_count: u64::try_from(n_features).unwrap_or(u64::MAX),
        data_digest: metadata.data_digest.clone(),
        settings: Some(settings(&metadata.settings)),
        min_probability: metadata.min_probability,
        ..proto::Model::default()
    }
}

fn settings(settings: &ChosenSettings) -> proto::ChosenSettings {
    let weighting = match settings.weighting {
        Weighting::Presence => proto::Weighting::Presence,
        Weighting::Idf => proto::Weighting::Idf,
    };
    let views = settings.views.iter().map(|chosen| proto::ChosenView {
        view: view(chosen.view).into(),
        alpha: chosen.alpha,
        weight: chosen.weight,
    });
    proto::ChosenSettings {
        weighting: weighting.into(),
        views: views.collect(),
        folds: settings.folds,
        seed: settings.seed,
    }
}

fn view(view: View) -> proto::View {
    match view {
        View::Word1 => proto::View::Word1,
        View::Word2 => proto::View::Word2,
        View::Word3 => proto::View::Word3,
        View::Shape => proto::View::Shape,
        View::Character => proto::View::Character,
        View::Lead => proto::View::Lead,
    }
}

/// What was found in data, with all findings or the first.
pub(crate) fn data_report(report: &DataReport, all_findings: bool) -> proto::DataReport {
    let max_findings = if all_findings { usize::MAX } else { MAX_FINDINGS };
    let counts = report.counts.iter().map(|(code, count)| proto::FindingCount {
        code: finding_code(*code).into(),
        count: *count,
    });
    let findings = report.first(max_findings).into_iter().map(|finding| proto::Finding {
        line: finding.line,
        code: finding_code(finding.code).into(),
        message: finding.message.clone(),
    });
    proto::DataReport {
        row_count: report.row_count,
        used_count: report.used_count,
        counts: counts.collect(),
        findings: findings.collect(),
    }
}

fn finding_code(code: FindingCode) -> proto::FindingCode {
    match code {
        FindingCode::WrongColumnCount => proto::FindingCode::WrongColumnCount,
        FindingCode::EmptyText => proto::FindingCode::EmptyText,
        FindingCode::EmptyLabel => proto::FindingCode::EmptyLabel,
        FindingCode::TextTooLong => proto::FindingCode::TextTooLong,
        FindingCode::BadLabel => proto::FindingCode::BadLabel,
        FindingCode::Duplicate => proto::FindingCode::Duplicate,
        FindingCode::Conflict => proto::FindingCode::Conflict,
        FindingCode::SuspectedLabel => proto::FindingCode::SuspectedLabel,
        FindingCode::NearDuplicate => proto::FindingCode::NearDuplicate,
        FindingCode::OtherScript => proto::FindingCode::OtherScript,
        FindingCode::OtherLanguage => proto::FindingCode::OtherLanguage,
        FindingCode::FewExamples => proto::FindingCode::FewExamples,
        FindingCode::Giveaway => proto::FindingCode::Giveaway,
    }
}
