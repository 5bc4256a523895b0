//! Zoho's data centres and their servers.

use std::{fmt, str::FromStr};

/// Defines the data centres: for each one its name in the configuration, the host that serves Books and Inventory, and
/// the host of the server that issues tokens.
macro_rules! data_centers {
    ($($(#[$meta:meta])* $center:ident = $name:literal, $api:literal, $accounts:literal;)+) => {
        /// The data centre that keeps the organization. Client, token and organization belong to the same data centre.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
        pub enum DataCenter {
            $($(#[$meta])* $center,)+
        }

        impl DataCenter {
            /// All data centres.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$center),+];

            /// Returns the name, the host of the API and the host of the server that issues tokens.
            fn facts(self) -> [&'static str; 3] {
                match self {
                    $(Self::$center => [$name, $api, $accounts],)+
                }
            }
        }
    };
}

data_centers! {
    /// United States, `us`.
    #[default]
    Us = "us", "www.zohoapis.com", "accounts.zoho.com";
    /// European Union, `eu`.
    Eu = "eu", "www.zohoapis.eu", "accounts.zoho.eu";
    /// India, `in`.
    In = "in", "www.zohoapis.in", "accounts.zoho.in";
    /// Australia, `au`.
    Au = "au", "www.zohoapis.com.au", "accounts.zoho.com.au";
    /// Japan, `jp`.
    Jp = "jp", "www.zohoapis.jp", "accounts.zoho.jp";
    // The server of Canada that issues tokens is not below `zoho.ca`.
    /// Canada, `ca`.
    Ca = "ca", "www.zohoapis.ca", "accounts.zohocloud.ca";
    /// Saudi Arabia, `sa`.
    Sa = "sa", "www.zohoapis.sa", "accounts.zoho.sa";
    /// China, `cn`.
    Cn = "cn", "www.zohoapis.com.cn", "accounts.zoho.com.cn";
    /// United Kingdom, `uk`.
    Uk = "uk", "www.zohoapis.uk", "accounts.zoho.uk";
    /// United Arab Emirates, `ae`.
    Ae = "ae", "www.zohoapis.ae", "accounts.zoho.ae";
    /// Singapore, `sg`.
    Sg = "sg", "www.zohoapis.sg", "accounts.zoho.sg";
}

impl DataCenter {
    /// Returns the name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.facts()[0]
    }

    /// Returns the base URL of the API.
    #[must_use]
    pub fn api_url(self) -> String {
        format!("https://{}", self.facts()[1])
    }

    /// Returns the base URL of the server that issues tokens.
    #[must_use]
    pub fn accounts_url(self) -> String {
        format!("https://{}", self.facts()[2])
    }
}

impl fmt::Display for DataCenter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A name that is not the name of a data centre.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a data center: use us, eu, in, au, jp, ca, sa, cn, uk, ae or sg")]
pub struct InvalidDataCenter(String);

impl FromStr for DataCenter {
    type Err = InvalidDataCenter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|center| center.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| InvalidDataCenter(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_errors_say_what_is_accepted() {
        for center in DataCenter::ALL {
            assert_eq!(center.as_str().parse(), Ok(center));
        }
        let fault = "mars".parse::<DataCenter>().expect_err("no such data center");
        assert!(fault.to_string().contains("\"mars\" is not a data center: use us, eu"));
    }
}
