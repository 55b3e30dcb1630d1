//! Minimises a smooth convex function, some of whose arguments must not fall below 0.
//!
//! Limited-memory BFGS with two-metric projection: arguments that stand at 0 and want to go below are
//! held there; the others move along the quasi-Newton direction and are cut off at 0 (Bertsekas 1982,
//! "Projected Newton Methods for Optimization Problems with Simple Constraints"; the two-loop
//! recursion is Nocedal and Wright, "Numerical Optimization", algorithm 7.4).

use std::collections::VecDeque;

use super::Observer;

/// Steps remembered for the curvature.
const MEMORY: usize = 8;
/// Halvings of a step before the search gives up.
const MAX_HALVINGS: u32 = 30;
/// Share of the expected decrease a step must bring.
const SUFFICIENT_DECREASE: f64 = 1e-4;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most steps.
    pub(super) max_steps: usize,
    /// Stop when no argument's projected gradient is larger.
    pub(super) gradient: f64,
    /// Stop when a step improves the value by less.
    pub(super) improvement: f64,
}

/// Where the search ended.
#[derive(Debug, Clone)]
pub(super) struct Minimum {
    pub(super) arguments: Vec<f64>,
    pub(super) value: f64,
}

/// Where the search begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Where the search begins; the bounded arguments come first and are at least 0.
    pub(super) arguments: Vec<f64>,
    /// How many arguments must stay at or above 0.
    pub(super) n_bounded: usize,
    /// One an argument: a guess of 1 / curvature, above 0. It scales the first step and what the
    /// steps remembered say nothing about.
    pub(super) scales: Vec<f64>,
}

/// Minimises `function`, which returns its value and writes its gradient; until the observer cancels.
pub(super) fn minimise(
    start: Start,
    limits: Limits,
    observer: &dyn Observer,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let Start { arguments: mut at, n_bounded, scales } = start;
    let mut gradient = observer.zeros(at.len());
    let mut value = function(&at, &mut gradient);
    let mut history = History { scales, pairs: VecDeque::new(), observer };
    for _ in observer.wanted(0..limits.max_steps) {
        let is_held = observer.gather(held(&at, &gradient, n_bounded));
        if largest_free(&gradient, &is_held) <= limits.gradient {
            break;
        }
        let mut direction = history.direction(&gradient, &is_held);
        if dot(&direction, &gradient) >= 0.0 {
            history.pairs.clear();
            direction = history.direction(&gradient, &is_held);
        }
        let search = Search {
            at: &at,
            gradient: &gradient,
            value,
            direction: &direction,
            n_bounded,
            observer,
        };
        let Some((next, next_value, next_gradient)) = search.run(&mut function) else {
            break;
        };
        let step = observer.gather(difference(&next, &at));
        history.remember(step, observer.gather(difference(&next_gradient, &gradient)));
        let improvement = value - next_value;
        (at, value, gradient) = (next, next_value, next_gradient);
        if improvement < limits.improvement {
            break;
        }
    }
    Minimum { arguments: at, value }
}

/// The curvature seen in the last steps.
struct History<'a> {
    observer: &'a dyn Observer,
    /// The guess of 1 / curvature.
    scales: Vec<f64>,
    /// Step, change of the gradient, and 1 over their product.
    pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl History<'_> {
    fn remember(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = dot(&step, &change);
        // Only positive curvature keeps the estimate positive definite.
        if product <= 1e-12 * dot(&change, &change) {
            return;
        }
        if self.pairs.len() == MEMORY {
            self.pairs.pop_front();
        }
        self.pairs.push_back((step, change, product.recip()));
    }

    /// Returns the quasi-Newton descent direction in the free arguments.
    fn direction(&self, gradient: &[f64], is_held: &[bool]) -> Vec<f64> {
        let free = gradient.iter().zip(is_held).map(|(g, held)| if *held { 0.0 } else { -g });
        let mut q: Vec<f64> = self.observer.gather(free);
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (step, change, rho) in self.observer.wanted(self.pairs.iter().rev()) {
            let alpha = rho * dot(step, &q);
            add_scaled(&mut q, change, -alpha);
            alphas.push(alpha);
        }
        let factor = self.pairs.back().map_or(1.0, |(step, change, _)| {
            let scaled: f64 = change.iter().zip(&self.scales).map(|(c, s)| c * c * s).sum();
            dot(step, change) / scaled
        });
        q.iter_mut().zip(&self.scales).for_each(|(v, scale)| *v *= factor * scale);
        let pairs = self.pairs.iter().zip(alphas.iter().rev());
        for ((step, change, rho), alpha) in self.observer.wanted(pairs) {
            let beta = rho * dot(change, &q);
            add_scaled(&mut q, step, alpha - beta);
        }
        for (value, held) in q.iter_mut().zip(is_held) {
            if *held {
                *value = 0.0;
            }
        }
        q
    }
}

