//! Whether a new version is to answer, and why: the gate. `train/compare` says who is worse; here it is
//! decided what follows, and put into words.

use std::sync::Arc;

use super::spec::Wish;
use crate::model::Model;
use crate::proto::{self, ActivationDecision};
use crate::train::examples::Dataset;
use crate::train::{Comparison, Observer, SameRows, Tally, TrainError, Trained, compare};

/// What answers now under the name of a new version.
#[derive(Debug, Clone)]
pub(crate) enum Incumbent {
    /// Nothing.
    Nobody,
    /// Something that cannot be read.
    Unreadable,
    /// This version.
    Version(u64, Arc<Model>),
}

/// Compares a new model with the active one, and decides.
pub(crate) fn decide(
    wish: Wish,
    incumbent: &Incumbent,
    (trained, dataset): (&Trained, &Dataset),
    observer: &dyn Observer,
) -> Result<proto::Activation, TrainError> {
    let (without, why) = match incumbent {
        Incumbent::Nobody => (ActivationDecision::First, "no version was active"),
        Incumbent::Unreadable => {
            (ActivationDecision::NotCompared, "not compared: the active version cannot be read")
        }
        Incumbent::Version(version, active) => {
            if let Some(comparison) = compare(active, trained, dataset, observer)? {
                return Ok(compared(wish, *version, &comparison));
            }
            let why = "not compared: the active version has no label in common";
            (ActivationDecision::NotCompared, why)
        }
    };
    let (decision, why) = match wish {
        Wish::Store => (ActivationDecision::NotWanted, "not activated, as asked for"),
        Wish::Activate | Wish::ActivateUnlessWorse => (without, why),
    };
    Ok(proto::Activation { decision: decision.into(), message: why.to_owned(), comparison: None })
}

/// Whether a decision makes the new version the active one.
pub(crate) fn activates(activation: &proto::Activation) -> bool {
    match activation.decision() {
        ActivationDecision::First
        | ActivationDecision::NotWorse
        | ActivationDecision::NotCompared
        | ActivationDecision::Forced => true,
        ActivationDecision::Unspecified
        | ActivationDecision::Refused
        | ActivationDecision::NotWanted => false,
    }
}

fn compared(wish: Wish, version: u64, comparison: &Comparison) -> proto::Activation {
    let is_worse = comparison.is_worse();
    let decision = match wish {
        Wish::Store => ActivationDecision::NotWanted,
        Wish::ActivateUnlessWorse if is_worse => ActivationDecision::Refused,
        Wish::Activate if is_worse => ActivationDecision::Forced,
        Wish::ActivateUnlessWorse | Wish::Activate => ActivationDecision::NotWorse,
    };
    let verdict = match (decision, is_worse) {
        (ActivationDecision::Refused, _) => {
            format!(
                "not activated: significantly worse than version {version}, which goes on answering"
            )
        }
        (ActivationDecision::Forced, _) => {
            format!("forced, though significantly worse than version {version}")
        }
        (_, true) => format!("significantly worse than version {version}"),
        (_, false) => format!("not significantly worse than version {version}"),
    };
    let mut message = format!("{verdict}: {}", figures(version, comparison));
    if decision == ActivationDecision::Refused {
        // Harder data cannot be told from worse labels: only its owner can.
        message.push_str("; if the new sentences are harder and rightly labelled, force it");
    }
    let comparison = Some(in_proto(version, comparison));
    proto::Activation { decision: decision.into(), message, comparison }
}

/// The figures that decided, in words.
fn figures(version: u64, comparison: &Comparison) -> String {
    let Comparison { new, active, worse_p_value, same_rows } = comparison;
    let (new, own, p) = (share(*new), share(*active), p_text(*worse_p_value));
    let mut text = format!(
        "right on {new} of its sentences out of fold, version {version} on {own} of its own ({p})"
    );
    if let Some(rows) = same_rows {
        let (these, p) = (share(rows.of_active()), p_text(rows.better_p_value));
        let excuse = if comparison.is_better_on_same_rows() { "" } else { "not " };
        text.push_str(&format!(
            "; version {version} is right on {these} of the new sentences, some of which it may know: the \
             new one is {excuse}significantly better there ({p})"
        ));
    }
    text
}

fn share(tally: Tally) -> String {
    format!("{:.1} %", tally.share() * 100.0)
}

fn p_text(p: f64) -> String {
    if p < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

fn in_proto(version: u64, comparison: &Comparison) -> proto::Comparison {
    proto::Comparison {
        active_version: version,
        new_tally: Some(tally(comparison.new)),
        active_tally: Some(tally(comparison.active)),
        worse_p_value: comparison.worse_p_value,
        same_rows: comparison.same_rows.as_ref().map(same_rows),
        is_worse: comparison.is_worse(),
    }
}

fn tally(tally: Tally) -> proto::Tally {
    proto::Tally { right_count: tally.right, example_count: tally.of }
}

fn same_rows(rows: &SameRows) -> proto::SameRows {
    proto::SameRows {
        both_right_count: rows.both_right,
        only_new_right_count: rows.only_new_right,
        only_active_right_count: rows.only_active_right,
        both_wrong_count: rows.both_wrong,
        better_p_value: rows.better_p_value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(new: u64, worse_p_value: f64) -> Comparison {
        let tally = |right| Tally { right, of: 1_000 };
        Comparison { new: tally(new), active: tally(912), worse_p_value, same_rows: None }
    }

    #[test]
    fn the_wish_and_the_comparison_decide_together() {
        use ActivationDecision::{Forced, NotWanted, NotWorse, Refused};
        for (wish, p_value, expected, is_active) in [
            (Wish::ActivateUnlessWorse, 0.5, NotWorse, true),
            (Wish::ActivateUnlessWorse, 0.01, Refused, false),
            (Wish::Activate, 0.5, NotWorse, true),
            (Wish::Activate, 0.01, Forced, true),
            (Wish::Store, 0.5, NotWanted, false),
            (Wish::Store, 0.01, NotWanted, false),
        ] {
            let decided = compared(wish, 3, &comparison(800, p_value));
            assert_eq!((decided.decision(), activates(&decided)), (expected, is_active));
            let comparison = decided.comparison.expect("it was compared");
            assert_eq!((comparison.active_version, comparison.is_worse), (3, p_value < 0.05));
        }
    }

    #[test]
    fn a_refusal_says_why() {
        let refused = compared(Wish::ActivateUnlessWorse, 3, &comparison(641, 1e-9));
        assert_eq!(
            refused.message,
            "not activated: significantly worse than version 3, which goes on answering: right on \
             64.1 % of its sentences out of fold, version 3 on 91.2 % of its own (p < 0.0001); if the new \
             sentences are harder and rightly labelled, force it"
        );
    }
}
