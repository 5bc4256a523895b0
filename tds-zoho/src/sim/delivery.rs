//! What Zoho pushes for one change.

/// One webhook, before it is signed.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The last part of the path: `products`, `credit-notes`…
    pub entity_path: String,
    /// The trigger of the rule: `created`, `updated`, `deleted`. It becomes the parameter `event`.
    pub event: String,
    /// The JSON body.
    pub body: String,
}
