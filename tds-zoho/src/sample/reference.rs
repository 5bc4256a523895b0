//! Taxes, currencies with their rates, and locations.

use serde_json::{Value, json};

use super::{IQD, PLACES, USD, id, kinds, literal::number};

/// Returns a tax of `n` per cent.
#[must_use]
pub fn tax(n: u64) -> Value {
    json!({
        "tax_id": id(kinds::TAX, n),
        "tax_name": format!("Sales tax {n}"),
        "tax_percentage": number(&format!("{n}.00")),
        "tax_type": "tax",
        "tax_factor": "rate",
        "tax_specific_type": "",
        "tax_authority_id": "",
        "tax_authority_name": "",
        "is_value_added": true,
        "is_default_tax": false,
        "is_editable": true,
    })
}

/// Returns the US dollar, which is the base currency, and the Iraqi dinar with these rates: the day, and the value of a
/// dinar in dollars. The last rate is the present one; without rates, none is known.
#[must_use]
pub fn currencies(rates: &[(String, Value)]) -> Vec<Value> {
    let present = |index: usize| {
        rates.last().map_or_else(|| json!(""), |(day, rate)| [json!(day), rate.clone()][index].clone())
    };
    let dated = (1..).zip(rates).map(|(n, (day, rate))| {
        json!({
            "exchange_rate_id": id(kinds::CURRENCY + 1, n),
            "currency_id": IQD,
            "currency_code": "IQD",
            "effective_date": day,
            "rate": rate,
        })
    });
    let dinar = json!({
        "currency_id": IQD,
        "currency_code": "IQD",
        "currency_name": "IQD- Iraqi Dinar",
        "currency_symbol": "د.ع",
        "price_precision": 0,
        "currency_format": "1,234,567",
        "is_base_currency": false,
        "exchange_rate": present(1),
        "effective_date": present(0),
        "exchange_rates": dated.collect::<Vec<_>>(),
    });
    let dollar = json!({
        "currency_id": USD,
        "currency_code": "USD",
        "currency_name": "USD- United States Dollar",
        "currency_symbol": "$",
        "price_precision": 2,
        "currency_format": "1,234,567.89",
        "is_base_currency": true,
        "exchange_rate": number("1.000000"),
        "effective_date": "",
        "exchange_rates": [],
    });
    vec![dollar, dinar]
}

/// Returns the three locations of [`PLACES`].
#[must_use]
pub fn locations() -> Vec<Value> {
    let cities = ["Baghdad", "Baghdad", "Basra"];
    let places = PLACES.iter().zip(cities).enumerate();
    places
        .map(|(index, ((place_id, name), city))| {
            json!({
                "location_id": place_id,
                "location_name": name,
                "type": "general",
                "is_location_active": true,
                "is_primary_location": index == 0,
                "parent_location_id": "",
                "email": "",
                "phone": "",
                "address": {"city": city, "country": "Iraq", "street_address1": ""},
            })
        })
        .collect()
}
