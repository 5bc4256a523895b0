//! Closed sets of values: an enum, the list of all its values, and their names.

/// Defines an enum with `ALL`, `as_str` and `Display`. Each value is written once, in its order and with the name under
/// which it is stored and shown. The other crates of the workspace use the macro as well.
#[doc(hidden)]
#[macro_export]
macro_rules! closed_set {
    ($(#[$of_set:meta])* $of_all:vis enum $set:ident { $($(#[$of_value:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$of_set])*
        $of_all enum $set {
            $($(#[$of_value])* $value,)+
        }

        impl $set {
            /// Every value, in order.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// Returns the name under which the value is stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }

        impl std::fmt::Display for $set {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use closed_set;
