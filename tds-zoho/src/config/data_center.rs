//! Zoho's data centres and their servers.

use std::{fmt, str::FromStr};

/// The data centre that keeps the organization. Client, token and organization belong to the same data centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DataCenter {
    /// United States, `us`.
    #[default]
    Us,
    /// European Union, `eu`.
    Eu,
    /// India, `in`.
    In,
    /// Australia, `au`.
    Au,
    /// Japan, `jp`.
    Jp,
    /// Canada, `ca`.
    Ca,
    /// Saudi Arabia, `sa`.
    Sa,
    /// China, `cn`.
    Cn,
    /// United Kingdom, `uk`.
    Uk,
    /// United Arab Emirates, `ae`.
    Ae,
    /// Singapore, `sg`.
    Sg,
}

impl DataCenter {
    /// All data centres.
    pub const ALL: [Self; 11] = [
        Self::Us,
        Self::Eu,
        Self::In,
        Self::Au,
        Self::Jp,
        Self::Ca,
        Self::Sa,
        Self::Cn,
        Self::Uk,
        Self::Ae,
        Self::Sg,
    ];

    /// Returns the name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::In => "in",
            Self::Au => "au",
            Self::Jp => "jp",
            Self::Ca => "ca",
            Self::Sa => "sa",
            Self::Cn => "cn",
            Self::Uk => "uk",
            Self::Ae => "ae",
            Self::Sg => "sg",
        }
    }

    /// Returns the host that serves Books and Inventory.
    #[must_use]
    pub fn api_host(self) -> &'static str {
        match self {
            Self::Us => "www.zohoapis.com",
            Self::Eu => "www.zohoapis.eu",
            Self::In => "www.zohoapis.in",
            Self::Au => "www.zohoapis.com.au",
            Self::Jp => "www.zohoapis.jp",
            Self::Ca => "www.zohoapis.ca",
            Self::Sa => "www.zohoapis.sa",
            Self::Cn => "www.zohoapis.com.cn",
            Self::Uk => "www.zohoapis.uk",
            Self::Ae => "www.zohoapis.ae",
            Self::Sg => "www.zohoapis.sg",
        }
    }

    /// Returns the base URL of the API.
    #[must_use]
    pub fn api_url(self) -> String {
        format!("https://{}", self.api_host())
    }

    /// Returns the base URL of the server that issues tokens. Canada's server is not below `zoho.ca`.
    #[must_use]
    pub fn accounts_url(self) -> String {
        let host = match self {
            Self::Us => "accounts.zoho.com",
            Self::Eu => "accounts.zoho.eu",
            Self::In => "accounts.zoho.in",
            Self::Au => "accounts.zoho.com.au",
            Self::Jp => "accounts.zoho.jp",
            Self::Ca => "accounts.zohocloud.ca",
            Self::Sa => "accounts.zoho.sa",
            Self::Cn => "accounts.zoho.com.cn",
            Self::Uk => "accounts.zoho.uk",
            Self::Ae => "accounts.zoho.ae",
            Self::Sg => "accounts.zoho.sg",
        };
        format!("https://{host}")
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
