//! The settings that errors of this crate name.

tds_core::closed_set! {
    /// A field of [`ZohoConfig`](crate::ZohoConfig), or the hidden columns, that a [`Hint::Settings`](tds_core::hint::Hint::Settings) of this
    /// crate can name.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Setting {
        /// The client of Zoho's API console.
        ClientId = "client_id",
        /// The secret of this client.
        ClientSecret = "client_secret",
        /// The refresh token.
        RefreshToken = "refresh_token",
        /// The organization.
        OrganizationId = "organization_id",
        /// The data centre.
        DataCenter = "data_center",
        /// The base URL of the API.
        ApiUrl = "api_url",
        /// The key that the access token is sealed with before it is shared.
        TokenKey = "token_key",
        /// The hidden columns of the catalogue, see [`Catalogue::hide`](crate::entities::Catalogue::hide).
        HiddenColumns = "hidden_columns",
    }
}
