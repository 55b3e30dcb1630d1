//! Exact tests of two sets of right and wrong answers, one-sided: how likely is a difference like this or
//! a larger one if the two models are equally good?
//!
//! - [`mcnemar`]: both answered the same rows. Only rows on which one is right and the other is not say
//!   anything; each of these is a fair coin (`McNemar`, Psychometrika 12, 1947, with the binomial
//!   distribution in place of the approximation). Equals `scipy.stats.binomtest(b, b + c, 0.5,
//!   alternative="greater")`, and half of `statsmodels`' two-sided `mcnemar(exact=True)`.
//! - [`fisher`]: each answered rows of its own. The right answers are dealt out among all rows, as in
//!   Fisher's exact test of a 2 × 2 table; the hypergeometric distribution. Equals
//!   `scipy.stats.fisher_exact([[a, n - a], [c, m - c]], alternative="less")`.
//!
//! A tail is summed from its largest term outwards, each term from the one before it by their ratio;
//! of the two tails the one without the middle of the distribution, so that no term that counts is
//! lost to underflow.

/// Terms below this share of their sum end it.
const NEGLIGIBLE: f64 = 1e-17;

/// Right answers among all answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Number of right answers, at most `of`.
    pub right: u64,
    /// Number of answers.
    pub of: u64,
}

impl Tally {
    /// The share of right answers in [0, 1]; 0 where there are none.
    #[must_use]
    pub fn share(self) -> f64 {
        real(self.right) / real(self.of.max(1))
    }
}

/// The probability that of `won + lost` fair coins at least `won` fall on one side. They count the rows on
/// which only this model is right, and those on which only the other one is.
pub(super) fn mcnemar(won: u64, lost: u64) -> f64 {
    let n = won.saturating_add(lost);
    let ln_at = |k: u64| ln_choose(n, k) - real(n) * std::f64::consts::LN_2;
    if won > lost {
        let up = |k: u64| (k < n).then(|| real(n - k) / (real(k) + 1.0));
        tail(ln_at(won), won, up, |k| k + 1)
    } else if won == 0 {
        1.0
    } else {
        let down = |k: u64| (k > 0).then(|| real(k) / (real(n - k) + 1.0));
        1.0 - tail(ln_at(won - 1), won - 1, down, |k| k - 1)
    }
}

/// The probability that `new` has at most as many right answers as it has, given how many `new` and
/// `old` have together.
pub(super) fn fisher(new: Tally, old: Tally) -> f64 {
    let new = Tally { right: new.right.min(new.of), ..new };
    let old = Tally { right: old.right.min(old.of), ..old };
    let (n_right, n) = (new.right + old.right, new.of + old.of);
    let n_wrong = n - n_right;
    let ln_at =
        |k: u64| ln_choose(n_right, k) + ln_choose(n_wrong, new.of - k) - ln_choose(n, new.of);
    let (least, most) = (new.of.saturating_sub(n_wrong), new.of.min(n_right));
    let up = |k: u64| {
        let wrong_left = n_wrong + k + 1;
        (k < most).then(|| {
            real(n_right - k) * real(new.of - k) / (real(k + 1) * real(wrong_left - new.of))
        })
    };
    let down = |k: u64| {
        let wrong_left = n_wrong + k;
        (k > least).then(|| {
            real(k) * real(wrong_left - new.of) / (real(n_right - k + 1) * real(new.of - k + 1))
        })
    };
    let expected = real(n_right) * real(new.of) / real(n.max(1));
    if new.right >= most {
        1.0
    } else if real(new.right) < expected {
        tail(ln_at(new.right), new.right, down, |k| k - 1)
    } else {
        1.0 - tail(ln_at(new.right + 1), new.right + 1, up, |k| k + 1)
    }
}

/// Sums a tail outwards. `ratio` gives the next term as a share of this one, and `None` at the end.
fn tail(
    ln_first: f64,
    first: u64,
    ratio: impl Fn(u64) -> Option<f64>,
    next: impl Fn(u64) -> u64,
) -> f64 {
    let (mut sum, mut term, mut at) = (1.0, 1.0, first);
    while let Some(ratio) = ratio(at) {
        term *= ratio;
        sum += term;
        at = next(at);
        if term < NEGLIGIBLE * sum {
            break;
        }
    }
    (ln_first.exp() * sum).clamp(0.0, 1.0)
}

fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n.saturating_sub(k))
}

/// ln(n!), summed up where that is short, else by Stirling's series, whose next term is below 1e-16
/// there.
fn ln_factorial(n: u64) -> f64 {
    if n < 128 {
        return (2..=n).map(|i| real(i).ln()).sum();
    }
    let n = real(n);
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

#[allow(clippy::cast_precision_loss, reason = "numbers of rows are far below 2^53")]
fn real(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values expected are those of `SciPy` 1.17 and statsmodels 0.15. Differences of ln n! cost
    /// digits where n is large.
    #[track_caller]
    fn assert_close(got: f64, expected: f64) {
        let error = (got - expected).abs() / expected.max(f64::MIN_POSITIVE);
        assert!(error < 1e-8, "{got} instead of {expected}");
    }

    #[test]
    fn mcnemar_agrees_with_scipy() {
        for (won, lost, expected) in [
            (0, 0, 1.0),
            (1, 0, 0.5),
            (0, 5, 1.0),
            (5, 0, 0.03125),
            (8, 2, 0.0546875),
            (10, 10, 0.588_098_526_000_976_6),
            (15, 5, 0.020_694_732_666_015_625),
            (60, 40, 0.028_443_966_820_490_444),
            (121, 59, 2.217_224_631_877_582_3e-6),
            (1500, 1400, 0.032_993_674_832_592_315),
            (2600, 2400, 0.002_441_824_868_758_747),
            (3, 5000, 1.0),
        ] {
            assert_close(mcnemar(won, lost), expected);
        }
        assert!(mcnemar(5000, 0) < 1e-300);
    }

    #[test]
    fn half_of_statsmodels_two_sided_mcnemar_is_the_one_sided_one() {
        // statsmodels.stats.contingency_tables.mcnemar([[0, b], [c, 0]], exact=True).pvalue
        for (won, lost, two_sided) in [
            (15, 5, 0.041_389_465_332_031_25),
            (60, 40, 0.056_887_933_640_980_89),
            (1500, 1400, 0.065_987_349_665_184_63),
        ] {
            assert_close(mcnemar(won, lost), two_sided / 2.0);
        }
    }

    #[test]
    fn fisher_agrees_with_scipy() {
        for (right, of, old_right, old_of, expected) in [
            (3, 10, 9, 10, 0.009_883_305_548_940_223),
            (9, 10, 3, 10, 0.999_642_772_088_592_5),
            (12, 12, 12, 12, 1.0),
            (0, 5, 5, 5, 0.003_968_253_968_253_969),
            (50, 100, 65, 100, 0.022_466_000_055_651_37),
            (45, 60, 9150, 10003, 0.000_127_279_540_332_445_05),
            (850, 1000, 880, 1000, 0.028_797_925_434_463_37),
            (880, 1000, 850, 1000, 0.978_819_396_333_593_4),
            (9100, 10003, 9150, 10003, 0.110_417_824_661_208_25),
            (10, 12, 11, 12, 0.5),
            (7, 10, 700_000, 1_000_000, 0.617_218_147_542_043_7),
        ] {
            let (new, old) = (Tally { right, of }, Tally { right: old_right, of: old_of });
            assert_close(fisher(new, old), expected);
        }
        let (new, old) = (Tally { right: 6400, of: 10003 }, Tally { right: 9150, of: 10003 });
        assert!(fisher(new, old) < 1e-300);
    }

    #[test]
    fn no_counts_give_anything_but_a_probability() {
        let counts = [0, 1, 2, 127, 128, 129, 1_000_000_007];
        for a in counts {
            for b in counts {
                assert!((0.0..=1.0).contains(&mcnemar(a.min(20_000), b)), "{a} {b}");
                for c in counts {
                    let p = fisher(Tally { right: a, of: b }, Tally { right: c, of: 3 * c });
                    assert!((0.0..=1.0).contains(&p), "{a} {b} {c}: {p}");
                }
            }
        }
    }
}