/// A search along one direction, by halving.
struct Search<'a> {
    observer: &'a dyn Observer,
    at: &'a [f64],
    gradient: &'a [f64],
    value: f64,
    direction: &'a [f64],
    n_bounded: usize,
}

impl Search<'_> {
    fn run(
        &self,
        function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
    ) -> Option<(Vec<f64>, f64, Vec<f64>)> {
        let mut step = 1.0;
        let mut gradient = self.observer.zeros(self.at.len());
        for _ in self.observer.wanted(0..MAX_HALVINGS) {
            let next = self.moved(step);
            let value = function(&next, &mut gradient);
            let expected: f64 = dot(self.gradient, &next) - dot(self.gradient, self.at);
            if value.is_finite() && value <= self.value + SUFFICIENT_DECREASE * expected {
                return Some((next, value, gradient));
            }
            step /= 2.0;
        }
        None
    }

    fn moved(&self, step: f64) -> Vec<f64> {
        let moved = self.at.iter().zip(self.direction).map(|(at, d)| at + step * d);
        let bounded = |(i, v): (usize, f64)| if i < self.n_bounded { v.max(0.0) } else { v };
        self.observer.gather(moved.enumerate().map(bounded))
    }
}

/// Which arguments stand at their bound and would leave it.
fn held(at: &[f64], gradient: &[f64], n_bounded: usize) -> impl Iterator<Item = bool> {
    let is_held =
        move |(i, (at, g)): (usize, (&f64, &f64))| i < n_bounded && *at <= 0.0 && *g > 0.0;
    at.iter().zip(gradient).enumerate().map(is_held)
}

fn largest_free(gradient: &[f64], is_held: &[bool]) -> f64 {
    let free = gradient.iter().zip(is_held).filter(|(_, held)| !**held);
    free.map(|(g, _)| g.abs()).fold(0.0, f64::max)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> impl Iterator<Item = f64> {
    a.iter().zip(b).map(|(a, b)| a - b)
}

fn add_scaled(to: &mut [f64], what: &[f64], scale: f64) {
    for (to, what) in to.iter_mut().zip(what) {
        *to += scale * what;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;

    const LIMITS: Limits = Limits { max_steps: 200, gradient: 1e-10, improvement: 0.0 };

    fn start(arguments: &[f64], n_bounded: usize) -> Start {
        let scales = vec![1.0; arguments.len()];
        Start { arguments: arguments.to_vec(), n_bounded, scales }
    }

    #[test]
    fn finds_the_minimum_of_an_ill_conditioned_quadratic() {
        let minimum = minimise(start(&[3.0, -2.0, 5.0], 0), LIMITS, &Unobserved, |x, g| {
            let weights = [1.0, 100.0, 10_000.0];
            let centre = [1.0, 2.0, 3.0];
            let mut value = 0.0;
            for i in 0..3 {
                value += weights[i] * (x[i] - centre[i]).powi(2) / 2.0;
                g[i] = weights[i] * (x[i] - centre[i]);
            }
            value
        });
        for (got, wanted) in minimum.arguments.iter().zip([1.0, 2.0, 3.0]) {
            assert!((got - wanted).abs() < 1e-6, "{:?}", minimum.arguments);
        }
    }

    #[test]
    fn bounded_arguments_end_at_zero_where_they_want_to_go_below() {
        // (x + 1)² + (y - 2)² + x·y, x and y at least 0: the minimum is at x = 0, y = 2.
        let minimum = minimise(start(&[1.0, 1.0], 2), LIMITS, &Unobserved, |x, g| {
            g[0] = 2.0 * (x[0] + 1.0) + x[1];
            g[1] = 2.0 * (x[1] - 2.0) + x[0];
            (x[0] + 1.0).powi(2) + (x[1] - 2.0).powi(2) + x[0] * x[1]
        });
        assert!(minimum.arguments[0] <= 0.0);
        assert!((minimum.arguments[1] - 2.0).abs() < 1e-8);
    }
}
