//! Tolerant reading of JSON objects: what is missing, null or of another type is absent.
//!
//! One pass cuts an object into its fields, each left raw until it is asked for. Skipping a raw value takes no
//! recursion, so that no depth of nesting can overflow the stack; and what is taken in of an object or a list is
//! bounded, so that a line of a million empty objects costs no more memory than a picture of the same length.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::string;

/// The most fields of an object that are looked at; Claude Code's have some dozens.
const MAX_FIELDS: usize = 1024;
/// The longest list that is looked at. A message has some dozens of blocks, a session some hundred commands.
const MAX_ITEMS: usize = 4096;
/// The longest name of a thing, in bytes: of a model, a tool, a kind of frame.
const MAX_NAME: usize = 256;

/// A JSON object whose fields are not yet read. Where a name comes twice, the last one counts.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// `None`: not valid JSON, or not an object.
    pub(super) fn parse(raw: &'a str) -> Option<Self> {
        serde_json::from_str(raw).ok()
    }

    /// The fields in order, raw.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.get()))
    }

    /// The raw JSON of a field.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.0.iter().rev().find(|(field, _)| field == name)?;
        Some(value.get()).filter(|raw| *raw != "null")
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
        let items: Items<'a> = serde_json::from_str(self.raw(name)?).ok()?;
        Some(items.0)
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

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
                    if fields.len() < MAX_FIELDS {
                        fields.push((name, map.next_value::<&'de RawValue>()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// The items of a list that is not too long.
struct Items<'a>(Vec<&'a str>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seq;
        impl<'de> Visitor<'de> for Seq {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX_ITEMS} items")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<&'de RawValue>()? {
                    if items.len() == MAX_ITEMS {
                        return Err(A::Error::invalid_length(MAX_ITEMS + 1, &self));
                    }
                    items.push(item.get());
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Seq)
    }
}

/// The name of a field, borrowed where it holds no escapes. Half of a surrogate pair in one that nobody asks for
/// must not cost the frame.
pub(super) struct Name<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Name(String::from_utf8_lossy(name)))
            }
            fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(String::from_utf8_lossy(name).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Bytes)
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
