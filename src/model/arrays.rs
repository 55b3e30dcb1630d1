//! The arrays of a model under their names: what a file holds of it, in plain numbers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::PartsError;

/// Numbers of one type: lent by a table, or on their own.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "their types' names")]
pub enum Numbers<'a> {
    F64(Cow<'a, [f64]>),
    U64(Cow<'a, [u64]>),
    F32(Cow<'a, [f32]>),
    I32(Cow<'a, [i32]>),
    U32(Cow<'a, [u32]>),
    U16(Cow<'a, [u16]>),
    U8(Cow<'a, [u8]>),
}

/// One array.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<'a> {
    /// Its name in the file.
    pub name: String,
    /// Its shape, row-major.
    pub shape: Vec<usize>,
    /// As many numbers as the shape says.
    pub numbers: Numbers<'a>,
}

impl<'a> Array<'a> {
    /// An array of numbers that a table lends.
    pub(super) fn lent<T: Number>(name: String, shape: Vec<usize>, numbers: &'a [T]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), numbers.len(), "{name}");
        Self { name, shape, numbers: T::lend(numbers) }
    }

    /// An array of its own numbers, in a row.
    pub(super) fn list<T: Number>(name: String, numbers: Vec<T>) -> Self {
        Self { name, shape: vec![numbers.len()], numbers: T::give(numbers) }
    }
}

/// A type of numbers that arrays may have.
pub trait Number: Copy {
    /// Its name in errors.
    const NAME: &'static str;
    /// Lends numbers.
    fn lend(numbers: &[Self]) -> Numbers<'_>;
    /// Gives numbers away.
    fn give(numbers: Vec<Self>) -> Numbers<'static>;
    /// Returns the numbers if they have this type.
    fn take(numbers: Numbers<'_>) -> Option<Vec<Self>>;
}

macro_rules! number {
    ($type:ty, $variant:ident) => {
        impl Number for $type {
            const NAME: &'static str = stringify!($variant);

            fn lend(numbers: &[Self]) -> Numbers<'_> {
                Numbers::$variant(Cow::Borrowed(numbers))
            }

            fn give(numbers: Vec<Self>) -> Numbers<'static> {
                Numbers::$variant(Cow::Owned(numbers))
            }

            fn take(numbers: Numbers<'_>) -> Option<Vec<Self>> {
                if let Numbers::$variant(numbers) = numbers {
                    Some(numbers.into_owned())
                } else {
                    None
                }
            }
        }
    };
}
number!(f64, F64);
number!(u64, U64);
number!(f32, F32);
number!(i32, I32);
number!(u32, U32);
number!(u16, U16);
number!(u8, U8);

/// The arrays of a model, each to be taken once, and read when it is: all at once they would take as much memory
/// as the model.
#[derive(Default)]
pub struct Arrays<'a>(BTreeMap<String, Box<dyn FnOnce() -> Array<'a> + 'a>>);

impl fmt::Debug for Arrays<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'a> FromIterator<Array<'a>> for Arrays<'a> {
    fn from_iter<I: IntoIterator<Item = Array<'a>>>(arrays: I) -> Self {
        let mut all = Self::default();
        arrays.into_iter().for_each(|array| all.add(array.name.clone(), || array));
        all
    }
}

impl<'a> Arrays<'a> {
    /// Adds one that is read by this function.
    pub fn add(&mut self, name: String, read: impl FnOnce() -> Array<'a> + 'a) {
        self.0.insert(name, Box::new(read));
    }

    /// Takes out the numbers of an array that must have this shape.
    ///
    /// # Errors
    ///
    /// [`PartsError`] if there is no such array, or it has another type or shape.
    pub fn take<T: Number>(&mut self, name: &str, shape: &[usize]) -> Result<Vec<T>, PartsError> {
        self.take_if(name, |found| found == shape, || format!("{shape:?}"))
    }

    /// Takes out the numbers of an array that may have any length.
    ///
    /// # Errors
    ///
    /// [`PartsError`] if there is no such array, or it has another type or several dimensions.
    pub fn take_list<T: Number>(&mut self, name: &str) -> Result<Vec<T>, PartsError> {
        self.take_if(name, |found| found.len() == 1, || "one dimension".to_owned())
    }

    /// Takes out the one number of an array.
    ///
    /// # Errors
    ///
    /// Those of [`Self::take`].
    pub fn take_one<T: Number + Default>(&mut self, name: &str) -> Result<T, PartsError> {
        Ok(self.take(name, &[1])?.first().copied().unwrap_or_default())
    }

    /// Refuses arrays that nobody took.
    ///
    /// # Errors
    ///
    /// [`PartsError`] that names one.
    pub fn end(&self) -> Result<(), PartsError> {
        match self.0.keys().next() {
            Some(name) => Err(PartsError::new(name, "does not belong there")),
            None => Ok(()),
        }
    }

    fn take_if<T: Number>(
        &mut self,
        name: &str,
        is_wanted: impl Fn(&[usize]) -> bool,
        wanted: impl Fn() -> String,
    ) -> Result<Vec<T>, PartsError> {
        let wrong = |problem| PartsError::new(name, problem);
        let read = self.0.remove(name).ok_or_else(|| wrong("is missing".to_owned()))?;
        let Array { shape, numbers, .. } = read();
        if !is_wanted(&shape) {
            return Err(wrong(format!("has shape {shape:?}, expected {}", wanted())));
        }
        T::take(numbers).ok_or_else(|| wrong(format!("has another type than {}", T::NAME)))
    }
}
