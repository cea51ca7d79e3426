//! A Claude that says nothing.

use super::*;
