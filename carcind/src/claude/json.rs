//! Tolerant reading of JSON objects: what is missing, null or of another type is absent.
//!
//! One pass cuts an object into its fields, each left raw until it is asked for. Skipping a raw value takes no
//! recursion, so that no depth of nesting can overflow the stack; and what is taken in of an object or a list is
//! bounded, so that a line of a million empty objects costs no more memory than a picture of the same length.

use std::borrow::Cow;

use super::scan::Scanner;
use super::string;

/// The most fields of an object that are looked at; Claude Code's have some dozens.
const MAX_FIELDS: usize = 1024;
/// The longest list that is looked at. A message has some dozens of blocks, a session some hundred commands.
const MAX_ITEMS: usize = 4096;
/// The longest name of a thing, in bytes: of a model, a tool, a kind of frame.
const MAX_NAME: usize = 256;

/// A JSON object whose fields are not yet read. Where a name comes twice, the last one counts.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// `None`: not valid JSON, or not an object.
    pub(super) fn parse(raw: &'a str) -> Option<Self> {
        let mut scanner = Scanner::new(raw);
        let mut fields = Vec::with_capacity(8);
        scanner.fields(|name, scanner| {
            let value = scanner.value()?;
            if fields.len() < MAX_FIELDS {
                fields.push((name.meant(), value));
            }
            Some(())
        })?;
        scanner.is_at_end().then_some(Self(fields))
    }

    /// The fields in order, raw.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// The raw JSON of a field.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rev().find(|(field, _)| field == name)?;
        Some(*value).filter(|raw| *raw != "null")
    }

    /// The raw JSON of a field that is an object or a list, if it is at most `max` bytes long.
    pub(super) fn raw_within(&self, name: &str, max: usize) -> Option<&'a str> {
        self.raw(name).filter(|raw| raw.len() <= max && raw.starts_with(['{', '[']))
    }

    pub(super) fn object(&self, name: &str) -> Option<Object<'a>> {
        self.raw(name).and_then(Self::parse)
    }

    /// The raw JSON of the items of a list. `None` also for one of more items than can be looked at.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a str>> {
        let mut items = Vec::new();
        Scanner::new(self.raw(name)?).items(|scanner| {
            let item = scanner.value()?;
            (items.len() < MAX_ITEMS).then(|| items.push(item))
        })?;
        Some(items)
    }

    /// The objects of a list, one at a time; what is not an object is left out.
    pub(super) fn objects(&self, name: &str) -> impl Iterator<Item = Object<'a>> + use<'a> {
        self.list(name).unwrap_or_default().into_iter().filter_map(Object::parse)
    }

    /// The strings of a list; what is not a string is left out.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).unwrap_or_default().into_iter().filter_map(text).collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.raw(name).and_then(text)
    }

    /// The string, or an empty one.
    pub(super) fn text_or_empty(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// The beginning of the string, and how many bytes that leaves out. Costs no more memory than `max` bytes.
    pub(super) fn text_within(&self, name: &str, max: usize) -> Option<(String, u64)> {
        self.raw(name).and_then(|raw| string::decode(raw, max))
    }

    /// The string, if it is a name: of a longer one the beginning.
    pub(super) fn name(&self, name: &str) -> Option<String> {
        self.text_within(name, MAX_NAME).map(|(name, _)| name)
    }

    /// The name, or an empty one.
    pub(super) fn name_or_empty(&self, name: &str) -> String {
        self.name(name).unwrap_or_default()
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.raw(name) == Some("true")
    }

    /// Not negative and finite.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.raw(name)?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
    }

    /// Not negative; a fraction is cut off.
    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.raw(name)?.parse().ok().or_else(|| self.number(name).map(whole))
    }

    /// As [`Self::count`], and no more than fits.
    pub(super) fn small_count(&self, name: &str) -> Option<u32> {
        self.count(name).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }
}

/// The string that `raw` is.
pub(super) fn text(raw: &str) -> Option<String> {
    string::decode(raw, usize::MAX).map(|(text, _)| text)
}

/// The whole part of a number that is not negative; what is too large for the type is its largest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates, which is what is meant
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}
