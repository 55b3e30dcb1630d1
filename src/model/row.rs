//! What one feature or token adds to the labels, however its numbers are kept.

/// What is added to the labels by one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// How much of the view's background it brings.
    pub(super) mass: f64,
    /// What it adds to the squared length.
    pub(super) square: f64,
    pub(super) entries: Entries<'a>,
}

/// What labels get beyond the background.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entries<'a> {
    /// Each label.
    Dense(&'a [f32]),
    /// Some of them.
    Sparse(&'a [Entry]),
    /// Each label, in steps of a size.
    Fixed(&'a [i32], f64),
    /// Some of them, as [`Parts`](super::Parts) has it: labels, ascending, and their values.
    Listed(&'a [u16], &'a [f32]),
}

/// What one label gets: the label, and the lower and the upper half of the value.
/// Six bytes and no padding.
pub(super) type Entry = [u16; 3];

impl Row<'_> {
    /// What the row adds to one label beyond the background.
    pub(super) fn entry(&self, label: usize) -> f64 {
        match self.entries {
            Entries::Dense(values) => values.get(label).copied().map_or(0.0, f64::from),
            Entries::Fixed(values, step) => {
                values.get(label).copied().map_or(0.0, |value| f64::from(value) * step)
            }
            Entries::Sparse(entries) => {
                let of_label = |entry: &&Entry| usize::from(entry[0]) == label;
                entries.iter().find(of_label).map_or(0.0, value)
            }
            Entries::Listed(labels, values) => {
                let mut entries = labels.iter().zip(values);
                let of_label = entries.find(|(of, _)| usize::from(**of) == label);
                of_label.map_or(0.0, |(_, value)| f64::from(*value))
            }
        }
    }

    /// Adds `times` the entries to one value a label.
    #[inline]
    pub(super) fn add_to(&self, values: &mut [f64], times: f64) {
        match self.entries {
            Entries::Dense(row) => {
                for (sum, value) in values.iter_mut().zip(row) {
                    *sum += times * f64::from(*value);
                }
            }
            Entries::Fixed(row, step) => {
                for (sum, value) in values.iter_mut().zip(row) {
                    *sum += times * (f64::from(*value) * step);
                }
            }
            Entries::Sparse(entries) => {
                for entry in entries {
                    if let Some(sum) = values.get_mut(usize::from(entry[0])) {
                        *sum += times * value(entry);
                    }
                }
            }
            Entries::Listed(labels, row) => {
                for (label, value) in labels.iter().zip(row) {
                    if let Some(sum) = values.get_mut(usize::from(*label)) {
                        *sum += times * f64::from(*value);
                    }
                }
            }
        }
    }
}

/// The value of an entry.
#[inline]
pub(super) fn single([_, lower, upper]: &Entry) -> f32 {
    f32::from_bits(u32::from(*upper) << 16 | u32::from(*lower))
}

#[inline]
fn value(entry: &Entry) -> f64 {
    f64::from(single(entry))
}

/// An entry of a label and its value.
#[allow(clippy::cast_possible_truncation, reason = "the two halves of a value")]
pub(super) fn entry((label, value): (&u16, &f32)) -> Entry {
    let bits = value.to_bits();
    [*label, bits as u16, (bits >> 16) as u16]
}

/// A row as it is given to [`Rows::new`](super::rows::Rows::new).
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRow<'a> {
    pub(super) hash: u64,
    pub(super) mass: f32,
    pub(super) square: f32,
    /// Labels for which it differs from the background, ascending.
    pub(super) labels: &'a [u16],
    /// By how much, one for each of `labels`.
    pub(super) values: &'a [f32],
}

impl<'a> NewRow<'a> {
    /// The row that will stand there.
    pub(super) fn row(&self) -> Row<'a> {
        let entries = Entries::Listed(self.labels, self.values);
        Row { mass: f64::from(self.mass), square: f64::from(self.square), entries }
    }
}
