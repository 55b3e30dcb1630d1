//! What a client wants trained or evaluated becomes checked settings.

use std::num::NonZeroUsize;

use super::error::{CallError, Violations};
use super::request::{self, Target, check_share, optional_name};
use crate::builtin;
use crate::features::View;
use crate::model::Weighting;
use crate::proto;
use crate::store::ModelName;
use crate::train::examples::CsvOptions;
use crate::train::{Settings, Threshold};

/// The model that is trained when a client names none.
const DEFAULT_NAME: &str = "default";

/// A training as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrainingPlan {
    /// The model.
    pub(crate) name: ModelName,
    /// How to read a CSV.
    pub(crate) csv: CsvOptions,
    /// How to train.
    pub(crate) settings: Settings,
    /// Whether only the data is to be checked.
    pub(crate) validate_only: bool,
    /// Whether the new version is to answer.
    pub(crate) wish: Wish,
    /// Whether the report is to hold all findings, not the first only.
    pub(crate) all_findings: bool,
}

/// Whether a new version is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Only if somebody says so later.
    Store,
    /// Unless it is significantly worse than the one that answers now.
    ActivateUnlessWorse,
    /// In any case.
    Activate,
}

impl TryFrom<proto::TrainingSpec> for TrainingPlan {
    type Error = CallError;

    fn try_from(spec: proto::TrainingSpec) -> Result<Self, CallError> {
        let mut violations = Violations::default();
        let given = if spec.model.is_empty() { DEFAULT_NAME } else { &spec.model };
        let name = optional_name("spec.model", given, &mut violations);
        let csv = csv(spec.text_column, spec.label_column, &spec.delimiter, &mut violations);
        let mut settings = settings(&spec.settings.unwrap_or_default(), &mut violations);
        settings.threshold = threshold(spec.min_probability, spec.target_accuracy, &mut violations);
        violations.check()?;
        settings.check()?;
        let name = name.ok_or(CallError::Internal("a checked name is missing"))?;
        if name.as_str() == builtin::NAME {
            return Err(CallError::BuiltInNotTrainable { name });
        }
        Ok(Self {
            name,
            csv,
            settings,
            validate_only: spec.validate_only,
            wish: match spec.activate {
                Some(false) => Wish::Store,
                Some(true) | None if spec.force => Wish::Activate,
                Some(true) | None => Wish::ActivateUnlessWorse,
            },
            all_findings: spec.all_findings,
        })
    }
}

/// What is to be evaluated, and how to read the data.
#[derive(Debug)]
pub(crate) struct EvaluationPlan {
    /// Who is judged.
    pub(crate) target: Target,
    /// How the CSV is read.
    pub(crate) csv: CsvOptions,
    /// Whether the report is to hold all findings, not the first only.
    pub(crate) all_findings: bool,
}

impl TryFrom<proto::EvaluationSpec> for EvaluationPlan {
    type Error = CallError;

    fn try_from(spec: proto::EvaluationSpec) -> Result<Self, CallError> {
        let target = request::target("spec.model", &spec.model, spec.version)?;
        let mut violations = Violations::default();
        let csv = csv(spec.text_column, spec.label_column, &spec.delimiter, &mut violations);
        violations.check()?;
        Ok(Self { target, csv, all_findings: spec.all_findings })
    }
}

fn csv(
    text_column: String,
    label_column: String,
    delimiter: &str,
    violations: &mut Violations,
) -> CsvOptions {
    let mut options = CsvOptions::default();
    if !text_column.is_empty() {
        options.text_column = text_column;
    }
    if !label_column.is_empty() {
        options.label_column = label_column;
    }
    options.delimiter = match delimiter {
        "" => None,
        "," => Some(b','),
        ";" => Some(b';'),
        "\t" => Some(b'\t'),
        _ => {
            violations.push("spec.delimiter", "DELIMITER_UNKNOWN", "is not ',', ';' or a tab");
            None
        }
    };
    options
}

fn threshold(
    min_probability: Option<f64>,
    target_accuracy: Option<f64>,
    violations: &mut Violations,
) -> Threshold {
    check_share("spec.min_probability", min_probability, violations);
    let field = "spec.target_accuracy";
    if target_accuracy.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        violations.push(field, "TARGET_ACCURACY_OUT_OF_RANGE", "is not in (0, 1]");
    }
    match (min_probability, target_accuracy) {
        (Some(_), Some(_)) => {
            violations.push(field, "THRESHOLD_GIVEN_TWICE", "stands beside min_probability");
            Threshold::default()
        }
        (None, Some(share)) => Threshold::TargetAccuracy(share),
        (Some(probability), None) => Threshold::Probability(probability),
        (None, None) => Threshold::default(),
    }
}

fn settings(given: &proto::TrainingSettings, violations: &mut Violations) -> Settings {
    let mut settings = Settings::default();
    if !given.alphas.is_empty() {
        settings.alphas.clone_from(&given.alphas);
    }
    settings.weighting = match proto::Weighting::try_from(given.weighting) {
        Ok(proto::Weighting::Unspecified) => None,
        Ok(proto::Weighting::Presence) => Some(Weighting::Presence),
        Ok(proto::Weighting::Idf) => Some(Weighting::Idf),
        Err(_unknown) => {
            violations.push("spec.settings.weighting", "WEIGHTING_UNKNOWN", "is not a weighting");
            None
        }
    };
    let mut views = Vec::new();
    for (i, view) in given.views.iter().enumerate() {
        match proto::View::try_from(*view).ok().and_then(view_of) {
            Some(view) => views.push(view),
            None => {
                let field = format!("spec.settings.views[{i}]");
                violations.push(field, "VIEW_UNKNOWN", "is not a view");
            }
        }
    }
    if !views.is_empty() {
        settings.views = views;
    }
    if given.folds > 0 {
        settings.folds = given.folds;
    }
    settings.seed = given.seed.unwrap_or(settings.seed);
    settings.sample_rows = usize::try_from(given.sample_rows).ok().and_then(NonZeroUsize::new);
    settings.refinement = !given.no_feature_weights;
    settings
}

fn view_of(view: proto::View) -> Option<View> {
    match view {
        proto::View::Unspecified => None,
        proto::View::Word1 => Some(View::Word1),
        proto::View::Word2 => Some(View::Word2),
        proto::View::Word3 => Some(View::Word3),
        proto::View::Shape => Some(View::Shape),
        proto::View::Character => Some(View::Character),
        proto::View::Lead => Some(View::Lead),
    }
}
