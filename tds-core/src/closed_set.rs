//! Closed sets of values: the list of all values, and their names.

/// Defines `ALL` and `as_str` of an enum. Each value is written once, in its order and with the name under which it is
/// stored and shown. The other crates of the workspace use the macro as well.
#[doc(hidden)]
#[macro_export]
macro_rules! closed_set {
    ($set:ident { $($value:ident = $name:literal),+ $(,)? }) => {
        impl $set {
            /// Every value, in order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// Returns the name under which the value is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }
    };
}

pub(crate) use closed_set;
