//! Any value of any type of the contract, out of a proptest byte string.
//!
//! A `Deserializer` that makes the value up: serde tells it what is wanted, the bytes tell it which. So every type,
//! and every variant appended later, is covered without a line about it here; and fewer or smaller bytes make a
//! smaller value, so that proptest shrinks.

use proptest::prelude::*;
use serde::Deserialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value,
};

use crate::event::{Envelope, Event, Transient, TransientEnvelope};
use crate::ids::{ConversationKey, Millis};

type Error = value::Error;

/// Any `T`.
pub(super) fn any_value<T: DeserializeOwned + std::fmt::Debug>() -> impl Strategy<Value = T> {
    any_made(|source| T::deserialize(source))
}

/// Any durable event of any kind.
pub(super) fn any_envelope() -> impl Strategy<Value = Envelope> {
    any_made(|source| {
        let (kind, _) = Event::KINDS[source.below(Event::KINDS.len())];
        Ok(Envelope {
            conversation: ConversationKey::deserialize(&mut *source)?,
            at: Millis::deserialize(&mut *source)?,
            event: Event::deserialize_body(kind, source)?.expect("a kind from the table"),
        })
    })
}

/// Any transient event of any kind.
pub(super) fn any_transient() -> impl Strategy<Value = TransientEnvelope> {
    any_made(|source| {
        let (kind, _) = Transient::KINDS[source.below(Transient::KINDS.len())];
        Ok(TransientEnvelope {
            conversation: ConversationKey::deserialize(&mut *source)?,
            event: Transient::deserialize_body(kind, source)?.expect("a kind from the table"),
        })
    })
}

/// Some strings are ids, which may not be empty or hold control characters, and serde does not tell which. So it
/// is tried with all strings first, then with strings that will do for ids.
fn any_made<T: std::fmt::Debug>(
    make: impl Fn(&mut Source<'_>) -> Result<T, Error>,
) -> impl Strategy<Value = T> {
    prop::collection::vec(any::<u8>(), 0..600).prop_map(move |bytes| {
        make(&mut Source { bytes: &bytes, printable: false })
            .or_else(|_| make(&mut Source { bytes: &bytes, printable: true }))
            .expect("a printable string is a valid id")
    })
}

struct Source<'a> {
    bytes: &'a [u8],
    printable: bool,
}

impl Source<'_> {
    /// The next byte; zeros after the last.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// Small numbers and the edges of the integer encoding, more often than chance would.
    fn number(&mut self, max: u64) -> u64 {
        const EDGES: [u64; 10] =
            [0, 1, 250, 251, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX - 1, u64::MAX];
        let number = match self.byte() {
            choice @ 0..=9 => EDGES[usize::from(choice)],
            10..=127 => u64::from(self.byte()),
            _ => u64::from_le_bytes([(); 8].map(|()| self.byte())),
        };
        number & max
    }

    fn string(&mut self) -> String {
        const ANY: [char; 8] = ['a', 'Z', '0', ' ', 'ß', '漢', '🦀', '\u{301}'];
        const UNPRINTABLE: [char; 4] = ['\0', '\n', '\u{1b}', '\u{7f}'];
        let length = match self.byte() {
            0..=9 => 0,
            10..=249 => 1 + self.below(12),
            _ => 20,
        };
        let length = if self.printable { length.max(1) } else { length };
        (0..length)
            .map(|_| match self.byte() {
                byte @ 0..=3 if !self.printable => UNPRINTABLE[usize::from(byte)],
                byte => ANY[usize::from(byte) % ANY.len()],
            })
            .collect()
    }

    fn elements(&mut self) -> usize {
        if self.bytes.is_empty() { 0 } else { self.below(4) }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty),+ $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.number(u64::MAX >> (64 - <$type>::BITS));
            visitor.$visit(<$type>::from_le_bytes(
                number.to_le_bytes()[..size_of::<$type>()].try_into().expect("that many bytes"),
            ))
        })+
    };
}

impl<'de> Deserializer<'de> for &mut Source<'_> {
    type Error = Error;

    numbers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i32 visit_i32 i32,
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        unreachable!("the contract has no self-describing values")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.byte() % 2 == 1)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.string())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.string())
    }

    /// Of the contract's types only UUIDs ask for bytes.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bytes(&[(); 16].map(|()| self.byte()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.byte() % 2 == 1 { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.elements();
        visitor.visit_seq(Elements { source: self, left })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.elements();
        visitor.visit_map(Elements { source: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, left: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Elements { source: self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Elements { source: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let index = self.below(variants.len());
        visitor.visit_enum(Variant { source: self, index })
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i64 i128 u128 f32 f64 char byte_buf unit unit_struct tuple_struct identifier ignored_any
    }
}

struct Elements<'s, 'a> {
    source: &'s mut Source<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.source).map(Some)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.source)
    }
}

struct Variant<'s, 'a> {
    source: &'s mut Source<'a>,
    index: usize,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let index = u32::try_from(self.index).expect("few variants");
        let variant = seed.deserialize(IntoDeserializer::<Error>::into_deserializer(index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.source)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.source.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.source.deserialize_struct("", fields, visitor)
    }
}
